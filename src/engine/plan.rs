//! A statement analysed: what its parameters and result are, and which part of the engine answers.

use super::outcome::ResultField;
use crate::catalog::definition::Definitions;
use crate::catalog::sql_type::SqlType;
use std::sync::Arc;

/// A statement analysed against one state of the definitions.
///
/// Good for as long as [`Plan::is_current`] says so; rights are checked at each execution, since
/// they change without the definitions changing.
pub struct Plan {
    /// The types of $1, $2, ….
    pub parameters: Vec<SqlType>,
    /// The result's columns; None where the statement returns no rows.
    pub fields: Option<Arc<[ResultField]>>,
    /// Whether executing it may write rows or definitions (25006 in a READ ONLY transaction).
    pub writes: bool,
    /// What it was analysed against.
    pub definitions: Definitions,
    // Point(point::Statement), Dml(dml::Statement), Query(query::Prepared),
    // Definition(definitions::Statement): each room brings its own.
}

impl Plan {
    /// Whether nothing has been defined since it was analysed.
    pub fn is_current(&self, definitions: &Definitions) -> bool {
        self.definitions.same(definitions)
    }
}
