//! CREATE API KEY, ALTER API KEY, DROP API KEY and its synonym REVOKE API KEY.

use super::cursor::Cursor;
use super::statement::{CredentialStatement, RotateApiKey};
use super::{limits, timestamp};
use crate::catalog::Request;
use crate::catalog::request::{Expires, IfExists, KeyWanted};
use crate::diagnostic::{Diagnostic, SqlState};
use ipnet::IpNet;
use std::net::IpAddr;
use std::num::NonZeroU32;

type Parsed = Result<CredentialStatement, Diagnostic>;

/// The longest scope, in bytes.
const SCOPE_BYTES_MAX: usize = 256;

/// After CREATE API KEY: `['name'] [ROLE r] [FOR owner] [WITH DATABASES (d, …)] [WITH SCOPES ('s', …)]
/// [WITH IPS ('10.0.0.0/8', …)] [WITH RATE n PER SECOND] [CONNECTION LIMIT n] [STATEMENT LIMIT n]
/// [EXPIRES IN n DAYS | EXPIRES 'timestamp']`,
/// the clauses in any order, each once.
pub fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let mut wanted = KeyWanted::default();
    if !CLAUSES.iter().any(|word| cursor.at(word)) {
        wanted.name = Some(cursor.name()?);
    }
    while !cursor.at_end() {
        clause(cursor, &mut wanted)?;
    }
    Ok(CredentialStatement::CreateApiKey(wanted))
}

/// What a clause begins with: a key that is made without a name begins with one at once.
const CLAUSES: [&str; 3] = ["for", "with", "expires"];

fn clause(cursor: &mut Cursor<'_>, wanted: &mut KeyWanted) -> Result<(), Diagnostic> {
    let here = cursor.clone();
    if limits::take(cursor, &mut wanted.limits)? {
        return Ok(());
    }
    let again = match cursor.word().as_deref() {
        Some("role") => {
            cursor.expect(&["role"])?;
            wanted.role.replace(cursor.name()?).is_some()
        }
        Some("for") => {
            cursor.expect(&["for"])?;
            wanted.owner.replace(cursor.name()?).is_some()
        }
        Some("expires") => {
            cursor.expect(&["expires"])?;
            expires(cursor, wanted)?
        }
        Some("with") => {
            cursor.expect(&["with"])?;
            with(cursor, wanted)?
        }
        _ => return Err(cursor.unexpected()),
    };
    match again {
        true => Err(here.error(SqlState::SYNTAX_ERROR, "conflicting or redundant options")),
        false => Ok(()),
    }
}

/// `DATABASES (…)`, `SCOPES (…)`, `IPS (…)` or `RATE n PER SECOND`; whether it was there before.
fn with(cursor: &mut Cursor<'_>, wanted: &mut KeyWanted) -> Result<bool, Diagnostic> {
    if cursor.take(&["databases"]) {
        let databases = cursor.list(Cursor::name)?;
        return Ok(wanted.databases.replace(databases).is_some());
    }
    if cursor.take(&["scopes"]) {
        let scopes = cursor.list(scope)?;
        return Ok(wanted.scopes.replace(scopes).is_some());
    }
    if cursor.take(&["ips"]) {
        let networks = cursor.list(network)?;
        return Ok(wanted.networks.replace(networks).is_some());
    }
    if cursor.take(&["rate"]) {
        let here = cursor.clone();
        let rate = NonZeroU32::new(cursor.number()?).ok_or_else(|| {
            here.error(
                SqlState::INVALID_PARAMETER_VALUE,
                "a rate must be at least 1 per second",
            )
        })?;
        cursor.expect(&["per", "second"])?;
        return Ok(wanted.rate_per_second.replace(rate).is_some());
    }
    Err(cursor.unexpected())
}

/// `IN n DAYS` or `'timestamp'`; whether it was there before.
fn expires(cursor: &mut Cursor<'_>, wanted: &mut KeyWanted) -> Result<bool, Diagnostic> {
    let before = wanted.expires.is_some();
    if cursor.take(&["in"]) {
        let here = cursor.clone();
        let days = cursor.number()?;
        if days == 0 {
            return Err(here.error(
                SqlState::INVALID_PARAMETER_VALUE,
                "an API key must live for at least one day",
            ));
        }
        if !cursor.take(&["day"]) {
            cursor.expect(&["days"])?;
        }
        wanted.expires = Some(Expires::InDays(days));
    } else {
        wanted.expires = timestamp::valid_until(cursor)?.map(Expires::At);
    }
    Ok(before)
}

