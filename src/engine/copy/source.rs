//! What COPY names: a table and some of its columns.

use crate::catalog::definition::{Relation, RelationBody};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::dml::names;
use sqlparser::ast::{Ident, ObjectName};
use std::sync::Arc;

/// One column copied.
#[derive(Clone, Debug)]
pub struct CopyColumn {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub sql_type: SqlType,
    /// Its place in the table.
    pub position: u16,
}

/// The relation and the columns of it that are copied, all but generated ones where none are named.
///
/// # Errors
/// 42P01, 42703, 42701; 42P10 for a generated column.
pub fn resolve(
    table: &ObjectName,
    columns: &[Ident],
    context: &StatementContext,
) -> Result<(Arc<Relation>, Vec<CopyColumn>), Diagnostic> {
    let relation = names::relation(table, context)?;
    let RelationBody::Table(definition) = &relation.body else {
        return Ok((relation, Vec::new()));
    };
    let all = definition.columns.iter().enumerate();
    let all = all
        .filter(|(_, column)| !column.dropped)
        .map(|(position, column)| CopyColumn {
            name: column.name.clone(),
            sql_type: column.sql_type,
            position: position as u16,
        });
    let generated =
        |column: &CopyColumn| definition.columns[usize::from(column.position)].generated;
    if columns.is_empty() {
        let all = all.filter(|column| !generated(column)).collect();
        return Ok((relation, all));
    }
    let all: Vec<CopyColumn> = all.collect();
    let mut copied: Vec<CopyColumn> = Vec::with_capacity(columns.len());
    for column in columns {
        let name = names::fold(column);
        let found = all
            .iter()
            .find(|known| *known.name == *name)
            .ok_or_else(|| {
                Diagnostic::error(
                    SqlState::UNDEFINED_COLUMN,
                    format!(
                        "column \"{name}\" of relation \"{}\" does not exist",
                        relation.name
                    ),
                )
            })?;
        if generated(found) {
            return Err(Diagnostic::error(
                SqlState::new("42P10"),
                format!("column \"{name}\" is a generated column"),
            )
            .with_detail("Generated columns cannot be used in COPY."));
        }
        if copied.iter().any(|seen| seen.position == found.position) {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" specified more than once"),
            ));
        }
        copied.push(found.clone());
    }
    Ok((relation, copied))
}

/// Files and programs belong to the server's machine.
///
/// # Errors
/// 0A000
pub fn demand_client(target: &sqlparser::ast::CopyTarget) -> Result<(), Diagnostic> {
    use sqlparser::ast::CopyTarget;
    match target {
        CopyTarget::Stdin | CopyTarget::Stdout => Ok(()),
        CopyTarget::File { .. } => Err(Diagnostic::unsupported("COPY with a file of the server")
            .with_hint("psql's \\copy reads and writes files of the client.")),
        CopyTarget::Program { .. } => Err(Diagnostic::unsupported("COPY with PROGRAM")),
    }
}
