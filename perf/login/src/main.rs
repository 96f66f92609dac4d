//! Logs in over and over, with SCRAM-SHA-256 or by a client certificate, and prints how many logins a second
//! that made.
//!
//! pgbench -C derives its client key anew for each connection (4,096 rounds of PBKDF2), and so
//! measures itself. This derives it once for each (salt, iterations), as a connection pool does,
//! checks the server's signature each time, and ends each session with Terminate. It works
//! against any server of PostgreSQL's protocol; the password is PGPASSWORD. Over TLS each handshake is a whole
//! one, unless --resume.

use clap::Parser;
use hdrhistogram::Histogram;
use login_driver::connection::{LoginError, Target, log_in};
use login_driver::scram::Keys;
use login_driver::transport::{Certificate, Handshakes, Transport};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// The longest login that the histogram tells apart, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;

/// Logs in over and over, and prints logins a second as JSON. The password is PGPASSWORD.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Where the server listens, as host:port
    #[arg(long)]
    address: String,
    /// Whom to log in as
    #[arg(long)]
    user: String,
    /// The database [default: the user's name, as libpq does]
    #[arg(long)]
    database: Option<String>,
    /// Inside TLS
    #[arg(long)]
    tls: bool,
    /// The client certificate, PEM
    #[arg(long, requires_all = ["tls", "key"])]
    certificate: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// Handshakes go on from earlier ones
    #[arg(long, requires = "tls")]
    resume: bool,
    /// How many connections log in at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// For how long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match target(&arguments).and_then(|target| drive(&target, &arguments)) {
        Ok(report) => {
            println!("{}", report.to_json());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("login-driver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn target(arguments: &Arguments) -> Result<Target, LoginError> {
    let address: SocketAddr = arguments
        .address
        .to_socket_addrs()?
        .next()
        .ok_or(LoginError::Unexpected("an address that resolves to none"))?;
    let database = arguments.database.as_ref().unwrap_or(&arguments.user);
    let password = match std::env::var("PGPASSWORD") {
        Ok(password) => password,
        Err(_) if arguments.certificate.is_some() => String::new(),
        Err(_) => return Err(LoginError::NoPassword),
    };
    let certificate = arguments
        .certificate
        .as_deref()
        .zip(arguments.key.as_deref());
    let certificate = certificate.map(|(chain, key)| Certificate { chain, key });
    let transport = match (arguments.tls, arguments.resume) {
        (false, _) => Transport::Plain,
        (true, false) => Transport::tls(certificate, Handshakes::Full)?,
        (true, true) => Transport::tls(certificate, Handshakes::Resumed)?,
    };
    Ok(Target::new(
        address,
        transport,
        &arguments.user,
        database,
        Keys::new(password),
    ))
}

/// What one run came to.
struct Report {
    connections: u16,
    seconds: f64,
    latencies_us: Histogram<u64>,
}

impl Report {
    fn to_json(&self) -> String {
        let logins = self.latencies_us.len();
        format!(
            "{{\"logins\":{logins},\"seconds\":{:.3},\"logins_per_second\":{:.1},\
             \"connections\":{},\"latency_us\":{{\"p50\":{},\"p99\":{},\"max\":{}}}}}",
            self.seconds,
            logins as f64 / self.seconds,
            self.connections,
            self.latencies_us.value_at_quantile(0.5),
            self.latencies_us.value_at_quantile(0.99),
            self.latencies_us.max(),
        )
    }
}

fn drive(target: &Target, arguments: &Arguments) -> Result<Report, LoginError> {
    // The first login derives the client key: that is not what is measured.
    log_in(target)?;
    let begin = Instant::now();
    let end = begin + Duration::from_secs(arguments.seconds);
    let outcomes = thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.connections)
            .map(|_| scope.spawn(|| log_in_until(target, end)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .collect::<Vec<_>>()
    });
    let seconds = begin.elapsed().as_secs_f64();
    let mut latencies_us = histogram();
    for outcome in outcomes {
        latencies_us
            .add(outcome?)
            .expect("all histograms have the same bounds");
    }
    Ok(Report {
        connections: arguments.connections,
        seconds,
        latencies_us,
    })
}

fn log_in_until(target: &Target, end: Instant) -> Result<Histogram<u64>, LoginError> {
    let mut latencies_us = histogram();
    loop {
        let begin = Instant::now();
        if begin >= end {
            return Ok(latencies_us);
        }
        log_in(target)?;
        let elapsed_us = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        latencies_us.saturating_record(elapsed_us);
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_US_MAX, 3).expect("3 digits up to a minute fit")
}
