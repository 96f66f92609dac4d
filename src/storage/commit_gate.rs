//! The commit gate: where commits get their order, and where the overlay lives.
//!
//! `order` gives a write set its commit number, puts its newest versions into the overlay and queues it
//! for the commit thread, all under one mutex; the caller then releases its row locks ("early lock
//! release"). A write set too large to do that quickly keeps its row locks until it is durable instead.
//!
//! When a group fails, everything ordered and not durable fails with it, the overlay is emptied, and
//! the *generation* moves on: by it a transaction finds that a value it took is lost (40001).

use super::bulk::Batch;
use super::error::StorageError;
use super::holdings::Holdings;
use super::keyspace::{CommitNumber, StoreKey};
use super::overlay::{KeyVersion, Overlay, Version};
use super::scan::Bounds;
use super::transaction::WhenDurable;
use super::write_set::Entries;
use crate::catalog::{Oid, RelationId};
use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The largest write set whose row locks are released before it is durable; the gate is held for the
/// insertion of so many versions into the overlay.
const EARLY_RELEASE_ENTRIES_MAX: usize = 64;

/// Bytes after which a group takes no further job.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Failed ranges remembered; an older value taken counts as lost.
const FAILURES_MAX: usize = 1_024;

/// A relation and a layout version.
pub(super) type Layouts = SmallVec<[(Oid, u32); 2]>;

/// A value that a transaction took from the overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) commit: CommitNumber,
    pub(super) generation: u64,
}

/// What a transaction hands in to be committed.
pub(super) struct CommitRequest {
    pub(super) entries: Entries,
    /// Whether some of their rows are in a file: the overlay takes none of these.
    pub(super) spilled: bool,
    /// About what they take, to bound a group.
    pub(super) bytes: usize,
    /// Relations that were bulk-loaded: condemned no more.
    pub(super) loaded: Vec<RelationId>,
    /// Relations given up.
    pub(super) dropped: Vec<RelationId>,
    pub(super) expected_layouts: Layouts,
    pub(super) new_layouts: Layouts,
    pub(super) taken: Option<Taken>,
    /// Called when it is durable.
    pub(super) when_durable: Option<WhenDurable>,
    /// Held until the commit is durable, also when its session goes away before.
    pub(super) uses: Arc<Holdings>,
}

/// A commit in the queue.
pub(super) struct OrderedCommit {
    pub(super) number: CommitNumber,
    pub(super) request: CommitRequest,
    /// Row locks of a write set that is not in the overlay.
    rows: Option<Holdings>,
    done: oneshot::Sender<Result<CommitNumber, StorageError>>,
}

/// Told when a record is durable.
pub(super) type RecordDone = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

/// Work for the commit thread.
pub(super) enum Job {
    /// A transaction.
    Commit(Box<OrderedCommit>),
    /// A batch of a bulk load.
    Bulk {
        batch: Batch,
        done: oneshot::Sender<Result<(), StorageError>>,
    },
    /// A record outside of any transaction: a sequence's counter.
    Record {
        key: StoreKey,
        value: [u8; 9],
        done: RecordDone,
    },
    /// A rolled-back relation that was loaded: clear it.
    Clear(RelationId),
    /// Called while no LMDB write transaction is open, and none begins.
    Between(Box<dyn FnOnce() + Send>),
    /// Something large to be dropped here rather than on a session core.
    Discard(#[expect(dead_code, reason = "held to be dropped")] Box<dyn Send>),
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Commit(commit) => commit.request.bytes,
            Job::Bulk { batch, .. } => batch.bytes(),
            Job::Record { .. } | Job::Clear(_) | Job::Between(_) | Job::Discard(_) => 0,
        }
    }
}

/// What the commit thread is to do next.
pub(super) enum Next {
    /// Write these as one group.
    Group(Vec<Job>),
    /// Nothing came until the deadline.
    Idle,
    /// The store closes, and the queue is empty.
    Closed,
}

/// A reply that waits for a value taken from the overlay.
struct DurableWaiter {
    commit: CommitNumber,
    done: oneshot::Sender<Result<(), StorageError>>,
}

/// A failed group, with what was ordered behind it.
#[derive(Clone, Copy, Debug)]
struct Failure {
    generation: u64,
    first: CommitNumber,
    last: CommitNumber,
}

#[derive(Default)]
struct State {
    last_ordered: CommitNumber,
    durable: CommitNumber,
    generation: u64,
    failures: VecDeque<Failure>,
    overlay: Overlay,
    queue: VecDeque<Job>,
    waiters: Vec<DurableWaiter>,
    layouts: HashMap<Oid, u32>,
    closed: bool,
}

