//! The keys of each section and what their values must be.

use super::error::ConfigError;
use super::key_sets;
use super::reader::{Section, Source};
use super::{
    Audit, Auth, Config, Cores, Http, LogFormat, MIB, PasswordRules, Ports, Server, Storage, Tls,
};
use crate::audit::Level;
use crate::auth::certificate::Strictness;
use crate::auth::certificate_map::{CertificateMap, Rule};
use crate::auth::scram::{ITERATIONS_MAX, ITERATIONS_MIN};
use crate::auth::throttle;
use crate::auth::tls::{Demand, VersionMin};
use crate::auth::x509::NameKind;
use crate::catalog::passwords::EARLIER_MAX;
use bytesize::ByteSize;
use ipnet::IpNet;
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// More cores than any machine of today has; beyond it is a typing error.
pub(super) const CORES: RangeInclusive<u16> = 1..=1_024;

/// One descriptor each: the kernel's default ceiling of descriptors for one process.
pub(super) const CONNECTIONS: RangeInclusive<u32> = 1..=1_048_576;

/// Sizes up to what a message's 31-bit length can say.
const MESSAGE_BYTES: RangeInclusive<u64> = 64 * 1024..=i32::MAX as u64;

/// From one page of replies to one message.
const OUTBOX_BYTES: RangeInclusive<u64> = 16 * 1024..=64 * MIB;

/// From a store that can hold its own roots up to what 47 bits of address space leave room for.
const MAP_BYTES: RangeInclusive<u64> = 64 * MIB..=64 * super::TIB;

/// What one transaction may write.
const TRANSACTION_BYTES: RangeInclusive<u64> = MIB..=64 * super::TIB;

/// Prepared statements of one session, and portals.
const SESSION_OBJECTS: RangeInclusive<u32> = 1..=1_048_576;

/// Files of the audit log that are kept: 0 is all of them, and more are more than a directory lists well.
const AUDIT_FILES: RangeInclusive<u32> = 0..=100_000;

/// Deadlines from a second to a day.
const DEADLINE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

/// Failed log-ins until somebody has to wait: a million is as good as no limit.
const FAILURES: RangeInclusive<u32> = 1..=1_000_000;

/// Within which they count: up to a day.
const WINDOW_SECONDS: RangeInclusive<u32> = 1..=86_400;

/// Earlier passwords that can be remembered of a user: each costs a new one its derivation again.
const EARLIER_PASSWORDS_MAX: u8 = EARLIER_MAX as u8;

/// Reads all of a file.
pub(super) fn read(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        message: error.to_string(),
    })?;
    let mut root = Section::root(Source { path, text }, document.get_ref());
    let mut config = Config::default();
    read_server(root.section("server")?, &mut config.server)?;
    read_storage(root.section("storage")?, &mut config.storage)?;
    read_auth(root.section("auth")?, &mut config.auth)?;
    read_audit(root.section("audit")?, &mut config.audit)?;
    root.finish()?;
    Ok(config)
}

fn read_server(mut section: Section<'_>, server: &mut Server) -> Result<(), ConfigError> {
    section.read("host", &mut server.host, nonempty)?;
    section.read("data_dir", &mut server.data_dir, |value| {
        nonempty(value).map(PathBuf::from)
    })?;
    section.read("cores", &mut server.cores, cores)?;
    section.read("max_connections", &mut server.max_connections, |value| {
        whole(value, CONNECTIONS)
    })?;
    section.read("log_format", &mut server.log_format, |value| {
        log_format(value.as_str().unwrap_or_default())
    })?;
    section.read("login_deadline", &mut server.login_deadline, deadline)?;
    section.read("drain_deadline", &mut server.drain_deadline, deadline)?;
    section.read(
        "message_bytes_max",
        &mut server.message_bytes_max,
        |value| size(value, MESSAGE_BYTES),
    )?;
    section.read("outbox_bytes_max", &mut server.outbox_bytes_max, |value| {
        size(value, OUTBOX_BYTES)
    })?;
    section.read(
        "prepared_statements_max",
        &mut server.prepared_statements_max,
        |value| whole(value, SESSION_OBJECTS),
    )?;
    section.read("allow_plain_bearer", &mut server.allow_plain_bearer, flag)?;
    section.read("proxy_protocol", &mut server.proxy_protocol, networks)?;
    read_ports(section.section("ports")?, &mut server.ports)?;
    read_http(section.section("http")?, &mut server.http)?;
    server.tls = read_tls(section.section("tls")?)?;
    section.finish()
}

