//! The handle on the store.

use super::error::StorageError;
use super::options::{Isolation, Options};
use super::transaction::{Transaction, TransactionId};
use crate::catalog::{Oid, RelationId};
use std::ops::Range;

/// The store. `Send`, `Sync`; cloning shares.
#[derive(Clone)]
pub struct Storage {}

/// How a sequence counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceSteps {
    /// START: the first value.
    pub start: i64,
    /// INCREMENT, not 0.
    pub increment: i64,
    /// MINVALUE
    pub min: i64,
    /// MAXVALUE
    pub max: i64,
    /// CYCLE
    pub cycle: bool,
}

/// Where a sequence stands, as `SELECT * FROM sequence` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceState {
    /// The value given out last, or START.
    pub last_value: i64,
    /// Whether last_value was given out.
    pub is_called: bool,
}

impl Storage {
    /// Opens the store, making it when it is not there; starts its threads.
    pub fn open(_options: Options) -> Result<Storage, StorageError> {
        todo!()
    }

    /// Begins a transaction of a session on this core. Cheap: nothing is opened yet.
    pub fn begin(&self, _core: usize, _isolation: Isolation) -> Transaction {
        todo!()
    }

    /// A fresh OID; durable with whatever is committed next.
    pub fn allocate_oid(&self) -> Result<Oid, StorageError> {
        todo!()
    }

    /// Fresh hidden row numbers of a table without a primary key. Such a table's keys must be exactly
    /// these numbers, 8 bytes, big-endian.
    pub fn allocate_row_numbers(
        &self,
        _relation: RelationId,
        _count: u64,
    ) -> Result<Range<u64>, StorageError> {
        todo!()
    }

    /// nextval: not part of any transaction, logged in steps of 32 (REFERENCE §8).
    pub async fn sequence_next(
        &self,
        _relation: RelationId,
        _steps: SequenceSteps,
    ) -> Result<i64, StorageError> {
        todo!()
    }

    /// setval, durable when it returns.
    pub async fn sequence_set(
        &self,
        _relation: RelationId,
        _state: SequenceState,
    ) -> Result<(), StorageError> {
        todo!()
    }

    /// Where the sequence stands.
    pub fn sequence_state(
        &self,
        _relation: RelationId,
        _steps: SequenceSteps,
    ) -> Result<SequenceState, StorageError> {
        todo!()
    }

    /// Ends the lock wait of this transaction, if it is in one, with 57014.
    pub fn cancel_wait(&self, _transaction: TransactionId) {
        todo!()
    }

    /// For tests: the next so many group commits fail as if the disk were full.
    pub fn inject_commit_failures(&self, _count: u32) {
        todo!()
    }
}
