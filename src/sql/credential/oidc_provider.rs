//! CREATE OIDC PROVIDER in both of its forms, ALTER OIDC PROVIDER, DROP OIDC PROVIDER (REFERENCE §1).

use super::claim_mapping::{self, option};
use super::cursor::Cursor;
use super::statement::CredentialStatement;
use crate::catalog::Request;
use crate::catalog::provider::FirstSight;
use crate::catalog::provider_request::ProviderWanted;
use crate::catalog::request::IfExists;
use crate::diagnostic::{Diagnostic, SqlState};

type Parsed = Result<CredentialStatement, Diagnostic>;

/// What WITH takes.
const OPTIONS: [&str; 12] = [
    "issuer",
    "jwks_url",
    "jwks_uri",
    "audience",
    "tenant",
    "default_role",
    "claim_mapping",
    "role_claim",
    "org_claim",
    "username_claim",
    "auto_create",
    "max_lifetime_secs",
];

/// After CREATE OIDC PROVIDER: `[IF NOT EXISTS] name WITH (option = value, …)`, or
/// `name ISSUER '…' JWKS_URI '…' [AUDIENCE '…'] [TENANT n] [CLAIM MAPPING WHEN …]`.
pub fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_not_exists();
    let here = cursor.clone();
    let mut wanted = ProviderWanted {
        name: cursor.name()?,
        ..ProviderWanted::default()
    };
    match cursor.take(&["with"]) {
        true => options(cursor, &mut wanted)?,
        false => clauses(cursor, &mut wanted)?,
    }
    if let Some(fault) = wanted.fault() {
        return Err(here.error(SqlState::INVALID_PARAMETER_VALUE, &fault));
    }
    Ok(CredentialStatement::CreateProvider {
        if_exists,
        wanted: Box::new(wanted),
    })
}

/// `(option = value, …)`, each once.
fn options(cursor: &mut Cursor<'_>, wanted: &mut ProviderWanted) -> Result<(), Diagnostic> {
    let mut seen = Vec::new();
    cursor.expect_symbol('(')?;
    loop {
        let name = option(cursor, &OPTIONS, &mut seen)?;
        cursor.expect_symbol('=')?;
        value(cursor, name, wanted)?;
        if !cursor.take_symbol(',') {
            return cursor.expect_symbol(')');
        }
    }
}

fn value(
    cursor: &mut Cursor<'_>,
    option: &str,
    wanted: &mut ProviderWanted,
) -> Result<(), Diagnostic> {
    match option {
        "issuer" => wanted.issuer = text(cursor)?,
        "jwks_url" | "jwks_uri" => wanted.jwks_url = Some(text(cursor)?),
        "audience" => wanted.audience = Some(text(cursor)?),
        "tenant" => wanted.tenant = Some(cursor.tenant()?),
        "default_role" => wanted.default_role = Some(cursor.name()?),
        "claim_mapping" => wanted.mapping = claim_mapping::list(cursor)?,
        "role_claim" => wanted.role_claim = Some(text(cursor)?),
        "org_claim" => wanted.org_claim = Some(text(cursor)?),
        "username_claim" => wanted.username_claim = Some(text(cursor)?),
        "auto_create" => wanted.first_sight = first_sight(cursor)?,
        "max_lifetime_secs" => wanted.max_lifetime_seconds = Some(cursor.number()?),
        other => unreachable!("{other} is not among the options"),
    }
    Ok(())
}

fn first_sight(cursor: &mut Cursor<'_>) -> Result<FirstSight, Diagnostic> {
    if cursor.take(&["true"]) {
        return Ok(FirstSight::MakeUser);
    }
    cursor.expect(&["false"])?;
    Ok(FirstSight::NoRecord)
}

/// The clauses of the other form, in any order, each once.
fn clauses(cursor: &mut Cursor<'_>, wanted: &mut ProviderWanted) -> Result<(), Diagnostic> {
    const CLAUSES: [&str; 6] = [
        "issuer", "jwks_uri", "jwks_url", "audience", "tenant", "claim",
    ];
    let mut seen = Vec::new();
    while !cursor.at_end() {
        match option(cursor, &CLAUSES, &mut seen)? {
            "claim" => {
                cursor.expect(&["mapping"])?;
                wanted.mapping = claim_mapping::clauses(cursor)?;
            }
            name => value(cursor, name, wanted)?,
        }
    }
    if seen.is_empty() {
        return Err(cursor
            .unexpected()
            .with_hint("CREATE OIDC PROVIDER name WITH (issuer = '…', audience = '…')"));
    }
    Ok(())
}

