//! Running a planned query on the pool.
//!
//! Batches go to the session through a channel of [`BATCHES_AHEAD`]; dropping its receiving end
//! ends the statement. Cancellation is looked at between batches, in scans, in joins' filters, and
//! every [`LOOK_INTERVAL`] while an operator waits.

use super::explain::{self, Explanation, Took};
use super::explain_options::Run;
use super::measure;
use super::memory::StatementMemory;
use super::plan::{self, Form, Kept, QueryPlan};
use super::pour::{BATCHES_AHEAD, Batch, send};
use super::statement::Statement;
use super::{
    Inner, cancel, failure, first_rows, in_order, lookups, parallel, reconsidered, state, watched,
};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::outcome::{Coming, CommandTag, Outcome, Rows, Source};
use crate::engine::stop::Stop;
use crate::storage::View;
use datafusion::arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, StreamExt};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// How often a waiting statement looks whether it is to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

type BatchSender = mpsc::Sender<Batch>;

/// Starts the query; its rows come through the outcome.
pub fn start(
    engine: &Arc<Inner>,
    plan: &Arc<QueryPlan>,
    parameters: &[ScalarValue],
    view: Option<View>,
    context: &StatementContext,
) -> Outcome {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let abandoned = Arc::new(AtomicBool::new(false));
    let statement = Arc::new(Statement {
        context: context.clone(),
        view,
        stop: Stop::new(context.cancel.clone(), abandoned.clone()),
        engine: engine.clone(),
    });
    let work = run(statement, plan.clone(), parameters.to_vec(), sender);
    engine.pool.handle().spawn(work);
    Outcome::Rows(Rows {
        fields: plan.fields.clone(),
        tag: match &plan.form {
            Form::Rows => CommandTag::Select(0),
            Form::Explain(..) => CommandTag::Plain("EXPLAIN"),
        },
        source: Source::Pool(Coming::new(receiver, abandoned)),
        memory: None,
    })
}

async fn run(
    statement: Arc<Statement>,
    plan: Arc<QueryPlan>,
    parameters: Vec<ScalarValue>,
    mut sender: BatchSender,
) {
    let work = stream(&statement, &plan, &parameters, &mut sender);
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    // A result that just stopped would look complete.
    let ended = ended.unwrap_or_else(|_| Err(Diagnostic::internal("internal error in a query")));
    // Its snapshot is not kept for a client that may be long in coming for the error.
    drop(statement);
    if let Err(error) = ended {
        // Nobody listening any more is no error.
        let _ = sender.send(Err(error)).await;
    }
}

/// The physical plan for these values.
async fn physical(
    statement: &Arc<Statement>,
    plan: &QueryPlan,
    parameters: &[ScalarValue],
) -> Result<Arc<dyn ExecutionPlan>, Diagnostic> {
    let engine = &statement.engine;
    let own = || state::of_statement(&engine.state, statement);
    let (logical, session) = match &plan.kept {
        Kept::Optimized(kept) => {
            let logical = plan::with_values(kept, &plan.parameters, parameters);
            (logical.map_err(failure::diagnostic)?, None)
        }
        Kept::OptimizedForStatement(kept) => {
            let logical = plan::with_values(kept, &plan.parameters, parameters);
            (logical.map_err(failure::diagnostic)?, Some(own()))
        }
        Kept::Analyzed(kept) => {
            let session = own();
            let logical = plan::with_values(kept, &plan.parameters, parameters)
                .and_then(|logical| plan::optimize(&session, logical));
            (logical.map_err(failure::diagnostic)?, Some(session))
        }
    };
    let session = session.as_ref().unwrap_or(&engine.state);
    let logical = super::apply::rewrite(logical).map_err(failure::diagnostic)?;
    let physical = session
        .query_planner()
        .create_physical_plan(&logical, session)
        .await
        .map_err(failure::diagnostic)?;
    let physical = match &statement.view {
        Some(view) => {
            let order = parallel::Order::of(&logical);
            let physical = first_rows::place(physical, view)
                .and_then(|physical| reconsidered::paths(physical, view))
                .and_then(|physical| parallel::spread(physical, order, view))
                .and_then(lookups::place);
            physical.map_err(failure::diagnostic)?
        }
        None => physical,
    };
    let physical = in_order::branches(physical).map_err(failure::diagnostic)?;
    cancel::guard(physical, statement).map_err(failure::diagnostic)
}

async fn stream(
    statement: &Arc<Statement>,
    plan: &QueryPlan,
    parameters: &[ScalarValue],
    sender: &mut BatchSender,
) -> Result<(), Diagnostic> {
    statement.check()?;
    let physical = physical(statement, plan, parameters).await?;
    if let Form::Explain(explanation) = &plan.form {
        let batch = match explanation.options.run {
            Run::No => {
                let took = Took {
                    planning: explanation.planning,
                    execution: Duration::ZERO,
                };
                explain::batch(&*physical, explanation, took)?
            }
            Run::Analyze => analyzed(statement, physical, explanation).await?,
        };
        let _ = sender.send(Ok(batch)).await;
        return Ok(());
    }
    let mut batches = begun(statement, physical)?;
    loop {
        let next = tokio::time::timeout(LOOK_INTERVAL, batches.next()).await;
        if sender.is_closed() {
            return Ok(());
        }
        statement.check()?;
        match next {
            // Still waiting.
            Err(_) => {}
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(failure::diagnostic(error)),
            Ok(Some(Ok(batch))) => {
                if batch.num_rows() > 0 && !send(sender, Ok(batch), statement.view.as_ref()).await?
                {
                    return Ok(());
                }
            }
        }
    }
}

/// Begins the plan in the statement's memory.
fn begun(
    statement: &Arc<Statement>,
    physical: Arc<dyn ExecutionPlan>,
) -> Result<SendableRecordBatchStream, Diagnostic> {
    let engine = &statement.engine;
    let memory = StatementMemory::new(
        engine.memory.clone(),
        engine.options.statement_memory_bytes_max,
    );
    let task = state::task(&engine.state, statement, Arc::new(memory));
    let rows = execute_stream(physical, task).map_err(failure::diagnostic)?;
    Ok(watched::stream(rows, statement.stop.clone()))
}

/// EXPLAIN ANALYZE: the statement itself, whose rows are thrown away.
async fn analyzed(
    statement: &Arc<Statement>,
    physical: Arc<dyn ExecutionPlan>,
    explanation: &Explanation,
) -> Result<RecordBatch, Diagnostic> {
    let mut took = Took {
        planning: explanation.planning,
        execution: Duration::ZERO,
    };
    let measured = measure::measured(physical).map_err(failure::diagnostic)?;
    let began = Instant::now();
    let mut batches = begun(statement, measured.clone())?;
    loop {
        let next = tokio::time::timeout(LOOK_INTERVAL, batches.next()).await;
        statement.check()?;
        match next {
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(failure::diagnostic(error)),
            Err(_) | Ok(Some(Ok(_))) => {}
        }
    }
    took.execution = began.elapsed();
    explain::batch(&*measured, explanation, took)
}
