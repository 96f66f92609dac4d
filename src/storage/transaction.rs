//! One transaction of a session.

use super::error::StorageError;
use super::keyspace::{CommitNumber, KeyRange};
use super::options::Isolation;
use super::scan::{Direction, Scan};
use super::view::View;
use crate::catalog::{Oid, RelationId};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// A transaction's number, unique while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub u64);

/// PostgreSQL's four row locks, weakest first (PostgreSQL 15, table 13.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// FOR KEY SHARE: foreign-key checks take it on the parent.
    KeyShare,
    /// FOR SHARE
    Share,
    /// FOR NO KEY UPDATE: an UPDATE that leaves the keys alone.
    NoKeyUpdate,
    /// FOR UPDATE: DELETE, and an UPDATE of a key.
    Update,
}

/// How a transaction uses a relation, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Reads it.
    Shared,
    /// Writes rows of it.
    Writing,
    /// Keeps writers out and readers in: CREATE INDEX. One at a time.
    BlockWriters,
    /// Alone: ALTER, DROP, TRUNCATE.
    Exclusive,
}

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

/// What came of asking for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// The transaction holds it.
    Granted,
    /// Somebody else does, and SKIP LOCKED was asked for.
    Skipped,
}

/// The newest version of a row, ordered commits included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The row; none: there is no such row, or it was deleted.
    pub row: Option<Arc<[u8]>>,
    /// Who wrote (or deleted) it; [`CommitNumber`] 0 for the transaction's own writes and for rows of
    /// which nothing is known.
    pub commit: CommitNumber,
}

/// A point to roll back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(usize);

/// One transaction. `Send`, not `Sync`.
///
/// Dropped without a commit it rolls back and releases everything, whatever state it is in.
pub struct Transaction {}

impl Transaction {
    /// Its number.
    pub fn id(&self) -> TransactionId {
        todo!()
    }

    /// What it was begun with.
    pub fn isolation(&self) -> Isolation {
        todo!()
    }

    /// READ COMMITTED: takes a fresh snapshot; REPEATABLE READ: the first one stays.
    pub fn begin_statement(&mut self) -> Result<(), StorageError> {
        todo!()
    }

    /// READ COMMITTED: gives the snapshot back.
    pub fn end_statement(&mut self) {
        todo!()
    }

