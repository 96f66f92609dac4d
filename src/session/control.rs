//! The session's own statements: BEGIN to ROLLBACK, SET and SHOW, DISCARD, DEALLOCATE.

use super::command::{Chain, Command, Discard};
use super::settings::{self, Scope};
use super::transaction::{
    Access, Block, Level, Modes, ModesGiven, Open, not_in_a_block, only_in_a_block,
};
use super::{Answer, Session};
use crate::catalog::Request;
use crate::catalog::port::{Caller, Handle as ControlHandle};
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::context::EffectsMark;
use crate::engine::outcome::CommandTag;
use crate::engine::transaction::Transaction;
use crate::storage::Isolation;
use futures::channel::oneshot;

impl Session {
    pub(super) async fn run_control(&mut self, command: Command) -> Result<Answer, Diagnostic> {
        self.adopt()?;
        self.apply_set_config();
        let tag = match command {
            Command::Begin(modes, tag) => self.begin_block(modes, tag),
            Command::Commit(chain) => return self.commit_block(chain).await,
            Command::Rollback(chain) => self.roll_back_block(chain)?,
            Command::Savepoint(name) => {
                let mark = self.settings.mark();
                let effects = self.effects.as_ref().map(|it| it.mark());
                self.block
                    .savepoint(&name, mark, effects.unwrap_or_default())?;
                "SAVEPOINT"
            }
            Command::Release(name) => {
                self.block.release(&name)?;
                self.named.release_portals(self.block.savepoints());
                "RELEASE"
            }
            Command::RollbackTo(name) => {
                let (mark, effects) = self.block.rollback_to(&name)?;
                self.settings.roll_back(&mark);
                self.undo_effects(effects);
                // The savepoint itself stays; what was made after it goes.
                let before = self.block.savepoints().saturating_sub(1);
                self.named.roll_back_portals(before);
                "ROLLBACK"
            }
            Command::Set {
                name,
                value,
                scope,
                tag,
            } => {
                self.set(&name, value.as_deref(), scope)?;
                tag
            }
            Command::SetConstraints(which, timing) => {
                self.set_constraints(&which, timing).await?;
                "SET CONSTRAINTS"
            }
            Command::SetTransaction(modes) => {
                self.set_transaction(modes)?;
                "SET"
            }
            Command::SetCharacteristics(modes) => {
                self.set_characteristics(modes)?;
                "SET"
            }
            Command::ResetAll => {
                self.open()?;
                self.settings.reset_all();
                "RESET"
            }
            Command::StayWhoeverItIs(tag) => tag,
            Command::Show(name) => return self.show(&name),
            Command::ShowAll => return self.show_all(),
            Command::Discard(what) => Box::pin(self.discard(what)).await?,
            Command::Deallocate(name) => self.deallocate(name.as_deref())?,
            Command::CloseCursor(name) => self.close_cursor(name.as_deref())?,
            Command::Listen(listening) => return self.run_listen(listening),
            Command::Notify { channel, payload } => {
                return self.run_notify(&channel, payload.as_deref());
            }
            Command::Prepare { .. }
            | Command::Execute { .. }
            | Command::ExplainExecute { .. }
            | Command::Do(_)
            | Command::Declare(_)
            | Command::Fetch { .. }
            | Command::Copy(_)
            | Command::Engine(_) => unreachable!("run_command keeps these"),
        };
        Ok(Answer::Done(CommandTag::Plain(tag)))
    }

    fn begin_block(&mut self, given: ModesGiven, tag: &'static str) -> &'static str {
        match std::mem::replace(&mut self.block, Block::None) {
            Block::None => {
                let modes = given.over(self.default_modes());
                self.block = Block::Explicit(Box::new(self.new_transaction(modes)));
            }
            // Statements of the same message before BEGIN belong to the block, as in PostgreSQL.
            Block::Implicit(open) => self.block = Block::Explicit(open),
            block @ (Block::Explicit(_) | Block::Failed(_)) => {
                self.block = block;
                self.warn(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "there is already a transaction in progress",
                );
            }
        }
        tag
    }

    async fn commit_block(&mut self, chain: Chain) -> Result<Answer, Diagnostic> {
        let modes = self.block.modes();
        let tag = match &self.block {
            Block::Failed(_) => {
                self.abandon();
                "ROLLBACK"
            }
            Block::Explicit(_) => {
                self.commit().await?;
                "COMMIT"
            }
            Block::None | Block::Implicit(_) => {
                if chain == Chain::Yes {
                    return Err(only_in_a_block("COMMIT AND CHAIN"));
                }
                self.warn_no_transaction();
                self.commit().await?;
                "COMMIT"
            }
        };
        self.chain(chain, modes);
        Ok(Answer::Done(CommandTag::Plain(tag)))
    }

    fn roll_back_block(&mut self, chain: Chain) -> Result<&'static str, Diagnostic> {
        let modes = self.block.modes();
        if matches!(self.block, Block::None | Block::Implicit(_)) {
            if chain == Chain::Yes {
                return Err(only_in_a_block("ROLLBACK AND CHAIN"));
            }
            self.warn_no_transaction();
        }
        self.abandon();
        self.chain(chain, modes);
        Ok("ROLLBACK")
    }

