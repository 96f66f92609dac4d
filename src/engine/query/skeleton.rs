//! The public surface of the query engine, until the engine itself is here.

use crate::catalog::Oid;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{Outcome, ResultField};
use crate::engine::transaction::Transaction;
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// The schema name under which `engine::dml` reads its target.
pub const KEYED_SCHEMA: &str = "\u{1}keyed";

/// The column with the row's storage key, bytea.
pub const KEY_COLUMN: &str = "\u{1}key";

/// A query that has been planned.
#[derive(Debug)]
pub struct QueryPlan {
    /// Describes each output column.
    pub fields: Arc<[ResultField]>,
    /// The types of `$1`, `$2`, …
    pub parameters: Vec<SqlType>,
    /// The relations it reads.
    pub relations: Vec<Oid>,
}

/// The query engine.
#[derive(Clone)]
pub struct QueryEngine;

impl QueryEngine {
    /// Plans a query on the pool.
    ///
    /// # Errors
    /// 0A000.
    pub async fn analyze_on_pool(
        &self,
        _statement: sqlparser::ast::Statement,
        _declared: Vec<Option<SqlType>>,
        _context: &StatementContext,
    ) -> Result<QueryPlan, Diagnostic> {
        Err(Diagnostic::unsupported("a query"))
    }

    /// Starts a planned query.
    ///
    /// # Errors
    /// 0A000.
    pub fn execute(
        &self,
        _plan: &Arc<QueryPlan>,
        _parameters: &[ScalarValue],
        _transaction: &mut Transaction,
        _context: &StatementContext,
    ) -> Result<Outcome, Diagnostic> {
        Err(Diagnostic::unsupported("a query"))
    }
}
