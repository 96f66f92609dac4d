//! What stands in the way of a DROP: owned databases and relations, grants (2BP01).

use crate::catalog::definition::RelationBody;
use crate::catalog::{DatabaseId, PrincipalId, Snapshot};
use crate::diagnostic::{Diagnostic, SqlState};

/// Dependents named in the detail of 2BP01; PostgreSQL stops at as many
/// (MAX_REPORTED_DEPS).
pub const REPORTED_MAX: usize = 100;

/// What the principal owns outside the databases that go anyway.
pub fn owned_by(
    snapshot: &Snapshot,
    principal: PrincipalId,
    leaving_out: impl Fn(DatabaseId) -> bool,
) -> Vec<String> {
    let databases = snapshot
        .principals
        .databases()
        .filter(|database| database.owner == principal && !leaving_out(database.id))
        .map(|database| format!("owner of database {}", database.name));
    let relations = snapshot
        .definitions
        .all()
        .filter(|relation| relation.owner == principal && !leaving_out(relation.database))
        // An index goes with its table.
        .filter_map(|relation| {
            let kind = match relation.body {
                RelationBody::Table(_) => "table",
                RelationBody::Sequence(_) => "sequence",
                RelationBody::View(_) => "view",
                RelationBody::Index(_) => return None,
            };
            Some(format!("owner of {kind} {}", relation.name))
        });
    let schemas = snapshot
        .definitions
        .kept_schemas()
        .filter_map(|(_, _, schema)| schema)
        .filter(|schema| schema.owner == Some(principal) && !leaving_out(schema.database))
        .map(|schema| format!("owner of schema {}", schema.name));
    let types = snapshot
        .definitions
        .all_types()
        .filter(|known| known.owner == principal && !leaving_out(known.database))
        .map(|known| format!("owner of type {}", known.name));
    databases
        .chain(schemas)
        .chain(relations)
        .chain(types)
        .collect()
}

/// The row policies that are for a role: one that takes rows away would take none without it.
pub fn policies_for(snapshot: &Snapshot, role: PrincipalId) -> Vec<String> {
    let mut found = Vec::new();
    for relation in snapshot.definitions.all() {
        let policies = relation.row_security.policies.iter();
        let naming = policies.filter(|policy| policy.roles.contains(&role));
        found.extend(naming.map(|policy| {
            format!(
                "target of policy {} on table {}",
                policy.name, relation.name
            )
        }));
    }
    found
}

/// The schemas and tables whose grants name a role.
pub fn granted_to(snapshot: &Snapshot, role: PrincipalId) -> Vec<String> {
    let definitions = &snapshot.definitions;
    let schemas = definitions
        .kept_schemas()
        .filter_map(|(_, _, schema)| schema)
        .filter(|schema| schema.grants.iter().any(|grant| grant.grantee == role))
        .map(|schema| format!("privileges for schema {}", schema.name));
    let tables = definitions
        .all()
        .filter(|relation| relation.grants.iter().any(|grant| grant.grantee == role))
        .map(|relation| format!("privileges for table {}", relation.name));
    schemas.chain(tables).collect()
}

/// 2BP01 when there are any.
///
/// # Errors
/// `message` with the dependents as detail and the hint.
pub fn require_none(
    dependents: Vec<String>,
    message: String,
    hint: impl Into<String>,
) -> Result<(), Diagnostic> {
    if dependents.is_empty() {
        return Ok(());
    }
    let more = dependents.len().saturating_sub(REPORTED_MAX);
    let mut detail = dependents[..dependents.len().min(REPORTED_MAX)].join("\n");
    if more > 0 {
        detail.push_str(&format!("\nand {more} other objects"));
    }
    Err(
        Diagnostic::error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message)
            .with_detail(detail)
            .with_hint(hint),
    )
}
