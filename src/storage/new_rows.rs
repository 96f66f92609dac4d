//! New rows, many at once: all their keys are locked, then looked for together.
//!
//! As [`Transaction::lock`], [`Transaction::newest`] and [`Transaction::put`] of each, with one look into
//! the overlay and one snapshot for all of them. The rule is the same: the look-ups follow the locks,
//! and the snapshot begins after the overlay was looked at.

use super::error::StorageError;
use super::holdings::Acquired;
use super::keyspace::{RELATION_BYTES, store_key};
use super::lock_mode::LockMode;
use super::lock_table::Patience;
use super::reader::Reader;
use super::transaction::{LockWait, Transaction};
use crate::catalog::RelationId;
use std::sync::Arc;

/// A row that is to be new.
pub struct NewRow {
    /// With its relation's id before it.
    key: Arc<[u8]>,
    value: std::ops::Range<usize>,
    alone: bool,
}

impl NewRow {
    /// Of this key, its bytes somewhere in a buffer that goes along. `alone`: no other row may have the
    /// key; otherwise nobody else can make it.
    pub fn new(
        relation: RelationId,
        key: &[u8],
        value: std::ops::Range<usize>,
        alone: bool,
    ) -> NewRow {
        NewRow {
            key: Arc::from(store_key(relation, key).as_slice()),
            value,
            alone,
        }
    }
}

/// The keys of one relation among the rows, and whether the store has none from the first to the last.
struct Span {
    relation: [u8; RELATION_BYTES],
    first: Arc<[u8]>,
    last: Arc<[u8]>,
    free: bool,
}

impl Transaction {
    /// Writes the rows, in order, their bytes in `bytes`; gives the place of the first whose key is
    /// taken, those before it written.
    ///
    /// # Errors
    /// Those of locks (40P01, 55P03) and of the write set's size; 54000 for a key too long.
    pub async fn put_new(
        &mut self,
        rows: &[NewRow],
        bytes: &[u8],
        wait: LockWait,
    ) -> Result<Option<usize>, StorageError> {
        self.check_open()?;
        let key_bytes_max = self.core.shared.environment.key_bytes_max;
        let mut settled = 0;
        for (place, row) in rows.iter().enumerate() {
            if row.key.len() > key_bytes_max {
                return Err(StorageError::KeyTooLong {
                    bytes: row.key.len(),
                    bytes_max: key_bytes_max,
                });
            }
            if !row.alone {
                continue;
            }
            let at_once = self.lock_new(row, Patience::None).await?;
            if at_once != Acquired::Busy {
                continue;
            }
            // What may be wrong with the rows before is said before anybody waits.
            if let Some(taken) = self.settle(&rows[settled..place], bytes)? {
                return Ok(Some(settled + taken));
            }
            settled = place;
            if self.lock_new(row, wait.patience()).await? == Acquired::Busy {
                return Err(StorageError::LockNotAvailable);
            }
        }
        self.check_size()?;
        let taken = self.settle(&rows[settled..], bytes)?;
        Ok(taken.map(|taken| settled + taken))
    }

    async fn lock_new(
        &mut self,
        row: &NewRow,
        patience: Patience,
    ) -> Result<Acquired, StorageError> {
        let core = &self.core;
        self.row_locks
            .lock_row(core, row.key.clone(), LockMode::Update, patience)
            .await
    }

    /// Looks for rows that are locked by now, and writes those whose keys are free.
    fn settle(&mut self, rows: &[NewRow], bytes: &[u8]) -> Result<Option<usize>, StorageError> {
        let alone = rows.iter().enumerate().filter(|(_, row)| row.alone);
        let keys = alone.map(|(place, row)| (place, &*row.key));
        let (ordered, generation) = self.core.shared.gate.newest_of(keys);
        let mut found = vec![None; rows.len()];
        for (place, version) in ordered {
            let own = self.writes.get(&rows[place].key).is_some();
            if !own {
                self.take(version.commit, generation)?;
            }
            found[place] = Some(version.row.is_some());
        }
        let reader = self.core.pool.take()?;
        let looked = look(&reader, rows, &mut found);
        self.core.pool.give_back(reader);
        looked?;
        for (place, (row, stored)) in rows.iter().zip(&found).enumerate() {
            let value = &bytes[row.value.clone()];
            let spill = &self.core.shared.spill;
            if *stored == Some(true) {
                // Unless the transaction itself has deleted it.
                let deleted = matches!(self.writes.get(&row.key), Some(None));
                if !deleted {
                    return Ok(Some(place));
                }
            }
            if !self.writes.set_new(row.key.clone(), value, spill)? {
                return Ok(Some(place));
            }
        }
        self.check_size()?;
        Ok(None)
    }
}

/// Whether each row that the overlay tells nothing of is in the store.
fn look(
    reader: &Arc<Reader>,
    rows: &[NewRow],
    found: &mut [Option<bool>],
) -> Result<(), StorageError> {
    let mut spans: Vec<Span> = Vec::new();
    for row in rows.iter().filter(|row| row.alone) {
        let relation = row.key[..RELATION_BYTES]
            .try_into()
            .expect("a stored key begins with its relation id");
        match spans.iter_mut().find(|span| span.relation == relation) {
            Some(span) if row.key < span.first => span.first = row.key.clone(),
            Some(span) if row.key > span.last => span.last = row.key.clone(),
            Some(_) => {}
            None => spans.push(Span {
                relation,
                first: row.key.clone(),
                last: row.key.clone(),
                free: false,
            }),
        }
    }
    for span in &mut spans {
        span.free = reader.is_free_between(&span.first, &span.last)?;
    }
    for (row, found) in rows.iter().zip(found) {
        if !row.alone || found.is_some() {
            continue;
        }
        let mut spans = spans.iter();
        let free = spans.any(|span| row.key.starts_with(&span.relation) && span.free);
        if !free {
            *found = Some(reader.get(&row.key)?.is_some());
        }
    }
    Ok(())
}
