//! Queries: whatever is longer than a point statement, planned by DataFusion and run on a pool of
//! threads of its own (DESIGN §6 "Queries").
//!
//! The life of a query: `rewrite` gives the syntax tree PostgreSQL's meaning → `plan` turns it into
//! a logical plan (`provider` tells what there is, `operators`, `semantics` and `cast` what
//! expressions mean) → `run` makes the physical plan and streams batches to the session →
//! `failure` says what went wrong in PostgreSQL's words. `expression` compiles single expressions
//! for point statements, defaults and constraints from the same parts.

pub mod access_path;
mod apply;
mod around;
mod cancel;
pub(super) mod cast;
mod compared;
mod conditions;
mod dependencies;
mod distinct_sums;
mod estimate;
pub mod explain;
pub mod explain_options;
mod explain_outputs;
pub mod expression;
pub mod failure;
mod first_rows;
mod forgetful;
pub mod functions;
mod grouping_sets;
mod in_order;
mod in_turn;
pub mod kept;
mod keys;
mod leaf;
mod lone_groups;
mod lookups;
mod marks;
mod measure;
pub mod memory;
mod multisets;
mod nearest;
mod noted;
pub mod operators;
mod parallel;
mod plan;
pub mod pool;
mod pour;
mod provider;
pub mod qualify;
mod range_sizes;
mod reconsidered;
mod relations;
pub mod resolve;
pub mod returned;
pub mod rewrite;
pub mod rows;
mod run;
pub mod scan;
mod semantics;
mod series;
mod state;
pub mod statement;
pub mod table;
#[cfg(test)]
mod tests;
mod unused_parts;
mod watched;
mod whole_filters;

pub use plan::QueryPlan;
pub use table::{KEY_COLUMN, KEYED_SCHEMA, keyed_name};

use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::Outcome;
use crate::engine::pg_catalog::Remembered;
use crate::engine::stop::Stop;
use crate::engine::transaction::Transaction;
use crate::storage::{Storage, View};
use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::ExprPlanner;
use functions::Functions;
use memory::{SharedMemory, StatementMemory};
use pool::Pool;
use sqlparser::ast::Statement as SyntaxTree;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Pool threads for each that a query is dealt out to: while some are busy inside an operator that gives no
/// way, a sort for instance, others plan what comes next, and the system shares the cores out.
const THREADS_PER_CORE: usize = 2;
/// Threads that work for one query at most; each takes a read transaction.
const STREAMS_MAX: usize = 8;

/// How large the query engine may become.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many threads work for one query that reads much: the cores there are.
    pub threads: usize,
    /// Memory of all queries' operators together.
    pub memory_bytes_max: usize,
    /// Memory of one query's operators; past it they spill.
    pub statement_memory_bytes_max: usize,
    /// Where they spill.
    pub spill_directory: PathBuf,
    /// How much they may spill together.
    pub spill_bytes_max: u64,
}

impl Options {
    /// For this many threads, spilling into this directory.
    pub fn new(threads: usize, spill_directory: impl Into<PathBuf>) -> Options {
        Options {
            threads,
            memory_bytes_max: 1 << 30,
            statement_memory_bytes_max: 256 << 20,
            spill_directory: spill_directory.into(),
            spill_bytes_max: 64 << 30,
        }
    }

    /// How many threads work for one query that reads much.
    fn streams(&self) -> usize {
        self.threads.min(STREAMS_MAX)
    }
}

/// The query engine. Cloning shares.
#[derive(Clone)]
pub struct QueryEngine(Arc<Inner>);

/// What all statements share.
pub(crate) struct Inner {
    pool: Pool,
    state: SessionState,
    functions: Functions,
    expr_planners: Vec<Arc<dyn ExprPlanner>>,
    storage: Storage,
    memory: Arc<SharedMemory>,
    /// Bytes of kept rows in files, of all results together.
    kept_bytes: AtomicU64,
    /// Catalogs that have been made.
    catalogs: Remembered,
    options: Options,
}

