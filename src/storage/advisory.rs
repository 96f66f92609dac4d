//! Advisory locks: what sessions agree to lock, which stands for nothing in the store.
//!
//! A session holds them under a number of its own, whichever transaction asks, so that it never
//! stands in its own way; the lock table knows which transaction is the session's now, for the
//! deadlock search. How often each was taken is counted here: for the session until it unlocks
//! or ends, for the transaction until that ends or comes back to a savepoint.
//!
//! Source: PostgreSQL 15, §13.3.5 "Advisory Locks" and §9.27.10.

use super::error::StorageError;
use super::lock_mode::Mode;
use super::lock_table::{Attempt, LockKey, Patience};
use super::store::{CoreStore, Storage};
use super::transaction::TransactionId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Keys that one session may hold at once.
pub const ADVISORY_LOCKS_MAX: usize = 1 << 16;

/// What is locked: PostgreSQL's key space of one bigint, or that of two ints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdvisoryKey {
    /// The database; each has keys of its own.
    pub database: u32,
    /// pg_locks.classid: the upper half of a bigint, or the first int.
    pub class: u32,
    /// pg_locks.objid: the lower half, or the second.
    pub object: u32,
    /// pg_locks.objsubid: 1 of a bigint, 2 of two ints.
    pub space: u8,
}

/// Whether others may hold it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdvisoryMode {
    /// With others that share it.
    Shared,
    /// Alone.
    Exclusive,
}

/// How long it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdvisoryScope {
    /// Until it is unlocked as often as it was locked, or the session ends.
    Session,
    /// Until the transaction ends.
    Transaction,
}

/// One lock, for pg_locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedAdvisory {
    /// What.
    pub key: AdvisoryKey,
    /// pg_backend_pid() of whoever holds it or waits for it.
    pub pid: i32,
    /// How.
    pub mode: AdvisoryMode,
    /// Whether it is held.
    pub granted: bool,
}

/// The advisory locks of one session. Dropped, it releases them.
pub struct AdvisoryLocks {
    core: Arc<CoreStore>,
    owner: TransactionId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: HashMap<AdvisoryKey, Counts>,
    /// What the transaction has taken, in order.
    of_transaction: Vec<(AdvisoryKey, AdvisoryMode)>,
    /// Waited for ahead of the statement that takes it.
    reserved: Option<(AdvisoryKey, AdvisoryMode)>,
    transaction: Option<TransactionId>,
}

/// How often a key is held, shared and alone.
#[derive(Clone, Copy, Default)]
struct Counts {
    session: [u64; 2],
    transaction: [bool; 2],
}

impl Counts {
    fn holds(&self, mode: AdvisoryMode) -> bool {
        self.session[mode as usize] > 0 || self.transaction[mode as usize]
    }

    /// The mode in which the table has to hold it.
    fn strongest(&self) -> Option<AdvisoryMode> {
        [AdvisoryMode::Exclusive, AdvisoryMode::Shared]
            .into_iter()
            .find(|mode| self.holds(*mode))
    }
}

impl Storage {
    /// The advisory locks of a session; none yet.
    pub fn advisory_locks(&self, pid: i32) -> AdvisoryLocks {
        // Seldom made: whose count of transactions gives their number is no matter.
        let core = self.first_core().clone();
        let owner = core.next_transaction();
        core.shared.locks.add_owner(owner, pid);
        AdvisoryLocks {
            core,
            owner,
            state: Mutex::default(),
        }
    }

    /// The advisory locks that are held and waited for in a database, in order.
    pub fn list_advisory(&self, database: u32) -> Vec<ListedAdvisory> {
        let mut listed = self.shared().locks.advisory(database);
        listed.sort_unstable();
        listed
    }
}

impl AdvisoryLocks {
    /// The transaction that the session runs now: who waits for it waits for the session.
    pub fn set_transaction(&self, transaction: TransactionId) {
        let mut state = self.state.lock();
        if state.transaction.replace(transaction) != Some(transaction) {
            let locks = &self.core.shared.locks;
            locks.set_transaction(self.owner, transaction);
        }
    }

    /// Takes a lock if nobody is in the way; whether it is held now.
    ///
    /// # Errors
    /// 53200 past [`ADVISORY_LOCKS_MAX`].
    pub fn try_lock(
        &self,
        key: AdvisoryKey,
        mode: AdvisoryMode,
        scope: AdvisoryScope,
    ) -> Result<bool, StorageError> {
        let mut state = self.state.lock();
        match self.attempt(&state, key, mode, Patience::None)? {
            Attempt::Held | Attempt::Granted { .. } => {
                state.count(key, mode, scope);
                Ok(true)
            }
            Attempt::Busy => Ok(false),
            Attempt::Queued(_) => unreachable!("nobody waits who has no patience"),
        }
    }

    /// Takes a lock; waits for whoever is in the way, at most for the timeout. Whether it is still
    /// wanted is asked once it is there.
    ///
    /// # Errors
    /// 55P03 after the timeout, 40P01, 57014 where it is wanted no more, 53200 past
    /// [`ADVISORY_LOCKS_MAX`].
    pub async fn lock(
        &self,
        key: AdvisoryKey,
        mode: AdvisoryMode,
        scope: AdvisoryScope,
        timeout: Option<Duration>,
        still_wanted: impl Fn() -> bool,
    ) -> Result<(), StorageError> {
        self.wait(key, mode, timeout).await?;
        let mut state = self.state.lock();
        if !still_wanted() {
            self.loosen(&state, key, mode);
            return Err(StorageError::WaitCancelled);
        }
        state.count(key, mode, scope);
        Ok(())
    }

