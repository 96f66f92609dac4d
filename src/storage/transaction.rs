//! One transaction of a session: its snapshot, write set, locks, savepoints, and its end.

use super::commit_gate::Taken;
use super::error::StorageError;
use super::holdings::{Acquired, Holdings};
use super::keyspace::{KeyRange, StoreKey, split_value, store_key};
use super::lock_mode::{LockMode, Use};
use super::lock_table::Patience;
use super::made_relations::MadeRelations;
use super::options::Isolation;
use super::reader::{Parked, Reader};
use super::scan::{Direction, Scan};
use super::spill::WrittenRow;
use super::store::CoreStore;
use super::view::View;
use super::write_set::WriteSet;
use crate::catalog::{Oid, RelationId};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Locks or writes beyond which a rolled-back transaction is taken apart on the commit thread.
const DISMANTLED_HERE_MAX: usize = 1_024;

/// A transaction's number, unique while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// What is called when a commit is durable.
pub type WhenDurable = Box<dyn FnOnce() + Send>;

/// What to do when the lock is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWait {
    /// Wait.
    Block,
    /// NOWAIT: 55P03.
    NoWait,
    /// SKIP LOCKED: [`Locked::Skipped`].
    SkipLocked,
    /// Wait for so long (lock_timeout), then 55P03.
    Timeout(Duration),
}

impl LockWait {
    pub(super) fn patience(self) -> Patience {
        match self {
            LockWait::Block => Patience::Wait(None),
            LockWait::Timeout(time) => Patience::Wait(Some(time)),
            LockWait::NoWait | LockWait::SkipLocked => Patience::None,
        }
    }
}

/// What came of asking for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// The transaction holds it.
    Granted,
    /// Somebody else does, and SKIP LOCKED was asked for.
    Skipped,
}

/// How a relation came to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// At once: nobody was changing it, and since the use nobody can.
    AtOnce,
    /// Somebody had to end first, who may have changed its definition.
    AfterWaiting,
}

/// A point to roll back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(u64);

/// What a savepoint returns to.
struct SavepointState {
    savepoint: Savepoint,
    writes: WriteSet,
    row_locks: usize,
}

/// Whether the transaction can still do things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It can.
    Open,
    /// It was committed or rolled back, or is being committed.
    Ended,
}

/// One transaction. `Send`, not `Sync`.
///
/// Dropped without a commit it rolls back and releases everything, whatever state it is in.
pub struct Transaction {
    pub(super) core: Arc<CoreStore>,
    id: TransactionId,
    isolation: Isolation,
    pub(super) phase: Phase,
    /// The statement's snapshot.
    snapshot: Option<Arc<Reader>>,
    /// REPEATABLE READ: where the snapshot is between statements.
    parked: Option<Arc<Parked>>,
    pub(super) writes: WriteSet,
    pub(super) row_locks: Holdings,
    pub(super) uses: Holdings,
    /// Kept after the commit was ordered; the queue holds the other share.
    pub(super) committed_uses: Option<Arc<Holdings>>,
    savepoints: Vec<SavepointState>,
    savepoint_count: u64,
    pub(super) made: MadeRelations,
    pub(super) taken: Option<Taken>,
    /// Called when it is durable, in the order of commits.
    pub(super) when_durable: Option<WhenDurable>,
}

impl Transaction {
    pub(super) fn begin(core: Arc<CoreStore>, isolation: Isolation) -> Transaction {
        let id = core.next_transaction();
        Transaction {
            id,
            isolation,
            phase: Phase::Open,
            snapshot: None,
            parked: None,
            writes: WriteSet::default(),
            row_locks: Holdings::new(id),
            uses: Holdings::new(id),
            committed_uses: None,
            savepoints: Vec::new(),
            savepoint_count: 0,
            made: MadeRelations::default(),
            taken: None,
            when_durable: None,
            core,
        }
    }

