//! From names in a statement to relations, as PostgreSQL's search_path says.

use super::failure;
use super::rewrite::labels::folded;
use crate::catalog::definition::{Relation, RelationBody};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::pg_catalog::{self, SystemTable};
use crate::engine::search_path;
pub use crate::engine::search_path::{PG_CATALOG, PUBLIC};
use crate::engine::temporary;
use sqlparser::ast::ObjectName;
use std::sync::Arc;

/// What a name in FROM stands for.
#[derive(Clone)]
pub enum Resolved {
    /// A table, view or sequence of the database.
    Relation(Arc<Relation>),
    /// A catalog.
    System(&'static SystemTable),
}

/// The relation or catalog of this name.
///
/// # Errors
/// 42P01; 3F000 is not given here: PostgreSQL too says that the relation does not exist.
pub fn relation(
    schema: Option<&str>,
    name: &str,
    context: &StatementContext,
) -> Result<Resolved, Diagnostic> {
    let found = match schema {
        Some(schema) => in_schema(schema, name, context),
        None => bare(name, context),
    };
    found.ok_or_else(|| {
        let full = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
        Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{full}\" does not exist"),
        )
    })
}

/// The columns of the table, view or catalog of a name, as `*` gives them, and their types; None where there is none.
pub fn columns(name: &ObjectName, context: &StatementContext) -> Option<Vec<(String, SqlType)>> {
    let parts = name.0.iter().map(|part| part.as_ident().map(folded));
    let parts = parts.collect::<Option<Vec<_>>>()?;
    let found = match parts.as_slice() {
        [table] => relation(None, table, context),
        [schema, table] => relation(Some(schema), table, context),
        _ => return None,
    };
    let of = |(name, sql_type): (&str, SqlType)| (name.to_owned(), sql_type);
    Some(match found.ok()? {
        Resolved::System(table) => table.columns.iter().copied().map(of).collect(),
        Resolved::Relation(relation) => match &relation.body {
            RelationBody::Table(table) => {
                let columns = table.columns.iter().filter(|column| !column.dropped);
                let columns = columns.map(|column| (&*column.name, column.sql_type));
                columns.map(of).collect()
            }
            RelationBody::View(view) => {
                let columns = view.columns.iter().map(|(name, of)| (&**name, *of));
                columns.map(of).collect()
            }
            _ => return None,
        },
    })
}

/// A bare name along the search_path; what a user's relation of it in an earlier schema hides is not found.
fn bare(name: &str, context: &StatementContext) -> Option<Resolved> {
    if let Some(found) = temporary::find(&context.snapshot.definitions, name, context) {
        return Some(Resolved::Relation(found.clone()));
    }
    let path = &context.settings.search_path;
    if !path.iter().any(|schema| search_path::is_system(schema)) {
        let catalog = in_schema(PG_CATALOG, name, context);
        return catalog.or_else(|| {
            let definitions = &context.snapshot.definitions;
            let found = search_path::find(definitions, None, name, context);
            found.cloned().map(Resolved::Relation)
        });
    }
    let path = search_path::of(context);
    let implicit = !path.iter().any(|schema| &**schema == PG_CATALOG);
    let catalog = implicit
        .then(|| in_schema(PG_CATALOG, name, context))
        .flatten();
    catalog.or_else(|| {
        path.iter()
            .find_map(|schema| in_schema(schema, name, context))
    })
}

fn in_schema(schema: &str, name: &str, context: &StatementContext) -> Option<Resolved> {
    if search_path::is_system(schema) {
        return pg_catalog::table(schema, name).map(Resolved::System);
    }
    let definitions = &context.snapshot.definitions;
    let found = search_path::find(definitions, Some(schema), name, context);
    found.cloned().map(Resolved::Relation)
}

/// Whether the relation is found by its bare name.
pub fn is_visible(relation: &Relation, context: &StatementContext) -> bool {
    match self::relation(None, &relation.name, context) {
        Ok(Resolved::Relation(found)) => found.oid == relation.oid,
        Ok(Resolved::System(_)) | Err(_) => false,
    }
}

/// 42809 for what cannot be read as a table.
pub fn not_readable(relation: &Relation) -> datafusion::error::DataFusionError {
    failure::error(
        SqlState::WRONG_OBJECT_TYPE,
        format!("\"{}\" is an index", relation.name),
    )
}
