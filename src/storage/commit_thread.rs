//! The commit thread: writes groups, and clears dropped relations in steps between them.

use super::commit_gate::{CommitGate, Job, Next};
use super::error::StorageError;
use super::group;
use super::keyspace::{CommitNumber, store_key};
use super::lmdb::Environment;
use super::numbers::Numbers;
use super::record::{self, Counters};
use super::room::Room;
use crate::catalog::RelationId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Keys deleted in one step of clearing: a few milliseconds.
const CLEAR_KEYS: usize = 8_192;

/// Under load a step of clearing comes at most so often.
const CLEAR_INTERVAL: Duration = Duration::from_millis(100);

/// After a failed step the next one waits so long.
const CLEAR_RETRY: Duration = Duration::from_secs(1);

/// The longest that a group waits for more commits before it is written.
const GATHER_MAX: Duration = Duration::from_micros(500);

/// With so many commits in a group, its fixed cost is a small part of it: nobody waits for more.
const GROUP_COMMITS_ENOUGH: usize = 8;

/// What the commit thread shares with the handle.
#[derive(Default)]
pub(super) struct CommitCounts {
    /// Groups written.
    pub(super) groups: AtomicU64,
    /// Commits made durable.
    pub(super) commits: AtomicU64,
    /// Groups that could not be written.
    pub(super) failures: AtomicU64,
    /// Relations still to be cleared.
    pub(super) condemned: AtomicU64,
    /// Fault injection: so many further groups with commits fail.
    pub(super) failures_to_inject: AtomicU32,
}

/// The thread's state.
pub(super) struct CommitThread {
    pub(super) environment: Arc<Environment>,
    pub(super) room: Room,
    pub(super) gate: Arc<CommitGate>,
    pub(super) numbers: Arc<Numbers>,
    pub(super) counts: Arc<CommitCounts>,
    pub(super) last_commit: CommitNumber,
    pub(super) condemned: VecDeque<RelationId>,
}

impl CommitThread {
    /// Runs until the gate is closed and its queue empty.
    pub(super) fn run(mut self) {
        let mut clear_due = Instant::now();
        let mut gather = Duration::ZERO;
        loop {
            let deadline = (!self.condemned.is_empty()).then_some(clear_due);
            match self.gate.next(deadline, gather) {
                Next::Group(jobs) => gather = self.write_group(jobs),
                Next::Idle => {}
                Next::Closed => return,
            }
            if !self.condemned.is_empty() && clear_due <= Instant::now() {
                clear_due = Instant::now() + self.clear_step();
            }
            self.counts
                .condemned
                .store(self.condemned.len() as u64, Ordering::Relaxed);
        }
    }

    /// Writes a group; says how long the next one is to wait for company.
    ///
    /// A group costs two flushes and the upper pages of the tree, whatever is in it. A commit that comes
    /// alone is written at once. Where a few come together, as when all wait for one row, waiting about
    /// as long as the last group took makes the groups larger: a third more transactions a second. Where
    /// many come, waiting only makes them slower (a tenth fewer).
    fn write_group(&mut self, mut jobs: Vec<Job>) -> Duration {
        let begun = Instant::now();
        let commits = jobs.iter().filter(|job| matches!(job, Job::Commit(_)));
        let few = (2..GROUP_COMMITS_ENOUGH).contains(&commits.count());
        let last = jobs.iter().rev().find_map(|job| match job {
            Job::Commit(commit) => Some(commit.number),
            _ => None,
        });
        let writes = jobs
            .iter()
            .any(|job| !matches!(job, Job::Clear(_) | Job::Between(_) | Job::Discard(_)));
        let counters = Counters {
            last_commit: last.unwrap_or(self.last_commit),
            ..self.numbers.counters()
        };
        let outcome = match writes {
            true => self.room.admit(&jobs).and_then(|()| {
                group::write(&self.environment, &mut jobs, counters, || {
                    self.injected_failure(last.is_some())
                })
            }),
            false => Ok(Vec::new()),
        };
        match outcome {
            Ok(batches) => {
                self.last_commit = counters.last_commit;
                self.counts
                    .groups
                    .fetch_add(u64::from(writes), Ordering::Relaxed);
                self.finish_group(jobs, batches);
            }
            Err(error) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "a group of commits could not be written");
                self.fail_group(jobs, &error);
            }
        }
        match few {
            true => begun.elapsed().min(GATHER_MAX),
            false => Duration::ZERO,
        }
    }

    /// Fault injection for tests: as if the disk were full.
    fn injected_failure(&self, has_commits: bool) -> Result<(), StorageError> {
        let left = &self.counts.failures_to_inject;
        if !has_commits || left.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        left.fetch_sub(1, Ordering::Relaxed);
        Err(StorageError::DiskFull)
    }

    fn finish_group(&mut self, jobs: Vec<Job>, batches: Vec<Result<(), StorageError>>) {
        let mut commits = Vec::new();
        let mut batches = batches.into_iter();
        for job in jobs {
            match job {
                Job::Commit(commit) => {
                    self.condemned.extend(&commit.request.dropped);
                    commits.push(*commit);
                }
                Job::Bulk { done, .. } => {
                    let outcome = batches.next().expect("an outcome for each batch");
                    let _ = done.send(outcome);
                }
                Job::Record { done, .. } => done(Ok(())),
                Job::Clear(relation) => self.condemned.push_back(relation),
                Job::Between(call) => call(),
                Job::Discard(_) => {}
            }
        }
        self.counts
            .commits
            .fetch_add(commits.len() as u64, Ordering::Relaxed);
        self.gate.succeed(commits);
    }

    fn fail_group(&mut self, jobs: Vec<Job>, error: &StorageError) {
        let mut commits = Vec::new();
        for job in jobs {
            match job {
                Job::Commit(commit) => commits.push(*commit),
                Job::Bulk { done, .. } => {
                    let _ = done.send(Err(error.clone()));
                }
                Job::Record { done, .. } => done(Err(error.clone())),
                Job::Clear(relation) => self.condemned.push_back(relation),
                Job::Between(call) => call(),
                Job::Discard(_) => {}
            }
        }
        if !commits.is_empty() {
            self.condemned.extend(self.gate.fail(commits, error));
        }
    }

    /// One step of clearing; says how long the next one waits.
    fn clear_step(&mut self) -> Duration {
        let Some(relation) = self.condemned.front().copied() else {
            return CLEAR_INTERVAL;
        };
        match self.clear_some(relation) {
            Ok(true) => {
                self.condemned.pop_front();
                Duration::ZERO
            }
            Ok(false) if self.gate.sizes().1 == 0 => Duration::ZERO,
            Ok(false) => CLEAR_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, %relation, "a dropped relation could not be cleared yet");
                self.condemned.rotate_left(1);
                CLEAR_RETRY
            }
        }
    }

    /// Deletes some of a relation's rows; whether that was the end of them.
    fn clear_some(&self, relation: RelationId) -> Result<bool, StorageError> {
        let mut transaction = self.environment.write()?;
        let cleared = transaction.clear_prefix(&store_key(relation, &[]), CLEAR_KEYS)?;
        let done = cleared < CLEAR_KEYS;
        if done {
            transaction.delete(&record::condemned_key(relation))?;
        }
        transaction.commit()?;
        Ok(done)
    }
}
