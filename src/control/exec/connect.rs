//! GRANT and REVOKE CONNECT ON DATABASE.

use crate::access::rights::denied;
use crate::catalog::principal::{Database, Principal, PrincipalKind};
use crate::catalog::role::Ladder;
use crate::control::draft::Draft;
use crate::diagnostic::Diagnostic;
use std::sync::Arc;

pub fn grant(draft: &mut Draft, database: &str, to: &str) -> Result<&'static str, Diagnostic> {
    let (database, user) = parties(draft, database, to)?;
    if user.tenant != database.tenant {
        return Err(other_tenant(&user, &database));
    }
    edit(draft, &user, |connect| {
        if !connect.contains(&database.id) {
            connect.push(database.id);
        }
    });
    Ok("GRANT")
}

pub fn revoke(draft: &mut Draft, database: &str, from: &str) -> Result<&'static str, Diagnostic> {
    let (database, user) = parties(draft, database, from)?;
    edit(draft, &user, |connect| {
        connect.retain(|held| *held != database.id);
    });
    Ok("REVOKE")
}

fn parties(
    draft: &Draft,
    database: &str,
    name: &str,
) -> Result<(Arc<Database>, Arc<Principal>), Diagnostic> {
    let database = draft.database(draft.by.tenant, database)?;
    let message = format!("permission denied for database {}", database.name);
    draft.by.require(Ladder::TenantAdmin, message)?;
    Ok((database, draft.user(name)?))
}

fn edit(
    draft: &mut Draft,
    user: &Principal,
    change: impl FnOnce(&mut Vec<crate::catalog::DatabaseId>),
) {
    draft.change_principal(user, |it| match &mut it.kind {
        PrincipalKind::User { connect, .. } => change(connect),
        PrincipalKind::ServiceAccount { .. } => {
            unreachable!("Draft::user gives users only")
        }
    });
}

/// Only a superuser gets here: others do not see users of another tenant.
fn other_tenant(user: &Principal, database: &Database) -> Diagnostic {
    denied(format!(
        "user \"{}\" and database \"{}\" belong to different tenants",
        user.name, database.name
    ))
    .with_hint(format!(
        "SET tenant = {} looks names up in the user's tenant.",
        user.tenant
    ))
}
