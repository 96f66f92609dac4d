//! Running one statement: told apart, run in the session's transaction, answered.

use super::command::Command;
use super::in_use::Kind;
use super::prepared::{Planned, Source};
use super::registry::Handle;
use super::services::now_microseconds;
use super::transaction::{Block, Level, Modes, Open, only_in_a_block};
use super::{Answer, Session};
use crate::catalog::Snapshot;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine;
use crate::engine::context::StatementContext;
use crate::engine::outcome::Outcome;
use crate::engine::plan::Plan;
use crate::engine::point::Found;
use crate::engine::search_path::Standpoint;
use crate::storage::Isolation;
use datafusion::common::ScalarValue;
use sqlparser::ast::Statement;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

/// How often a statement is planned because others change the definitions that it uses, before it
/// gives up.
pub(super) const PLANS_MAX: u32 = 16;

/// Longer texts are not looked at as templates.
const POINT_TEXT_BYTES_MAX: usize = 4 * 1024;

impl Session {
    /// Runs one statement of a simple query.
    ///
    /// The answer's rows are sent before the next one runs.
    ///
    /// # Errors
    /// What it failed with; the caller calls [`Session::fail`].
    pub async fn run(
        &mut self,
        statement: Statement,
        text: &Arc<str>,
    ) -> Result<Answer, Diagnostic> {
        let command = Command::of(statement);
        // In a failed block even what would be 0A000 is 25P02 first.
        if !matches!(&command, Ok(command) if command.ends_failed_block()) {
            self.block.check_usable()?;
        }
        Box::pin(self.run_command(command?, text)).await
    }

    /// Runs a simple query's text if it is a point statement; its template is compiled on the
    /// query pool where this core has not got it yet. None: it is none, and goes the general way.
    ///
    /// # Errors
    /// What the statement fails with.
    pub async fn run_point(&mut self, text: &str) -> Result<Option<Answer>, Diagnostic> {
        if text.len() > POINT_TEXT_BYTES_MAX || matches!(self.block, Block::Failed(_)) {
            return Ok(None);
        }
        let opened = matches!(self.block, Block::None);
        let mut compiled = false;
        for _ in 0..PLANS_MAX {
            // Not counted yet: it may be a ROLLBACK, which no limit holds up.
            let context = self.begin_uncounted_statement()?;
            let found = self.services.templates.borrow_mut().find(text, &context);
            let handle = self.entry.clone();
            let (statement, parameters) = match found {
                Found::Statement(statement, parameters) => {
                    self.count_statement(&context.snapshot)?;
                    (statement, parameters)
                }
                Found::Unknown(compilation) if !compiled => {
                    self.count_statement(&context.snapshot)?;
                    let engine = self.services.parts.engine.clone();
                    let compiling = async move { compilation.compile() };
                    let compiling = engine.query().pool().run(compiling);
                    let template = interruptible(&handle, pin!(compiling)).await?;
                    self.services.templates.borrow_mut().keep(template);
                    compiled = true;
                    continue;
                }
                Found::Unknown(_) | Found::No => {
                    if opened {
                        // Nothing has run in it: BEGIN and its like find what they found before.
                        self.block = Block::None;
                    }
                    return Ok(None);
                }
            };
            let engine = self.services.parts.engine.clone();
            let open = self.block.open().expect("the statement opened it");
            open.statement_ran();
            open.transaction.storage.begin_statement()?;
            let parts = (engine.storage(), Some(engine.query()));
            let executed = statement.execute(parts, &parameters, &mut open.transaction, &context);
            let outcome = interruptible(&handle, pin!(executed)).await;
            if let Some(answer) = self.answer(outcome, &context).await? {
                return Ok(Some(answer));
            }
        }
        Err(definitions_keep_changing())
    }

    /// Runs a command of the session's own for which a protocol has a message.
    ///
    /// # Errors
    /// What it fails with; the caller calls [`Session::fail`].
    pub async fn run_own(&mut self, command: Command) -> Result<Answer, Diagnostic> {
        if !command.ends_failed_block() {
            self.block.check_usable()?;
        }
        self.run_command(command, &Arc::from("")).await
    }

    pub(super) async fn run_command(
        &mut self,
        command: Command,
        text: &Arc<str>,
    ) -> Result<Answer, Diagnostic> {
        match command {
            Command::Engine(statement) => Box::pin(self.run_engine(*statement, text)).await,
            Command::Copy(statement) => Box::pin(self.run_copy(*statement)).await,
            Command::Execute { name, parameters } => {
                Box::pin(self.run_execute(&name, &parameters)).await
            }
            Command::Do(code) => Box::pin(self.run_do(code)).await,
            Command::ExplainExecute {
                explain,
                name,
                parameters,
            } => Box::pin(self.run_explain_execute(*explain, &name, &parameters)).await,
            Command::Prepare {
                name,
                types,
                statement,
            } => Box::pin(self.run_prepare(&name, &types, *statement, text)).await,
            Command::Declare(declaration) => Box::pin(self.run_declare(declaration, text)).await,
            Command::Fetch {
                name,
                direction,
                verb,
            } => Box::pin(self.run_fetch(&name, direction, verb)).await,
            other => Box::pin(self.run_control(other)).await,
        }
    }

