//! The lock table: who holds which row lock or relation use, and who waits for it.
//!
//! Sharded; a shard's mutex is held for one look-up. A wait is a future that is woken by whoever lets
//! it go on: a release, the deadlock search, a timeout, a cancel. First come, first served, but for a
//! holder that wants a stronger mode, which goes first (behind it nobody else could get anywhere).
//!
//! Advisory locks have a shard of their own: they are few, and listed. A row's key lives in the shard of its hash. The uses of a relation lie in the shard of a core:
//! light ones (reading, writing) on the transaction's own core alone, heavy ones (a definition's
//! change, an index build) on every core, in ascending order. So a light use touches nothing that
//! other cores touch.

use super::advisory::{AdvisoryKey, ListedAdvisory};
use super::error::StorageError;
use super::lock_mode::Mode;
use super::owners::Owners;
use super::transaction::TransactionId;
use crate::catalog::Oid;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Shards of row locks.
const ROW_SHARDS: usize = 64;

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum LockKey {
    /// A stored key.
    Row(Arc<[u8]>),
    /// A relation, as one core's transactions use it.
    Use {
        /// The core.
        core: usize,
        /// The relation.
        relation: Oid,
    },
    /// What sessions have agreed on.
    Advisory(AdvisoryKey),
}

/// A key with its hash, which is worked out once for taking a lock and letting it go.
#[derive(Clone, Debug)]
pub(super) struct Hashed {
    hash: u64,
    key: LockKey,
}

impl Hashed {
    /// What the lock is on.
    pub(super) fn key(&self) -> &LockKey {
        &self.key
    }
}

impl PartialEq for Hashed {
    fn eq(&self, other: &Hashed) -> bool {
        if self.hash != other.hash {
            return false;
        }
        match (&self.key, &other.key) {
            // Whoever lets a lock go mostly has the very key.
            (LockKey::Row(mine), LockKey::Row(theirs)) => {
                Arc::ptr_eq(mine, theirs) || mine == theirs
            }
            (mine, theirs) => mine == theirs,
        }
    }
}

impl Eq for Hashed {}

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes a [`Hashed`]'s hash as it is: it was made by a keyed hasher.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key gives its hash as one number");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The locks of the store.
pub(super) struct LockTable {
    rows: Vec<Mutex<Shard>>,
    uses: Vec<Mutex<Shard>>,
    advisory: Mutex<Shard>,
    owners: Mutex<Owners>,
    hasher: RandomState,
    /// Who waits, for the deadlock search and timeouts.
    waiting: Mutex<HashMap<TransactionId, Arc<Waiter>>>,
}

pub(super) type Shard = HashMap<Hashed, Entry, BuildHasherDefault<AsItIs>>;

/// One lock. Small, for a bulk load has one for each row: of almost all there is one holder and nobody waits.
#[derive(Default)]
pub(super) struct Entry {
    holder: Option<(TransactionId, Mode)>,
    crowd: Option<Box<Crowd>>,
}

/// Who else there is at a lock.
#[derive(Default)]
struct Crowd {
    holders: Vec<(TransactionId, Mode)>,
    queue: VecDeque<Arc<Waiter>>,
}

/// A transaction that waits for a lock.
pub(super) struct Waiter {
    pub(super) transaction: TransactionId,
    pub(super) key: Hashed,
    pub(super) mode: Mode,
    pub(super) since: Instant,
    pub(super) timeout: Option<Duration>,
    /// What it holds on the same key already, to return to when the lock is released.
    held: Option<Mode>,
    /// Deadlock searches made for it.
    pub(super) searches: AtomicU32,
    state: Mutex<WaitState>,
}

#[derive(Default)]
struct WaitState {
    outcome: Option<Result<(), StorageError>>,
    waker: Option<Waker>,
}

/// What came of asking at once.
pub(super) enum Attempt {
    /// Held before in this mode or a stronger one; nothing to release.
    Held,
    /// Granted; release it to `previous`.
    Granted {
        /// The weaker mode held before, if any.
        previous: Option<Mode>,
    },
    /// Somebody else's, and waiting was not asked for.
    Busy,
    /// In the queue.
    Queued(Wait),
}

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// For ever, or for so long.
    Wait(Option<Duration>),
}

