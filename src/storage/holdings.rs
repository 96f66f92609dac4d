//! What a transaction holds: row locks and relation uses. Dropping the holdings releases them.

use super::error::StorageError;
use super::lock_mode::{LockMode, Mode, Use};
use super::lock_table::{Attempt, LockKey, LockTable, Patience};
use super::transaction::TransactionId;
use crate::catalog::Oid;
use std::sync::Arc;

/// A lock and what to return to when it is released.
struct Held {
    key: LockKey,
    previous: Option<Mode>,
}

/// What a row lock costs besides its key: two references, an entry, a holder.
const LOCK_BYTES: usize = 160;

/// Locks of one kind (rows, or uses) of one transaction.
pub(super) struct Holdings {
    table: Arc<LockTable>,
    transaction: TransactionId,
    held: Vec<Held>,
    bytes: usize,
}

/// What came of asking for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acquired {
    /// It is held.
    Yes,
    /// Somebody else's, and waiting was not asked for.
    Busy,
}

impl Holdings {
    pub(super) fn new(table: Arc<LockTable>, transaction: TransactionId) -> Holdings {
        Holdings {
            table,
            transaction,
            held: Vec::new(),
            bytes: 0,
        }
    }

    /// How many locks are held.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// About what they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The holdings as they are, to be moved away; none are left here.
    pub(super) fn take(&mut self) -> Holdings {
        let empty = Holdings::new(self.table.clone(), self.transaction);
        std::mem::replace(self, empty)
    }

    /// Locks a stored key.
    pub(super) async fn lock_row(
        &mut self,
        key: &[u8],
        mode: LockMode,
        patience: Patience,
    ) -> Result<Acquired, StorageError> {
        let key = LockKey::Row(Arc::from(key));
        self.acquire(key, Mode::Row(mode), patience).await
    }

    /// Uses a relation: a light use on the transaction's own core, a heavy one on all.
    pub(super) async fn use_relation(
        &mut self,
        core: usize,
        relation: Oid,
        how: Use,
        patience: Patience,
    ) -> Result<Acquired, StorageError> {
        let mark = self.len();
        let cores = match how.is_on_every_core() {
            true => 0..self.table.cores(),
            false => core..core + 1,
        };
        for core in cores {
            let key = LockKey::Use { core, relation };
            let acquired = self.acquire(key, Mode::Use(how), patience).await;
            if !matches!(acquired, Ok(Acquired::Yes)) {
                self.release_since(mark);
                return acquired;
            }
        }
        Ok(Acquired::Yes)
    }

    async fn acquire(
        &mut self,
        key: LockKey,
        mode: Mode,
        patience: Patience,
    ) -> Result<Acquired, StorageError> {
        let attempt = self.table.acquire(&key, self.transaction, mode, patience);
        let previous = match attempt {
            Attempt::Held => return Ok(Acquired::Yes),
            Attempt::Busy => return Ok(Acquired::Busy),
            Attempt::Granted { previous } => previous,
            Attempt::Queued(wait) => {
                let previous = wait.previous();
                wait.await?;
                previous
            }
        };
        if let LockKey::Row(bytes) = &key {
            self.bytes += bytes.len() + LOCK_BYTES;
        }
        self.held.push(Held { key, previous });
        Ok(Acquired::Yes)
    }

    /// Releases what was acquired after there were `mark` locks.
    pub(super) fn release_since(&mut self, mark: usize) {
        while self.held.len() > mark {
            let Some(Held { key, previous }) = self.held.pop() else {
                return;
            };
            if let LockKey::Row(bytes) = &key {
                self.bytes -= bytes.len() + LOCK_BYTES;
            }
            self.table.release(&key, self.transaction, previous);
        }
    }
}

impl Drop for Holdings {
    fn drop(&mut self) {
        self.release_since(0);
    }
}
