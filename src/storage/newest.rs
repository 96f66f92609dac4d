//! The newest version of what a transaction has locked (DESIGN §6): own writes, then the overlay,
//! then a snapshot begun *after* that look-up, never the statement's own.
//!
//! The order is what makes it right: a version that has left the overlay is durable by then, so the
//! later snapshot has it.

use super::commit_gate::Taken;
use super::error::StorageError;
use super::keyspace::{CommitNumber, KeyRange, split_value, store_key};
use super::overlay::KeyVersion;
use super::scan::{Bounds, Direction, Scan};
use super::spill::WrittenRow;
use super::transaction::Transaction;
use super::write_set::Entries;
use crate::catalog::RelationId;
use std::collections::HashMap;
use std::sync::Arc;

/// The newest version of a row, ordered commits included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The row; none: there is no such row, or it was deleted.
    pub row: Option<Arc<[u8]>>,
    /// Who wrote (or deleted) it; 0 for the transaction's own writes and for rows of which nothing is
    /// known.
    pub commit: CommitNumber,
}

/// The newest version of a row found by range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestEntry {
    /// Its key, without the relation id.
    pub key: Vec<u8>,
    /// The row.
    pub row: Arc<[u8]>,
    /// Who wrote it; 0 for the transaction's own writes.
    pub commit: CommitNumber,
}

impl Transaction {
    /// The newest version of a row that this transaction has locked.
    pub fn newest(&mut self, relation: RelationId, key: &[u8]) -> Result<Newest, StorageError> {
        self.check_open()?;
        let key = store_key(relation, key);
        if let Some(own) = self.writes.get(&key) {
            return Ok(Newest {
                row: own.map(WrittenRow::shared).transpose()?,
                commit: CommitNumber(0),
            });
        }
        if let Some((version, generation)) = self.core.shared.gate.newest(&key) {
            self.take(version.commit, generation)?;
            return Ok(Newest {
                row: version.row,
                commit: version.commit,
            });
        }
        let reader = self.core.pool.take()?;
        let stored = reader
            .get(&key)
            .and_then(|value| value.map(split_value).transpose());
        let newest = stored.map(|found| match found {
            Some((commit, row)) => Newest {
                row: Some(Arc::from(row)),
                commit,
            },
            None => Newest {
                row: None,
                commit: CommitNumber(0),
            },
        });
        self.core.pool.give_back(reader);
        newest
    }

    /// The newest versions in a range, read the same way, in key order; for unique and foreign-key
    /// checks. At most `limit` of them.
    pub fn newest_range(
        &mut self,
        relation: RelationId,
        range: KeyRange<'_>,
        limit: usize,
    ) -> Result<Vec<NewestEntry>, StorageError> {
        self.check_open()?;
        let bounds = Bounds::new(relation, range);
        let (ordered, generation) = self.core.shared.gate.newest_range(&bounds);
        if let Some(last) = ordered.iter().map(|(_, version)| version.commit).max() {
            self.take(last, generation)?;
        }
        let (entries, commits) = self.lay_over(ordered);
        let reader = self.core.pool.take()?;
        let scan = Scan::new(&reader, &entries, relation, range, Direction::Forward);
        let found = scan.and_then(|scan| collect(scan, relation, limit, &commits));
        self.core.pool.give_back(reader);
        found
    }

    /// Ordered versions with the transaction's own writes over them, and who wrote the former.
    fn lay_over(&self, ordered: Vec<KeyVersion>) -> (Entries, HashMap<Arc<[u8]>, CommitNumber>) {
        let mut entries = self.writes.entries().clone();
        let mut commits = HashMap::new();
        for (key, version) in ordered {
            if !entries.contains_key(&key) {
                commits.insert(key.clone(), version.commit);
                entries.insert(key, version.row.map(WrittenRow::Memory));
            }
        }
        (entries, commits)
    }

    /// Remembers that a value was taken from the overlay; 40001 if an earlier one is lost by now.
    pub(super) fn take(
        &mut self,
        commit: CommitNumber,
        generation: u64,
    ) -> Result<(), StorageError> {
        let mut latest = commit;
        if let Some(before) = self.taken {
            if before.generation == generation {
                latest = latest.max(before.commit);
            } else {
                // Not lost means durable: all that was not durable then is lost.
                self.core.shared.gate.check_taken(before)?;
            }
        }
        self.taken = Some(Taken {
            commit: latest,
            generation,
        });
        Ok(())
    }

    /// Whether this version is newer than the transaction's snapshot. Under REPEATABLE READ that is
    /// 40001 ([`StorageError::ConcurrentUpdate`]); so is a row that the snapshot has and `newest` has
    /// not.
    pub fn changed_since_snapshot(&self, commit: CommitNumber) -> Result<bool, StorageError> {
        Ok(commit > self.snapshot()?.last_commit()?)
    }

    /// Waits until the values taken by `newest` are durable: before a reply that carries them.
    pub async fn durable(&self) -> Result<(), StorageError> {
        let Some(taken) = self.taken else {
            return Ok(());
        };
        match self.core.shared.gate.wait_durable(taken)? {
            None => Ok(()),
            Some(told) => told.await.unwrap_or(Err(StorageError::ShuttingDown)),
        }
    }
}

fn collect(
    mut scan: Scan,
    relation: RelationId,
    limit: usize,
    commits: &HashMap<Arc<[u8]>, CommitNumber>,
) -> Result<Vec<NewestEntry>, StorageError> {
    let mut found = Vec::new();
    while found.len() < limit
        && let Some((key, row, stored)) = scan.next_version()?
    {
        let ordered = || commits.get(store_key(relation, key).as_slice()).copied();
        found.push(NewestEntry {
            key: key.to_vec(),
            row: Arc::from(row),
            commit: stored.or_else(ordered).unwrap_or_default(),
        });
    }
    Ok(found)
}