    fn chain(&mut self, chain: Chain, modes: Option<Modes>) {
        if let (Chain::Yes, Some(modes)) = (chain, modes) {
            self.block = Block::Explicit(Box::new(self.new_transaction(modes)));
        }
    }

    /// Ends an implicit transaction: at the end of a message, or at Sync.
    ///
    /// # Errors
    /// What COMMIT fails with.
    pub async fn end_implicit(&mut self) -> Result<(), Diagnostic> {
        match self.block {
            Block::Implicit(_) => self.commit().await,
            Block::None | Block::Explicit(_) | Block::Failed(_) => Ok(()),
        }
    }

    /// Commits whatever is open. Cannot be interrupted: what a client is told is what happened.
    async fn commit(&mut self) -> Result<(), Diagnostic> {
        if let Err(error) = Box::pin(self.check_deferred()).await {
            self.abandon();
            return Err(error);
        }
        if let Err(error) = Box::pin(self.end_temporary()).await {
            self.abandon();
            return Err(error);
        }
        if !self.named.portals_to_hold().is_empty()
            && let Err(error) = Box::pin(self.hold_cursors()).await
        {
            self.abandon();
            return Err(error);
        }
        self.apply_set_config();
        self.named.end_portals();
        let open = match std::mem::replace(&mut self.block, Block::None) {
            Block::Implicit(open) | Block::Explicit(open) => open,
            Block::None => return Ok(()),
            Block::Failed(_) => unreachable!("a failed block is abandoned"),
        };
        let Open {
            mut transaction,
            settings,
            listenings,
            ..
        } = *open;
        // What it listens to hears what it tells itself.
        self.begin_to_listen(&listenings);
        let batch = match self.batch_to_publish() {
            Ok(batch) => batch,
            Err(error) => {
                self.settings.roll_back(&settings);
                self.keep_listening();
                self.undo_effects(EffectsMark::default());
                return Err(error);
            }
        };
        let tells = batch.is_some();
        if let Some(batch) = batch {
            let queue = self.services.parts.notifications.clone();
            let publish = Box::new(move || queue.publish(batch));
            transaction.storage.when_durable(publish);
        }
        let committed = if transaction.has_definitions() {
            let control = self.services.parts.control.clone();
            let _asking = self.handle().asks_control();
            commit_definitions(transaction, control, self.caller()).await
        } else {
            transaction.commit().await.map(|_| Vec::new())
        };
        // Whoever waits for what the transaction has locked finds it durable.
        self.undo_effects(EffectsMark::default());
        match committed {
            Ok(mut notices) => {
                self.settings.commit();
                self.notices.append(&mut notices);
                self.settle_listening(listenings);
                if tells {
                    self.announce_notifications().await;
                }
                Ok(())
            }
            Err(error) => {
                self.settings.roll_back(&settings);
                self.keep_listening();
                Err(error)
            }
        }
    }

    /// What the transaction has told and locked since is undone.
    fn undo_effects(&self, mark: EffectsMark) {
        if let Some(effects) = &self.effects {
            effects.roll_back(mark);
        }
    }

    /// Rolls back whatever is open or has failed.
    pub fn abandon(&mut self) {
        self.named.end_portals();
        self.undo_effects(EffectsMark::default());
        let settings = match std::mem::replace(&mut self.block, Block::None) {
            Block::None => return,
            Block::Implicit(open) | Block::Explicit(open) => open.settings,
            Block::Failed(failed) => failed.settings,
        };
        self.settings.roll_back(&settings);
    }

    /// A statement has failed: its block has too.
    pub fn fail(&mut self) {
        let savepoints = self.block.savepoints();
        if let Some((settings, effects)) = self.block.fail() {
            self.settings.roll_back(&settings);
            self.undo_effects(effects);
        }
        // What the last savepoint does not cover is gone; what was there before it may go on.
        match savepoints.checked_sub(1) {
            Some(before) => self.named.roll_back_portals(before),
            None => self.named.end_portals(),
        }
    }

