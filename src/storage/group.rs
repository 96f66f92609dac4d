//! Writing one group: all its jobs in one LMDB transaction, one fsync.

use super::bulk::Batch;
use super::commit_gate::{Job, OrderedCommit};
use super::error::StorageError;
use super::keyspace::{CommitNumber, relation_of, user_key};
use super::lmdb::{Environment, Put, PutOutcome, WriteTransaction};
use super::record::{self, Counters};
use super::spill::WrittenRow;
use std::sync::Arc;

/// A version to be written: key, who wrote it, row (none is a deletion).
type VersionRef<'g> = (&'g [u8], CommitNumber, Option<&'g WrittenRow>);

/// Writes the jobs, in order; the outcome of each bulk batch, in order, is its own.
pub(super) fn write(
    environment: &Environment,
    jobs: &mut [Job],
    counters: Counters,
    before_commit: impl FnOnce() -> Result<(), StorageError>,
) -> Result<Vec<Result<(), StorageError>>, StorageError> {
    let mut transaction = environment.write()?;
    write_commits(&mut transaction, jobs)?;
    let mut batches = Vec::new();
    for job in jobs.iter_mut() {
        match job {
            Job::Bulk { batch, .. } => batches.push(write_batch(&mut transaction, batch)?),
            Job::Record { key, value, .. } => {
                let parts = [&0u64.to_be_bytes()[..], &value[..]];
                transaction.put(key, parts, Put::Replace)?;
            }
            Job::Commit(_) | Job::Clear(_) | Job::Between(_) | Job::Discard(_) => {}
        }
    }
    let encoded = counters.encode();
    transaction.put(&record::counters_key(), [&encoded, &[]], Put::Replace)?;
    before_commit()?;
    transaction.commit()?;
    Ok(batches)
}

fn commits(jobs: &[Job]) -> impl Iterator<Item = &OrderedCommit> {
    jobs.iter().filter_map(|job| match job {
        Job::Commit(commit) => Some(commit.as_ref()),
        _ => None,
    })
}

/// Writes the newest version of each key of the group, in key order, so that a row that every
/// transaction changes is written once.
fn write_commits(transaction: &mut WriteTransaction<'_>, jobs: &[Job]) -> Result<(), StorageError> {
    let mut versions: Vec<VersionRef<'_>> = Vec::new();
    for commit in commits(jobs) {
        let entries = commit.request.entries.iter();
        versions.extend(entries.map(|(key, row)| (key.as_ref(), commit.number, row.as_ref())));
    }
    versions.sort_unstable_by_key(|(key, number, _)| (*key, *number));
    let past = match versions.is_empty() {
        true => None,
        false => transaction.last_key()?,
    };
    for (at, (key, number, row)) in versions.iter().enumerate() {
        if versions.get(at + 1).is_some_and(|(next, ..)| next == key) {
            continue;
        }
        match row {
            Some(row) => {
                let row = row.bytes()?;
                // Past everything in the store pages are filled to the brim instead of being halved.
                let how = match &past {
                    Some(last) if *key > last.as_slice() => Put::Append,
                    _ => Put::Replace,
                };
                transaction.put(key, [&number.0.to_be_bytes(), &row], how)?;
            }
            None => transaction.delete(key)?,
        }
    }
    for commit in commits(jobs) {
        for relation in &commit.request.loaded {
            transaction.delete(&record::condemned_key(*relation))?;
        }
        for relation in &commit.request.dropped {
            transaction.put(&record::condemned_key(*relation), [&[], &[]], Put::Replace)?;
        }
    }
    Ok(())
}

/// Loads a batch. A key that is there already fails the batch, not the group: its relation belongs to
/// one transaction, which will roll back.
fn write_batch(
    transaction: &mut WriteTransaction<'_>,
    batch: &mut Batch,
) -> Result<Result<(), StorageError>, StorageError> {
    for relation in &batch.condemned {
        transaction.put(&record::condemned_key(*relation), [&[], &[]], Put::Replace)?;
    }
    let last = transaction.last_key()?;
    let mut how = None;
    for (key, row) in batch.sorted() {
        // The first key decides: if it is past everything in the store, so are all.
        let how = *how.get_or_insert_with(|| match &last {
            Some(last) if last.as_slice() >= key => Put::Insert,
            _ => Put::Append,
        });
        let written = transaction.put(key, [&0u64.to_be_bytes(), row], how)?;
        if written == PutOutcome::Exists {
            return Ok(Err(StorageError::DuplicateKey {
                relation: relation_of(key),
                key: Arc::from(user_key(key)),
            }));
        }
    }
    Ok(Ok(()))
}
