//! Bulk loading: rows go straight into a relation that the transaction itself has made, in batches,
//! past write set, locks and overlay. Nobody else knows the relation's id before the commit.

use super::commit_gate::{CommitGate, Job};
use super::error::StorageError;
use super::keyspace::{RELATION_BYTES, StoreKey};
use crate::catalog::RelationId;
use futures::channel::oneshot;
use std::collections::VecDeque;

/// Bytes of a batch: one batch is written in one group (DESIGN §6).
pub(super) const BATCH_BYTES_MAX: usize = 8 << 20;

/// Batches on their way to the disk while the next one is filled.
const BATCHES_IN_FLIGHT_MAX: usize = 2;

/// Rows of one batch: their bytes in one buffer.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    rows: Vec<BatchRow>,
    /// Relations that this batch is the first to load.
    pub(super) condemned: Vec<RelationId>,
}

struct BatchRow {
    start: usize,
    key_bytes: usize,
    end: usize,
}

impl Batch {
    fn push(&mut self, key: &StoreKey, row: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(row);
        self.rows.push(BatchRow {
            start,
            key_bytes: key.len(),
            end: self.bytes.len(),
        });
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<BatchRow>()
    }

    /// Keys and rows in the order of the keys; sorts them if they are not.
    pub(super) fn sorted(&mut self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let Batch { bytes, rows, .. } = self;
        let bytes = bytes.as_slice();
        if !rows.is_sorted_by(|a, b| a.key(bytes) <= b.key(bytes)) {
            rows.sort_by(|a, b| a.key(bytes).cmp(b.key(bytes)));
        }
        rows.iter()
            .map(move |row| (row.key(bytes), row.value(bytes)))
    }
}

impl BatchRow {
    fn key<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.start..self.start + self.key_bytes]
    }

    fn value<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.start + self.key_bytes..self.end]
    }
}

/// A load under way.
#[derive(Default)]
pub(super) struct BulkLoad {
    batch: Batch,
    in_flight: VecDeque<oneshot::Receiver<Result<(), StorageError>>>,
}

impl BulkLoad {
    /// Adds a row; `first` when nothing was loaded into its relation before.
    pub(super) async fn push(
        &mut self,
        gate: &CommitGate,
        key: &StoreKey,
        row: &[u8],
        first: Option<RelationId>,
    ) -> Result<(), StorageError> {
        debug_assert!(key.len() >= RELATION_BYTES, "a stored key has a relation");
        self.batch.push(key, row);
        self.batch.condemned.extend(first);
        if self.batch.bytes() < BATCH_BYTES_MAX {
            return Ok(());
        }
        while self.in_flight.len() >= BATCHES_IN_FLIGHT_MAX {
            self.settle_oldest().await?;
        }
        self.send(gate)
    }

    /// Sends what is left and waits for all of it.
    pub(super) async fn finish(&mut self, gate: &CommitGate) -> Result<(), StorageError> {
        if !self.batch.rows.is_empty() {
            self.send(gate)?;
        }
        while !self.in_flight.is_empty() {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    /// Whether everything is in the store.
    pub(super) fn is_settled(&self) -> bool {
        self.batch.rows.is_empty() && self.in_flight.is_empty()
    }

    fn send(&mut self, gate: &CommitGate) -> Result<(), StorageError> {
        let (done, receiver) = oneshot::channel();
        let batch = std::mem::take(&mut self.batch);
        gate.submit(Job::Bulk { batch, done })?;
        self.in_flight.push_back(receiver);
        Ok(())
    }

    async fn settle_oldest(&mut self) -> Result<(), StorageError> {
        let Some(oldest) = self.in_flight.front_mut() else {
            return Ok(());
        };
        // Awaited in place: a dropped future leaves it to be awaited again.
        let outcome = oldest.await.unwrap_or(Err(StorageError::ShuttingDown));
        self.in_flight.pop_front();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::super::keyspace::store_key;
    use super::*;

    #[test]
    fn a_batch_gives_its_rows_in_the_order_of_their_keys() {
        let mut batch = Batch::default();
        for key in [b"c", b"a", b"b"] {
            batch.push(&store_key(RelationId(20), key), key);
        }
        let rows: Vec<Vec<u8>> = batch.sorted().map(|(_, row)| row.to_vec()).collect();
        assert_eq!(rows, [b"a", b"b", b"c"]);
    }
}