impl QueryEngine {
    /// Starts the pool.
    ///
    /// # Errors
    /// XX000 when threads cannot be made, 58030 when the spill directory cannot be used.
    pub fn start(options: Options, storage: Storage) -> Result<QueryEngine, Diagnostic> {
        let functions = Functions::new();
        Ok(QueryEngine(Arc::new(Inner {
            pool: Pool::start(THREADS_PER_CORE * options.threads)?,
            state: state::shared(&options, &functions)?,
            functions,
            expr_planners: state::expr_planners(),
            storage,
            memory: SharedMemory::new(options.memory_bytes_max),
            kept_bytes: AtomicU64::new(0),
            catalogs: Remembered::default(),
            options,
        })))
    }

    /// Plans a query (SELECT, VALUES, TABLE, WITH) or EXPLAIN of one, on the calling thread: up to
    /// a millisecond, so from a session core use [`QueryEngine::analyze_on_pool`].
    ///
    /// `declared` are the parameter types a client gave; the others are inferred.
    ///
    /// # Errors
    /// Whatever is wrong with the statement, in PostgreSQL's words.
    pub fn analyze(
        &self,
        statement: &SyntaxTree,
        declared: &[Option<SqlType>],
        context: &StatementContext,
    ) -> Result<QueryPlan, Diagnostic> {
        plan::analyze(&self.0, statement, declared, context)
    }

    /// As [`QueryEngine::analyze`], on the pool: never blocks the calling core.
    ///
    /// # Errors
    /// As [`QueryEngine::analyze`].
    pub async fn analyze_on_pool(
        &self,
        statement: impl Into<Arc<SyntaxTree>>,
        declared: Vec<Option<SqlType>>,
        context: &StatementContext,
    ) -> Result<QueryPlan, Diagnostic> {
        let statement = statement.into();
        let (engine, context) = (self.0.clone(), context.clone());
        self.0
            .pool
            .run(async move { plan::analyze(&engine, &statement, &declared, &context) })
            .await?
    }

    /// Starts a planned query on the pool and returns at once; its rows come through the outcome.
    /// Dropping them ends it.
    ///
    /// # Errors
    /// 42501 where the rights do not suffice; storage's, when no view can be opened (53300, 72000).
    pub fn execute(
        &self,
        plan: &Arc<QueryPlan>,
        parameters: &[ScalarValue],
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<Outcome, Diagnostic> {
        for oid in &plan.named {
            // One that is gone is the plan's staleness, which the caller looks at.
            if let Some(relation) = context.snapshot.definitions.get(*oid) {
                context.rights.may_select(relation)?;
            }
        }
        let before = context.parts.as_ref().and_then(|parts| parts.view.clone());
        let view = match before {
            _ if plan.relations.is_empty() => None,
            Some(before) => Some(before),
            None => Some(transaction.storage.view(self.0.options.streams())?),
        };
        Ok(self.execute_in(plan, parameters, view, context))
    }

    /// As [`QueryEngine::execute`], over a view that the caller has opened.
    pub fn execute_in(
        &self,
        plan: &Arc<QueryPlan>,
        parameters: &[ScalarValue],
        view: Option<View>,
        context: &StatementContext,
    ) -> Outcome {
        run::start(&self.0, plan, parameters, view, context)
    }

    /// A statement whose functions are asked outside a query, over no rows.
    pub fn statement(&self, context: &StatementContext) -> Arc<statement::Statement> {
        Arc::new(statement::Statement {
            context: context.clone(),
            view: None,
            stop: Stop::new(context.cancel.clone(), Arc::default()),
            engine: self.0.clone(),
        })
    }

    /// The pool, for other work that must not run on a core.
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// The memory of a statement that keeps rows of its result outside a query.
    pub fn reservation(&self) -> MemoryReservation {
        let bytes_max = self.0.options.statement_memory_bytes_max;
        let memory = StatementMemory::new(self.0.memory.clone(), bytes_max);
        MemoryConsumer::new("result").register(&(Arc::new(memory) as Arc<dyn MemoryPool>))
    }

    /// Bytes held by running queries, for metrics.
    pub fn memory_used(&self) -> usize {
        self.0.memory.used()
    }
}
