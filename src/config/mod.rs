//! nodedb.toml and the environment (REFERENCE §6).
//!
//! [`Config::default`] is what the annotated `nodedb.toml` at the top of the repository says; a
//! test keeps the two equal. A key, section or variable that has no effect in this version is an
//! error rather than ignored: a configuration means all that it says. `reader` reads the file,
//! `sections` knows its keys, `environment` the variables that override it.

mod environment;
mod error;
mod key_sets;
mod reader;
mod sections;

pub use environment::Environment;
pub use error::ConfigError;
pub use key_sets::Jwks;

use crate::audit::Level;
use crate::auth::certificate::Strictness;
use crate::auth::certificate_map::CertificateMap;
use crate::auth::throttle;
use crate::auth::tls::{Demand, VersionMin};
use ipnet::IpNet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// Everything an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[storage]`
    pub storage: Storage,
    /// `[auth]`
    pub auth: Auth,
    /// `[audit]`
    pub audit: Audit,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address to listen on; every address it resolves to.
    pub host: String,
    /// Where everything is kept; made with mode 0700.
    pub data_dir: PathBuf,
    /// How many session cores.
    pub cores: Cores,
    /// Connections on all ports together.
    pub max_connections: u32,
    /// How log lines look.
    pub log_format: LogFormat,
    /// How long a connection may take to log in.
    pub login_deadline: Duration,
    /// How long sessions may take to end when the server is told to stop.
    pub drain_deadline: Duration,
    /// The longest message a client may send, in bytes.
    pub message_bytes_max: u64,
    /// Reply bytes that may wait for a client before its session pauses.
    pub outbox_bytes_max: u64,
    /// Prepared statements a session may hold, and portals likewise.
    pub prepared_statements_max: u32,
    /// Whether API keys and tokens are taken unencrypted from beyond loopback.
    pub allow_plain_bearer: bool,
    /// Networks whose connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Vec<IpNet>,
    /// `[server.ports]`
    pub ports: Ports,
    /// `[server.http]`
    pub http: Http,
    /// `[server.tls]`, where it is there.
    pub tls: Option<Tls>,
}

/// `[server.tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The server's certificate, and those that lead from it to its authority; PEM.
    pub cert: PathBuf,
    /// The private key of it; PEM.
    pub key: PathBuf,
    /// The authorities of client certificates; None: no client is asked for one. PEM.
    pub client_ca: Option<PathBuf>,
    /// What they have revoked: PEM, or one list in DER.
    pub crl: Option<PathBuf>,
    /// Whether a client has to have a certificate.
    pub demand: Demand,
    /// How much the lists have to say.
    pub strictness: Strictness,
    /// The oldest version that is spoken.
    pub version_min: VersionMin,
    /// Whether connections without it are refused.
    pub require_tls: bool,
}

/// How many session cores a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// `"all"`: one for each CPU this process may use.
    All,
    /// So many, at least one.
    Count(u16),
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[server.ports]`; 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// PostgreSQL's protocol.
    pub pgwire: u16,
    /// NodeDB's own protocol.
    pub native: u16,
    /// SQL over HTTP, health and metrics.
    pub http: u16,
}

/// `[server.http]`
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Http {
    /// Origins whose pages may ask from a browser, as a browser writes them.
    pub cors_origins: Vec<String>,
    /// Networks of proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// `[storage]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Address space kept for the store, in bytes; the file grows as data comes.
    pub map_size: u64,
    /// How long a transaction may hold a snapshot before it ends with 72000.
    pub snapshot_age_max: Duration,
    /// The most that one transaction may write, in bytes (54000 past it).
    pub transaction_bytes_max: u64,
}

/// `[auth]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The superuser made at first start.
    pub superuser_name: String,
    /// PBKDF2 rounds of verifiers made from now on.
    pub scram_iterations: u32,
    /// For whom client certificates log in, besides their common names.
    pub certificate_map: CertificateMap,
    /// `[auth.throttle]`
    pub throttle: throttle::Limits,
    /// `[auth.password]`
    pub password: PasswordRules,
    /// `[auth.jwks]`
    pub jwks: Jwks,
}

/// `[audit]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// What is recorded.
    pub level: Level,
    /// Files that are kept, of 64 MiB each; 0: all of them.
    pub files_max: u32,
}

/// `[auth.password]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// The fewest characters of a new one.
    pub min_length: u8,
    /// How many earlier ones of a user are remembered and refused.
    pub reuse: u8,
    /// A file of passwords that are refused, one a line.
    pub denylist: Option<PathBuf>,
    /// Whether a verifier, which none of this can be checked on, is taken in a password's place.
    pub allow_verifiers: bool,
}

impl Default for Server {
    fn default() -> Server {
        Server {
            host: "localhost".to_owned(),
            data_dir: PathBuf::from("nodedb-data"),
            cores: Cores::All,
            max_connections: 10_000,
            log_format: LogFormat::Text,
            login_deadline: Duration::from_secs(10),
            drain_deadline: Duration::from_secs(10),
            message_bytes_max: 64 * MIB,
            outbox_bytes_max: 256 * KIB,
            prepared_statements_max: 1_024,
            allow_plain_bearer: false,
            proxy_protocol: Vec::new(),
            ports: Ports::default(),
            http: Http::default(),
            tls: None,
        }
    }
}

impl Default for Ports {
    fn default() -> Ports {
        Ports {
            pgwire: 6432,
            native: 6433,
            http: 6480,
        }
    }
}

impl Default for Storage {
    fn default() -> Storage {
        Storage {
            map_size: TIB,
            snapshot_age_max: Duration::from_secs(600),
            transaction_bytes_max: GIB,
        }
    }
}

impl Default for PasswordRules {
    fn default() -> PasswordRules {
        PasswordRules {
            min_length: 2,
            reuse: 0,
            denylist: None,
            allow_verifiers: true,
        }
    }
}

impl Default for Auth {
    fn default() -> Auth {
        Auth {
            superuser_name: "nodedb".to_owned(),
            scram_iterations: 4_096,
            certificate_map: CertificateMap::default(),
            throttle: throttle::Limits::default(),
            password: PasswordRules::default(),
            jwks: Jwks::default(),
        }
    }
}

impl Config {
    /// Reads a file, then applies the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the file cannot be read, is not TOML, or says something that this version
    /// does not know or cannot do.
    pub fn load(path: &Path, environment: &Environment) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Config::parse(&text, path, environment)
    }

    /// Reads the text of a file (`path` is for messages), then applies the environment.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn parse(
        text: &str,
        path: &Path,
        environment: &Environment,
    ) -> Result<Config, ConfigError> {
        let mut config = sections::read(text, path)?;
        environment.apply(&mut config)?;
        Ok(config)
    }

    /// The defaults with the environment applied: for a server without a file.
    ///
    /// # Errors
    ///
    /// A variable with a bad value.
    pub fn without_file(environment: &Environment) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        environment.apply(&mut config)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