/// Without the section there is no TLS; with it there must be both files.
fn read_tls(mut section: Section<'_>) -> Result<Option<Tls>, ConfigError> {
    if !section.is_there() {
        return Ok(None);
    }
    let path = |value: &DeValue<'_>| nonempty(value).map(PathBuf::from);
    let mut tls = Tls {
        cert: section.demand("cert", path)?,
        key: section.demand("key", path)?,
        client_ca: None,
        crl: None,
        demand: Demand::Requested,
        strictness: Strictness::Lenient,
        version_min: VersionMin::default(),
        require_tls: false,
    };
    section.read("client_ca", &mut tls.client_ca, |value| {
        path(value).map(Some)
    })?;
    section.read("crl", &mut tls.crl, |value| path(value).map(Some))?;
    section.read("require_client_cert", &mut tls.demand, |value| {
        flag(value).map(|required| match required {
            true => Demand::Required,
            false => Demand::Requested,
        })
    })?;
    section.read("crl_strict", &mut tls.strictness, |value| {
        flag(value).map(|strict| match strict {
            true => Strictness::Strict,
            false => Strictness::Lenient,
        })
    })?;
    section.needs("crl", "client_ca")?;
    section.needs("require_client_cert", "client_ca")?;
    section.needs("crl_strict", "crl")?;
    section.read("min_version", &mut tls.version_min, |value| {
        match value.as_str() {
            Some("1.2") => Ok(VersionMin::Tls12),
            Some("1.3") => Ok(VersionMin::Tls13),
            _ => Err("must be \"1.2\" or \"1.3\"".to_owned()),
        }
    })?;
    section.read("require_tls", &mut tls.require_tls, flag)?;
    section.finish()?;
    Ok(Some(tls))
}

fn read_ports(mut section: Section<'_>, ports: &mut Ports) -> Result<(), ConfigError> {
    section.read("pgwire", &mut ports.pgwire, |value| {
        whole(value, 0..=u16::MAX)
    })?;
    section.read("native", &mut ports.native, |value| {
        whole(value, 0..=u16::MAX)
    })?;
    section.read("http", &mut ports.http, |value| whole(value, 0..=u16::MAX))?;
    section.finish()
}

fn read_http(mut section: Section<'_>, http: &mut Http) -> Result<(), ConfigError> {
    section.read("cors_origins", &mut http.cors_origins, |value| {
        let listed = value.as_array().ok_or_else(not_origins)?;
        listed.iter().map(|each| origin(each.get_ref())).collect()
    })?;
    section.read("trusted_proxies", &mut http.trusted_proxies, networks)?;
    section.finish()
}

fn read_storage(mut section: Section<'_>, storage: &mut Storage) -> Result<(), ConfigError> {
    section.read("map_size", &mut storage.map_size, |value| {
        size(value, MAP_BYTES)
    })?;
    section.read("snapshot_age_max", &mut storage.snapshot_age_max, deadline)?;
    section.read(
        "transaction_bytes_max",
        &mut storage.transaction_bytes_max,
        |value| size(value, TRANSACTION_BYTES),
    )?;
    section.finish()
}

