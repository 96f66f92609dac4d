//! SHOW GRANTS [FOR name]: grantee, object_type, object, privilege.
//!
//! Roles held (privilege MEMBER), CONNECT on databases, privileges on the schemas and tables of the session's
//! database. Without FOR those of the whole tenant, for admin and above; FOR oneself always.

use super::{TEXT, Table, Viewer, text};
use crate::catalog::PrincipalId;
use crate::catalog::principal::{Principal, PrincipalKind};
use crate::diagnostic::{Diagnostic, SqlState};

pub fn rows(viewer: &Viewer<'_>, of: Option<&str>) -> Result<Table, Diagnostic> {
    let only = match of {
        Some(name) => Some(resolve(viewer, name)?),
        None => None,
    };
    if only != Some(viewer.rights.principal()) {
        viewer.require_admin("grants of others")?;
    }
    let wanted = |id: PrincipalId| only.is_none_or(|only| only == id);
    let mut rows = Vec::new();
    let principals = viewer.snapshot.principals.all();
    for principal in principals.filter(|it| viewer.sees(it.tenant) && wanted(it.id)) {
        memberships(principal, &mut rows);
        connects(viewer, principal, &mut rows);
    }
    schemas(viewer, wanted, &mut rows);
    tables(viewer, wanted, &mut rows);
    Ok(Table {
        columns: vec![
            ("grantee", TEXT),
            ("object_type", TEXT),
            ("object", TEXT),
            ("privilege", TEXT),
        ],
        rows,
    })
}

type Rows = Vec<Vec<Option<String>>>;

fn resolve(viewer: &Viewer<'_>, name: &str) -> Result<PrincipalId, Diagnostic> {
    let principals = &viewer.snapshot.principals;
    let principal = principals
        .principal_named(name)
        .filter(|principal| viewer.sees(principal.tenant))
        .map(|principal| principal.id);
    let role = principals
        .role(viewer.rights.tenant(), name)
        .map(|role| role.id);
    principal.or(role).ok_or_else(|| {
        Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("role \"{name}\" does not exist"),
        )
    })
}

fn memberships(principal: &Principal, rows: &mut Rows) {
    let rungs = principal.ladder.iter().map(|rung| rung.to_string());
    let roles = principal.roles.iter().map(|role| role.to_string());
    rows.extend(rungs.chain(roles).map(|role| {
        vec![
            text(&principal.name),
            text("role"),
            Some(role),
            text("MEMBER"),
        ]
    }));
}

fn connects(viewer: &Viewer<'_>, principal: &Principal, rows: &mut Rows) {
    let databases = match &principal.kind {
        PrincipalKind::User { connect, .. } => connect,
        PrincipalKind::ServiceAccount { databases } => databases,
    };
    let named = databases
        .iter()
        .filter_map(|id| viewer.snapshot.principals.database(*id));
    rows.extend(named.map(|database| {
        vec![
            text(&principal.name),
            text("database"),
            text(&database.name),
            text("CONNECT"),
        ]
    }));
}

fn schemas(viewer: &Viewer<'_>, wanted: impl Fn(PrincipalId) -> bool, rows: &mut Rows) {
    let schemas = viewer
        .snapshot
        .definitions
        .schemas_of(viewer.rights.database());
    for schema in schemas {
        for grant in schema.grants.iter().filter(|it| wanted(it.grantee)) {
            let Some(grantee) = viewer.snapshot.principals.name_of(grant.grantee) else {
                continue;
            };
            rows.extend(grant.privileges.names().map(|privilege| {
                vec![
                    text(grantee),
                    text("schema"),
                    text(&schema.name),
                    text(privilege),
                ]
            }));
        }
    }
}

/// A grantee that is gone has no name any more and is left out.
fn tables(viewer: &Viewer<'_>, wanted: impl Fn(PrincipalId) -> bool, rows: &mut Rows) {
    let database = viewer.rights.database();
    for relation in viewer.snapshot.definitions.of_database(database) {
        for grant in relation.grants.iter().filter(|it| wanted(it.grantee)) {
            let Some(grantee) = viewer.snapshot.principals.name_of(grant.grantee) else {
                continue;
            };
            let object = format!("{}.{}", relation.schema, relation.name);
            rows.extend(grant.privileges.names().map(|privilege| {
                vec![text(grantee), text("table"), text(&object), text(privilege)]
            }));
        }
    }
}
