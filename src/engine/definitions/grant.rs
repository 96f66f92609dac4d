//! GRANT and REVOKE on tables.

use super::work::Work;
use crate::catalog::definition::{Relation, RelationBody};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::credential::{TableGrant, TableName};
use crate::storage::Use;

/// GRANT or REVOKE … ON TABLE
///
/// # Errors
/// 42P01, 42501, 42704, 42809.
pub async fn grant(work: &mut Work<'_>, statement: &TableGrant) -> Result<(), Diagnostic> {
    for schema in &statement.all_in {
        let schema = work.schema(schema)?;
        let definitions = work.definitions();
        let within = definitions
            .of_database(schema.database)
            .filter(|relation| relation.schema == schema.name)
            .filter(|relation| {
                matches!(
                    relation.body,
                    RelationBody::Table(_) | RelationBody::View(_)
                )
            });
        for found in within {
            if let Some(relation) = work.take(found.oid, Use::Shared).await? {
                apply(work, &relation, statement)?;
            }
        }
    }
    for table in &statement.tables {
        let absent = || undefined(table);
        let found = work
            .lookup(table.schema.as_deref(), &table.name)
            .ok_or_else(absent)?;
        let relation = work
            .take(found.oid, Use::Shared)
            .await?
            .ok_or_else(absent)?;
        apply(work, &relation, statement)?;
    }
    Ok(())
}

fn apply(
    work: &mut Work<'_>,
    relation: &Relation,
    statement: &TableGrant,
) -> Result<(), Diagnostic> {
    let context = work.context;
    let next =
        crate::access::grants::apply(relation, statement, &context.snapshot, &context.rights)?;
    work.define(next)
}

pub(super) fn undefined(table: &TableName) -> Diagnostic {
    let name = match &table.schema {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    };
    Diagnostic::error(
        SqlState::UNDEFINED_TABLE,
        format!("relation \"{name}\" does not exist"),
    )
}