    pub(super) async fn run_engine(
        &mut self,
        statement: Statement,
        text: &Arc<str>,
    ) -> Result<Answer, Diagnostic> {
        let source = Source {
            statement: Box::new(statement),
            text: text.clone(),
        };
        self.check_in_block(&source.statement)?;
        Box::pin(self.wait_for_advisory_lock(&source.statement, &[])).await?;
        for _ in 0..PLANS_MAX {
            let (planned, context) = self.plan(&source, &[]).await?;
            if let Some(answer) = self.execute_plan(&planned.plan, &[], &context).await? {
                return Ok(answer);
            }
        }
        Err(definitions_keep_changing())
    }

    /// 25P01 for a statement that means something only in a block.
    pub(super) fn check_in_block(&self, statement: &Statement) -> Result<(), Diagnostic> {
        match (statement, &self.block) {
            (Statement::Lock(_), Block::None | Block::Implicit(_)) => {
                Err(only_in_a_block("LOCK TABLE"))
            }
            _ => Ok(()),
        }
    }

    /// Opens a transaction where none is, and gives the statement's context.
    ///
    /// # Errors
    /// The session ends, storage has no reader left, or too many of its login's statements run (53300).
    pub(super) fn begin_engine_statement(&mut self) -> Result<StatementContext, Diagnostic> {
        let context = self.begin_uncounted_statement()?;
        self.count_statement(&context.snapshot)?;
        Ok(context)
    }

    /// The same, while it is not known whether it is a statement of the engine's at all.
    pub(super) fn begin_uncounted_statement(&mut self) -> Result<StatementContext, Diagnostic> {
        let adopted = self.adopt()?;
        let open = self.open()?;
        let snapshot = open.transaction.snapshot(adopted.snapshot());
        Ok(self.context(snapshot))
    }

    /// Counts what the session does against limits of statements, until it has been answered; once, however
    /// often it begins anew. Costs nothing where there are none.
    fn count_statement(&self, snapshot: &Snapshot) -> Result<(), Diagnostic> {
        if self.statement_shares.is_empty() || self.entry.is_counted() {
            return Ok(());
        }
        let in_use = &self.services.parts.in_use;
        let counted = in_use.take(Kind::Statements, &self.statement_shares);
        let counted = counted.map_err(|reached| reached.diagnostic(snapshot))?;
        self.entry.count_until_it_ends(counted);
        Ok(())
    }

    /// Runs a plan that is current in the open transaction. None: it has waited for somebody who
    /// changed a relation of its, has done nothing, and is to be planned again.
    ///
    /// # Errors
    /// What the statement failed with.
    pub(super) async fn execute_plan(
        &mut self,
        plan: &Arc<Plan>,
        parameters: &[ScalarValue],
        context: &StatementContext,
    ) -> Result<Option<Answer>, Diagnostic> {
        let handle = self.entry.clone();
        let engine = self.services.parts.engine.clone();
        let open = self.block.open().expect("the statement opened it");
        open.statement_ran();
        open.transaction.storage.begin_statement()?;
        let executed = engine.execute(plan, parameters, &mut open.transaction, context);
        let outcome = interruptible(&handle, pin!(executed)).await;
        self.answer(outcome, context).await
    }

    /// What a statement gave, once it may be told; None where it has done nothing yet.
    async fn answer(
        &mut self,
        outcome: Result<Outcome, Diagnostic>,
        context: &StatementContext,
    ) -> Result<Option<Answer>, Diagnostic> {
        self.absorb(context);
        match self.tellable(outcome).await? {
            Outcome::Rows(rows) => {
                self.durable().await?;
                // The rows hold what they still read: whoever is slow to take them pins no snapshot
                // by the transaction too.
                self.end_statement();
                Ok(Some(Answer::rows(rows)))
            }
            // A tag carries no value: a transaction that waited here for the one before it on a
            // hot row would hold its own locks for a whole fsync.
            Outcome::Done(tag) => {
                self.end_statement();
                Ok(Some(Answer::Done(tag)))
            }
            Outcome::Stale => {
                self.end_statement();
                Ok(None)
            }
        }
    }