impl Entry {
    fn holders(&self) -> impl Iterator<Item = (TransactionId, Mode)> + '_ {
        let others = self.crowd.iter().flat_map(|crowd| &crowd.holders);
        self.holder.iter().chain(others).copied()
    }

    fn queue(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.crowd.iter().flat_map(|crowd| &crowd.queue)
    }

    fn crowd_mut(&mut self) -> &mut Crowd {
        self.crowd.get_or_insert_default()
    }

    fn held_by(&self, transaction: TransactionId) -> Option<Mode> {
        let mut holders = self.holders();
        holders
            .find(|(holder, _)| *holder == transaction)
            .map(|(_, mode)| mode)
    }

    fn is_blocked(&self, transaction: TransactionId, mode: Mode) -> bool {
        let mut holders = self.holders();
        holders.any(|(holder, held)| holder != transaction && mode.conflicts_with(held))
    }

    fn hold(&mut self, transaction: TransactionId, mode: Mode) {
        let others = self.crowd.iter_mut().flat_map(|crowd| &mut crowd.holders);
        let mut holders = self.holder.iter_mut().chain(others);
        if let Some((_, held)) = holders.find(|(holder, _)| *holder == transaction) {
            *held = mode;
        } else if self.holder.is_none() {
            self.holder = Some((transaction, mode));
        } else {
            self.crowd_mut().holders.push((transaction, mode));
        }
    }

    fn unhold(&mut self, transaction: TransactionId, previous: Option<Mode>) {
        if let Some(mode) = previous {
            if self.held_by(transaction).is_some() {
                self.hold(transaction, mode);
            }
            return;
        }
        if self.holder.is_some_and(|(holder, _)| holder == transaction) {
            self.holder = None;
            return;
        }
        let Some(crowd) = &mut self.crowd else {
            return;
        };
        // The last to come is mostly the first to go.
        let mut holders = crowd.holders.iter();
        if let Some(place) = holders.rposition(|(holder, _)| *holder == transaction) {
            crowd.holders.swap_remove(place);
        }
    }

    /// Lets those in the queue go on that nothing stands before any more.
    fn grant(&mut self, woken: &mut Vec<Arc<Waiter>>) {
        let (mut ahead, mut at) = (0, 0);
        while let Some(waiter) = self.crowd.as_ref().and_then(|crowd| crowd.queue.get(at)) {
            let blocked = waiter.mode.conflicts() & ahead != 0
                || self.is_blocked(waiter.transaction, waiter.mode);
            if blocked {
                ahead |= waiter.mode.bit();
                at += 1;
                continue;
            }
            let waiter = self.crowd_mut().queue.remove(at);
            let waiter = waiter.expect("within the queue's length");
            self.hold(waiter.transaction, waiter.mode);
            woken.push(waiter);
        }
    }

    /// Takes a waiter out of the queue; whether it was in it.
    fn leave(&mut self, waiter: &Arc<Waiter>) -> bool {
        let place = self.queue().position(|other| Arc::ptr_eq(other, waiter));
        place.is_some_and(|place| self.crowd_mut().queue.remove(place).is_some())
    }

    fn is_unused(&self) -> bool {
        self.holders().next().is_none() && self.queue().next().is_none()
    }

    /// Whom a waiter of this lock waits for: conflicting holders, and those ahead of it in the queue.
    /// Nobody, when it has been granted and only not been told yet.
    fn blockers(&self, waiter: &Waiter, into: &mut Vec<TransactionId>) {
        let mut queue = self.queue();
        let Some(place) = queue.position(|other| std::ptr::eq(other.as_ref(), waiter)) else {
            return;
        };
        let ahead = self.queue().take(place);
        let ahead = ahead.map(|other| (other.transaction, other.mode));
        for (other, mode) in self.holders().chain(ahead) {
            if other != waiter.transaction && waiter.mode.conflicts_with(mode) {
                into.push(other);
            }
        }
    }
}

/// The shard of a row; by other bits than those that its map looks at first.
fn row_shard(hash: u64) -> usize {
    (hash >> 32) as usize % ROW_SHARDS
}

