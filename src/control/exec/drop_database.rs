//! DROP DATABASE: with everything defined in it.
//!
//! PostgreSQL refuses while others are connected (55006) unless told FORCE. Here sessions are
//! ended by the changes that concern them (REFERENCE §1, §9), and this one concerns them: the
//! epoch that drops the database ends its sessions with 57P01 before the statement returns. Only
//! the asking session's own database is refused, as PostgreSQL does.

use super::{api_key, oidc_provider};
use crate::access::rights::denied;
use crate::catalog::principal::{Database, PrincipalKind};
use crate::catalog::request::IfExists;
use crate::catalog::role::Ladder;
use crate::catalog::{Change, DatabaseId};
use crate::control::draft::Draft;
use crate::diagnostic::{Diagnostic, SqlState};

pub fn carry_out(
    draft: &mut Draft,
    if_exists: IfExists,
    name: &str,
) -> Result<&'static str, Diagnostic> {
    let tag = "DROP DATABASE";
    let database = match draft.database(draft.by.tenant, name) {
        Ok(database) => database,
        Err(_) if if_exists == IfExists::Skip => {
            let notice = format!("database \"{name}\" does not exist, skipping");
            draft.notice(Diagnostic::notice(notice));
            return Ok(tag);
        }
        Err(error) => return Err(error),
    };
    may_drop(draft, &database)?;
    drop_it(draft, database.id);
    Ok(tag)
}

fn may_drop(draft: &Draft, database: &Database) -> Result<(), Diagnostic> {
    let name = &database.name;
    if draft.by.require(Ladder::Admin, "").is_err() {
        return Err(denied(format!("must be owner of database {name}")));
    }
    if database.id == draft.by.database {
        return Err(Diagnostic::error(
            SqlState::OBJECT_IN_USE,
            "cannot drop the currently open database",
        ));
    }
    let tenant = draft.tenant(database.tenant);
    if tenant.default_database == database.id {
        return Err(Diagnostic::error(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!(
                "cannot drop database \"{name}\" because it is the default database of tenant \"{}\"",
                tenant.name
            ),
        ));
    }
    Ok(())
}

/// Drops a database, what is defined in it, and every mention of it.
pub(super) fn drop_it(draft: &mut Draft, id: DatabaseId) {
    let mentions: Vec<_> = draft
        .snapshot()
        .principals
        .all()
        .filter(|principal| mentions(&principal.kind, id))
        .cloned()
        .collect();
    for principal in mentions {
        draft.change_principal(&principal, |it| forget(&mut it.kind, id));
    }
    api_key::forget_database(draft, id);
    oidc_provider::forget_database(draft, id);
    draft.drop_definitions_of(id);
    draft.change(Change::DropDatabase(id));
}

fn mentions(kind: &PrincipalKind, id: DatabaseId) -> bool {
    match kind {
        PrincipalKind::User {
            default_database,
            connect,
            ..
        } => *default_database == Some(id) || connect.contains(&id),
        PrincipalKind::ServiceAccount { databases } => databases.contains(&id),
    }
}

fn forget(kind: &mut PrincipalKind, id: DatabaseId) {
    match kind {
        PrincipalKind::User {
            default_database,
            connect,
            ..
        } => {
            default_database.take_if(|it| *it == id);
            connect.retain(|it| *it != id);
        }
        PrincipalKind::ServiceAccount { databases } => databases.retain(|it| *it != id),
    }
}