    /// What the engine gave, where it is an error once that may be told: some say values ("Key
    /// (x)=(1) already exists."), and one that another transaction has ordered may yet be lost.
    ///
    /// # Errors
    /// The engine's; 40001 in its place when a value taken is lost.
    pub(super) async fn tellable<T>(
        &mut self,
        outcome: Result<T, Diagnostic>,
    ) -> Result<T, Diagnostic> {
        match outcome {
            Err(error) if may_tell_values(&error) => {
                self.durable().await?;
                Err(error)
            }
            outcome => outcome,
        }
    }

    /// Waits until the values that the transaction took from commits ordered but not yet on disk
    /// are there: before anything that may tell one leaves the session (DESIGN §6). This is the
    /// one place; the engine waits only where it must read on.
    ///
    /// # Errors
    /// 40001 when one is lost; 57014, 57P01.
    pub(super) async fn durable(&mut self) -> Result<(), Diagnostic> {
        let handle = self.entry.clone();
        let Some(open) = self.block.open() else {
            return Ok(());
        };
        let durable = async { Ok(open.transaction.storage.durable().await?) };
        interruptible(&handle, pin!(durable)).await
    }

    /// The statement reads no more by itself: its snapshot is given back.
    pub(super) fn end_statement(&mut self) {
        if let Some(open) = self.block.open() {
            open.transaction.storage.end_statement();
        }
    }

    /// The open transaction; an implicit one is begun where there is none.
    ///
    /// # Errors
    /// 25P02 in a failed block.
    pub(super) fn open(&mut self) -> Result<&mut Open, Diagnostic> {
        self.block.check_usable()?;
        if matches!(self.block, Block::None) {
            let modes = self.default_modes();
            self.block = Block::Implicit(Box::new(self.new_transaction(modes)));
        }
        Ok(self.block.open().expect("it is open now"))
    }

    pub(super) fn new_transaction(&self, modes: Modes) -> Open {
        Open::new(
            self.storage_transaction(modes.isolation.isolation()),
            modes,
            now_microseconds(),
            self.settings.mark(),
        )
    }

    pub(super) fn storage_transaction(
        &self,
        isolation: Isolation,
    ) -> engine::transaction::Transaction {
        let parts = &self.services.parts;
        let core = usize::from(parts.core.0);
        engine::transaction::Transaction::new(parts.storage.begin(core, isolation))
    }

    /// What `default_transaction_…` say.
    pub(super) fn default_modes(&self) -> Modes {
        let isolation = self.settings.value("default_transaction_isolation");
        let read_only = self.settings.value("default_transaction_read_only");
        Modes {
            isolation: Level::named(isolation),
            access: super::control::access_of(read_only),
        }
    }

    /// A plan under what is in force now, and the statement's context it was made in.
    ///
    /// # Errors
    /// Whatever planning fails with.
    pub(super) async fn plan(
        &mut self,
        source: &Source,
        declared: &[Option<SqlType>],
    ) -> Result<(Planned, StatementContext), Diagnostic> {
        let engine = self.services.parts.engine.clone();
        for _ in 0..PLANS_MAX {
            let context = self.begin_engine_statement()?;
            let statement = Statement::clone(&source.statement);
            let analyzed = engine.analyze(statement, source.text.clone(), declared, &context);
            let analyzed = interruptible(&self.entry.clone(), Box::pin(analyzed)).await;
            self.absorb(&context);
            let plan = analyzed?;
            // Planning takes turns with others, who may have changed what it looked at.
            if plan.is_current(&self.begin_engine_statement()?.snapshot.definitions) {
                let standpoint = Standpoint::of(&context);
                return Ok((Planned { plan, standpoint }, context));
            }
        }
        Err(definitions_keep_changing())
    }
}

/// 40001 for a statement that was planned [`PLANS_MAX`] times, and each time for definitions that
/// were changed before it could run.
pub(super) fn definitions_keep_changing() -> Diagnostic {
    Diagnostic::error(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to concurrent changes of a table's definition",
    )
}

/// Whether an error's text may carry a value of a row. Those that cannot are told at once: who
/// waits for a lock no longer, or is to try again, should not hold its own locks for an fsync.
fn may_tell_values(error: &Diagnostic) -> bool {
    // Transaction rollback, resources, prerequisite state (locks), intervention, system.
    !matches!(error.sqlstate().class(), "40" | "53" | "55" | "57" | "58")
}

/// The work, given up as soon as the session's flag asks for it. What the work has changed in its
/// transaction is undone by the failure that follows.
///
/// The work is pinned by the caller: an async function would keep it twice, and futures of
/// statements are large.
pub async fn interruptible<T>(
    handle: &Handle,
    mut work: impl Future<Output = Result<T, Diagnostic>> + Unpin,
) -> Result<T, Diagnostic> {
    poll_fn(|context| {
        if let Err(stop) = handle.cancel_flag().check() {
            return Poll::Ready(Err(stop));
        }
        let polled = Pin::new(&mut work).poll(context);
        if polled.is_pending() {
            handle.listen(context.waker());
        }
        polled
    })
    .await
}
