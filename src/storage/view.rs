//! What the query pool reads of a transaction: a set of read transactions of one LMDB id, and the
//! write set as it was when the view was made.
//!
//! The scans of a view are dealt out over the set; one reader serves one thread at a time (it has a
//! lock, held for a fetch), so a set of one is slower and not wrong.

use super::error::StorageError;
use super::keyspace::{KeyRange, split_value, store_key};
use super::reader::{Reader, ReaderPool};
use super::scan::{Direction, Part, Scan};
use super::spill::WrittenRow;
use super::write_set::Entries;
use crate::catalog::RelationId;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A transaction's sight of the store, for several threads. `Send`, `Sync`; cloning shares.
///
/// A view may outlive its statement and its transaction; it pins its snapshot until it is dropped.
#[derive(Clone)]
pub struct View(Arc<Set>);

struct Set {
    readers: Vec<Arc<Reader>>,
    entries: Entries,
    next: AtomicUsize,
    pool: Arc<dyn Pools>,
}

/// Where a view's readers go when it ends.
pub(super) trait Pools: Send + Sync {
    fn pool(&self) -> &ReaderPool;
}

impl View {
    /// A view beside `reader`, with up to `parallelism` readers of the same LMDB id. A commit in
    /// between makes newer ones useless; then the set is smaller.
    pub(super) fn open(
        reader: &Arc<Reader>,
        entries: Entries,
        parallelism: usize,
        pool: Arc<dyn Pools>,
    ) -> Result<View, StorageError> {
        reader.check_age()?;
        let mut readers = vec![reader.clone()];
        while readers.len() < parallelism {
            // One is enough; where there is no more room it has to be.
            let Ok(another) = pool.pool().take() else {
                break;
            };
            if another.id() != reader.id() {
                pool.pool().give_back(another);
                break;
            }
            readers.push(another);
        }
        Ok(View(Arc::new(Set {
            readers,
            entries,
            next: AtomicUsize::new(0),
            pool,
        })))
    }

    /// Whether the transaction has written nothing that a scan would have to merge.
    pub fn is_unwritten(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// The last key of a range; None where it is empty.
    pub fn last_key(
        &self,
        relation: RelationId,
        range: KeyRange<'_>,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let mut backward = self.scan(relation, range, Direction::Backward)?;
        Ok(backward.next()?.map(|(key, _)| key.to_vec()))
    }

    /// As [`View::scan`] forward, over the reader of this lane: lanes do not wait for each other.
    pub fn scan_lane(
        &self,
        lane: usize,
        relation: RelationId,
        range: KeyRange<'_>,
    ) -> Result<Scan, StorageError> {
        let reader = &self.0.readers[lane % self.0.readers.len()];
        Scan::new(reader, &self.0.entries, relation, range, Direction::Forward)
    }

    /// Goes through a part of another scan of this view, over the reader of this lane.
    pub fn scan_part(&self, lane: usize, part: Part) -> Result<Scan, StorageError> {
        let readers = &self.0.readers;
        Scan::of_part(&readers[lane % readers.len()], part)
    }

    fn reader(&self) -> &Arc<Reader> {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
        &self.0.readers[turn % self.0.readers.len()]
    }

    /// 72000 once its snapshot has been given up; then dropping the view is what frees its pages.
    pub fn check_age(&self) -> Result<(), StorageError> {
        self.0
            .readers
            .iter()
            .try_for_each(|reader| reader.check_age())
    }

    /// How many threads can read at a time.
    pub fn parallelism(&self) -> usize {
        self.0.readers.len()
    }

    /// A row, own writes first.
    pub fn get(
        &self,
        relation: RelationId,
        key: &[u8],
    ) -> Result<Option<Cow<'_, [u8]>>, StorageError> {
        let key = store_key(relation, key);
        if let Some(own) = self.0.entries.get(key.as_slice()) {
            return own.as_ref().map(WrittenRow::bytes).transpose();
        }
        let reader = self.reader();
        reader.check_age()?;
        match reader.get(&key)? {
            Some(value) => Ok(Some(Cow::Borrowed(split_value(value)?.1))),
            None => Ok(None),
        }
    }

    /// A scan with nothing borrowed, for any thread.
    pub fn scan(
        &self,
        relation: RelationId,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Result<Scan, StorageError> {
        Scan::new(self.reader(), &self.0.entries, relation, range, direction)
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        for reader in self.readers.drain(..) {
            self.pool.pool().give_back(reader);
        }
    }
}
