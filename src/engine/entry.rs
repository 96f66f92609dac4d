//! The narrow door of the engine: analyse a statement, execute it.
//!
//! One `Engine` serves all cores; it holds the store and the query pool. What a core keeps for
//! itself (its compiled point templates) is `point::Templates`, owned by the session's core.

use super::context::StatementContext;
use super::outcome::Outcome;
use super::plan::Plan;
use super::transaction::Transaction;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::storage::Storage;
use datafusion::scalar::ScalarValue;
use sqlparser::ast;
use std::path::PathBuf;
use std::sync::Arc;

/// What the engine may take.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads of the query pool.
    pub pool_threads: usize,
    /// Memory of all queries together, in bytes.
    pub memory_bytes_max: usize,
    /// Memory of one statement, in bytes; past it operators that can spill do.
    pub statement_memory_bytes_max: usize,
    /// Where operators spill.
    pub spill_directory: PathBuf,
}

/// How statements are answered.
pub struct Engine {
    storage: Storage,
}

impl Engine {
    /// Starts the query pool.
    ///
    /// # Errors
    /// When its threads or the spill directory cannot be made.
    pub fn start(storage: Storage, options: Options) -> Result<Engine, Diagnostic> {
        let _ = options;
        Ok(Engine { storage })
    }

    /// The store, for whoever begins transactions.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Works out what a statement's parameters and result are, and who answers it.
    ///
    /// `declared` are the types the client gave for $1, $2, … (None: work it out). `text` is what
    /// the statement's spans point into. Awaits the query pool: it does not block the core.
    ///
    /// # Errors
    /// What PostgreSQL's parse analysis gives (42P01, 42703, 42883, 42804, 42P18, …), 54001 for a
    /// tree too deep, 0A000 for what is not there.
    pub async fn analyze(
        &self,
        statement: ast::Statement,
        text: Arc<str>,
        declared: &[Option<SqlType>],
        context: &StatementContext,
    ) -> Result<Arc<Plan>, Diagnostic> {
        let _ = (statement, text, declared, context);
        todo!()
    }

    /// Executes an analysed statement with its parameters, one value for each.
    ///
    /// The caller has begun the statement (`Transaction::storage.begin_statement`), ends it when
    /// the rows are through, and has asked [`Plan::is_current`] first.
    ///
    /// # Errors
    /// 42501 where the rights do not suffice, and whatever the statement runs into; the transaction
    /// is then as it stands, for the caller to roll back.
    pub async fn execute(
        &self,
        plan: &Arc<Plan>,
        parameters: &[ScalarValue],
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<Outcome, Diagnostic> {
        let _ = (plan, parameters, transaction, context);
        todo!()
    }
}