impl Waiter {
    /// Ends the wait; the first to do so decides. Returns whether this one did.
    fn finish(&self, outcome: Result<(), StorageError>) -> bool {
        let mut state = self.state.lock();
        if state.outcome.is_some() {
            return false;
        }
        state.outcome = Some(outcome);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl LockTable {
    pub(super) fn new(cores: usize) -> LockTable {
        let shards = |count| (0..count).map(|_| Mutex::new(Shard::default())).collect();
        LockTable {
            rows: shards(ROW_SHARDS),
            uses: shards(cores),
            advisory: Mutex::default(),
            owners: Mutex::default(),
            hasher: RandomState::new(),
            waiting: Mutex::new(HashMap::new()),
        }
    }

    /// A key as the table looks for it.
    pub(super) fn hashed(&self, key: LockKey) -> Hashed {
        Hashed {
            hash: self.hasher.hash_one(&key),
            key,
        }
    }

    fn shard(&self, key: &Hashed) -> &Mutex<Shard> {
        match &key.key {
            LockKey::Row(_) => &self.rows[row_shard(key.hash)],
            LockKey::Use { core, .. } => &self.uses[*core],
            LockKey::Advisory(_) => &self.advisory,
        }
    }

    /// How many cores' uses there are.
    pub(super) fn cores(&self) -> usize {
        self.uses.len()
    }

    /// Asks for a lock.
    pub(super) fn acquire(
        self: &Arc<Self>,
        key: &Hashed,
        transaction: TransactionId,
        mode: Mode,
        patience: Patience,
    ) -> Attempt {
        let mut shard = self.shard(key).lock();
        let entry = shard.entry(key.clone()).or_default();
        let held = entry.held_by(transaction);
        if held.is_some_and(|held| held >= mode) {
            return Attempt::Held;
        }
        let behind = held.is_none() && entry.queue().any(|w| mode.conflicts_with(w.mode));
        if !behind && !entry.is_blocked(transaction, mode) {
            entry.hold(transaction, mode);
            return Attempt::Granted { previous: held };
        }
        let Patience::Wait(timeout) = patience else {
            return Attempt::Busy;
        };
        let waiter = Arc::new(Waiter {
            transaction,
            key: key.clone(),
            mode,
            since: Instant::now(),
            timeout,
            held,
            searches: AtomicU32::new(0),
            state: Mutex::default(),
        });
        let queue = &mut entry.crowd_mut().queue;
        match held {
            Some(_) => queue.push_front(waiter.clone()),
            None => queue.push_back(waiter.clone()),
        }
        // While the shard is locked, so that the search never meets a queue of strangers.
        self.waiting.lock().insert(transaction, waiter.clone());
        Attempt::Queued(Wait {
            table: self.clone(),
            waiter,
            taken: false,
        })
    }

    /// Releases a lock, or returns to a weaker mode.
    pub(super) fn release(&self, key: &Hashed, transaction: TransactionId, previous: Option<Mode>) {
        let mut woken = Vec::new();
        {
            let mut shard = self.shard(key).lock();
            let Some(entry) = shard.get_mut(key) else {
                return;
            };
            entry.unhold(transaction, previous);
            entry.grant(&mut woken);
            if entry.is_unused() {
                shard.remove(key);
            }
        }
        self.wake(woken);
    }

    fn wake(&self, granted: Vec<Arc<Waiter>>) {
        for waiter in granted {
            self.unlist(&waiter);
            waiter.finish(Ok(()));
        }
    }

    /// Strikes a wait off the list, unless its transaction has begun another one since.
    fn unlist(&self, waiter: &Arc<Waiter>) {
        let mut waiting = self.waiting.lock();
        let listed = waiting.get(&waiter.transaction);
        if listed.is_some_and(|listed| Arc::ptr_eq(listed, waiter)) {
            waiting.remove(&waiter.transaction);
        }
    }

    /// Takes a waiter out of its queue with an error; nothing happens when it was granted before.
    pub(super) fn give_up(&self, waiter: &Arc<Waiter>, error: StorageError) {
        if self.leave(waiter) {
            waiter.finish(Err(error));
        }
    }

    /// Takes a waiter out of its queue; whether it was still in it.
    fn leave(&self, waiter: &Arc<Waiter>) -> bool {
        let mut woken = Vec::new();
        let left = {
            let mut shard = self.shard(&waiter.key).lock();
            let Some(entry) = shard.get_mut(&waiter.key) else {
                return false;
            };
            if !entry.leave(waiter) {
                return false;
            }
            entry.grant(&mut woken);
            if entry.is_unused() {
                shard.remove(&waiter.key);
            }
            self.unlist(waiter);
            true
        };
        self.wake(woken);
        left
    }

    /// The waits under way.
    pub(super) fn waits(&self) -> Vec<Arc<Waiter>> {
        self.waiting.lock().values().cloned().collect()
    }

    /// The wait of a transaction.
    pub(super) fn wait_of(&self, transaction: TransactionId) -> Option<Arc<Waiter>> {
        self.waiting.lock().get(&transaction).cloned()
    }

    /// How many keys are locked.
    pub(super) fn len(&self) -> usize {
        self.rows
            .iter()
            .chain(&self.uses)
            .chain([&self.advisory])
            .map(|shard| shard.lock().len())
            .sum()
    }

    /// A session holds advisory locks by this number from here on.
    pub(super) fn add_owner(&self, owner: TransactionId, pid: i32) {
        self.owners.lock().add(owner, pid);
    }

    /// Its number is used no more.
    pub(super) fn remove_owner(&self, owner: TransactionId) {
        self.owners.lock().remove(owner);
    }

    /// The transaction that it runs now.
    pub(super) fn set_transaction(&self, owner: TransactionId, transaction: TransactionId) {
        self.owners.lock().set_transaction(owner, transaction);
    }

    /// The advisory locks of a database, held and waited for.
    pub(super) fn advisory(&self, database: u32) -> Vec<ListedAdvisory> {
        let shard = self.advisory.lock();
        let owners = self.owners.lock();
        let mut listed = Vec::new();
        for (key, entry) in shard.iter() {
            let LockKey::Advisory(key) = key.key() else {
                continue;
            };
            if key.database != database {
                continue;
            }
            let holders = entry.holders();
            let holders = holders.map(|(holder, mode)| (holder, mode, true));
            let queue = entry
                .queue()
                .map(|waiter| (waiter.transaction, waiter.mode, false));
            for (owner, mode, granted) in holders.chain(queue) {
                if let (Mode::Advisory(mode), Some(pid)) = (mode, owners.pid(owner)) {
                    listed.push(ListedAdvisory {
                        key: *key,
                        pid,
                        mode,
                        granted,
                    });
                }
            }
        }
        listed
    }

    /// Everything at one moment, for the deadlock search.
    pub(super) fn freeze(&self) -> Frozen<'_> {
        // Ascending order; nobody else holds two shards at a time.
        let rows = self.rows.iter().map(Mutex::lock).collect();
        let uses = self.uses.iter().map(Mutex::lock).collect();
        Frozen {
            rows,
            uses,
            advisory: self.advisory.lock(),
            owners: self.owners.lock(),
            waiting: self.waiting.lock(),
        }
    }
}

/// The whole table, locked.
pub(super) struct Frozen<'t> {
    rows: Vec<MutexGuard<'t, Shard>>,
    uses: Vec<MutexGuard<'t, Shard>>,
    advisory: MutexGuard<'t, Shard>,
    owners: MutexGuard<'t, Owners>,
    waiting: MutexGuard<'t, HashMap<TransactionId, Arc<Waiter>>>,
}