fn scope(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    let here = cursor.clone();
    let scope = cursor.literal()?;
    // A list of scopes is written with blanks between them (RFC 6749 §3.3).
    let is_one = !scope.is_empty()
        && scope.len() <= SCOPE_BYTES_MAX
        && !scope.contains(|it: char| it.is_whitespace() || it.is_control());
    if !is_one {
        return Err(here.error(
            SqlState::INVALID_PARAMETER_VALUE,
            "a scope is a word without blanks of at most 256 bytes",
        ));
    }
    Ok((*scope).clone())
}

/// A network such as `10.0.0.0/8`, or one address.
fn network(cursor: &mut Cursor<'_>) -> Result<IpNet, Diagnostic> {
    let here = cursor.clone();
    let text = cursor.literal()?;
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match network {
        // PostgreSQL's cidr refuses bits to the right of the mask too: the text says one thing.
        Ok(network) if network.trunc() == network => Ok(network),
        Ok(network) => Err(here
            .error(
                SqlState::INVALID_PARAMETER_VALUE,
                "the network has bits set to the right of its mask",
            )
            .with_hint(format!("'{}' is the network.", network.trunc()))),
        Err(_) => Err(here
            .error(
                SqlState::INVALID_PARAMETER_VALUE,
                "this is neither a network nor an address",
            )
            .with_hint("Write it as '10.0.0.0/8', '192.0.2.1' or '2001:db8::/32'.")),
    }
}

/// After ALTER API KEY: `'name' ROTATE [GRACE n MINUTES]`, or
/// `'name' [CONNECTION LIMIT n] [STATEMENT LIMIT n]`.
pub fn alter(cursor: &mut Cursor<'_>) -> Parsed {
    let name = cursor.name()?;
    if let Some(limits) = limits::only(cursor)? {
        return Ok(CredentialStatement::Change(Request::LimitApiKey {
            name,
            limits,
        }));
    }
    cursor.expect(&["rotate"])?;
    let mut grace_minutes = None;
    if cursor.take(&["grace"]) {
        grace_minutes = Some(cursor.number()?);
        if !cursor.take(&["minute"]) {
            cursor.expect(&["minutes"])?;
        }
    }
    Ok(CredentialStatement::RotateApiKey(RotateApiKey {
        name,
        grace_minutes,
    }))
}

/// After DROP API KEY: `[IF EXISTS] 'name'`; the id in its place is good too.
pub fn drop(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    Ok(CredentialStatement::Change(Request::DropApiKey {
        if_exists,
        name,
    }))
}