fn read_auth(mut section: Section<'_>, auth: &mut Auth) -> Result<(), ConfigError> {
    section.read("superuser_name", &mut auth.superuser_name, nonempty)?;
    section.read("scram_iterations", &mut auth.scram_iterations, |value| {
        whole(value, ITERATIONS_MIN..=ITERATIONS_MAX)
    })?;
    read_throttle(section.section("throttle")?, &mut auth.throttle)?;
    read_password(section.section("password")?, &mut auth.password)?;
    key_sets::read(section.section("jwks")?, &mut auth.jwks)?;
    let mut certificates = section.section("cert")?;
    certificates.read("map", &mut auth.certificate_map, certificate_map)?;
    certificates.finish()?;
    section.finish()
}

fn read_audit(mut section: Section<'_>, audit: &mut Audit) -> Result<(), ConfigError> {
    section.read("level", &mut audit.level, |value| match value.as_str() {
        Some("minimal") => Ok(Level::Minimal),
        Some("standard") => Ok(Level::Standard),
        Some("full") => Ok(Level::Full),
        _ => Err("must be \"minimal\", \"standard\" or \"full\"".to_owned()),
    })?;
    section.read("files_max", &mut audit.files_max, |value| {
        whole(value, AUDIT_FILES)
    })?;
    section.finish()
}

fn read_throttle(
    mut section: Section<'_>,
    throttle: &mut throttle::Limits,
) -> Result<(), ConfigError> {
    let failures = |value: &DeValue<'_>| whole(value, FAILURES);
    section.read(
        "per_name_failures",
        &mut throttle.per_name_failures,
        failures,
    )?;
    section.read(
        "per_address_failures",
        &mut throttle.per_address_failures,
        failures,
    )?;
    section.read("window_secs", &mut throttle.window_secs, |value| {
        whole(value, WINDOW_SECONDS)
    })?;
    section.finish()
}

fn read_password(
    mut section: Section<'_>,
    password: &mut PasswordRules,
) -> Result<(), ConfigError> {
    section.read("min_length", &mut password.min_length, |value| {
        whole(value, 1..=128)
    })?;
    section.read("reuse", &mut password.reuse, |value| {
        whole(value, 0..=EARLIER_PASSWORDS_MAX)
    })?;
    section.read("denylist", &mut password.denylist, |value| {
        let path = value.as_str().ok_or("must be a text")?;
        Ok((!path.is_empty()).then(|| PathBuf::from(path)))
    })?;
    section.read("allow_verifiers", &mut password.allow_verifiers, flag)?;
    section.finish()
}

/// Each rule has the kind of name as a key, with an expression, and the login.
fn certificate_map(value: &DeValue<'_>) -> Result<CertificateMap, String> {
    let wanted = || {
        "must be a list of rules such as { uri = 'spiffe://example\\.org/(\\w+)', login = \"$1\" }, each with one \
         of cn, dns, email and uri"
            .to_owned()
    };
    let rules = value.as_array().ok_or_else(wanted)?;
    let rules = (1..).zip(rules.iter()).map(|(number, rule)| {
        let table = rule.get_ref().as_table().ok_or_else(wanted)?;
        let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
        let mut kinds = NAME_KINDS
            .into_iter()
            .filter_map(|(key, kind)| Some((kind, text(key)?)));
        let (Some((kind, expression)), None, Some(login), 2) =
            (kinds.next(), kinds.next(), text("login"), table.len())
        else {
            return Err(wanted());
        };
        Rule::new(kind, expression, login)
            .map_err(|fault| format!("holds a rule that cannot be, number {number}: {fault}"))
    });
    rules.collect::<Result<_, _>>().map(CertificateMap::new)
}

/// What the kinds of names in a certificate are called.
const NAME_KINDS: [(&str, NameKind); 4] = [
    ("cn", NameKind::Common),
    ("dns", NameKind::Dns),
    ("email", NameKind::Email),
    ("uri", NameKind::Uri),
];

pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, String> {
    let flag = value.as_bool();
    flag.ok_or_else(|| "must be true or false".to_owned())
}

