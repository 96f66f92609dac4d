//! `[auth.jwks]`: identity providers, and how their keys are had (REFERENCE §6).

use super::error::ConfigError;
use super::reader::Section;
use super::sections::{flag, nonempty, whole};
use crate::catalog::TenantId;
use crate::catalog::provider::{FirstSight, LIFETIME_SECONDS_MAX};
use crate::catalog::provider_request::ProviderWanted;
use crate::catalog::request::TenantRef;
use crate::catalog::role::Ladder;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use toml::de::DeValue;

/// From a minute to a day, which is what a provider itself may ask for at most.
const REFRESH_SECONDS: RangeInclusive<u32> = 60..=86_400;

/// From a minute to a month.
const STALE_SECONDS: RangeInclusive<u32> = 60..=30 * 86_400;

/// The longest name that a provider takes from its issuer: a name's limit.
const NAME_BYTES_MAX: usize = 63;

/// `[auth.jwks]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwks {
    /// Identity providers besides those that CREATE OIDC PROVIDER makes.
    pub providers: Vec<ProviderWanted>,
    /// Where the last good keys are kept; a relative path lies in the data directory.
    pub cache_dir: PathBuf,
    /// How often keys are fetched, unless the provider says otherwise.
    pub refresh: Duration,
    /// How long keys verify after the last fetch that succeeded.
    pub max_stale: Duration,
    /// Hosts, or hosts with a port, that may be asked over plain HTTP and have a private address.
    pub allow_http_hosts: Vec<String>,
    /// Files with authorities whose certificates providers may have besides the public ones; PEM.
    pub ca: Vec<PathBuf>,
}

impl Default for Jwks {
    fn default() -> Jwks {
        Jwks {
            providers: Vec::new(),
            cache_dir: PathBuf::from("jwks"),
            refresh: Duration::from_secs(3_600),
            max_stale: Duration::from_secs(86_400),
            allow_http_hosts: Vec::new(),
            ca: Vec::new(),
        }
    }
}

pub(super) fn read(mut section: Section<'_>, jwks: &mut Jwks) -> Result<(), ConfigError> {
    for provider in section.sections("providers")? {
        jwks.providers.push(read_provider(provider)?);
    }
    section.read("cache_dir", &mut jwks.cache_dir, |value| {
        nonempty(value).map(PathBuf::from)
    })?;
    section.read("refresh_secs", &mut jwks.refresh, |value| {
        seconds(value, REFRESH_SECONDS)
    })?;
    section.read("max_stale_secs", &mut jwks.max_stale, |value| {
        seconds(value, STALE_SECONDS)
    })?;
    section.read("allow_http_hosts", &mut jwks.allow_http_hosts, |value| {
        list(value, not_hosts, host)
    })?;
    section.read("ca", &mut jwks.ca, |value| {
        let path = |value: &DeValue<'_>| nonempty(value).map(PathBuf::from);
        list(value, || "must be a list of files".to_owned(), path)
    })?;
    section.finish()
}

fn read_provider(mut section: Section<'_>) -> Result<ProviderWanted, ConfigError> {
    let text = |value: &DeValue<'_>| nonempty(value).map(Some);
    let issuer = section.demand("issuer", nonempty)?;
    let mut wanted = ProviderWanted {
        name: name_of(&issuer),
        issuer,
        ..ProviderWanted::default()
    };
    section.read("name", &mut wanted.name, nonempty)?;
    section.read("audience", &mut wanted.audience, text)?;
    section.read("jwks_url", &mut wanted.jwks_url, text)?;
    section.read("tenant", &mut wanted.tenant, |value| {
        tenant(value).map(Some)
    })?;
    section.read("default_role", &mut wanted.default_role, |value| {
        rung(value).map(Some)
    })?;
    section.read("role_claim", &mut wanted.role_claim, text)?;
    section.read("org_claim", &mut wanted.org_claim, text)?;
    section.read("username_claim", &mut wanted.username_claim, text)?;
    section.read("auto_create", &mut wanted.first_sight, |value| {
        flag(value).map(|make| match make {
            true => FirstSight::MakeUser,
            false => FirstSight::NoRecord,
        })
    })?;
    section.read(
        "max_lifetime_secs",
        &mut wanted.max_lifetime_seconds,
        |value| whole(value, 1..=LIFETIME_SECONDS_MAX).map(Some),
    )?;
    if let Some(fault) = wanted.fault() {
        return Err(section.unfit(format!("has a provider that cannot be: {fault}")));
    }
    section.finish()?;
    Ok(wanted)
}

/// What a provider is called that is given no name: its issuer, without what every issuer has.
fn name_of(issuer: &str) -> String {
    let bare = issuer
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .trim_end_matches('/');
    bare.chars()
        .scan(0, |bytes, it| {
            *bytes += it.len_utf8();
            (*bytes <= NAME_BYTES_MAX).then_some(it)
        })
        .collect()
}

fn seconds(value: &DeValue<'_>, range: RangeInclusive<u32>) -> Result<Duration, String> {
    whole(value, range).map(|seconds| Duration::from_secs(u64::from(seconds)))
}

fn tenant(value: &DeValue<'_>) -> Result<TenantRef, String> {
    let by_number = || whole(value, 0..=i32::MAX as u32).map(|id| TenantRef::Id(TenantId(id)));
    match value.as_str() {
        Some(_) => nonempty(value).map(TenantRef::Name),
        None => by_number().map_err(|_| "must be a tenant's number or name".to_owned()),
    }
}

