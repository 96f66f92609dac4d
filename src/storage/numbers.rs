//! Numbers given out once: relation ids, OIDs, hidden row numbers.
//!
//! Relation ids and OIDs are durable with the group that first uses one: each group writes the
//! counters, so whatever is in the store was numbered below them. A row number continues after the
//! last row in the store; numbers that no durable row has may be given out again after a restart.

use super::error::StorageError;
use super::keyspace::{CommitNumber, store_key, user_key};
use super::reader::ReaderPool;
use super::record::Counters;
use crate::catalog::{Oid, RelationId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The counters of a store.
pub(super) struct Numbers {
    next_relation: AtomicU32,
    next_oid: AtomicU32,
    rows: Mutex<HashMap<RelationId, AtomicU64>>,
}

impl Numbers {
    pub(super) fn new(counters: Counters) -> Numbers {
        Numbers {
            next_relation: AtomicU32::new(counters.next_relation),
            next_oid: AtomicU32::new(counters.next_oid),
            rows: Mutex::default(),
        }
    }

    /// What a group writes; the commit number is the caller's to fill in.
    pub(super) fn counters(&self) -> Counters {
        Counters {
            last_commit: CommitNumber(0),
            next_relation: self.next_relation.load(Ordering::Acquire),
            next_oid: self.next_oid.load(Ordering::Acquire),
        }
    }

    pub(super) fn relation(&self) -> Result<RelationId, StorageError> {
        next(&self.next_relation, "relation ids").map(RelationId)
    }

    pub(super) fn oid(&self) -> Result<Oid, StorageError> {
        next(&self.next_oid, "OIDs").map(Oid)
    }

    /// A run of row numbers of a relation.
    pub(super) fn rows(
        &self,
        relation: RelationId,
        count: u64,
        pool: &ReaderPool,
    ) -> Result<Range<u64>, StorageError> {
        let mut rows = self.rows.lock();
        let next = match rows.get_mut(&relation) {
            Some(next) => next,
            None => {
                let first = first_free_row(relation, pool)?;
                rows.entry(relation).or_insert(AtomicU64::new(first))
            }
        };
        let next = next.get_mut();
        let first = *next;
        *next = first
            .checked_add(count)
            .ok_or(StorageError::NumbersExhausted("row numbers"))?;
        Ok(first..*next)
    }

    /// Forgets a relation that is no more.
    pub(super) fn forget(&self, relation: RelationId) {
        self.rows.lock().remove(&relation);
    }
}

fn next(counter: &AtomicU32, what: &'static str) -> Result<u32, StorageError> {
    counter
        .try_update(Ordering::AcqRel, Ordering::Acquire, |next| {
            next.checked_add(1)
        })
        .map_err(|_| StorageError::NumbersExhausted(what))
}

/// The number after the last row in the store: nothing numbered by this process is there yet.
fn first_free_row(relation: RelationId, pool: &ReaderPool) -> Result<u64, StorageError> {
    let reader = pool.take()?;
    let last = reader.last_with_prefix(&store_key(relation, &[]));
    pool.give_back(reader);
    let Some(last) = last? else {
        return Ok(1);
    };
    let number = user_key(&last).try_into().map_err(|_| {
        StorageError::Misuse("a relation with row numbers has a key of another length")
    })?;
    u64::from_be_bytes(number)
        .checked_add(1)
        .ok_or(StorageError::NumbersExhausted("row numbers"))
}
