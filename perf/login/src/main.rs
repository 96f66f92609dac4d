//! Logs in over and over, with SCRAM-SHA-256 or by a client certificate, and prints how many logins a second
//! that made.
//!
//! pgbench -C derives its client key anew for each connection (4,096 rounds of PBKDF2), and so
//! measures itself. This derives it once for each (salt, iterations), as a connection pool does,
//! checks the server's signature each time, and ends each session with Terminate. It works
//! against any server of PostgreSQL's protocol; the password is PGPASSWORD. Over TLS each handshake is a whole
//! one, unless --resume.
//!
//! With --guess the password is a wrong one, and what is counted is how each log-in is refused: the load of a
//! flood, from as many addresses as --sources says.

use clap::Parser;
use hdrhistogram::Histogram;
use login_driver::connection::{LoginError, Target, log_in};
use login_driver::scram::Keys;
use login_driver::sources::Sources;
use login_driver::transport::{Certificate, Handshakes, Transport};
use std::collections::BTreeMap;
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
    /// With a wrong password, on purpose: counts how each is refused
    #[arg(long)]
    guess: bool,
    /// From so many addresses of 127.16.0.0/12 in turn
    #[arg(long)]
    sources: Option<u32>,
    /// How long each connection waits between two logins
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
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
    let keys = Keys::new(password);
    let target = Target::new(address, transport, &arguments.user, database, keys);
    Ok(match arguments.sources {
        None => target,
        Some(count) => target.from_sources(Sources::new(count)),
    })
}

/// What one run came to.
struct Report {
    connections: u16,
    seconds: f64,
    tally: Tally,
}

/// What has come of one connection's logins, or of all.
struct Tally {
    latencies_us: Histogram<u64>,
    /// How often a server has said what, of those that were meant to be refused.
    refusals: BTreeMap<String, u64>,
}

impl Tally {
    fn new() -> Tally {
        let latencies_us = Histogram::new_with_max(LATENCY_US_MAX, 3);
        Tally {
            latencies_us: latencies_us.expect("3 digits up to a minute fit"),
            refusals: BTreeMap::new(),
        }
    }

    fn add(&mut self, other: &Tally) {
        let added = self.latencies_us.add(&other.latencies_us);
        added.expect("all histograms have the same bounds");
        for (words, count) in &other.refusals {
            *self.refusals.entry(words.clone()).or_default() += count;
        }
    }
}

impl Report {
    fn to_json(&self) -> String {
        let latencies_us = &self.tally.latencies_us;
        let logins = latencies_us.len();
        let refusals: Vec<_> = (self.tally.refusals.iter())
            .map(|(words, count)| format!(",{words:?}:{count}"))
            .collect();
        format!(
            "{{\"logins\":{logins},\"seconds\":{:.3},\"logins_per_second\":{:.1},\
             \"connections\":{},\"latency_us\":{{\"p50\":{},\"p99\":{},\"max\":{}}}{}}}",
            self.seconds,
            logins as f64 / self.seconds,
            self.connections,
            latencies_us.value_at_quantile(0.5),
            latencies_us.value_at_quantile(0.99),
            latencies_us.max(),
            refusals.concat(),
        )
    }
}

fn drive(target: &Target, arguments: &Arguments) -> Result<Report, LoginError> {
    // The first login derives the client key: that is not what is measured.
    attempt(target, arguments.guess)?;
    let begin = Instant::now();
    let end = begin + Duration::from_secs(arguments.seconds);
    let outcomes = thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.connections)
            .map(|_| scope.spawn(|| log_in_until(target, arguments, end)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"))
            .collect::<Vec<_>>()
    });
    let seconds = begin.elapsed().as_secs_f64();
    let mut tally = Tally::new();
    for outcome in outcomes {
        tally.add(&outcome?);
    }
    Ok(Report {
        connections: arguments.connections,
        seconds,
        tally,
    })
}

/// One login; what the server has said, where it was meant to be refused.
fn attempt(target: &Target, guess: bool) -> Result<Option<String>, LoginError> {
    match (log_in(target), guess) {
        (Ok(()), false) => Ok(None),
        (Ok(()), true) => Err(LoginError::Unexpected("a welcome to a wrong password")),
        (Err(LoginError::Refused(words)), true) => Ok(Some(words)),
        (Err(error), _) => Err(error),
    }
}

fn log_in_until(target: &Target, arguments: &Arguments, end: Instant) -> Result<Tally, LoginError> {
    let mut tally = Tally::new();
    loop {
        let begin = Instant::now();
        if begin >= end {
            return Ok(tally);
        }
        if let Some(words) = attempt(target, arguments.guess)? {
            *tally.refusals.entry(words).or_default() += 1;
        }
        let elapsed_us = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        tally.latencies_us.saturating_record(elapsed_us);
        thread::sleep(Duration::from_millis(arguments.pause_ms));
    }
}
