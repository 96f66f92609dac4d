//! UPDATE and DELETE start over when rows they have found were changed meanwhile and their
//! conditions cannot be worked out on one row alone (READ COMMITTED; DESIGN §6 "Transactions").

use super::Run;
use super::returning::{self, Collector, Returning};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{CommandTag, Outcome};
use crate::engine::query::QueryEngine;

/// How often a statement starts over because others have changed its rows, before it gives up.
const RESTARTS_MAX: u32 = 100;

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
    let start = run.transaction.storage.savepoint();
    for _ in 0..=RESTARTS_MAX {
        let memory = || run.query.map(QueryEngine::reservation);
        let mut collector = returning.map(|returning| returning.collector(memory()));
        let again = Run {
            transaction: &mut *run.transaction,
            ..run
        };
        match statement.pass(again, &mut collector).await? {
            Pass::Done(count) => {
                run.transaction.storage.release(start);
                return returning::outcome(tag.with_count(count), collector);
            }
            Pass::Again => {
                let storage = &mut run.transaction.storage;
                // The snapshot is to have the change that was met.
                storage.durable().await?;
                storage.rollback_to(start);
                storage.end_statement();
                storage.begin_statement()?;
            }
        }
    }
    Err(Diagnostic::error(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to concurrent update",
    ))
}
