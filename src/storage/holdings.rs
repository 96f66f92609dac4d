//! What a transaction holds: row locks and relation uses. Dropping the holdings releases them.

use super::error::StorageError;
use super::lock_mode::{LockMode, Mode, Use};
use super::lock_table::{Attempt, Hashed, LockKey, Patience};
use super::store::CoreStore;
use super::transaction::TransactionId;
use crate::catalog::Oid;
use std::sync::Arc;

/// A lock and what to return to when it is released.
struct Held {
    key: Hashed,
    previous: Option<Mode>,
}

/// What a row lock costs besides its key: two references, an entry, a holder.
const LOCK_BYTES: usize = 160;

/// Locks of one kind (rows, or uses) of one transaction.
pub(super) struct Holdings {
    /// Whose lock table it is; by the core's own handle, so that cores share no reference count.
    /// None until the first lock.
    owner: Option<Arc<CoreStore>>,
    transaction: TransactionId,
    held: Vec<Held>,
    bytes: usize,
}

/// What came of asking for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acquired {
    /// It is held.
    Yes,
    /// It is held, and somebody else had to let it go first.
    AfterWaiting,
    /// Somebody else's, and waiting was not asked for.
    Busy,
}

impl Holdings {
    pub(super) fn new(transaction: TransactionId) -> Holdings {
        Holdings {
            owner: None,
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
        std::mem::replace(self, Holdings::new(self.transaction))
    }

    /// Locks a stored key.
    pub(super) async fn lock_row(
        &mut self,
        core: &Arc<CoreStore>,
        key: Arc<[u8]>,
        mode: LockMode,
        patience: Patience,
    ) -> Result<Acquired, StorageError> {
        let key = core.shared.locks.hashed(LockKey::Row(key));
        self.acquire(core, key, Mode::Row(mode), patience).await
    }

    /// Uses a relation: a light use on the transaction's own core, a heavy one on all.
    pub(super) async fn use_relation(
        &mut self,
        core: &Arc<CoreStore>,
        relation: Oid,
        how: Use,
        patience: Patience,
    ) -> Result<Acquired, StorageError> {
        let mark = self.len();
        let mut outcome = Acquired::Yes;
        let used_on = match how.is_on_every_core() {
            true => 0..core.shared.locks.cores(),
            false => core.core..core.core + 1,
        };
        for place in used_on {
            let key = core.shared.locks.hashed(LockKey::Use {
                core: place,
                relation,
            });
            match self.acquire(core, key, Mode::Use(how), patience).await {
                Ok(Acquired::Yes) => {}
                Ok(Acquired::AfterWaiting) => outcome = Acquired::AfterWaiting,
                refused @ (Ok(Acquired::Busy) | Err(_)) => {
                    self.release_since(mark);
                    return refused;
                }
            }
        }
        Ok(outcome)
    }

    async fn acquire(
        &mut self,
        core: &Arc<CoreStore>,
        key: Hashed,
        mode: Mode,
        patience: Patience,
    ) -> Result<Acquired, StorageError> {
        let locks = &core.shared.locks;
        let attempt = locks.acquire(&key, self.transaction, mode, patience);
        let (previous, acquired) = match attempt {
            Attempt::Held => return Ok(Acquired::Yes),
            Attempt::Busy => return Ok(Acquired::Busy),
            Attempt::Granted { previous } => (previous, Acquired::Yes),
            Attempt::Queued(wait) => {
                let previous = wait.previous();
                wait.await?;
                (previous, Acquired::AfterWaiting)
            }
        };
        if let LockKey::Row(bytes) = key.key() {
            self.bytes += bytes.len() + LOCK_BYTES;
        }
        self.owner.get_or_insert_with(|| core.clone());
        self.held.push(Held { key, previous });
        Ok(acquired)
    }

    /// Releases what was acquired after there were `mark` locks.
    pub(super) fn release_since(&mut self, mark: usize) {
        let Some(owner) = &self.owner else {
            return;
        };
        while self.held.len() > mark {
            let Some(Held { key, previous }) = self.held.pop() else {
                return;
            };
            if let LockKey::Row(bytes) = key.key() {
                self.bytes -= bytes.len() + LOCK_BYTES;
            }
            let locks = &owner.shared.locks;
            locks.release(&key, self.transaction, previous);
        }
    }
}

impl Drop for Holdings {
    fn drop(&mut self) {
        self.release_since(0);
    }
}
