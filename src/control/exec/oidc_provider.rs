//! CREATE, ALTER and DROP OIDC PROVIDER: a superuser's, since a provider says who people are.

use super::new_login::tenant_or_new;
use crate::access::rights::denied;
use crate::catalog::principal::Parent;
use crate::catalog::provider::{LIFETIME_SECONDS_MAX, MappingRule, Origin, Provider};
use crate::catalog::provider_request::{ProviderWanted, RuleWanted};
use crate::catalog::request::IfExists;
use crate::catalog::role::Ladder;
use crate::catalog::{Change, DatabaseId, TenantId};
use crate::control::draft::Draft;
use crate::control::resolve::{new_name, quoted};
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

/// What a provider gives whoever has no user record, unless it says otherwise.
const DEFAULT_ROLE: &str = "readonly";

pub fn create(
    draft: &mut Draft,
    if_exists: IfExists,
    wanted: &ProviderWanted,
) -> Result<&'static str, Diagnostic> {
    let tag = "CREATE OIDC PROVIDER";
    require_superuser(draft)?;
    let name = new_name(&wanted.name)?;
    if let Some(fault) = wanted.fault() {
        return Err(Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, fault));
    }
    let tenant = match &wanted.tenant {
        Some(tenant) => tenant_or_new(draft, tenant)?,
        None => draft.by.tenant,
    };
    let principals = &draft.snapshot().principals;
    if principals.provider_named(tenant, &name).is_some() {
        if if_exists == IfExists::Skip {
            let notice = format!("OIDC provider \"{name}\" already exists, skipping");
            draft.notice(Diagnostic::notice(notice));
            return Ok(tag);
        }
        let message = format!("OIDC provider \"{name}\" already exists");
        return Err(Diagnostic::error(SqlState::DUPLICATE_OBJECT, message));
    }
    require_a_source_of_its_own(draft, wanted)?;
    let default_role = wanted.default_role.as_deref().unwrap_or(DEFAULT_ROLE);
    let provider = Provider {
        id: draft.next_principal()?,
        name,
        tenant,
        issuer: Arc::from(&*wanted.issuer),
        jwks_url: wanted.jwks_url.as_deref().map(Arc::from),
        audience: wanted.audience.as_deref().map(Arc::from),
        default_role: role(draft, tenant, default_role)?,
        mapping: mapping(draft, tenant, &wanted.mapping)?,
        role_claim: wanted.role_claim.as_deref().map(Arc::from),
        org_claim: wanted.org_claim.as_deref().map(Arc::from),
        username_claim: wanted.username_claim.as_deref().map(Arc::from),
        first_sight: wanted.first_sight,
        max_lifetime_seconds: wanted.max_lifetime_seconds.unwrap_or(LIFETIME_SECONDS_MAX),
        created_at: draft.now,
        origin: Origin::Sql,
    };
    if provider.audience.is_none() {
        let warning = "without an audience, tokens that the issuer gave for any other service are \
                       taken too";
        draft.notice(Diagnostic::warning(SqlState::WARNING, warning));
    }
    draft.change(Change::PutProvider(Arc::new(provider)));
    Ok(tag)
}

pub fn set_claim_mapping(
    draft: &mut Draft,
    name: &str,
    rules: &[RuleWanted],
) -> Result<&'static str, Diagnostic> {
    require_superuser(draft)?;
    let provider = find(draft, name)?;
    require_from_sql(&provider, "altered")?;
    let next = Provider {
        mapping: mapping(draft, provider.tenant, rules)?,
        ..Provider::clone(&provider)
    };
    draft.change(Change::PutProvider(Arc::new(next)));
    Ok("ALTER OIDC PROVIDER")
}

/// Ends the sessions that came in by its tokens, by the epoch that reaches them.
pub fn drop(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
) -> Result<&'static str, Diagnostic> {
    let tag = "DROP OIDC PROVIDER";
    require_superuser(draft)?;
    match find(draft, name) {
        Ok(provider) => {
            require_from_sql(&provider, "dropped")?;
            draft.change(Change::DropProvider(provider.id));
        }
        Err(_) if if_exists == IfExists::Skip => {
            let notice = format!("OIDC provider \"{name}\" does not exist, skipping");
            draft.notice(Diagnostic::notice(notice));
        }
        Err(error) => return Err(error),
    }
    Ok(tag)
}

