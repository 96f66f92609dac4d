//! What a transaction has written and not committed: an ordered map, keyed as the store is.
//!
//! The map is persistent (shared structure), so that a savepoint, a scan and a view each take the
//! write set as it is at that moment in O(1), and a statement never meets its own writes.
//!
//! Rows past [`SpillPlace::memory_bytes_max`] go to a file (DESIGN §6). Keys, where each row is in
//! the file, and row locks stay in memory, about 300 bytes a row besides the key; all of it,
//! spilled rows too, counts towards `transaction_bytes_max`. COMMIT writes the rows into LMDB's
//! pages, of which it keeps up to 512 MiB in memory before it spills pages of its own.

use super::error::StorageError;
use super::keyspace::StoreKey;
use super::spill::{Spill, SpillPlace, WrittenRow};
use imbl::OrdMap;
use std::sync::Arc;

/// Newest versions by stored key; none is a deletion.
pub(super) type Entries = OrdMap<Arc<[u8]>, Option<WrittenRow>>;

/// What an entry costs besides its bytes: two reference-counted allocations and its place in a node.
const ENTRY_BYTES: usize = 96;

/// The longest row (REFERENCE §6: value 256 MiB).
pub(super) const ROW_BYTES_MAX: usize = 256 << 20;

/// The write set of one transaction.
#[derive(Clone, Default)]
pub(super) struct WriteSet {
    entries: Entries,
    bytes: usize,
    /// Bytes of rows in memory.
    memory_bytes: usize,
    spill: Option<Arc<Spill>>,
}

impl WriteSet {
    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was written takes, wherever it is.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether some rows are in a file.
    pub(super) fn is_spilled(&self) -> bool {
        self.spill.is_some()
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
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&WrittenRow>> {
        self.entries.get(key).map(Option::as_ref)
    }

    /// Writes a version; none is a deletion. Past the memory that `place` allows it writes to a
    /// file's page cache.
    pub(super) fn set(
        &mut self,
        key: &StoreKey,
        row: Option<&[u8]>,
        place: &SpillPlace,
    ) -> Result<(), StorageError> {
        let row = row.map(|row| self.keep(row, place)).transpose()?;
        match self.entries.get_mut(key.as_slice()) {
            Some(mine) => {
                let written = row.as_ref().map_or(0, WrittenRow::len);
                let replaced = std::mem::replace(mine, row);
                self.bytes += written;
                self.forget(replaced.as_ref());
            }
            None => {
                self.enter(Arc::from(key.as_slice()), row);
            }
        }
        Ok(())
    }

    /// Writes a row under a key that is shared with whoever has locked it; false, and nothing is
    /// written, where the transaction has a row there.
    pub(super) fn set_new(
        &mut self,
        key: Arc<[u8]>,
        row: &[u8],
        place: &SpillPlace,
    ) -> Result<bool, StorageError> {
        let row = Some(self.keep(row, place)?);
        let before = self.enter(key.clone(), row);
        let Some(taken @ Some(_)) = before else {
            return Ok(true);
        };
        let written = self.entries.insert(key, taken).flatten();
        self.forget(written.as_ref());
        Ok(false)
    }

    /// Puts an entry in; gives what was there, counted still where it is a row.
    fn enter(&mut self, key: Arc<[u8]>, row: Option<WrittenRow>) -> Option<Option<WrittenRow>> {
        let key_bytes = key.len();
        self.bytes += row.as_ref().map_or(0, WrittenRow::len);
        let before = self.entries.insert(key, row);
        if before.is_none() {
            self.bytes += key_bytes + ENTRY_BYTES;
        }
        before
    }

    /// A version that is not in the write set any more.
    fn forget(&mut self, version: Option<&WrittenRow>) {
        self.bytes -= version.map_or(0, WrittenRow::len);
        let in_memory = version.and_then(WrittenRow::in_memory);
        self.memory_bytes -= in_memory.map_or(0, |row| row.len());
    }

    fn keep(&mut self, row: &[u8], place: &SpillPlace) -> Result<WrittenRow, StorageError> {
        if row.len() > ROW_BYTES_MAX {
            return Err(StorageError::RowTooLong {
                bytes: row.len(),
                bytes_max: ROW_BYTES_MAX,
            });
        }
        if self.memory_bytes + row.len() <= place.memory_bytes_max() {
            self.memory_bytes += row.len();
            return Ok(WrittenRow::Memory(Arc::from(row)));
        }
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Arc::new(place.open()?)),
        };
        WrittenRow::spilled(spill, row)
    }
}

