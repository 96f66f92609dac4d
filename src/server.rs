//! The one place that knows every room: starts them in order and ends them in order.

use crate::config::{Config, Environment};
use crate::data_dir::DataDir;
use std::error::Error;

/// Serves until the process is told to stop.
///
/// # Errors
///
/// Whatever keeps the server from starting.
pub fn run(config: &Config, _environment: &Environment) -> Result<(), Box<dyn Error>> {
    let _data_dir = DataDir::open(&config.server.data_dir)?;
    Err("the rooms are not joined yet".into())
}
