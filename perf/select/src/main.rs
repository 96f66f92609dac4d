//! Selects a random account's balance over and over, as pgbench's select-only does, over PostgreSQL's
//! protocol or the native one.
//!
//! The loop is the same for both, so that what differs in the server's CPU time is the protocol's:
//! each connection has one request on its way, and each thread waits for all of its connections at
//! once. PGPASSWORD is the password for pgwire, NODEDB_API_KEY the key for native.

mod error;
mod load;
mod native;
mod pgwire;
mod protocol;

use clap::{Parser, ValueEnum};
use error::DriveError;
use hdrhistogram::Histogram;
use load::Plan;
use login_driver::connection::Target;
use login_driver::scram::Keys;
use login_driver::transport::Transport;
use native::Native;
use pgwire::Pgwire;
use protocol::Protocol;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

/// Selects a random row by key over and over, and prints requests a second as JSON. The password is
/// PGPASSWORD (pgwire), the API key NODEDB_API_KEY (native).
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Where the server listens, as host:port
    #[arg(long)]
    address: String,
    /// What to speak
    #[arg(long, value_enum)]
    protocol: Speak,
    /// Whom to log in as over pgwire; natively the key says it
    #[arg(long, default_value = "")]
    user: String,
    /// The database
    #[arg(long)]
    database: String,
    /// How many accounts there are to select from
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    accounts: u32,
    /// How many connections have a request on its way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// How many threads serve them
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// For how long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Speak {
    /// PostgreSQL's protocol, one prepared statement a connection
    PgwirePrepared,
    /// The native protocol, the account as a parameter
    NativeParams,
    /// The native protocol, the account in the text
    NativeLiteral,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match drive(&arguments) {
        Ok(latencies_us) => {
            println!("{}", report(&arguments, &latencies_us));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("select-driver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn drive(arguments: &Arguments) -> Result<Histogram<u64>, DriveError> {
    let address: SocketAddr = arguments
        .address
        .to_socket_addrs()?
        .next()
        .ok_or(DriveError::Unexpected("an address that resolves to none"))?;
    let plan = Plan {
        accounts: arguments.accounts,
        connections: arguments.connections,
        threads: arguments.threads.min(arguments.connections),
        time: Duration::from_secs(arguments.seconds),
    };
    let native = |form| -> Result<Box<dyn Protocol>, DriveError> {
        let key = secret("NODEDB_API_KEY")?;
        Ok(Box::new(Native::new(
            address,
            &key,
            &arguments.database,
            form,
        )))
    };
    let protocol: Box<dyn Protocol> = match arguments.protocol {
        Speak::PgwirePrepared => {
            let keys = Keys::new(secret("PGPASSWORD")?);
            let (user, database) = (&arguments.user, &arguments.database);
            let target = Target::new(address, Transport::Plain, user, database, keys);
            Box::new(Pgwire::new(target))
        }
        Speak::NativeParams => native(native::Form::Parameter)?,
        Speak::NativeLiteral => native(native::Form::Literal)?,
    };
    load::run(&*protocol, &plan)
}

fn secret(variable: &'static str) -> Result<String, DriveError> {
    std::env::var(variable).map_err(|_| DriveError::NoSecret(variable))
}

fn report(arguments: &Arguments, latencies_us: &Histogram<u64>) -> String {
    let requests = latencies_us.len();
    format!(
        "{{\"requests\":{requests},\"requests_per_second\":{:.1},\"connections\":{},\
         \"latency_us\":{{\"p50\":{},\"p99\":{},\"max\":{}}}}}",
        requests as f64 / arguments.seconds as f64,
        arguments.connections,
        latencies_us.value_at_quantile(0.5),
        latencies_us.value_at_quantile(0.99),
        latencies_us.max(),
    )
}
