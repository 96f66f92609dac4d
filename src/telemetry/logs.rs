//! Log lines: `tracing` to standard error, as text or JSON (REFERENCE §6).
//!
//! What is logged never holds a secret, a statement's text or a row (invariant 5): secrets cannot
//! be printed, and the rooms log names, numbers and reasons.

use crate::config::LogFormat;
use std::io::{self, IsTerminal};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// What is logged unless RUST_LOG says otherwise. The planner and the runtime talk to their own
/// developers at lower levels.
const FILTER_DEFAULT: &str = "info,datafusion=warn,glommio=warn";

/// Why logging did not start.
#[derive(Debug, Error)]
pub enum LogError {
    /// RUST_LOG does not parse.
    #[error("RUST_LOG: {0}")]
    BadFilter(#[from] tracing_subscriber::filter::FromEnvError),
    /// It had been started before.
    #[error("logging: {0}")]
    AlreadyStarted(#[from] TryInitError),
}

/// Starts logging for the process; call it once.
///
/// # Errors
///
/// [`LogError`]: a RUST_LOG that does not parse is refused, since lines somebody waits for would
/// be missing.
pub fn start_logs(format: LogFormat) -> Result<(), LogError> {
    let filter = match std::env::var_os(EnvFilter::DEFAULT_ENV) {
        Some(_) => EnvFilter::try_from_default_env()?,
        None => EnvFilter::new(FILTER_DEFAULT),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => registry
            .with(
                layer
                    .with_ansi(io::stderr().is_terminal())
                    .with_target(false),
            )
            .try_init()?,
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}