/// Takes a database that is going from every rule. A rule that gave nothing else is left: it goes on
/// saying what it looked for.
pub(super) fn forget_database(draft: &mut Draft, database: DatabaseId) {
    let naming: Vec<_> = draft
        .snapshot()
        .principals
        .providers()
        .filter(|provider| provider.databases().any(|id| id == database))
        .cloned()
        .collect();
    for provider in naming {
        let mut next = Provider::clone(&provider);
        for rule in &mut next.mapping {
            rule.default_database.take_if(|id| *id == database);
            let kept = rule.add_databases.iter().filter(|id| **id != database);
            rule.add_databases = kept.copied().collect();
        }
        draft.change(Change::PutProvider(Arc::new(next)));
    }
}

/// 42501, or 55000 for one that is defined elsewhere.
pub(super) fn require_from_sql(provider: &Provider, verb: &str) -> Result<(), Diagnostic> {
    match provider.origin {
        Origin::Sql => Ok(()),
        Origin::File => Err(Diagnostic::error(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!(
                "OIDC provider \"{}\" cannot be {verb}: it is defined in the configuration",
                provider.name
            ),
        )
        .with_hint("Change [auth.jwks] providers in nodedb.toml and restart the server.")),
    }
}

fn require_superuser(draft: &Draft) -> Result<(), Diagnostic> {
    draft
        .by
        .require_superuser("must be superuser to create, alter or drop OIDC providers")
}

/// A provider of the tenant in force.
fn find(draft: &Draft, name: &str) -> Result<Arc<Provider>, Diagnostic> {
    let found = draft
        .snapshot()
        .principals
        .provider_named(draft.by.tenant, name);
    found.cloned().ok_or_else(|| unknown(name))
}

/// 42704, with the missing statement.
fn unknown(name: &str) -> Diagnostic {
    let message = format!("OIDC provider \"{name}\" does not exist");
    Diagnostic::error(SqlState::UNDEFINED_OBJECT, message).with_hint(format!(
        "CREATE OIDC PROVIDER {} WITH (issuer = '…', audience = '…')",
        quoted(name)
    ))
}

/// Issuer and audience say whose a token is, in the whole server: no two providers share both.
fn require_a_source_of_its_own(draft: &Draft, wanted: &ProviderWanted) -> Result<(), Diagnostic> {
    let audience = wanted.audience.as_deref();
    let principals = &draft.snapshot().principals;
    let taken = principals
        .providers_of(&wanted.issuer)
        .find(|it| it.is_the_same_source(&wanted.issuer, audience));
    match taken {
        None => Ok(()),
        Some(taken) => Err(Diagnostic::error(
            SqlState::DUPLICATE_OBJECT,
            "another OIDC provider has the same issuer and audience",
        )
        .with_detail(format!(
            "It is \"{}\" of tenant {}.",
            taken.name, taken.tenant
        ))),
    }
}

fn mapping(
    draft: &Draft,
    tenant: TenantId,
    rules: &[RuleWanted],
) -> Result<Box<[MappingRule]>, Diagnostic> {
    let rules = rules.iter().map(|rule| {
        let database = |name: &String| Ok(draft.database(tenant, name)?.id);
        Ok(MappingRule {
            claim: Arc::from(&*rule.claim),
            value: rule.value.clone(),
            default_database: rule.default_database.as_ref().map(database).transpose()?,
            add_databases: rule
                .add_databases
                .iter()
                .map(database)
                .collect::<Result<_, Diagnostic>>()?,
            add_roles: rule
                .add_roles
                .iter()
                .map(|name| role(draft, tenant, name))
                .collect::<Result<_, Diagnostic>>()?,
        })
    });
    rules.collect()
}

/// A role that a token may give: never superuser, be it by what a custom role inherits.
fn role(draft: &Draft, tenant: TenantId, name: &str) -> Result<Parent, Diagnostic> {
    let given = draft.role(tenant, name)?;
    if given.rung == Some(Ladder::Superuser) {
        return Err(
            denied("an OIDC provider cannot give the role superuser").with_detail(
                "Whoever controls the provider would control every tenant; it gives at most \
                 tenant_admin.",
            ),
        );
    }
    Ok(given.role)
}