pub(super) fn nonempty(value: &DeValue<'_>) -> Result<String, String> {
    match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err("must be a text that is not empty".to_owned()),
    }
}

/// Networks, or single addresses.
fn networks(value: &DeValue<'_>) -> Result<Vec<IpNet>, String> {
    let wanted = || {
        "must be a list of networks such as \"10.0.0.0/8\", \"192.0.2.1\" or \"2001:db8::/32\", without bits to \
         the right of their masks"
            .to_owned()
    };
    let listed = value.as_array().ok_or_else(wanted)?;
    let networks = listed.iter().map(|each| {
        let text = each.get_ref().as_str()?;
        let address = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| address()).ok()?;
        (network.trunc() == network).then_some(network)
    });
    networks.collect::<Option<_>>().ok_or_else(wanted)
}

fn not_origins() -> String {
    "must be a list of origins such as \"https://app.example\" or \"http://localhost:3000\", \
     each a scheme and a host, and a port where it is not the scheme's own"
        .to_owned()
}

/// An origin as a browser writes it (RFC 6454 §6.2): in lower case, without its scheme's own port,
/// and never `*`: any page could then ask with the credentials of whoever looks at it.
fn origin(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().unwrap_or_default();
    let (scheme, rest) = text.split_once("://").ok_or_else(not_origins)?;
    let own_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(not_origins()),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let host_fits = !host.is_empty()
        && host
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'[' | b']' | b':'));
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if host_fits && port_fits && !rest.ends_with(own_port) {
        Ok(text.to_owned())
    } else {
        Err(not_origins())
    }
}

fn cores(value: &DeValue<'_>) -> Result<Cores, String> {
    let expected = || {
        format!(
            "must be \"all\" or a whole number from {} to {}",
            CORES.start(),
            CORES.end()
        )
    };
    match value.as_str() {
        Some("all") => Ok(Cores::All),
        Some(_) => Err(expected()),
        None => whole(value, CORES)
            .map(Cores::Count)
            .map_err(|_| expected()),
    }
}

/// `text` or `json`; the environment says it in the same words.
pub(super) fn log_format(word: &str) -> Result<LogFormat, String> {
    match word {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be \"text\" or \"json\"".to_owned()),
    }
}

pub(super) fn whole<T: TryFrom<i64> + PartialOrd + Display>(
    value: &DeValue<'_>,
    range: RangeInclusive<T>,
) -> Result<T, String> {
    let number = value.as_integer().and_then(|integer| {
        let digits = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
        T::try_from(digits).ok()
    });
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| out_of(&range))
}

/// The words for a whole number out of range.
pub(super) fn out_of<T: Display>(range: &RangeInclusive<T>) -> String {
    format!(
        "must be a whole number from {} to {}",
        range.start(),
        range.end()
    )
}

fn size(value: &DeValue<'_>, range: RangeInclusive<u64>) -> Result<u64, String> {
    let bytes = match value.as_str() {
        Some(text) => text.parse::<ByteSize>().ok().map(|size| size.as_u64()),
        None => whole(value, 0..=i64::MAX)
            .ok()
            .and_then(|bytes| u64::try_from(bytes).ok()),
    };
    bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| {
        format!(
            "must be a size such as \"64 MiB\", from {} to {}",
            ByteSize(*range.start()),
            ByteSize(*range.end())
        )
    })
}

fn deadline(value: &DeValue<'_>) -> Result<Duration, String> {
    let parsed = value
        .as_str()
        .and_then(|text| humantime::parse_duration(text).ok());
    parsed
        .filter(|duration| DEADLINE.contains(duration))
        .ok_or_else(|| {
            format!(
                "must be a time such as \"10s\" or \"10min\", from {} to {}",
                humantime::format_duration(*DEADLINE.start()),
                humantime::format_duration(*DEADLINE.end())
            )
        })
}
