//! UPDATE and DELETE start over when rows they have found were changed meanwhile and their
//! conditions cannot be worked out on one row alone (READ COMMITTED; DESIGN §6 "Transactions").

use super::Run;
use super::returning::{self, Collector, Returning};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::deferred::Mark;
use crate::engine::outcome::{CommandTag, Outcome};
use crate::engine::transaction::Transaction;
use crate::storage::Savepoint;

/// How often a statement starts over because others have changed its rows, before it gives up.
pub const RESTARTS_MAX: u32 = 100;

/// How one pass over the rows to change ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// All rows are written: so many.
    Done(u64),
    /// A row was changed meanwhile, and what the statement makes of it can only be found out by its
    /// query: it starts over.
    Again,
}

/// A statement that goes over the rows it changes, perhaps more than once.
pub trait Passes {
    /// Goes over the rows once.
    ///
    /// # Errors
    /// Whatever writing them raises.
    fn pass(
        &self,
        run: Run<'_>,
        collector: &mut Option<Collector<'_>>,
    ) -> impl Future<Output = Result<Pass, Diagnostic>>;
}

/// Passes over the rows until one comes to its end: under READ COMMITTED a statement whose rows
/// were changed meanwhile undoes what it did and starts over on a snapshot that has the change.
///
/// # Errors
/// 40001 after [`RESTARTS_MAX`] times; what a pass fails with.
pub async fn restarting(
    statement: &impl Passes,
    returning: Option<&Returning>,
    run: Run<'_>,
    tag: CommandTag,
) -> Result<Outcome, Diagnostic> {
    let start = Start::of(run.transaction, run.context);
    for _ in 0..=RESTARTS_MAX {
        let again = Run {
            transaction: &mut *run.transaction,
            ..run
        };
        if let Some(outcome) = once(statement, returning, again, tag).await? {
            start.release(run.transaction);
            return Ok(outcome);
        }
        start.over(run.transaction, run.context).await?;
    }
    Err(give_up())
}

/// One pass; None where the statement is to start over.
///
/// # Errors
/// What the pass fails with.
pub async fn once(
    statement: &impl Passes,
    returning: Option<&Returning>,
    run: Run<'_>,
    tag: CommandTag,
) -> Result<Option<Outcome>, Diagnostic> {
    let mut collector = returning::collector(returning, run.query, run.context)?;
    match statement.pass(run, &mut collector).await? {
        Pass::Done(count) => returning::outcome(tag.with_count(count), collector).map(Some),
        Pass::Again => Ok(None),
    }
}

/// Where a statement began that may have to start over.
#[derive(Clone, Copy)]
pub struct Start {
    rows: Savepoint,
    deferred: Mark,
}

impl Start {
    /// The place where the transaction is.
    pub fn of(transaction: &mut Transaction, context: &StatementContext) -> Start {
        Start {
            rows: transaction.storage.savepoint(),
            deferred: context.effects.deferred.lock().mark(),
        }
    }

    /// The statement is through.
    pub fn release(self, transaction: &mut Transaction) {
        transaction.storage.release(self.rows);
    }

    /// Undoes what was written and put off since, and begins the statement anew, on a snapshot that
    /// has the change that was met.
    ///
    /// # Errors
    /// Storage's.
    pub async fn over(
        self,
        transaction: &mut Transaction,
        context: &StatementContext,
    ) -> Result<(), Diagnostic> {
        let storage = &mut transaction.storage;
        storage.durable().await?;
        storage.rollback_to(self.rows);
        context.effects.deferred.lock().roll_back(self.deferred);
        storage.end_statement();
        Ok(storage.begin_statement()?)
    }
}

/// What is said of a statement that has started over too often.
pub fn give_up() -> Diagnostic {
    Diagnostic::error(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to concurrent update",
    )
}