    /// A row: own write set, then the statement's snapshot.
    pub fn get(
        &self,
        _relation: RelationId,
        _key: &[u8],
    ) -> Result<Option<Cow<'_, [u8]>>, StorageError> {
        todo!()
    }

    /// A range: the statement's snapshot with own writes merged.
    pub fn scan(
        &self,
        _relation: RelationId,
        _range: KeyRange<'_>,
        _direction: Direction,
    ) -> Result<Scan<'_>, StorageError> {
        todo!()
    }

    /// The statement's sight for the query pool: `parallelism` read transactions of the statement's
    /// own LMDB id, or of a newer one that the statement then has too (READ COMMITTED).
    pub fn view(&mut self, _parallelism: usize) -> Result<View, StorageError> {
        todo!()
    }

    /// Locks a key, whether or not a row is there, until the transaction ends (or rolls back to a
    /// savepoint before). Follow it with [`Transaction::newest`].
    pub async fn lock(
        &mut self,
        _relation: RelationId,
        _key: &[u8],
        _mode: LockMode,
        _wait: LockWait,
    ) -> Result<Locked, StorageError> {
        todo!()
    }

    /// The newest version of a row that this transaction has locked: own writes, the overlay, then a
    /// snapshot begun after that look-up (DESIGN §6).
    pub fn newest(&mut self, _relation: RelationId, _key: &[u8]) -> Result<Newest, StorageError> {
        todo!()
    }

    /// The newest versions in a range, read the same way, in key order; for unique and foreign-key
    /// checks. At most `limit` of them.
    pub fn newest_range(
        &mut self,
        _relation: RelationId,
        _range: KeyRange<'_>,
        _limit: usize,
    ) -> Result<Vec<(Vec<u8>, Arc<[u8]>, CommitNumber)>, StorageError> {
        todo!()
    }

    /// Whether this version is newer than the transaction's snapshot. Under REPEATABLE READ that is
    /// 40001 ([`StorageError::ConcurrentUpdate`]); so is a row that the snapshot has and `newest` has not.
    pub fn changed_since_snapshot(&self, _commit: CommitNumber) -> Result<bool, StorageError> {
        todo!()
    }

    /// Writes a row into the write set.
    pub fn put(
        &mut self,
        _relation: RelationId,
        _key: &[u8],
        _row: &[u8],
    ) -> Result<(), StorageError> {
        todo!()
    }

    /// Deletes a row in the write set.
    pub fn delete(&mut self, _relation: RelationId, _key: &[u8]) -> Result<(), StorageError> {
        todo!()
    }

    /// Marks a point to roll back to.
    pub fn savepoint(&mut self) -> Savepoint {
        todo!()
    }

    /// Undoes writes and releases row locks since the savepoint, which stays.
    pub fn rollback_to(&mut self, _savepoint: Savepoint) {
        todo!()
    }

    /// Forgets the savepoint and those after it; their writes stay.
    pub fn release(&mut self, _savepoint: Savepoint) {
        todo!()
    }

    /// Uses a relation until the transaction ends. A change of definition waits for its users, and its
    /// users for it; `wait` as for a row (SkipLocked as NoWait).
    pub async fn use_relation(
        &mut self,
        _relation: Oid,
        _how: Use,
        _wait: LockWait,
    ) -> Result<(), StorageError> {
        todo!()
    }

    /// The layout version that this transaction's rows of the relation are written for; the commit
    /// asserts it against the last one committed by [`Transaction::set_layout`].
    pub fn expect_layout(&mut self, _relation: Oid, _layout_version: u32) {
        todo!()
    }

    /// The layout version that this transaction's definition gives the relation.
    pub fn set_layout(&mut self, _relation: Oid, _layout_version: u32) {
        todo!()
    }

    /// A fresh relation id that belongs to nobody else until this transaction commits; a rollback
    /// clears it. This is how CREATE, TRUNCATE and a rewrite get their store.
    pub fn create_relation(&mut self) -> Result<RelationId, StorageError> {
        todo!()
    }

    /// Gives the relation's rows up at commit (DROP, TRUNCATE, a rewrite); they are cleared later, in
    /// steps, between groups.
    pub fn drop_relation(&mut self, _relation: RelationId) {
        todo!()
    }

    /// Whether [`Transaction::bulk_put`] may load this relation: made by this transaction, with no
    /// savepoint set since, under READ COMMITTED. Otherwise use `put`.
    pub fn bulk_loads(&self, _relation: RelationId) -> bool {
        todo!()
    }

    /// Loads a row straight into a relation that [`Transaction::bulk_loads`]; waits only when two
    /// batches of 8 MiB are under way. Fastest when keys ascend. A key that is there already is
    /// [`StorageError::DuplicateKey`], here or at [`Transaction::bulk_finish`].
    pub async fn bulk_put(
        &mut self,
        _relation: RelationId,
        _key: &[u8],
        _row: &[u8],
    ) -> Result<(), StorageError> {
        todo!()
    }

    /// Waits until all loaded rows are in the store; statements begun afterwards see them. Needed
    /// before the statement ends.
    pub async fn bulk_finish(&mut self) -> Result<(), StorageError> {
        todo!()
    }

    /// Commits. Row locks go as soon as the write set is ordered; the future is ready after the fsync.
    /// Relation uses stay until this transaction is dropped, so that a definition is published first.
    pub async fn commit(&mut self) -> Result<CommitNumber, StorageError> {
        todo!()
    }

    /// Undoes everything and releases everything.
    pub fn rollback(&mut self) {
        todo!()
    }

    /// Waits until the values taken by `newest` are durable: before a reply that carries them.
    pub async fn durable(&self) -> Result<(), StorageError> {
        todo!()
    }
}
