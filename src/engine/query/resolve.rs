//! From names in a statement to relations, as PostgreSQL's search_path says.

use super::failure;
use crate::catalog::definition::Relation;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::pg_catalog::{self, SystemTable};
use std::sync::Arc;

/// The schema of the catalogs.
pub const PG_CATALOG: &str = "pg_catalog";
/// The standard's view of them.
pub const INFORMATION_SCHEMA: &str = "information_schema";
/// The schema every database has.
pub const PUBLIC: &str = "public";

/// What a name in FROM stands for.
#[derive(Clone)]
pub enum Resolved {
    /// A table, view or sequence of the database.
    Relation(Arc<Relation>),
    /// A catalog.
    System(&'static SystemTable),
}

/// The schemas of the search_path that exist, in order; without the catalogs that come first
/// implicitly.
pub fn search_path(context: &StatementContext) -> Vec<Arc<str>> {
    context
        .settings
        .search_path
        .iter()
        .filter(|schema| schema_exists(schema, context))
        .cloned()
        .collect()
}

/// Whether the schema exists in the session's database.
pub fn schema_exists(schema: &str, context: &StatementContext) -> bool {
    matches!(schema, PG_CATALOG | INFORMATION_SCHEMA | PUBLIC)
        || context
            .snapshot
            .definitions
            .of_database(context.identity.database)
            .any(|relation| &*relation.schema == schema)
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
        None => {
            let path = search_path(context);
            let implicit = !path.iter().any(|schema| &**schema == PG_CATALOG);
            let catalog = implicit
                .then(|| in_schema(PG_CATALOG, name, context))
                .flatten();
            catalog.or_else(|| {
                path.iter()
                    .find_map(|schema| in_schema(schema, name, context))
            })
        }
    };
    found.ok_or_else(|| {
        let full = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
        Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{full}\" does not exist"),
        )
    })
}

fn in_schema(schema: &str, name: &str, context: &StatementContext) -> Option<Resolved> {
    if matches!(schema, PG_CATALOG | INFORMATION_SCHEMA) {
        return pg_catalog::table(schema, name).map(Resolved::System);
    }
    context
        .snapshot
        .definitions
        .find(context.identity.database, schema, name)
        .cloned()
        .map(Resolved::Relation)
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
