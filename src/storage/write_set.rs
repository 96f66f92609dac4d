//! What a transaction has written and not committed: an ordered map, keyed as the store is.
//!
//! The map is persistent (shared structure), so that a savepoint, a scan and a view each take the
//! write set as it is at that moment in O(1), and a statement never meets its own writes.

use super::error::StorageError;
use super::keyspace::StoreKey;
use imbl::OrdMap;
use std::sync::Arc;

/// Newest versions by stored key; none is a deletion.
pub(super) type Entries = OrdMap<Arc<[u8]>, Option<Arc<[u8]>>>;

/// What an entry costs besides its bytes: two reference-counted allocations and its place in a node.
const ENTRY_BYTES: usize = 96;

/// The longest row (REFERENCE §6: value 256 MiB).
pub(super) const ROW_BYTES_MAX: usize = 256 << 20;

/// The write set of one transaction.
#[derive(Clone, Default)]
pub(super) struct WriteSet {
    entries: Entries,
    bytes: usize,
}

impl WriteSet {
    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The entries; cloning them is O(1).
    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// The entries, the write set spent.
    pub(super) fn into_entries(self) -> Entries {
        self.entries
    }

    /// The transaction's own version of a key: none: it wrote none; `Some(None)`: it deleted it.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&Arc<[u8]>>> {
        self.entries.get(key).map(Option::as_ref)
    }

    /// Writes a version; none is a deletion.
    pub(super) fn set(&mut self, key: &StoreKey, row: Option<&[u8]>) -> Result<(), StorageError> {
        let row_bytes = row.map_or(0, <[u8]>::len);
        if row_bytes > ROW_BYTES_MAX {
            return Err(StorageError::RowTooLong {
                bytes: row_bytes,
                bytes_max: ROW_BYTES_MAX,
            });
        }
        let row: Option<Arc<[u8]>> = row.map(Arc::from);
        if let Some(mine) = self.entries.get_mut(key.as_slice()) {
            self.bytes -= mine.as_ref().map_or(0, |old| old.len());
            *mine = row;
        } else {
            self.entries.insert(Arc::from(key.as_slice()), row);
            self.bytes += key.len() + ENTRY_BYTES;
        }
        self.bytes += row_bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::keyspace::store_key;
    use super::*;
    use crate::catalog::RelationId;

    #[test]
    fn a_copy_taken_before_a_write_does_not_see_it() {
        let mut writes = WriteSet::default();
        let key = store_key(RelationId(20), b"k");
        writes.set(&key, Some(b"old")).unwrap();
        let copy = writes.clone();
        writes.set(&key, None).unwrap();
        assert_eq!(copy.get(&key), Some(Some(&Arc::from(*b"old"))));
        assert_eq!(writes.get(&key), Some(None));
    }

    #[test]
    fn bytes_count_a_replaced_row_once() {
        let mut writes = WriteSet::default();
        let key = store_key(RelationId(20), b"k");
        writes.set(&key, Some(&[0; 100])).unwrap();
        let once = writes.bytes();
        writes.set(&key, Some(&[1; 100])).unwrap();
        assert_eq!(writes.bytes(), once);
        writes.set(&key, None).unwrap();
        assert_eq!(writes.bytes(), once - 100);
    }
}