    /// Waits for a lock that the statement to come will take, so that it need not wait on the
    /// query pool. What it does not take is released by [`AdvisoryLocks::settle`].
    ///
    /// # Errors
    /// As [`AdvisoryLocks::lock`].
    pub async fn reserve(
        &self,
        key: AdvisoryKey,
        mode: AdvisoryMode,
        timeout: Option<Duration>,
    ) -> Result<(), StorageError> {
        self.settle();
        self.wait(key, mode, timeout).await?;
        self.state.lock().reserved = Some((key, mode));
        Ok(())
    }

    /// The statement has ended: what was reserved for it and not taken is released.
    pub fn settle(&self) {
        let mut state = self.state.lock();
        if let Some((key, mode)) = state.reserved.take() {
            self.loosen(&state, key, mode);
        }
    }

    async fn wait(
        &self,
        key: AdvisoryKey,
        mode: AdvisoryMode,
        timeout: Option<Duration>,
    ) -> Result<(), StorageError> {
        let attempt = {
            let state = self.state.lock();
            self.attempt(&state, key, mode, Patience::Wait(timeout))?
        };
        match attempt {
            Attempt::Queued(wait) => wait.await,
            Attempt::Held | Attempt::Granted { .. } => Ok(()),
            Attempt::Busy => Err(StorageError::LockNotAvailable),
        }
    }

    fn attempt(
        &self,
        state: &State,
        key: AdvisoryKey,
        mode: AdvisoryMode,
        patience: Patience,
    ) -> Result<Attempt, StorageError> {
        if state.held.len() >= ADVISORY_LOCKS_MAX && !state.held.contains_key(&key) {
            return Err(StorageError::TooManyAdvisoryLocks);
        }
        let locks = &self.core.shared.locks;
        let key = locks.hashed(LockKey::Advisory(key));
        Ok(locks.acquire(&key, self.owner, Mode::Advisory(mode), patience))
    }

    /// Unlocks what the session has locked, once; whether it had.
    pub fn unlock(&self, key: AdvisoryKey, mode: AdvisoryMode) -> bool {
        let mut state = self.state.lock();
        let Some(counts) = state.held.get_mut(&key) else {
            return false;
        };
        let count = &mut counts.session[mode as usize];
        if *count == 0 {
            return false;
        }
        *count -= 1;
        if *count == 0 {
            self.loosen(&state, key, mode);
            state.forget_unheld(key);
        }
        true
    }

    /// Unlocks all that the session has locked.
    pub fn unlock_all(&self) {
        let mut state = self.state.lock();
        let keys: Vec<AdvisoryKey> = state.held.keys().copied().collect();
        for key in keys {
            if let Some(counts) = state.held.get_mut(&key) {
                counts.session = [0; 2];
            }
            self.loosen(&state, key, AdvisoryMode::Exclusive);
            state.forget_unheld(key);
        }
    }

    /// How much the transaction has locked.
    pub fn mark(&self) -> usize {
        self.state.lock().of_transaction.len()
    }

    /// Unlocks what the transaction has locked since; 0: all, at its end.
    pub fn release_since(&self, mark: usize) {
        let mut state = self.state.lock();
        while state.of_transaction.len() > mark {
            let Some((key, mode)) = state.of_transaction.pop() else {
                return;
            };
            if let Some(counts) = state.held.get_mut(&key) {
                counts.transaction[mode as usize] = false;
            }
            self.loosen(&state, key, mode);
            state.forget_unheld(key);
        }
    }

    /// Has the table hold a key no more strongly than it is counted. `mode` is the strongest in
    /// which it may be held there.
    fn loosen(&self, state: &State, key: AdvisoryKey, mode: AdvisoryMode) {
        let left = state.held.get(&key).and_then(Counts::strongest);
        if left.is_some_and(|left| left >= mode) {
            return;
        }
        let locks = &self.core.shared.locks;
        let key = locks.hashed(LockKey::Advisory(key));
        locks.release(&key, self.owner, left.map(Mode::Advisory));
    }
}

impl State {
    fn count(&mut self, key: AdvisoryKey, mode: AdvisoryMode, scope: AdvisoryScope) {
        let counts = self.held.entry(key).or_default();
        match scope {
            AdvisoryScope::Session => counts.session[mode as usize] += 1,
            AdvisoryScope::Transaction => {
                let held = &mut counts.transaction[mode as usize];
                if !*held {
                    *held = true;
                    self.of_transaction.push((key, mode));
                }
            }
        }
    }

    fn forget_unheld(&mut self, key: AdvisoryKey) {
        let held = self.held.get(&key);
        if held.is_some_and(|counts| counts.strongest().is_none()) {
            self.held.remove(&key);
        }
    }
}

impl Drop for AdvisoryLocks {
    fn drop(&mut self) {
        self.settle();
        self.release_since(0);
        self.unlock_all();
        self.core.shared.locks.remove_owner(self.owner);
    }
}
