//! DROP TENANT: of an empty one; CASCADE empties it.

use super::{api_key, dependents, drop_database, oidc_provider, superuser_left};
use crate::catalog::principal::Tenant;
use crate::catalog::request::{IfExists, TenantRef};
use crate::catalog::schema::PUBLIC;
use crate::catalog::{Change, Snapshot, TenantId};
use crate::control::draft::Draft;
use crate::control::resolve::{quoted, unknown_tenant};
use crate::diagnostic::{Diagnostic, SqlState};
use std::collections::BTreeSet;

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    tenant: &TenantRef,
    cascade: bool,
) -> Result<&'static str, Diagnostic> {
    let tag = "DROP TENANT";
    draft
        .by
        .require_superuser("permission denied to drop tenant")?;
    let Some(tenant) = draft.find_tenant(tenant) else {
        let missing = unknown_tenant(tenant);
        if if_exists == IfExists::Fail {
            return Err(missing);
        }
        draft.notice(Diagnostic::notice(format!(
            "{}, skipping",
            missing.message()
        )));
        return Ok(tag);
    };
    require_not_system(&tenant, "drop")?;
    require_not_in_it(draft, &tenant)?;
    if !cascade {
        require_empty(draft.snapshot(), &tenant)?;
    }
    require_nothing_elsewhere(draft.snapshot(), &tenant)?;
    for provider in draft.snapshot().principals.providers() {
        if provider.tenant == tenant.id {
            oidc_provider::require_from_sql(provider, "dropped")?;
        }
    }
    empty(draft, tenant.id);
    draft.change(Change::DropTenant(tenant.id));
    superuser_left::require(draft)?;
    Ok(tag)
}

/// The first tenant keeps its name and its place.
pub(super) fn require_not_system(tenant: &Tenant, verb: &str) -> Result<(), Diagnostic> {
    if tenant.id != TenantId::SYSTEM {
        return Ok(());
    }
    Err(Diagnostic::error(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!(
            "cannot {verb} tenant \"{}\" because it is required by the database system",
            tenant.name
        ),
    ))
}

/// Neither the session's database nor its user may go under it.
fn require_not_in_it(draft: &Draft, tenant: &Tenant) -> Result<(), Diagnostic> {
    let principals = &draft.snapshot().principals;
    let database = principals.database(draft.by.database);
    let user = principals.principal(draft.by.principal);
    let in_it = database.is_some_and(|database| database.tenant == tenant.id)
        || user.is_some_and(|user| user.tenant == tenant.id);
    if !in_it && draft.by.tenant != tenant.id {
        return Ok(());
    }
    Err(Diagnostic::error(
        SqlState::OBJECT_IN_USE,
        "cannot drop the tenant of the current session",
    ))
}

fn require_empty(snapshot: &Snapshot, tenant: &Tenant) -> Result<(), Diagnostic> {
    let principals = &snapshot.principals;
    let users = principals
        .all()
        .filter(|it| it.tenant == tenant.id)
        .map(|it| format!("user {}", it.name));
    let roles = principals
        .roles()
        .filter(|it| it.tenant == tenant.id)
        .map(|it| format!("role {}", it.name));
    let providers = principals
        .providers()
        .filter(|it| it.tenant == tenant.id)
        .map(|it| format!("OIDC provider {}", it.name));
    let databases = principals
        .databases()
        .filter(|it| it.tenant == tenant.id && it.id != tenant.default_database)
        .map(|it| format!("database {}", it.name));
    let relations = snapshot
        .definitions
        .of_database(tenant.default_database)
        .filter(|it| it.index().is_none())
        .map(|it| format!("relation {} of database nodedb", it.name));
    let schemas = snapshot
        .definitions
        .kept_schemas()
        .filter(|(database, ..)| *database == tenant.default_database)
        .filter_map(|(_, _, schema)| schema)
        .filter(|schema| *schema.name != *PUBLIC)
        .map(|schema| format!("schema {} of database nodedb", schema.name));
    let name = &tenant.name;
    dependents::require_none(
        users
            .chain(roles)
            .chain(providers)
            .chain(databases)
            .chain(schemas)
            .chain(relations)
            .collect(),
        format!("cannot drop tenant \"{name}\" because it is not empty"),
        format!("DROP TENANT {} CASCADE empties it first.", quoted(name)),
    )
}

/// What the tenant's users own in other tenants is not the tenant's to drop.
fn require_nothing_elsewhere(snapshot: &Snapshot, tenant: &Tenant) -> Result<(), Diagnostic> {
    let principals = &snapshot.principals;
    let inside: BTreeSet<_> = principals
        .databases()
        .filter(|it| it.tenant == tenant.id)
        .map(|it| it.id)
        .collect();
    let elsewhere = principals
        .all()
        .filter(|it| it.tenant == tenant.id)
        .flat_map(|it| dependents::owned_by(snapshot, it.id, |id| inside.contains(&id)));
    dependents::require_none(
        elsewhere.collect(),
        format!(
            "tenant \"{}\" cannot be dropped because its users own objects of other tenants",
            tenant.name
        ),
        "Drop them, or give tables to somebody else with ALTER TABLE … OWNER TO.",
    )
}

fn empty(draft: &mut Draft, tenant: TenantId) {
    let principals = &draft.snapshot().principals;
    let owners: Vec<_> = principals
        .all()
        .filter(|it| it.tenant == tenant)
        .map(|it| it.id)
        .collect();
    let users = principals.all().filter(|it| it.tenant == tenant);
    let roles = principals.roles().filter(|it| it.tenant == tenant);
    let providers = principals.providers().filter(|it| it.tenant == tenant);
    let drops: Vec<_> = users
        .map(|it| Change::DropPrincipal(it.id))
        .chain(roles.map(|it| Change::DropRole(it.id)))
        .chain(providers.map(|it| Change::DropProvider(it.id)))
        .collect();
    let databases: Vec<_> = principals
        .databases()
        .filter(|it| it.tenant == tenant)
        .map(|it| it.id)
        .collect();
    for owner in owners {
        api_key::drop_all_of(draft, owner);
    }
    for change in drops {
        draft.change(change);
    }
    for database in databases {
        drop_database::drop_it(draft, database);
    }
}
