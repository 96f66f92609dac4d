//! The command line of NodeDB.

use clap::{Parser, Subcommand};
use nodedb::config::{Config, ConfigError, Environment};
use nodedb::{audit_command, backup, server, superuser, telemetry, tls_init};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Statements make and free many small values, on threads that never exchange them: the C
/// library's allocator took 13 to 18 % of a session core's time more (perf/results).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONFIG_DEFAULT: &str = "nodedb.toml";

/// A database server that proves who you are in every way at once, and answers in SQL.
///
/// Without a command it serves, with nodedb.toml as it lies in the current directory (or its
/// defaults, if there is none). At first start it makes the superuser `nodedb` and says in which
/// file the password is; then: psql -h localhost -p 6432 -U nodedb
#[derive(Debug, Parser)]
#[command(
    name = "nodedb",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Arguments {
    /// The configuration file [default: nodedb.toml, if it is there]
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or ctrl-c (what it does without a command)
    Serve,
    /// Say whether a configuration file is good, and what is wrong with it
    Check {
        /// The file to check [default: that of --config]
        file: Option<PathBuf>,
    },
    /// Give the superuser a new password, with the server stopped
    ///
    /// The password is NODEDB_SUPERUSER_PASSWORD, if that is set, else 24 random characters
    /// in <data_dir>/superuser_password. A superuser that was disabled is enabled again.
    #[command(verbatim_doc_comment)]
    ResetSuperuserPassword,
    /// Copy the data of the running server into a new directory, which a server can start on
    ///
    /// To be run on the server's machine, as a user who can read its data directory. The server goes on
    /// serving. What the copy holds is of one moment, and backup_label in it says of which.
    #[command(verbatim_doc_comment)]
    Backup {
        /// The directory: not there yet, or empty
        directory: PathBuf,
    },
    /// Certificates for TLS
    #[command(subcommand)]
    Tls(Tls),
    /// The audit log, with the server running or stopped
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Say whether the audit log is as it was written, and if not, from which entry on
    ///
    /// Exit status: 0 it is, 1 it is not, 2 it cannot be read.
    #[command(verbatim_doc_comment)]
    Verify {
        /// A directory, or one file of it [default: audit in data_dir]
        path: Option<PathBuf>,
        /// The key of the chain [default: audit_key beside the directory]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Print the entries, the oldest first, one JSON object a line
    Export {
        /// A directory, or one file of it [default: audit in data_dir]
        path: Option<PathBuf>,
        /// From this date or time on, such as 2026-11-29 or 2026-11-29T13:00:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum Tls {
    /// Make an authority, a server's certificate and a client's, to try TLS with
    ///
    /// For development: localhost, 127.0.0.1 and ::1. Nothing is overwritten. What is printed says what
    /// to put into nodedb.toml, and how psql and curl use the files.
    #[command(verbatim_doc_comment)]
    Init {
        /// Where the files go
        #[arg(long, value_name = "DIR", default_value = "nodedb-tls")]
        dir: PathBuf,
        /// The login name in the client's certificate
        #[arg(long, value_name = "NAME", default_value = "nodedb")]
        user: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let environment = Environment::of_process();
    let outcome = match arguments.command {
        None | Some(Command::Serve) => serve(arguments.config.as_deref(), &environment),
        Some(Command::Check { file }) => check(file.or(arguments.config), &environment),
        Some(Command::ResetSuperuserPassword) => {
            reset_superuser_password(arguments.config.as_deref(), &environment)
        }
        Some(Command::Backup { directory }) => {
            make_backup(arguments.config.as_deref(), &directory, &environment)
        }
        Some(Command::Tls(Tls::Init { dir, user })) => tls_init(&dir, &user),
        Some(Command::Audit(Audit::Verify { path, key })) => {
            return audit_verify(
                path,
                key.as_deref(),
                arguments.config.as_deref(),
                &environment,
            );
        }
        Some(Command::Audit(Audit::Export { path, since })) => audit_export(
            path,
            since.as_deref(),
            arguments.config.as_deref(),
            &environment,
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nodedb: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(file: Option<&Path>, environment: &Environment) -> Result<(), Box<dyn Error>> {
    let config = load(file, environment)?;
    telemetry::start_logs(config.server.log_format)?;
    server::run(&config, environment)?;
    Ok(())
}

fn check(file: Option<PathBuf>, environment: &Environment) -> Result<(), Box<dyn Error>> {
    let file = file.unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
    Config::load(&file, environment)?;
    println!("{} is good", file.display());
    Ok(())
}

fn reset_superuser_password(
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(), Box<dyn Error>> {
    let config = load(file, environment)?;
    let source = superuser::reset_password(&config, environment)?;
    println!(
        "{} has a new password: {source}",
        config.auth.superuser_name
    );
    Ok(())
}

fn make_backup(
    file: Option<&Path>,
    directory: &Path,
    environment: &Environment,
) -> Result<(), Box<dyn Error>> {
    let config = load(file, environment)?;
    println!("{}", backup::run(&config.server.data_dir, directory)?);
    Ok(())
}

fn tls_init(directory: &Path, user: &str) -> Result<(), Box<dyn Error>> {
    print!("{}", tls_init::init(directory, user)?);
    Ok(())
}

fn audit_verify(
    path: Option<PathBuf>,
    key: Option<&Path>,
    file: Option<&Path>,
    environment: &Environment,
) -> ExitCode {
    let verified = audit_path(path, file, environment).and_then(|path| {
        let mut output = std::io::stdout().lock();
        Ok(audit_command::verify(&path, key, &mut output)?)
    });
    match verified {
        Ok(audit_command::Verdict::Whole) => ExitCode::SUCCESS,
        Ok(audit_command::Verdict::Broken) => ExitCode::from(1),
        Err(error) => {
            eprintln!("nodedb: {error}");
            ExitCode::from(2)
        }
    }
}

fn audit_export(
    path: Option<PathBuf>,
    since: Option<&str>,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(), Box<dyn Error>> {
    let path = audit_path(path, file, environment)?;
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    Ok(audit_command::export(&path, since, &mut output)?)
}

fn audit_path(
    path: Option<PathBuf>,
    file: Option<&Path>,
    environment: &Environment,
) -> Result<PathBuf, Box<dyn Error>> {
    Ok(match path {
        Some(path) => path,
        None => load(file, environment)?.server.data_dir.join("audit"),
    })
}

/// A file that was named must be there; nodedb.toml need not be.
fn load(file: Option<&Path>, environment: &Environment) -> Result<Config, ConfigError> {
    match file {
        Some(file) => Config::load(file, environment),
        None if Path::new(CONFIG_DEFAULT).exists() => {
            Config::load(Path::new(CONFIG_DEFAULT), environment)
        }
        None => Config::without_file(environment),
    }
}
