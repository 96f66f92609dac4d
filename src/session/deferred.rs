//! Constraints that are checked when the transaction ends: SET CONSTRAINTS, and COMMIT's part.

use super::Session;
use super::run::interruptible;
use super::transaction::Block;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::deferred::Timing;
use crate::engine::dml::deferred::{self, Which};
use std::pin::pin;

impl Session {
    /// SET CONSTRAINTS. Outside a block it has nothing to be for, as in PostgreSQL.
    ///
    /// # Errors
    /// 42704, 42809, 3F000; 23503 where IMMEDIATE finds what does not hold.
    pub(super) async fn set_constraints(
        &mut self,
        which: &Which,
        timing: Timing,
    ) -> Result<(), Diagnostic> {
        if !matches!(self.block, Block::Explicit(_)) {
            self.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET CONSTRAINTS can only be used in transaction blocks",
            );
        }
        let context = self.begin_engine_statement()?;
        let handle = self.entry.clone();
        let storage = self.services.parts.storage.clone();
        let open = self.block.open().expect("the statement opened it");
        open.statement_ran();
        open.transaction.storage.begin_statement()?;
        let set = deferred::set(which, timing, &storage, &mut open.transaction, &context);
        let outcome = interruptible(&handle, pin!(set)).await;
        self.tellable(outcome).await?;
        self.end_statement();
        Ok(())
    }

    /// Before a transaction is made durable: what waits for its end is checked. Costs nothing where nothing does.
    ///
    /// # Errors
    /// 23503; the transaction is then to be rolled back.
    pub(super) async fn check_deferred(&mut self) -> Result<(), Diagnostic> {
        let effects = self.effects.as_ref();
        let nothing = effects.is_none_or(|effects| effects.deferred.lock().is_empty());
        if nothing || self.block.open().is_none() {
            return Ok(());
        }
        // It belongs to a transaction that has been counted.
        let context = self.begin_uncounted_statement()?;
        let handle = self.entry.clone();
        let storage = self.services.parts.storage.clone();
        let open = self.block.open().expect("it was there a line ago");
        open.transaction.storage.begin_statement()?;
        let check = deferred::check(None, &storage, &mut open.transaction, &context);
        let outcome = interruptible(&handle, pin!(check)).await;
        self.tellable(outcome).await?;
        self.end_statement();
        Ok(())
    }
}