    fn set(&mut self, name: &str, value: Option<&str>, scope: Scope) -> Result<(), Diagnostic> {
        if settings::is_transaction_setting(name) {
            return self.set_transaction_setting(name, value);
        }
        if settings::is_tenant(name) {
            return self.set_tenant(value);
        }
        if scope == Scope::Local && !matches!(self.block, Block::Explicit(_)) {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            );
        }
        // The change belongs to the transaction, an implicit one too.
        self.open()?;
        self.settings.set(name, value, scope)
    }

    /// `SET transaction_isolation = …`: what drivers send for SET TRANSACTION.
    fn set_transaction_setting(
        &mut self,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), Diagnostic> {
        let known = settings::known::find(name).expect("it was recognised");
        let value = value.unwrap_or(known.default);
        let value = settings::value::canonical(known, value)?;
        let mut modes = ModesGiven::default();
        match known.name {
            "transaction_isolation" => modes.isolation = Some(Level::named(&value)),
            "transaction_read_only" => modes.access = Some(access_of(&value)),
            _ => {}
        }
        self.set_transaction(modes)
    }

    fn set_transaction(&mut self, modes: ModesGiven) -> Result<(), Diagnostic> {
        if !matches!(self.block, Block::Explicit(_)) {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks",
            );
            return Ok(());
        }
        let core = usize::from(self.services.parts.core.0);
        let storage = &self.services.parts.storage;
        let begin = |isolation: Isolation| Transaction::new(storage.begin(core, isolation));
        let open = self.block.open().expect("the block is explicit");
        open.set_modes(modes, begin)
    }

    fn set_characteristics(&mut self, modes: ModesGiven) -> Result<(), Diagnostic> {
        self.open()?;
        if let Some(isolation) = modes.isolation {
            let text = isolation.as_str();
            let name = "default_transaction_isolation";
            self.settings.set(name, Some(text), Scope::Session)?;
        }
        if let Some(access) = modes.access {
            let text = match access {
                Access::ReadOnly => "on",
                Access::ReadWrite => "off",
            };
            let name = "default_transaction_read_only";
            self.settings.set(name, Some(text), Scope::Session)?;
        }
        Ok(())
    }

    async fn discard(&mut self, what: Discard) -> Result<&'static str, Diagnostic> {
        match what {
            Discard::All => {
                if !matches!(self.block, Block::None) {
                    return Err(not_in_a_block("DISCARD ALL"));
                }
                self.settings.reset_all();
                self.named = Default::default();
                self.keep_listening();
                self.effects = None;
                self.discard_temporary().await?;
            }
            Discard::Sequences => {
                if let Some(effects) = &self.effects {
                    *effects.sequences.lock() = Default::default();
                }
            }
            Discard::Temporary => self.discard_temporary().await?,
            // Plans are made anew whenever they must be.
            Discard::Plans => {}
        }
        Ok(what.tag())
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<&'static str, Diagnostic> {
        match name {
            None => {
                self.named.clear_statements();
                Ok("DEALLOCATE ALL")
            }
            Some(name) => {
                self.named.statement(name)?;
                self.named.remove_statement(name);
                Ok("DEALLOCATE")
            }
        }
    }

    fn close_cursor(&mut self, name: Option<&str>) -> Result<&'static str, Diagnostic> {
        match name {
            None => {
                self.named.clear_portals();
                Ok("CLOSE CURSOR ALL")
            }
            Some(name) if self.named.remove_portal(name) => Ok("CLOSE CURSOR"),
            Some(name) => Err(Diagnostic::error(
                SqlState::INVALID_CURSOR_NAME,
                format!("cursor \"{name}\" does not exist"),
            )),
        }
    }

    fn warn_no_transaction(&mut self) {
        self.warn(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            "there is no transaction in progress",
        );
    }

    pub(super) fn warn(&mut self, sqlstate: SqlState, message: &str) {
        self.notices
            .push(Diagnostic::new(Severity::Warning, sqlstate, message));
    }
}

/// READ ONLY or READ WRITE, from a Boolean setting.
pub(super) fn access_of(read_only: &str) -> Access {
    match read_only {
        "on" => Access::ReadOnly,
        _ => Access::ReadWrite,
    }
}

/// COMMIT of a transaction with definitions: whoever they name is held, then they are made durable,
/// published and adopted everywhere.
///
/// In a task of its own, because a session that goes away in between must not leave definitions
/// durable that nobody has been told of.
/// Commits a transaction that has changed definitions, and publishes them.
pub(super) async fn commit_definitions(
    transaction: Transaction,
    control: ControlHandle,
    caller: Caller,
) -> Result<Vec<Diagnostic>, Diagnostic> {
    let (sender, receiver) = oneshot::channel();
    shards::spawn(async move {
        // Nobody listens any more when the session has gone; the definitions stand all the same.
        let _ = sender.send(held_commit(transaction, control, caller).await);
    });
    receiver
        .await
        .unwrap_or_else(|_| Err(Diagnostic::internal("the commit was abandoned")))
}

async fn held_commit(
    mut transaction: Transaction,
    control: ControlHandle,
    caller: Caller,
) -> Result<Vec<Diagnostic>, Diagnostic> {
    let held = transaction.named_principals();
    control
        .execute(caller.clone(), Request::HoldPrincipals(held.clone()))
        .await?;
    let committed = transaction.commit().await;
    let (changes, failure) = match committed {
        Ok(changes) => (changes, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let published = control
        .execute(caller, Request::PublishDefinitions { changes, held })
        .await;
    match failure {
        Some(error) => Err(error),
        None => published.map(|reply| reply.notices),
    }
}
