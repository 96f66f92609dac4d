//! GRANT and REVOKE … ON TABLE and ON SCHEMA: what a relation's or schema's grants become.

use super::rights::{Rights, denied};
use crate::catalog::definition::{Grant, Relation, RelationBody};
use crate::catalog::role::Ladder;
use crate::catalog::schema::{self, Schema, SchemaPrivileges};
use crate::catalog::{PrincipalId, Snapshot};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::credential::{Direction, SchemaGrant, TableGrant};
use std::str::FromStr;

/// Whom PUBLIC stands for.
const EVERYONE: &str = "public";

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
        if grantee == EVERYONE {
            match statement.direction {
                // Nobody has granted it anything.
                Direction::Revoke => continue,
                Direction::Grant => {
                    return Err(Diagnostic::unsupported("GRANT on a table to PUBLIC")
                        .with_hint("Grant it to a role whose members may use the table."));
                }
            }
        }
        let grantee = resolve(snapshot, rights, grantee)?;
        change(&mut next.grants, grantee, statement);
    }
    Ok(next)
}

/// The schema with the statement's grants applied: tenant_admin and above, as for tables.
///
/// # Errors
/// 42501 for who may not grant, 42704 with a hint for a grantee that does not exist, 42809 for a
/// built-in role.
pub fn apply_to_schema(
    schema: &Schema,
    statement: &SchemaGrant,
    snapshot: &Snapshot,
    rights: &Rights,
) -> Result<Schema, Diagnostic> {
    if schema.database != rights.database() || !rights.reaches(Ladder::TenantAdmin) {
        let name = &schema.name;
        return Err(denied(format!("permission denied for schema {name}")));
    }
    let changed = |held: SchemaPrivileges| match statement.direction {
        Direction::Grant => held.union(statement.privileges),
        Direction::Revoke => held.without(statement.privileges),
    };
    let mut next = schema.clone();
    for grantee in &statement.grantees {
        if grantee == EVERYONE {
            next.everyone = changed(next.everyone);
            continue;
        }
        let grantee = resolve(snapshot, rights, grantee)?;
        let held = next.grants.iter().find(|grant| grant.grantee == grantee);
        let privileges = changed(held.map(|grant| grant.privileges).unwrap_or_default());
        next.grants.retain(|grant| grant.grantee != grantee);
        if !privileges.is_empty() {
            next.grants.push(schema::SchemaGrant {
                grantee,
                privileges,
            });
        }
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
