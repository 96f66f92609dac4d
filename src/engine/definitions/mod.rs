//! CREATE, ALTER and DROP of tables and what belongs to them.

use super::context::StatementContext;
use super::entry::Engine;
use super::outcome::CommandTag;
use super::transaction::Transaction;
use crate::catalog::definition::Definitions;
use crate::diagnostic::Diagnostic;
use crate::storage::Storage;
use sqlparser::ast;

/// Whether this room carries the statement out: definitions, TRUNCATE, COMMENT, VACUUM, ANALYZE.
pub fn is_definition(statement: &ast::Statement) -> bool {
    use ast::Statement as S;
    matches!(
        statement,
        S::CreateTable(_)
            | S::CreateIndex(_)
            | S::CreateView(_)
            | S::CreateSequence { .. }
            | S::CreateSchema { .. }
            | S::AlterTable(_)
            | S::AlterIndex { .. }
            | S::AlterView { .. }
            | S::Drop { .. }
            | S::Truncate(_)
            | S::Comment { .. }
            | S::Vacuum(_)
            | S::Analyze(_)
    )
}

/// Carries a definition statement out, inside the transaction.
///
/// # Errors
/// What PostgreSQL gives (42P07, 42P01, 23505, 2BP01, …), 42501, 0A000 naming what is not there.
pub async fn execute(
    statement: &ast::Statement,
    engine: &Engine,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<CommandTag, Diagnostic> {
    let _ = (statement, engine, transaction, context);
    todo!()
}

/// All definitions, as they were last committed: read once at start.
///
/// # Errors
/// XX001 for a record that cannot be read, and what storage gives.
pub fn load(storage: &Storage) -> Result<Definitions, Diagnostic> {
    let _ = storage;
    todo!()
}