    /// Its number.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    /// What it was begun with.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    pub(super) fn check_open(&self) -> Result<(), StorageError> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Ended => Err(StorageError::Misuse("the transaction has ended")),
        }
    }

    /// READ COMMITTED: takes a fresh snapshot; REPEATABLE READ: the first one stays.
    pub fn begin_statement(&mut self) -> Result<(), StorageError> {
        self.check_open()?;
        if let Some(taken) = self.taken {
            self.core.shared.gate.check_taken(taken)?;
        }
        if !self.made.is_settled() {
            return Err(StorageError::Misuse("a bulk load was not finished"));
        }
        let pool = &self.core.pool;
        let snapshot = match (self.isolation, self.snapshot.take(), &self.parked) {
            (Isolation::ReadCommitted, Some(open), _) => pool.renew(open)?,
            (Isolation::ReadCommitted, None, _) => pool.take()?,
            (Isolation::RepeatableRead, Some(open), _) => open,
            (Isolation::RepeatableRead, None, Some(parked)) => {
                parked.unpark().ok_or(StorageError::SnapshotTooOld)?
            }
            (Isolation::RepeatableRead, None, None) => {
                self.parked = Some(self.core.shared.watch.parking());
                pool.take()?
            }
        };
        self.snapshot.insert(snapshot).check_age()
    }

    /// READ COMMITTED: gives the snapshot back.
    pub fn end_statement(&mut self) {
        let Some(snapshot) = self.snapshot.take() else {
            return;
        };
        match &self.parked {
            Some(parked) => parked.park(snapshot),
            None => self.core.pool.give_back(snapshot),
        }
    }

    pub(super) fn snapshot(&self) -> Result<&Arc<Reader>, StorageError> {
        self.snapshot
            .as_ref()
            .ok_or(StorageError::Misuse("no statement has begun"))
    }

    /// A row: own write set, then the statement's snapshot.
    pub fn get(
        &self,
        relation: RelationId,
        key: &[u8],
    ) -> Result<Option<Cow<'_, [u8]>>, StorageError> {
        let key = store_key(relation, key);
        if !self.writes.is_empty()
            && let Some(own) = self.writes.get(&key)
        {
            return own.map(WrittenRow::bytes).transpose();
        }
        let snapshot = self.snapshot()?;
        snapshot.check_age()?;
        match snapshot.get(&key)? {
            Some(value) => Ok(Some(Cow::Borrowed(split_value(value)?.1))),
            None => Ok(None),
        }
    }

    /// A range: the statement's snapshot with own writes merged, as they are now: what is written
    /// while the scan runs it does not see.
    pub fn scan(
        &self,
        relation: RelationId,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Result<Scan, StorageError> {
        let entries = self.writes.entries();
        Scan::new(self.snapshot()?, entries, relation, range, direction)
    }

    /// The statement's sight for the query pool: up to `parallelism` read transactions of the
    /// statement's own LMDB id (fewer when a commit came in between), and the write set as it is now.
    pub fn view(&self, parallelism: usize) -> Result<View, StorageError> {
        let entries = self.writes.entries().clone();
        View::open(self.snapshot()?, entries, parallelism, self.core.clone())
    }

    /// Locks a key, whether or not a row is there, until the transaction ends (or rolls back to a
    /// savepoint before). Follow it with [`Transaction::newest`].
    pub async fn lock(
        &mut self,
        relation: RelationId,
        key: &[u8],
        mode: LockMode,
        wait: LockWait,
    ) -> Result<Locked, StorageError> {
        self.check_open()?;
        let key = self.checked_key(relation, key)?;
        let (core, patience) = (&self.core, wait.patience());
        let key = Arc::from(key.as_slice());
        let acquired = self.row_locks.lock_row(core, key, mode, patience).await?;
        match (acquired, wait) {
            (Acquired::Yes | Acquired::AfterWaiting, _) => {
                self.check_size().map(|()| Locked::Granted)
            }
            (Acquired::Busy, LockWait::SkipLocked) => Ok(Locked::Skipped),
            (Acquired::Busy, _) => Err(StorageError::LockNotAvailable),
        }
    }

    /// Uses a relation until the transaction ends. A change of definition waits for its users, and its
    /// users for it; `wait` as for a row (SkipLocked as NoWait).
    pub async fn use_relation(
        &mut self,
        relation: Oid,
        how: Use,
        wait: LockWait,
    ) -> Result<Used, StorageError> {
        self.check_open()?;
        let (core, patience) = (&self.core, wait.patience());
        match self
            .uses
            .use_relation(core, relation, how, patience)
            .await?
        {
            Acquired::Yes => Ok(Used::AtOnce),
            Acquired::AfterWaiting => Ok(Used::AfterWaiting),
            Acquired::Busy => Err(StorageError::LockNotAvailable),
        }
    }

    /// Writes a row into the write set.
    pub fn put(
        &mut self,
        relation: RelationId,
        key: &[u8],
        row: &[u8],
    ) -> Result<(), StorageError> {
        self.check_open()?;
        self.write(&self.checked_key(relation, key)?, Some(row))
    }

    /// Deletes a row in the write set.
    pub fn delete(&mut self, relation: RelationId, key: &[u8]) -> Result<(), StorageError> {
        self.check_open()?;
        self.write(&self.checked_key(relation, key)?, None)
    }

    pub(super) fn write(&mut self, key: &StoreKey, row: Option<&[u8]>) -> Result<(), StorageError> {
        self.writes.set(key, row, &self.core.shared.spill)?;
        self.check_size()
    }

    /// The stored key; 54000 when LMDB does not take it.
    pub(super) fn checked_key(
        &self,
        relation: RelationId,
        key: &[u8],
    ) -> Result<StoreKey, StorageError> {
        let key = store_key(relation, key);
        let bytes_max = self.core.shared.environment.key_bytes_max;
        match key.len() <= bytes_max {
            true => Ok(key),
            false => Err(StorageError::KeyTooLong {
                bytes: key.len(),
                bytes_max,
            }),
        }
    }

    pub(super) fn check_size(&self) -> Result<(), StorageError> {
        let bytes_max = self.core.shared.transaction_bytes_max;
        match self.writes.bytes() + self.row_locks.bytes() <= bytes_max {
            true => Ok(()),
            false => Err(StorageError::TransactionTooLarge { bytes_max }),
        }
    }

    /// Has something called once the commit is durable, before whoever commits hears of it, in the
    /// order of commits. On the commit thread: it must not block. Not called when the commit fails.
    pub fn when_durable(&mut self, call: WhenDurable) {
        self.when_durable = Some(call);
    }

    /// Marks a point to roll back to.
    pub fn savepoint(&mut self) -> Savepoint {
        self.savepoint_count += 1;
        let savepoint = Savepoint(self.savepoint_count);
        self.savepoints.push(SavepointState {
            savepoint,
            writes: self.writes.clone(),
            row_locks: self.row_locks.len(),
        });
        self.made.set_savepoint();
        savepoint
    }

    /// Undoes writes and releases row locks since the savepoint, which stays.
    pub fn rollback_to(&mut self, savepoint: Savepoint) {
        let place = self.place_of(savepoint);
        self.savepoints.truncate(place + 1);
        let state = &self.savepoints[place];
        let undone = std::mem::replace(&mut self.writes, state.writes.clone());
        if is_large(&undone) {
            self.core.shared.discard(Box::new(undone));
        }
        self.row_locks.release_since(state.row_locks);
        self.made.rollback_to(place, &self.core.shared);
    }

    /// Forgets the savepoint and those after it; their writes stay.
    pub fn release(&mut self, savepoint: Savepoint) {
        let place = self.place_of(savepoint);
        self.savepoints.truncate(place);
        self.made.release(place);
    }

    fn place_of(&self, savepoint: Savepoint) -> usize {
        let mut savepoints = self.savepoints.iter();
        savepoints
            .position(|state| state.savepoint == savepoint)
            .expect(
                "a savepoint belongs to its transaction, and was not released or rolled back over",
            )
    }

    /// Undoes everything and releases everything.
    pub fn rollback(&mut self) {
        if self.phase == Phase::Open {
            self.made.abandon(&self.core.shared);
        }
        self.end();
        let large = self.row_locks.len() > DISMANTLED_HERE_MAX || is_large(&self.writes);
        let row_locks = self.row_locks.take();
        let writes = std::mem::take(&mut self.writes);
        if large {
            self.core.shared.discard(Box::new((row_locks, writes)));
        }
        self.committed_uses = None;
        self.uses.release_since(0);
    }

    /// No statement, savepoint or snapshot is left.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Ended;
        self.savepoints.clear();
        if let Some(snapshot) = self.snapshot.take() {
            self.core.pool.give_back(snapshot);
        }
        if let Some(parked) = self.parked.take()
            && let Some(snapshot) = parked.unpark()
        {
            self.core.pool.give_back(snapshot);
        }
    }
}

/// Whether a write set is to be taken apart elsewhere: closing a file frees its pages.
fn is_large(writes: &WriteSet) -> bool {
    writes.is_spilled() || writes.entries().len() > DISMANTLED_HERE_MAX
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.rollback();
    }
}
