//! Which database a login leads to, and which ones are in reach (REFERENCE §7).

use super::standing::Standing;
use crate::auth::identity::Grounds;
use crate::catalog::key::ApiKey;
use crate::catalog::principal::{Database, Principal, PrincipalKind};
use crate::catalog::role::Ladder;
use crate::catalog::{DatabaseId, Snapshot, TenantId};
use crate::diagnostic::{Diagnostic, SqlState};

/// The database of a new session.
///
/// `startup` is what the client named, if anything. `tenant` is `SET tenant`'s, for a superuser;
/// None is the home one. An empty name, or the login's own name where no such database exists (what
/// libpq sends when none is named), means the default one.
///
/// # Errors
/// FATAL 3D000 for a name that does not exist in the tenant, 42501 for one out of reach.
pub fn login(
    snapshot: &Snapshot,
    grounds: Grounds<'_>,
    tenant: Option<TenantId>,
    startup: Option<&str>,
) -> Result<DatabaseId, Diagnostic> {
    // Dropped between the proof and this look-up.
    let gone = |_| {
        Diagnostic::fatal(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "authentication failed",
        )
    };
    let standing = Standing::of(snapshot, grounds).map_err(gone)?;
    let tenant = tenant_in_force(snapshot, &standing, tenant)?;
    let default = || {
        let database = standing.default_database(tenant);
        database.ok_or_else(|| unknown_database("nodedb"))
    };
    let is_own_name = |name| {
        standing
            .record()
            .is_some_and(|record| &*record.name == name)
    };
    let database = match startup.filter(|name| !name.is_empty()) {
        None => default()?,
        Some(name) => match snapshot.principals.database_named(tenant, name) {
            Some(database) => database,
            None if is_own_name(name) => default()?,
            None => return Err(unknown_database(name)),
        },
    };
    if standing.reaches(database) {
        return Ok(database.id);
    }
    Err(match (standing.key(), standing.record()) {
        (Some(key), Some(owner)) => out_of_reach_of_key(owner, key, database),
        (_, record) => out_of_reach(record, database),
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
    Standing::of_record(snapshot, principal, key).reaches(database)
}

fn tenant_in_force(
    snapshot: &Snapshot,
    standing: &Standing<'_>,
    wanted: Option<TenantId>,
) -> Result<TenantId, Diagnostic> {
    let home = standing.home();
    let Some(wanted) = wanted.filter(|wanted| *wanted != home) else {
        return Ok(home);
    };
    if standing.rung() != Some(Ladder::Superuser) {
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

fn unknown_database(name: &str) -> Diagnostic {
    Diagnostic::fatal(
        SqlState::INVALID_CATALOG_NAME,
        format!("database \"{name}\" does not exist"),
    )
}

/// For a user, and for who goes by a provider, PostgreSQL's words; for a service account its list is
/// what refuses.
fn out_of_reach(record: Option<&Principal>, database: &Database) -> Diagnostic {
    let name = &database.name;
    match record.map(|record| (&record.kind, &record.name)) {
        Some((PrincipalKind::ServiceAccount { .. }, account)) => Diagnostic::fatal(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!(
                "DATABASE_NOT_AUTHORIZED: database \"{name}\" is not in the list of \"{account}\""
            ),
        ),
        Some((PrincipalKind::User { .. }, _)) | None => Diagnostic::fatal(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for database \"{name}\""),
        )
        .with_detail("User does not have CONNECT privilege."),
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