impl State {
    fn is_lost(&self, taken: Taken) -> bool {
        if taken.generation == self.generation {
            return false;
        }
        let forgotten = self
            .failures
            .front()
            .is_some_and(|oldest| taken.generation + 1 < oldest.generation);
        let mut since = self
            .failures
            .iter()
            .filter(|failure| failure.generation > taken.generation);
        forgotten || since.any(|failure| (failure.first..=failure.last).contains(&taken.commit))
    }

    fn check_taken(&self, taken: Option<Taken>) -> Result<(), StorageError> {
        match taken {
            Some(taken) if self.is_lost(taken) => Err(StorageError::ValueLost {
                commit: taken.commit,
            }),
            _ => Ok(()),
        }
    }
}

/// The gate.
pub(super) struct CommitGate {
    state: Mutex<State>,
    work: Condvar,
}

impl CommitGate {
    pub(super) fn new(last_commit: CommitNumber) -> CommitGate {
        let state = State {
            last_ordered: last_commit,
            durable: last_commit,
            ..State::default()
        };
        CommitGate {
            state: Mutex::new(state),
            work: Condvar::new(),
        }
    }

    /// Orders a commit. Small write sets release their row locks (`rows`) here, large ones when they
    /// are durable. The receiver is told after the fsync.
    pub(super) fn order(
        &self,
        request: CommitRequest,
        rows: Holdings,
    ) -> Result<oneshot::Receiver<Result<CommitNumber, StorageError>>, StorageError> {
        let (done, receiver) = oneshot::channel();
        let early = request.entries.len() <= EARLY_RELEASE_ENTRIES_MAX && !request.spilled;
        let (released, kept) = match early {
            true => (Some(rows), None),
            false => (None, Some(rows)),
        };
        let mut commit = Box::new(OrderedCommit {
            number: CommitNumber(0),
            request,
            rows: kept,
            done,
        });
        let mut state = self.state.lock();
        if state.closed {
            return Err(StorageError::ShuttingDown);
        }
        state.check_taken(commit.request.taken)?;
        for expected in &commit.request.expected_layouts {
            let (relation, version) = expected;
            // Rows written after the transaction's own change of the definition.
            let own = commit.request.new_layouts.contains(expected);
            if state
                .layouts
                .get(relation)
                .is_some_and(|newest| newest != version && !own)
            {
                return Err(StorageError::LayoutChanged);
            }
        }
        let number = CommitNumber(state.last_ordered.0 + 1);
        state.last_ordered = number;
        commit.number = number;
        if early {
            state.overlay.insert(number, &commit.request.entries);
        }
        state.queue.push_back(Job::Commit(commit));
        drop(state);
        self.work.notify_one();
        drop(released);
        Ok(receiver)
    }

    /// Queues work that is not a commit.
    pub(super) fn submit(&self, job: Job) -> Result<(), StorageError> {
        self.submit_along(job)?;
        self.hurry();
        Ok(())
    }

    /// Has the commit thread look at its queue.
    pub(super) fn hurry(&self) {
        self.work.notify_one();
    }

