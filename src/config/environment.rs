//! The environment variables that override nodedb.toml (REFERENCE §6).
//!
//! They come in as an argument, so that a test needs no process of its own. Other variables that
//! begin with NODEDB_ are left alone: container platforms set some of their own making.

use super::error::ConfigError;
use super::sections::{CONNECTIONS, CORES, log_format, out_of};
use super::{Config, Cores};
use crate::auth::secret::Password;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

/// The variables that NodeDB looks at, as they were at start.
#[derive(Debug, Default)]
pub struct Environment {
    host: Option<String>,
    data_dir: Option<String>,
    port_pgwire: Option<String>,
    port_native: Option<String>,
    port_http: Option<String>,
    cores: Option<String>,
    max_connections: Option<String>,
    log_format: Option<String>,
    superuser_password: Option<Password>,
}

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Environment {
        // A value that is not UTF-8 is a bad value of each variable but the password, and there
        // the replacement characters would make a password that nobody meant; both are rare
        // enough to be treated as they come out here: refused, or never matching.
        Environment::of(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// Those that a function gives.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Environment {
        // An empty variable is how shells and compose files say "not set".
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        Environment {
            host: variable("NODEDB_HOST"),
            data_dir: variable("NODEDB_DATA_DIR"),
            port_pgwire: variable("NODEDB_PORT_PGWIRE"),
            port_native: variable("NODEDB_PORT_NATIVE"),
            port_http: variable("NODEDB_PORT_HTTP"),
            cores: variable("NODEDB_CORES"),
            max_connections: variable("NODEDB_MAX_CONNECTIONS"),
            log_format: variable("NODEDB_LOG_FORMAT"),
            superuser_password: variable("NODEDB_SUPERUSER_PASSWORD").map(Password::new),
        }
    }

    /// NODEDB_SUPERUSER_PASSWORD: looked at on first start only.
    pub fn superuser_password(&self) -> Option<&Password> {
        self.superuser_password.as_ref()
    }

    /// Puts the variables that are set in the place of what the file said.
    pub(super) fn apply(&self, config: &mut Config) -> Result<(), ConfigError> {
        let server = &mut config.server;
        if let Some(host) = &self.host {
            server.host.clone_from(host);
        }
        if let Some(data_dir) = &self.data_dir {
            server.data_dir = PathBuf::from(data_dir);
        }
        if let Some(port) = number("NODEDB_PORT_PGWIRE", &self.port_pgwire, 0..=u16::MAX)? {
            server.ports.pgwire = port;
        }
        if let Some(port) = number("NODEDB_PORT_NATIVE", &self.port_native, 0..=u16::MAX)? {
            server.ports.native = port;
        }
        if let Some(port) = number("NODEDB_PORT_HTTP", &self.port_http, 0..=u16::MAX)? {
            server.ports.http = port;
        }
        if self.cores.as_deref() == Some("all") {
            server.cores = Cores::All;
        } else if let Some(count) = number("NODEDB_CORES", &self.cores, CORES)? {
            server.cores = Cores::Count(count);
        }
        if let Some(count) = number("NODEDB_MAX_CONNECTIONS", &self.max_connections, CONNECTIONS)? {
            server.max_connections = count;
        }
        if let Some(word) = &self.log_format {
            server.log_format = log_format(word).map_err(|expected| ConfigError::BadVariable {
                name: "NODEDB_LOG_FORMAT",
                expected,
            })?;
        }
        Ok(())
    }
}

fn number<T: FromStr + PartialOrd + Display>(
    name: &'static str,
    value: &Option<String>,
    range: RangeInclusive<T>,
) -> Result<Option<T>, ConfigError> {
    let Some(value) = value else {
        return Ok(None);
    };
    match value.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(ConfigError::BadVariable {
            name,
            expected: out_of(&range),
        }),
    }
}
