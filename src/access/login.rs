//! Which database a login leads to, and which ones are in reach (REFERENCE §7).

use super::rights::Held;
use crate::auth::identity::KeyUsed;
use crate::catalog::key::ApiKey;
use crate::catalog::principal::{Database, Principal, PrincipalKind};
use crate::catalog::role::Ladder;
use crate::catalog::{DatabaseId, PrincipalId, Snapshot, TenantId};
use crate::diagnostic::{Diagnostic, Severity, SqlState};

/// The database of a new session.
///
/// `key` is the API key that it came in by. `startup` is what the client named, if anything.
/// `tenant` is `SET tenant`'s, for a superuser;
/// None is the principal's own. An empty name, or the login's own name where no such database
/// exists (what libpq sends when none is named), means the default one.
///
/// # Errors
/// FATAL 3D000 for a name that does not exist in the tenant, 42501 for one out of reach.
pub fn login(
    snapshot: &Snapshot,
    principal: PrincipalId,
    key: Option<KeyUsed>,
    tenant: Option<TenantId>,
    startup: Option<&str>,
) -> Result<DatabaseId, Diagnostic> {
    // Dropped between the proof and this look-up.
    let gone = || {
        Diagnostic::fatal(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "authentication failed",
        )
    };
    let principals = &snapshot.principals;
    let principal = principals.principal(principal).ok_or_else(gone)?;
    let key = match key {
        None => None,
        Some(used) => Some(&**principals.key(used.id).ok_or_else(gone)?),
    };
    let tenant = tenant_in_force(snapshot, principal, key, tenant)?;
    let database = match startup.filter(|name| !name.is_empty()) {
        None => default_database(snapshot, principal, key, tenant)?,
        Some(name) => match principals.database_named(tenant, name) {
            Some(database) => database,
            None if name == &*principal.name => default_database(snapshot, principal, key, tenant)?,
            None => return Err(unknown_database(name)),
        },
    };
    if database_in_reach(snapshot, principal, key, database) {
        return Ok(database.id);
    }
    Err(match key {
        Some(key) => out_of_reach_of_key(principal, key, database),
        None => out_of_reach(principal, database),
    })
}

/// Whether a login of the principal, by this key if it was one, may be in the database: in reach of
/// the principal, and on the key's list.
pub fn database_in_reach(
    snapshot: &Snapshot,
    principal: &Principal,
    key: Option<&ApiKey>,
    database: &Database,
) -> bool {
    if key.is_some_and(|key| !key.lists(database.id)) {
        return false;
    }
    if database.tenant != principal.tenant {
        let rung = Held::rung_in_force(snapshot, principal, key);
        return rung == Some(Ladder::Superuser);
    }
    let rung = Held::of(snapshot, principal).rung;
    if rung == Some(Ladder::Superuser) {
        return true;
    }
    match &principal.kind {
        PrincipalKind::ServiceAccount { databases } => databases.contains(&database.id),
        PrincipalKind::User { connect, .. } => {
            let is_tenants_default = snapshot
                .principals
                .tenant(principal.tenant)
                .is_some_and(|tenant| tenant.default_database == database.id);
            is_tenants_default
                || database.owner == principal.id
                || connect.contains(&database.id)
                || rung >= Some(Ladder::Admin)
        }
    }
}

fn tenant_in_force(
    snapshot: &Snapshot,
    principal: &Principal,
    key: Option<&ApiKey>,
    wanted: Option<TenantId>,
) -> Result<TenantId, Diagnostic> {
    let Some(wanted) = wanted.filter(|wanted| *wanted != principal.tenant) else {
        return Ok(principal.tenant);
    };
    if Held::rung_in_force(snapshot, principal, key) != Some(Ladder::Superuser) {
        return Err(Diagnostic::fatal(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "permission denied to set parameter \"tenant\"",
        ));
    }
    match snapshot.principals.tenant(wanted) {
        Some(tenant) => Ok(tenant.id),
        None => Err(Diagnostic::fatal(
            SqlState::UNDEFINED_OBJECT,
            format!("tenant {wanted} does not exist"),
        )),
    }
}

/// The first of a key's list at home, SET DEFAULT DATABASE, a service account's first one, else the
/// tenant's.
fn default_database<'a>(
    snapshot: &'a Snapshot,
    principal: &Principal,
    key: Option<&ApiKey>,
    tenant: TenantId,
) -> Result<&'a Database, Diagnostic> {
    let listed = key.and_then(|key| key.databases.as_ref());
    let own = match (listed, &principal.kind) {
        (Some(list), _) => list.first().copied(),
        (
            None,
            PrincipalKind::User {
                default_database, ..
            },
        ) => *default_database,
        (None, PrincipalKind::ServiceAccount { databases }) => databases.first().copied(),
    };
    let id = own
        .filter(|_| tenant == principal.tenant)
        .or_else(|| Some(snapshot.principals.tenant(tenant)?.default_database));
    id.and_then(|id| snapshot.principals.database(id))
        .map(|database| &**database)
        .ok_or_else(|| unknown_database("nodedb"))
}

fn unknown_database(name: &str) -> Diagnostic {
    Diagnostic::fatal(
        SqlState::INVALID_CATALOG_NAME,
        format!("database \"{name}\" does not exist"),
    )
}

/// For a user PostgreSQL's words; for a service account its list is what refuses.
fn out_of_reach(principal: &Principal, database: &Database) -> Diagnostic {
    let name = &database.name;
    match principal.kind {
        PrincipalKind::User { .. } => Diagnostic::new(
            Severity::Fatal,
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for database \"{name}\""),
        )
        .with_detail("User does not have CONNECT privilege."),
        PrincipalKind::ServiceAccount { .. } => Diagnostic::new(
            Severity::Fatal,
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!(
                "DATABASE_NOT_AUTHORIZED: database \"{name}\" is not in the list of \"{}\"",
                principal.name
            ),
        ),
    }
}

/// Either the key's list is what refuses, or its owner's reach (REFERENCE §7).
fn out_of_reach_of_key(owner: &Principal, key: &ApiKey, database: &Database) -> Diagnostic {
    let (key_name, database_name) = (&key.name, &database.name);
    let why = match key.lists(database.id) {
        false => {
            format!("database \"{database_name}\" is not in the list of API key \"{key_name}\"")
        }
        true => format!(
            "\"{}\", the owner of API key \"{key_name}\", may not connect to database \"{database_name}\"",
            owner.name
        ),
    };
    Diagnostic::fatal(
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("DATABASE_NOT_AUTHORIZED: {why}"),
    )
}