#[cfg(test)]
mod tests {
    use super::super::keyspace::store_key;
    use super::*;
    use crate::catalog::RelationId;
    use tempfile::TempDir;

    fn place(memory_bytes_max: usize) -> (SpillPlace, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let place = SpillPlace::new(directory.path(), memory_bytes_max, 1 << 20).unwrap();
        (place, directory)
    }

    fn row(writes: &WriteSet, key: &[u8]) -> Option<Vec<u8>> {
        let row = writes.get(key).expect("it was written")?;
        Some(row.bytes().unwrap().into_owned())
    }

    #[test]
    fn a_copy_taken_before_a_write_does_not_see_it() {
        for memory_bytes_max in [0, 100] {
            let (place, _directory) = place(memory_bytes_max);
            let mut writes = WriteSet::default();
            let key = store_key(RelationId(20), b"k");
            writes.set(&key, Some(b"old"), &place).unwrap();
            let copy = writes.clone();
            writes.set(&key, Some(b"new"), &place).unwrap();
            assert_eq!(row(&writes, &key).as_deref(), Some(&b"new"[..]));
            writes.set(&key, None, &place).unwrap();
            assert_eq!(row(&copy, &key).as_deref(), Some(&b"old"[..]));
            assert_eq!(row(&writes, &key), None);
        }
    }

    #[test]
    fn bytes_count_a_replaced_row_once() {
        for memory_bytes_max in [0, 1_000] {
            let (place, _directory) = place(memory_bytes_max);
            let mut writes = WriteSet::default();
            let key = store_key(RelationId(20), b"k");
            writes.set(&key, Some(&[0; 100]), &place).unwrap();
            let once = writes.bytes();
            writes.set(&key, Some(&[1; 100]), &place).unwrap();
            assert_eq!(writes.bytes(), once);
            writes.set(&key, None, &place).unwrap();
            assert_eq!(writes.bytes(), once - 100);
        }
    }

    #[test]
    fn a_new_row_takes_the_place_of_a_deletion_and_not_that_of_a_row() {
        for memory_bytes_max in [0, 100] {
            let (place, _directory) = place(memory_bytes_max);
            let mut writes = WriteSet::default();
            let key = store_key(RelationId(20), b"a");
            let shared: Arc<[u8]> = Arc::from(key.as_slice());
            assert!(writes.set_new(shared.clone(), b"one", &place).unwrap());
            let bytes = writes.bytes();
            assert!(!writes.set_new(shared.clone(), b"another", &place).unwrap());
            assert_eq!(row(&writes, &key), Some(b"one".to_vec()));
            assert_eq!(writes.bytes(), bytes);
            writes.set(&key, None, &place).unwrap();
            assert_eq!(row(&writes, &key), None);
            assert!(writes.set_new(shared, b"two", &place).unwrap());
            assert_eq!(row(&writes, &key), Some(b"two".to_vec()));
            assert_eq!(writes.bytes(), bytes);
        }
    }

    #[test]
    fn rows_past_the_share_of_memory_are_spilled_and_replaced_ones_make_room() {
        let (place, _directory) = place(100);
        let mut writes = WriteSet::default();
        let [a, b] = [b"a", b"b"].map(|key| store_key(RelationId(20), key));
        writes.set(&a, Some(&[1; 90]), &place).unwrap();
        assert!(!writes.is_spilled());
        writes.set(&b, Some(&[2; 20]), &place).unwrap();
        assert!(writes.is_spilled());
        let in_memory = |writes: &WriteSet, key: &[u8]| {
            let row = writes.get(key).unwrap().unwrap();
            row.in_memory().is_some()
        };
        assert!(in_memory(&writes, &a) && !in_memory(&writes, &b));
        writes.set(&a, None, &place).unwrap();
        writes.set(&b, Some(&[3; 20]), &place).unwrap();
        assert!(in_memory(&writes, &b));
    }
}
