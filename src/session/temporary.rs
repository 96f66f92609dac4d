//! The session's temporary tables: what COMMIT does to them, DISCARD TEMP, and their end with the session.

use super::Session;
use super::control::commit_definitions;
use super::run::interruptible;
use super::transaction::{Access, Block, Level, Modes};
use crate::diagnostic::Diagnostic;
use crate::engine::context::{CancelFlag, StatementContext};
use crate::engine::definitions::temporary;
use std::pin::pin;

impl Session {
    /// Before a transaction is made durable: ON COMMIT DROP and DELETE ROWS. Costs nothing in a session that
    /// has made no temporary table.
    ///
    /// # Errors
    /// What storage gives; the transaction is then to be rolled back.
    pub(super) async fn end_temporary(&mut self) -> Result<(), Diagnostic> {
        let Some(open) = self.block.open() else {
            return Ok(());
        };
        self.temporary |= open.transaction.makes_temporary();
        if !self.temporary {
            return Ok(());
        }
        let context = self.begin_uncounted_statement()?;
        let handle = self.entry.clone();
        let engine = self.services.parts.engine.clone();
        let open = self.block.open().expect("it was there a line ago");
        open.transaction.storage.begin_statement()?;
        let ended = temporary::end_transaction(&engine, &mut open.transaction, &context);
        let outcome = interruptible(&handle, pin!(ended)).await;
        self.tellable(outcome).await?;
        self.end_statement();
        Ok(())
    }

    /// DISCARD TEMP.
    ///
    /// # Errors
    /// What storage gives.
    pub(super) async fn discard_temporary(&mut self) -> Result<(), Diagnostic> {
        if let Some(open) = self.block.open() {
            self.temporary |= open.transaction.makes_temporary();
        }
        if !self.temporary {
            return Ok(());
        }
        let context = self.begin_engine_statement()?;
        let handle = self.entry.clone();
        let engine = self.services.parts.engine.clone();
        let open = self.block.open().expect("the statement opened it");
        open.statement_ran();
        open.transaction.storage.begin_statement()?;
        let discarded = temporary::discard(&engine, &mut open.transaction, &context);
        let outcome = interruptible(&handle, pin!(discarded)).await;
        self.tellable(outcome).await?;
        self.end_statement();
        Ok(())
    }

    /// At the session's end, when nothing is open any more: its temporary tables go. What cannot be done now is done
    /// at the server's next start.
    pub async fn leave_nothing(&mut self) {
        if !self.temporary {
            return;
        }
        self.temporary = false;
        if let Err(error) = Box::pin(self.drop_temporary()).await {
            let error = error.message();
            tracing::warn!(error, "a session's temporary tables were not dropped");
        }
    }

    async fn drop_temporary(&mut self) -> Result<(), Diagnostic> {
        let modes = Modes {
            isolation: Level::ReadCommitted,
            access: Access::ReadWrite,
        };
        self.block = Block::Implicit(Box::new(self.new_transaction(modes)));
        let snapshot = self.services.parts.catalog.current().snapshot().clone();
        let context = StatementContext {
            // The session's own says by now that it has ended.
            cancel: CancelFlag::default(),
            ..self.context(snapshot)
        };
        let engine = self.services.parts.engine.clone();
        let Block::Implicit(open) = std::mem::replace(&mut self.block, Block::None) else {
            return Ok(());
        };
        let mut transaction = open.transaction;
        transaction.storage.begin_statement()?;
        temporary::discard(&engine, &mut transaction, &context).await?;
        transaction.storage.end_statement();
        let control = self.services.parts.control.clone();
        commit_definitions(transaction, control, self.caller()).await?;
        Ok(())
    }
}
