//! SHOW OIDC PROVIDERS: name, issuer, jwks_url, audience, tenant_id, keys_cached, last_refresh, circuit
//! (REFERENCE §1), and why keys do not come, where the provider was defined, and what its claims give.

use super::{INTEGER, TENANT_ID, TEXT, TIMESTAMPTZ, Table, text, timestamp};
use crate::access::rights::{denied, rights};
use crate::auth::identity::Identity;
use crate::auth::jwks::{Circuit, KeySets};
use crate::catalog::Snapshot;
use crate::catalog::principal::Parent;
use crate::catalog::provider::{MappingRule, Origin, Provider};
use crate::catalog::role::Ladder;
use crate::catalog::snapshot::Principals;
use crate::diagnostic::Diagnostic;

/// For admin and above: the providers of the tenant in force, for a superuser of all.
///
/// # Errors
/// 42501 for anybody else.
pub fn oidc_providers(
    snapshot: &Snapshot,
    identity: &Identity,
    keys: &KeySets,
) -> Result<Table, Diagnostic> {
    let rights = rights(snapshot, identity);
    if !rights.reaches(Ladder::Admin) {
        return Err(denied("permission denied to show OIDC providers")
            .with_detail("It takes the role admin or one above it."));
    }
    let principals = &snapshot.principals;
    let mut providers: Vec<_> = principals
        .providers()
        .filter(|it| rights.is_superuser() || it.tenant == rights.tenant())
        .collect();
    providers.sort_by(|a, b| (a.tenant, &a.name).cmp(&(b.tenant, &b.name)));
    let rows = providers.into_iter().map(|it| row(principals, it, keys));
    Ok(Table {
        columns: vec![
            ("name", TEXT),
            ("issuer", TEXT),
            ("jwks_url", TEXT),
            ("audience", TEXT),
            ("tenant_id", TENANT_ID),
            ("keys_cached", INTEGER),
            ("last_refresh", TIMESTAMPTZ),
            ("circuit", TEXT),
            ("failure", TEXT),
            ("origin", TEXT),
            ("default_role", TEXT),
            ("claim_mapping", TEXT),
        ],
        rows: rows.collect(),
    })
}

fn row(principals: &Principals, provider: &Provider, keys: &KeySets) -> Vec<Option<String>> {
    let in_force = keys.of(provider.id);
    let in_force = in_force.as_deref();
    let cached = in_force.and_then(|it| it.keys.as_ref());
    let status = in_force.map(|it| &it.status);
    let circuit = status.map_or(Circuit::Closed, |status| status.circuit);
    let rules = provider
        .mapping
        .iter()
        .map(|rule| describe(principals, rule));
    vec![
        text(&provider.name),
        text(&provider.issuer),
        provider.jwks_url.as_ref().map(|url| url.to_string()),
        provider.audience.as_ref().map(|it| it.to_string()),
        text(provider.tenant),
        text(cached.map_or(0, |keys| keys.len())),
        status.and_then(|it| timestamp(it.last_refresh?)),
        text(circuit.name()),
        status.and_then(|it| Some(it.reason.as_ref()?.to_string())),
        text(match provider.origin {
            Origin::Sql => "sql",
            Origin::File => "nodedb.toml",
        }),
        text(name_of(&provider.default_role)),
        text(rules.collect::<Vec<_>>().join("; ")),
    ]
}

/// A rule as the clauses of CREATE OIDC PROVIDER say it.
pub(crate) fn describe(principals: &Principals, rule: &MappingRule) -> String {
    let database = |id| {
        let database = principals.database(id);
        database.map_or_else(|| "?".to_owned(), |database| database.name.to_string())
    };
    let mut described = format!("WHEN {} = '{}'", rule.claim, rule.value.as_str());
    if let Some(id) = rule.default_database {
        described.push_str(&format!(" SET DEFAULT_DATABASE = {}", database(id)));
    }
    if !rule.add_databases.is_empty() {
        let names: Vec<_> = rule.add_databases.iter().map(|id| database(*id)).collect();
        described.push_str(&format!(" ADD DATABASES [{}]", names.join(", ")));
    }
    if !rule.add_roles.is_empty() {
        let names: Vec<_> = rule.add_roles.iter().map(name_of).collect();
        described.push_str(&format!(" ADD ROLES [{}]", names.join(", ")));
    }
    described
}

fn name_of(role: &Parent) -> String {
    match role {
        Parent::Ladder(rung) => rung.to_string(),
        Parent::Role(role) => role.to_string(),
    }
}