/// A rung: custom roles come and go, and the file would not notice.
fn rung(value: &DeValue<'_>) -> Result<String, String> {
    let name = value.as_str().unwrap_or_default();
    match Ladder::from_str(name) {
        Ok(rung) if rung < Ladder::Superuser => Ok(name.to_owned()),
        _ => Err("must be readonly, readwrite, admin or tenant_admin".to_owned()),
    }
}

fn list<T>(
    value: &DeValue<'_>,
    expected: impl Fn() -> String,
    item: impl Fn(&DeValue<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = value.as_array().ok_or_else(&expected)?;
    let items = items.iter().map(|each| item(each.get_ref()));
    items.map(|item| item.map_err(|_| expected())).collect()
}

fn not_hosts() -> String {
    "must be a list of hosts such as \"localhost\" or \"keycloak.internal:8080\"".to_owned()
}

/// A name or an address, and a port perhaps.
fn host(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().unwrap_or_default();
    let fits = !text.is_empty()
        && text.len() <= 262
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'[' | b']' | b':'));
    match fits {
        true => Ok(text.to_owned()),
        false => Err(not_hosts()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Environment};
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Result<Jwks, String> {
        let text = format!("[auth.jwks]\n{text}");
        Config::parse(&text, Path::new("nodedb.toml"), &Environment::default())
            .map(|config| config.auth.jwks)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_seeds_provider_is_taken_as_it_is_pasted() {
        let jwks = parse(
            "providers = [\n{ issuer = \"https://your-domain.auth0.com/\", audience = \"your-api\" },\n]",
        );
        let [provider] = &jwks.expect("it reads").providers[..] else {
            panic!("there is one");
        };
        assert_eq!(provider.issuer, "https://your-domain.auth0.com/");
        assert_eq!(provider.name, "your-domain.auth0.com");
        assert_eq!(provider.audience.as_deref(), Some("your-api"));
        assert_eq!(provider.jwks_url, None);
    }

    #[test]
    fn every_key_is_read() {
        let jwks = parse(
            r#"
            cache_dir = "/var/cache/nodedb"
            refresh_secs = 600
            max_stale_secs = 7200
            allow_http_hosts = ["localhost", "[::1]:8080"]
            ca = ["ca.pem"]
            [[auth.jwks.providers]]
            issuer = "https://a.example/"
            name = "a"
            audience = "api"
            jwks_url = "https://keys.example/"
            tenant = 42
            default_role = "readwrite"
            role_claim = "https://a.example/role"
            org_claim = "o.id"
            username_claim = "email"
            auto_create = true
            max_lifetime_secs = 3600
            "#,
        );
        let expected = Jwks {
            providers: vec![ProviderWanted {
                name: "a".to_owned(),
                tenant: Some(TenantRef::Id(TenantId(42))),
                issuer: "https://a.example/".to_owned(),
                jwks_url: Some("https://keys.example/".to_owned()),
                audience: Some("api".to_owned()),
                default_role: Some("readwrite".to_owned()),
                mapping: Vec::new(),
                role_claim: Some("https://a.example/role".to_owned()),
                org_claim: Some("o.id".to_owned()),
                username_claim: Some("email".to_owned()),
                first_sight: FirstSight::MakeUser,
                max_lifetime_seconds: Some(3_600),
            }],
            cache_dir: PathBuf::from("/var/cache/nodedb"),
            refresh: Duration::from_secs(600),
            max_stale: Duration::from_secs(7_200),
            allow_http_hosts: vec!["localhost".to_owned(), "[::1]:8080".to_owned()],
            ca: vec![PathBuf::from("ca.pem")],
        };
        assert_eq!(jwks, Ok(expected));
    }

    #[test]
    fn what_cannot_be_meant_is_told_with_its_key() {
        for (text, expected) in [
            ("providers = 1", "`auth.jwks.providers` must be a list"),
            ("providers = [1]", "`auth.jwks.providers` must be a list"),
            (
                "providers = [{}]",
                "`auth.jwks.providers.issuer` is missing",
            ),
            (
                "providers = [{ issuer = 'https://a', isuer = 'x' }]",
                "unknown key `auth.jwks.providers.isuer`; did you mean `auth.jwks.providers.issuer`?",
            ),
            (
                "providers = [{ issuer = 'accounts.example' }]",
                "line 2: `auth.jwks.providers` has a provider that cannot be: without jwks_url",
            ),
            (
                "providers = [{ issuer = 'https://a', default_role = 'superuser' }]",
                "must be readonly, readwrite, admin or tenant_admin",
            ),
            (
                "providers = [{ issuer = 'https://a', default_role = 'analyst' }]",
                "must be readonly, readwrite, admin or tenant_admin",
            ),
            (
                "providers = [{ issuer = 'https://a', auto_create = true }]",
                "auto_create needs username_claim",
            ),
            (
                "providers = [{ issuer = 'https://a', tenant = -1 }]",
                "must be a tenant's number or name",
            ),
            ("refresh_secs = 59", "from 60 to 86400"),
            ("max_stale_secs = 0", "from 60 to"),
            ("allow_http_hosts = ['http://x']", "must be a list of hosts"),
            ("allow_http_hosts = 'x'", "must be a list of hosts"),
            ("ca = ['']", "must be a list of files"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_long_issuer_leaves_a_name_that_can_be_one() {
        let issuer = format!("https://id.example/realms/{}/", "ü".repeat(60));
        let name = name_of(&issuer);
        assert!(name.len() <= NAME_BYTES_MAX && name.starts_with("id.example/realms/ü"));
    }
}