impl Frozen<'_> {
    /// The wait of a transaction, or of the session whose transaction it is.
    pub(super) fn wait_of(&self, transaction: TransactionId) -> Option<&Arc<Waiter>> {
        let own = self.waiting.get(&transaction);
        own.or_else(|| self.waiting.get(&self.owners.other(transaction)?))
    }

    /// Whether the two are one, or a session and its transaction.
    pub(super) fn is_same(&self, one: TransactionId, other: TransactionId) -> bool {
        one == other || self.owners.other(one) == Some(other)
    }

    /// Whom it waits for.
    pub(super) fn blockers(&self, waiter: &Waiter) -> Vec<TransactionId> {
        let shard = match waiter.key.key() {
            LockKey::Row(_) => &self.rows[row_shard(waiter.key.hash)],
            LockKey::Use { core, .. } => &self.uses[*core],
            LockKey::Advisory(_) => &self.advisory,
        };
        let mut blockers = Vec::new();
        if let Some(entry) = shard.get(&waiter.key) {
            entry.blockers(waiter, &mut blockers);
        }
        blockers
    }
}

/// A place in a lock's queue. Ready when granted or refused; dropped before, it leaves the queue, and
/// a grant that nobody took is released.
pub(super) struct Wait {
    table: Arc<LockTable>,
    waiter: Arc<Waiter>,
    taken: bool,
}

impl Wait {
    /// What to return to when the lock is released.
    pub(super) fn previous(&self) -> Option<Mode> {
        self.waiter.held
    }
}

impl Future for Wait {
    type Output = Result<(), StorageError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = {
            let mut state = self.waiter.state.lock();
            match &state.outcome {
                Some(outcome) => outcome.clone(),
                None => {
                    match &mut state.waker {
                        Some(waker) => waker.clone_from(context.waker()),
                        None => state.waker = Some(context.waker().clone()),
                    }
                    return Poll::Pending;
                }
            }
        };
        self.taken = true;
        Poll::Ready(outcome)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.taken || self.table.leave(&self.waiter) {
            return;
        }
        // Not in the queue any more: granted (or refused) just now, and nobody will look. A grant is
        // held already before `finish` tells of it, so a release is due unless it was refused.
        let refused = matches!(self.waiter.state.lock().outcome, Some(Err(_)));
        if !refused {
            self.table
                .release(&self.waiter.key, self.waiter.transaction, self.waiter.held);
        }
    }
}