    /// Queues work that can wait for whatever is written next, or for [`CommitGate::hurry`].
    pub(super) fn submit_along(&self, job: Job) -> Result<(), StorageError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StorageError::ShuttingDown);
        }
        state.queue.push_back(job);
        Ok(())
    }

    /// The newest ordered version of a key, and the generation it belongs to.
    pub(super) fn newest(&self, key: &[u8]) -> Option<(Version, u64)> {
        let state = self.state.lock();
        let version = state.overlay.get(key)?.clone();
        Some((version, state.generation))
    }

    /// The newest ordered versions of some of the keys, by their places among them, and the generation.
    pub(super) fn newest_of<'k>(
        &self,
        keys: impl Iterator<Item = (usize, &'k [u8])>,
    ) -> (Vec<(usize, Version)>, u64) {
        let state = self.state.lock();
        if state.overlay.len() == 0 {
            return (Vec::new(), state.generation);
        }
        let found = keys.filter_map(|(place, key)| Some((place, state.overlay.get(key)?.clone())));
        (found.collect(), state.generation)
    }

    /// The newest ordered versions in a range, and their generation.
    pub(super) fn newest_range(&self, range: &Bounds) -> (Vec<KeyVersion>, u64) {
        let state = self.state.lock();
        (state.overlay.range(range), state.generation)
    }

    /// 40001 if the value taken is lost.
    pub(super) fn check_taken(&self, taken: Taken) -> Result<(), StorageError> {
        self.state.lock().check_taken(Some(taken))
    }

    /// None: the value is durable; otherwise who tells when it is.
    pub(super) fn wait_durable(
        &self,
        taken: Taken,
    ) -> Result<Option<oneshot::Receiver<Result<(), StorageError>>>, StorageError> {
        let mut state = self.state.lock();
        state.check_taken(Some(taken))?;
        if taken.commit <= state.durable {
            return Ok(None);
        }
        let (done, receiver) = oneshot::channel();
        state.waiters.push(DurableWaiter {
            commit: taken.commit,
            done,
        });
        Ok(Some(receiver))
    }

    /// The work of the next group: waits for some until the deadline, and when there is some, so long
    /// for more.
    pub(super) fn next(&self, deadline: Option<Instant>, gather: Duration) -> Next {
        let mut state = self.state.lock();
        while state.queue.is_empty() {
            if state.closed {
                return Next::Closed;
            }
            let timed_out = match deadline {
                Some(deadline) => self.work.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.work.wait(&mut state);
                    false
                }
            };
            if timed_out && state.queue.is_empty() {
                return Next::Idle;
            }
        }
        if !gather.is_zero() && !state.closed {
            drop(state);
            std::thread::sleep(gather);
            state = self.state.lock();
        }
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        while bytes < GROUP_BYTES_MAX
            && let Some(job) = state.queue.pop_front()
        {
            bytes += job.bytes();
            jobs.push(job);
        }
        Next::Group(jobs)
    }

    /// Makes a written group's commits known: durable, out of the overlay, locks released,
    /// acknowledged, in this order.
    pub(super) fn succeed(&self, commits: Vec<OrderedCommit>) {
        let Some(last) = commits.last().map(|commit| commit.number) else {
            return;
        };
        let waiters = {
            let mut state = self.state.lock();
            state.durable = last;
            for commit in &commits {
                state
                    .layouts
                    .extend(commit.request.new_layouts.iter().copied());
            }
            let waiters = std::mem::take(&mut state.waiters);
            let (ready, rest): (Vec<_>, Vec<_>) = waiters
                .into_iter()
                .partition(|waiter| waiter.commit <= last);
            state.waiters = rest;
            ready
        };
        for commit in &commits {
            // One at a time: session cores come in between.
            if commit.rows.is_none() {
                self.state
                    .lock()
                    .overlay
                    .prune(commit.number, &commit.request.entries);
            }
        }
        for commit in commits {
            let OrderedCommit {
                number,
                request,
                rows,
                done,
            } = commit;
            drop(rows);
            drop(request.uses);
            if let Some(call) = request.when_durable {
                call();
            }
            // A session that went away does not listen; its commit stands.
            let _ = done.send(Ok(number));
        }
        for waiter in waiters {
            let _ = waiter.done.send(Ok(()));
        }
    }

    /// A group with commits in it could not be written: they and all ordered behind them fail with
    /// the same error. Returns the relations that nobody will ever see.
    pub(super) fn fail(
        &self,
        commits: Vec<OrderedCommit>,
        error: &StorageError,
    ) -> Vec<RelationId> {
        let (behind, waiters) = {
            let mut state = self.state.lock();
            state.generation += 1;
            let failure = Failure {
                generation: state.generation,
                first: CommitNumber(state.durable.0 + 1),
                last: state.last_ordered,
            };
            state.failures.push_back(failure);
            if state.failures.len() > FAILURES_MAX {
                state.failures.pop_front();
            }
            state.overlay.clear();
            let queue = std::mem::take(&mut state.queue);
            let (behind, rest): (VecDeque<Job>, VecDeque<Job>) = queue
                .into_iter()
                .partition(|job| matches!(job, Job::Commit(_)));
            state.queue = rest;
            (behind, std::mem::take(&mut state.waiters))
        };
        let behind = behind.into_iter().filter_map(|job| match job {
            Job::Commit(commit) => Some(*commit),
            _ => None,
        });
        let mut orphans = Vec::new();
        for commit in commits.into_iter().chain(behind) {
            let OrderedCommit {
                request,
                rows,
                done,
                ..
            } = commit;
            orphans.extend_from_slice(&request.loaded);
            drop(rows);
            drop(request.uses);
            let _ = done.send(Err(error.clone()));
        }
        for waiter in waiters {
            let commit = waiter.commit;
            let _ = waiter.done.send(Err(StorageError::ValueLost { commit }));
        }
        orphans
    }

    /// Takes no more work; the commit thread ends when the queue is empty.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.work.notify_all();
    }

    /// Closes, and lets everybody who waits for a job or a value know that nothing comes any more.
    pub(super) fn abandon(&self) {
        let (queue, waiters) = {
            let mut state = self.state.lock();
            state.closed = true;
            (
                std::mem::take(&mut state.queue),
                std::mem::take(&mut state.waiters),
            )
        };
        // Dropped outside of the lock: their receivers find the other end gone.
        drop((queue, waiters));
    }

    /// Versions in the overlay, jobs in the queue, last durable commit.
    pub(super) fn sizes(&self) -> (usize, usize, CommitNumber) {
        let state = self.state.lock();
        (state.overlay.len(), state.queue.len(), state.durable)
    }
}
