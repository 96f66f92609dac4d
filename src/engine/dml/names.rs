//! Names in DML: the target relation, its alias, column names.

use crate::catalog::definition::Relation;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::query::resolve::{self, Resolved};
use crate::engine::search_path;
use sqlparser::ast;
use std::sync::Arc;

/// A name as PostgreSQL folds it: unquoted ones in lower case.
pub fn fold(name: &ast::Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

fn part(part: &ast::ObjectNamePart) -> Result<String, Diagnostic> {
    match part {
        ast::ObjectNamePart::Identifier(name) => Ok(fold(name)),
        ast::ObjectNamePart::Function(_) => Err(Diagnostic::unsupported("a function as a name")),
    }
}

/// The relation of this name, by the search_path where no schema is named.
///
/// # Errors
/// 42P01 in PostgreSQL's words; 0A000 for another database's.
pub fn relation(
    name: &ast::ObjectName,
    context: &StatementContext,
) -> Result<Arc<Relation>, Diagnostic> {
    let parts = name.0.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    let (schema, table) = match &parts[..] {
        [table] => (None, table),
        [schema, table] => (Some(schema.as_str()), table),
        _ => {
            return Err(Diagnostic::unsupported("a reference to another database"));
        }
    };
    if let Some(schema) = schema {
        search_path::demand_usage(schema, context)?;
    }
    match resolve::relation(schema, table, context)? {
        Resolved::Relation(relation) => Ok(relation),
        Resolved::System(table) => Err(Diagnostic::error(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {}", table.name),
        )),
    }
}

/// The one name of a column in a list or an assignment.
///
/// # Errors
/// 0A000 for fields of composite columns.
pub fn column(name: &ast::ObjectName) -> Result<String, Diagnostic> {
    match &name.0[..] {
        [only] => part(only),
        _ => Err(Diagnostic::unsupported("assigning to a part of a column")),
    }
}
