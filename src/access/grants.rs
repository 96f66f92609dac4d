//! GRANT and REVOKE … ON TABLE: what a relation's grants become.

use super::rights::{Rights, denied};
use crate::catalog::definition::{Grant, Relation, RelationBody};
use crate::catalog::role::Ladder;
use crate::catalog::{PrincipalId, Snapshot};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::credential::{Direction, TableGrant};
use std::str::FromStr;

/// The relation with the statement's grants applied: tenant_admin and above, in their tenant
/// (REFERENCE §2).
///
/// # Errors
/// 42501 for who may not grant, 42704 with a hint for a grantee that does not exist, 42809 for a
/// relation that takes no grants.
pub fn apply(
    relation: &Relation,
    statement: &TableGrant,
    snapshot: &Snapshot,
    rights: &Rights,
) -> Result<Relation, Diagnostic> {
    let name = &relation.name;
    match relation.body {
        RelationBody::Table(_) | RelationBody::View(_) | RelationBody::Sequence(_) => {}
        RelationBody::Index(_) => {
            return Err(Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{name}\" is an index"),
            ));
        }
    }
    if relation.database != rights.database() || !rights.reaches(Ladder::TenantAdmin) {
        return Err(denied(format!("permission denied for table {name}")));
    }
    let mut next = relation.clone();
    for grantee in &statement.grantees {
        let grantee = resolve(snapshot, rights, grantee)?;
        change(&mut next.grants, grantee, statement);
    }
    Ok(next)
}

/// A user, service account or custom role of the tenant in force.
///
/// # Errors
/// 42704 with a hint for one that does not exist, 42809 for a built-in role.
pub fn resolve(
    snapshot: &Snapshot,
    rights: &Rights,
    name: &str,
) -> Result<PrincipalId, Diagnostic> {
    let principals = &snapshot.principals;
    let principal = principals
        .principal_named(name)
        .filter(|principal| principal.tenant == rights.tenant())
        .map(|principal| principal.id);
    let role = || principals.role(rights.tenant(), name).map(|role| role.id);
    if let Some(id) = principal.or_else(role) {
        return Ok(id);
    }
    if Ladder::from_str(name).is_ok() {
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{name}\" is a built-in role, which takes no table grants"),
        )
        .with_hint("CREATE ROLE makes a role that does."));
    }
    Err(Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("role \"{name}\" does not exist"),
    )
    .with_hint(format!("CREATE ROLE {name}")))
}

fn change(grants: &mut Vec<Grant>, grantee: PrincipalId, statement: &TableGrant) {
    let held = grants.iter().filter(|grant| grant.grantee == grantee).fold(
        Default::default(),
        |sum: crate::catalog::definition::Privileges, grant| sum.union(grant.privileges),
    );
    let privileges = match statement.direction {
        Direction::Grant => held.union(statement.privileges),
        Direction::Revoke => held.without(statement.privileges),
    };
    grants.retain(|grant| grant.grantee != grantee);
    if !privileges.is_empty() {
        grants.push(Grant {
            grantee,
            privileges,
        });
    }
}