/// After ALTER OIDC PROVIDER: `name REFRESH JWKS`, or `name SET CLAIM MAPPING …` in either form, where
/// `[]` takes all rules away.
pub fn alter(cursor: &mut Cursor<'_>) -> Parsed {
    let name = cursor.name()?;
    if cursor.take(&["refresh"]) {
        cursor.expect(&["jwks"])?;
        return Ok(CredentialStatement::RefreshKeys(name));
    }
    cursor.expect(&["set", "claim", "mapping"])?;
    let here = cursor.clone();
    cursor.take_symbol('=');
    let mapping = match cursor.at("when") {
        true => claim_mapping::clauses(cursor)?,
        false => claim_mapping::list(cursor)?,
    };
    if let Some(fault) = mapping.iter().find_map(|rule| rule.fault()) {
        return Err(here.error(SqlState::INVALID_PARAMETER_VALUE, &fault));
    }
    Ok(CredentialStatement::Change(Request::SetClaimMapping {
        name,
        mapping,
    }))
}

/// After DROP OIDC PROVIDER: `[IF EXISTS] name`.
pub fn drop(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists: IfExists = cursor.if_exists();
    let name = cursor.name()?;
    Ok(CredentialStatement::Change(Request::DropProvider {
        if_exists,
        name,
    }))
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Diagnostic> {
    cursor.literal().map(|text| (*text).clone())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::catalog::TenantId;
    use crate::catalog::provider::ClaimValue;
    use crate::catalog::provider_request::RuleWanted;
    use crate::catalog::request::TenantRef;

    fn wanted(text: &str) -> ProviderWanted {
        match parse(text) {
            Some(Ok(CredentialStatement::CreateProvider { wanted, .. })) => *wanted,
            other => panic!("{text} gave {other:?}"),
        }
    }

    fn refused(text: &str) -> (String, String) {
        match parse(text) {
            Some(Err(error)) => (error.sqlstate().to_string(), error.message().to_owned()),
            other => panic!("{text} gave {other:?}"),
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rules() -> Vec<RuleWanted> {
        vec![
            RuleWanted {
                claim: "groups".to_owned(),
                value: ClaimValue::Is("eng".into()),
                default_database: Some("d".to_owned()),
                add_databases: texts(&["d", "e"]),
                add_roles: texts(&["r"]),
            },
            RuleWanted {
                claim: "https://acme/role".to_owned(),
                value: ClaimValue::Any,
                default_database: None,
                add_databases: Vec::new(),
                add_roles: texts(&["analyst", "readwrite"]),
            },
        ]
    }

    #[test]
    fn the_seeds_provider_is_taken_as_it_is_pasted() {
        let auth0 = wanted(
            "CREATE OIDC PROVIDER auth0 WITH (\nissuer = 'https://your-domain.auth0.com/',\n\
             jwks_url = 'https://your-domain.auth0.com/.well-known/jwks.json',\n\
             audience = 'nodedb-api'\n);",
        );
        assert_eq!(auth0.name, "auth0");
        assert_eq!(auth0.issuer, "https://your-domain.auth0.com/");
        let jwks_url = "https://your-domain.auth0.com/.well-known/jwks.json";
        assert_eq!(auth0.jwks_url.as_deref(), Some(jwks_url));
        assert_eq!(auth0.audience.as_deref(), Some("nodedb-api"));
        assert_eq!((auth0.tenant, auth0.default_role), (None, None));
        assert_eq!(auth0.first_sight, FirstSight::NoRecord);
    }

    #[test]
    fn both_forms_say_the_same_rules() {
        let with = wanted(
            "CREATE OIDC PROVIDER p WITH (issuer='https://a.example/', claim_mapping = [ \
             {claim_name='groups', claim_value='eng', effect={default_database='d', \
             add_databases=['d', e], add_roles=['r']}}, \
             {effect = {add_roles = [analyst, readwrite]}, claim_name = 'https://acme/role', \
             claim_value = '*'} ])",
        );
        assert_eq!(with.mapping, rules());
        let clauses = wanted(
            "create oidc provider p issuer 'https://a.example/' jwks_uri 'https://k.example/' \
             audience 'a' tenant 42 claim mapping when groups = 'eng' set default_database = d \
             add databases [d, e] add roles ['r'] when 'https://acme/role' = '*' \
             add roles [analyst, readwrite]",
        );
        assert_eq!(clauses.mapping, rules());
        assert_eq!(clauses.tenant, Some(TenantRef::Id(TenantId(42))));
        assert_eq!(clauses.jwks_url.as_deref(), Some("https://k.example/"));
    }

    #[test]
    fn every_option_is_read() {
        let it = wanted(
            "CREATE OIDC PROVIDER IF NOT EXISTS p WITH (issuer='https://a.example/', \
             tenant='acme', default_role=readwrite, role_claim='realm_access.roles', \
             org_claim='o.id', username_claim='email', auto_create=true, max_lifetime_secs=3600)",
        );
        assert_eq!(it.tenant, Some(TenantRef::Name("acme".to_owned())));
        assert_eq!(it.default_role.as_deref(), Some("readwrite"));
        assert_eq!(it.role_claim.as_deref(), Some("realm_access.roles"));
        assert_eq!(it.org_claim.as_deref(), Some("o.id"));
        assert_eq!(it.username_claim.as_deref(), Some("email"));
        assert_eq!(it.first_sight, FirstSight::MakeUser);
        assert_eq!(it.max_lifetime_seconds, Some(3_600));
    }

    #[test]
    fn a_claim_inside_others_may_be_written_bare() {
        let it = wanted(
            "CREATE OIDC PROVIDER p ISSUER 'https://a.example/' CLAIM MAPPING WHEN \
             realm_access.roles = 'x' ADD ROLES [r]",
        );
        assert_eq!(it.mapping[0].claim, "realm_access.roles");
    }

    #[test]
    fn an_unknown_option_is_told_the_nearest_one() {
        for (text, message) in [
            (
                "CREATE OIDC PROVIDER p WITH (isuer = 'x')",
                "unknown option \"isuer\"; did you mean \"issuer\"?",
            ),
            (
                "CREATE OIDC PROVIDER p WITH (issuer = 'https://x', claim_mapping = [{claim_nam = 'x'}])",
                "unknown option \"claim_nam\"; did you mean \"claim_name\"?",
            ),
            (
                "CREATE OIDC PROVIDER p ISSUER 'https://x' AUDIENC 'x'",
                "unknown option \"audienc\"; did you mean \"audience\"?",
            ),
            (
                "CREATE OIDC PROVIDER p WITH (issuer = 'https://x', issuer = 'https://y')",
                "conflicting or redundant options",
            ),
        ] {
            assert_eq!(refused(text), ("42601".to_owned(), message.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let rule = "{claim_name='a', claim_value='b', effect={add_roles=['r']}}";
        let many = vec![rule; 65].join(", ");
        let many = format!(
            "CREATE OIDC PROVIDER p WITH (issuer = 'https://a.example/', claim_mapping = [{many}])"
        );
        for (text, code) in [
            ("CREATE OIDC PROVIDER", "42601"),
            ("CREATE OIDC PROVIDER p", "42601"),
            ("CREATE OIDC PROVIDER p WITH ()", "42601"),
            ("CREATE OIDC PROVIDER p WITH (issuer = x)", "42601"),
            ("CREATE OIDC PROVIDER p WITH (issuer = 'x')", "22023"),
            ("CREATE OIDC PROVIDER p WITH (audience = 'x')", "22023"),
            (
                "CREATE OIDC PROVIDER p WITH (issuer = 'https://x', auto_create = yes)",
                "42601",
            ),
            (
                "CREATE OIDC PROVIDER p WITH (issuer = 'https://x', auto_create = true)",
                "22023",
            ),
            (
                "CREATE OIDC PROVIDER p WITH (issuer = 'https://x', claim_mapping = [{claim_name = 'a'}])",
                "42601",
            ),
            (
                "CREATE OIDC PROVIDER p ISSUER 'https://x' CLAIM MAPPING",
                "42601",
            ),
            (
                "CREATE OIDC PROVIDER p ISSUER 'https://x' CLAIM MAPPING WHEN a = 'b'",
                "22023",
            ),
            (
                "CREATE OIDC PROVIDER p ISSUER 'https://x' CLAIM MAPPING WHEN a = 'b' ADD ROLES r",
                "42601",
            ),
            (&many, "54000"),
            ("ALTER OIDC PROVIDER p", "42601"),
            ("ALTER OIDC PROVIDER p REFRESH", "42601"),
            ("ALTER OIDC PROVIDER p SET CLAIM MAPPING", "42601"),
            ("DROP OIDC PROVIDER", "42601"),
        ] {
            assert_eq!(refused(text).0, code, "{text}");
        }
    }

    #[test]
    fn a_provider_is_altered_and_dropped() {
        for text in [
            "ALTER OIDC PROVIDER p SET CLAIM MAPPING = []",
            "ALTER OIDC PROVIDER p SET CLAIM MAPPING []",
        ] {
            let parsed = parse(text);
            assert!(
                matches!(
                    &parsed,
                    Some(Ok(CredentialStatement::Change(Request::SetClaimMapping { mapping, .. })))
                        if mapping.is_empty()
                ),
                "{text} gave {parsed:?}"
            );
        }
        let refresh = parse("ALTER OIDC PROVIDER 'p' REFRESH JWKS;");
        assert!(
            matches!(&refresh, Some(Ok(CredentialStatement::RefreshKeys(name))) if name == "p"),
            "{refresh:?}"
        );
        let dropped = parse("DROP OIDC PROVIDER IF EXISTS p");
        assert!(
            matches!(
                &dropped,
                Some(Ok(CredentialStatement::Change(Request::DropProvider {
                    if_exists: IfExists::Skip,
                    ..
                })))
            ),
            "{dropped:?}"
        );
    }
}