/// After REVOKE API KEY: the id as SHOW API KEYS prints it, bare or quoted, or the name.
pub fn revoke(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = IfExists::Fail;
    let name = cursor.key_id()?;
    Ok(CredentialStatement::Change(Request::DropApiKey {
        if_exists,
        name,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn wanted(text: &str) -> KeyWanted {
        match parse(text) {
            Some(Ok(CredentialStatement::CreateApiKey(wanted))) => wanted,
            other => panic!("{text} gave {other:?}"),
        }
    }

    fn refused(text: &str) -> (String, String) {
        match parse(text) {
            Some(Err(error)) => (error.sqlstate().to_string(), error.message().to_owned()),
            other => panic!("{text} gave {other:?}"),
        }
    }

    fn names(names: &[&str]) -> Option<Vec<String>> {
        Some(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn the_seeds_keys_are_taken_as_they_are_pasted() {
        let key = wanted("CREATE API KEY 'my-service' ROLE readwrite;");
        assert_eq!(key.name.as_deref(), Some("my-service"));
        assert_eq!(key.role.as_deref(), Some("readwrite"));
        assert_eq!((key.owner, key.databases), (None, None));
        let key = wanted(
            "CREATE API KEY 'analytics-svc' FOR service_account WITH DATABASES (analytics, logs);",
        );
        assert_eq!(key.owner.as_deref(), Some("service_account"));
        assert_eq!(key.databases, names(&["analytics", "logs"]));
        let key =
            wanted("CREATE API KEY 'batch-key' FOR 'batch-processor' WITH DATABASES (analytics);");
        assert_eq!(key.owner.as_deref(), Some("batch-processor"));
        let dropped = parse("DROP API KEY 'my-service';");
        assert!(
            matches!(
                &dropped,
                Some(Ok(CredentialStatement::Change(Request::DropApiKey {
                    if_exists: IfExists::Fail,
                    name,
                }))) if name == "my-service"
            ),
            "{dropped:?}"
        );
    }

    #[test]
    fn clauses_come_in_any_order_and_each_once() {
        let key = wanted(
            "create api key ci expires in 30 days with rate 100 per second with scopes \
             ('read:orders', 'w') for \"Bob\" with ips ('10.0.0.0/8', '192.0.2.1', '2001:db8::/32') \
             role readonly with databases (d)",
        );
        assert_eq!(key.expires, Some(Expires::InDays(30)));
        assert_eq!(key.rate_per_second, NonZeroU32::new(100));
        assert_eq!(key.scopes, names(&["read:orders", "w"]));
        assert_eq!(key.owner.as_deref(), Some("Bob"));
        let networks = key.networks.expect("it has some");
        let networks: Vec<_> = networks.iter().map(|it| it.to_string()).collect();
        assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
        for twice in [
            "CREATE API KEY k ROLE a ROLE b",
            "CREATE API KEY k FOR a FOR b",
            "CREATE API KEY k WITH DATABASES (a) WITH DATABASES (b)",
            "CREATE API KEY k EXPIRES IN 1 DAY EXPIRES '2030-01-01'",
        ] {
            let message = "conflicting or redundant options".to_owned();
            assert_eq!(refused(twice), ("42601".to_owned(), message), "{twice}");
        }
    }

    #[test]
    fn a_key_without_a_name_is_the_clients_synonym() {
        let key = wanted("CREATE API KEY FOR bob EXPIRES '2030-01-01 00:00:00Z'");
        assert_eq!(
            (key.name.as_deref(), key.owner.as_deref()),
            (None, Some("bob"))
        );
        assert_eq!(key.expires, Some(Expires::At(1_893_456_000_000_000)));
        let forever = wanted("CREATE API KEY k EXPIRES 'infinity'");
        assert_eq!(forever.expires, None);
    }

    #[test]
    fn what_a_key_cannot_be_bound_to_is_refused_where_it_stands() {
        for (text, code) in [
            ("CREATE API KEY", "42601"),
            ("CREATE API KEY k WITH", "42601"),
            ("CREATE API KEY k WITH DATABASES", "42601"),
            ("CREATE API KEY k WITH DATABASES ()", "42601"),
            ("CREATE API KEY k WITH SCOPES (s)", "42601"),
            ("CREATE API KEY k WITH SCOPES ('a b')", "22023"),
            ("CREATE API KEY k WITH SCOPES ('')", "22023"),
            ("CREATE API KEY k WITH IPS ('10.0.0.1/8')", "22023"),
            ("CREATE API KEY k WITH IPS ('localhost')", "22023"),
            ("CREATE API KEY k WITH RATE 0 PER SECOND", "22023"),
            ("CREATE API KEY k WITH RATE 99999999999 PER SECOND", "22023"),
            ("CREATE API KEY k WITH RATE 5 PER MINUTE", "42601"),
            ("CREATE API KEY k EXPIRES IN 0 DAYS", "22023"),
            ("CREATE API KEY k EXPIRES IN 3", "42601"),
            ("CREATE API KEY k EXPIRES 'soon'", "22007"),
            ("CREATE API KEY k PASSWORD 'x'", "42601"),
            ("ALTER API KEY k", "42601"),
            ("ALTER API KEY k ROTATE GRACE 5", "42601"),
            ("DROP API KEY", "42601"),
        ] {
            assert_eq!(refused(text).0, code, "{text}");
        }
    }

    #[test]
    fn an_id_is_taken_bare_as_it_is_printed() {
        for (text, expected) in [
            ("REVOKE API KEY AAECA_vv__4", "AAECA_vv__4"),
            ("REVOKE API KEY -A-bCdEfGhI;", "-A-bCdEfGhI"),
            ("REVOKE API KEY 'AAECA_vv__4'", "AAECA_vv__4"),
            ("REVOKE API KEY My_Service", "my_service"),
        ] {
            let parsed = parse(text);
            assert!(
                matches!(
                    &parsed,
                    Some(Ok(CredentialStatement::Change(Request::DropApiKey { name, .. })))
                        if name == expected
                ),
                "{text} gave {parsed:?}"
            );
        }
    }

    #[test]
    fn a_rotation_may_have_a_grace() {
        for (text, grace_minutes) in [
            ("ALTER API KEY 'k' ROTATE", None),
            ("ALTER API KEY 'k' ROTATE GRACE 15 MINUTES;", Some(15)),
            ("ALTER API KEY 'k' ROTATE GRACE 1 MINUTE", Some(1)),
        ] {
            let parsed = parse(text);
            let Some(Ok(CredentialStatement::RotateApiKey(rotate))) = parsed else {
                panic!("{text} gave {parsed:?}");
            };
            assert_eq!(rotate.grace_minutes, grace_minutes);
            assert_eq!(rotate.name, "k");
        }
    }
}
