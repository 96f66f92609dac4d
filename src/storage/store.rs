//! The handle on the store: opening it, its threads, and what is not part of a transaction.

use super::commit_gate::{CommitGate, Job};
use super::commit_thread::{CommitCounts, CommitThread};
use super::error::StorageError;
use super::format;
use super::housekeeping::{Housekeeping, HousekeepingCounts, Stop};
use super::keyspace::CommitNumber;
use super::lmdb::Environment;
use super::lock_table::LockTable;
use super::numbers::Numbers;
use super::options::{Isolation, Options};
use super::reader::{ReaderPool, ReaderWatch};
use super::record::{self, Counters};
use super::room::Room;
use super::sequences::{SequenceState, SequenceSteps, Sequences};
use super::spill::SpillPlace;
use super::transaction::{Transaction, TransactionId};
use super::view::Pools;
use crate::catalog::{Oid, RelationId};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Bits of a transaction's number that count those of its core.
const TRANSACTION_COUNT_BITS: u32 = 48;

/// Relations condemned at a time that a start takes up; the rest are taken up by the next one.
const CONDEMNED_MAX: usize = 1_000_000;

/// The store. `Send`, `Sync`; cloning shares. When the last handle goes, the commit thread writes what
/// was ordered and ends.
#[derive(Clone)]
pub struct Storage(Arc<Handle>);

struct Handle {
    cores: Vec<Arc<CoreStore>>,
    stop: Arc<Stop>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What all cores share.
pub(super) struct Shared {
    pub(super) environment: Arc<Environment>,
    pub(super) gate: Arc<CommitGate>,
    pub(super) locks: Arc<LockTable>,
    pub(super) watch: Arc<ReaderWatch>,
    pub(super) numbers: Arc<Numbers>,
    pub(super) sequences: Sequences,
    pub(super) transaction_bytes_max: usize,
    pub(super) spill: SpillPlace,
    commit_counts: Arc<CommitCounts>,
    housekeeping_counts: Arc<HousekeepingCounts>,
}

impl Shared {
    /// Forgets the counters of a relation that is no more.
    pub(super) fn forget(&self, relation: RelationId) {
        self.numbers.forget(relation);
        self.sequences.forget(relation);
    }

    /// Drops something large on the commit thread, or here when that is gone.
    pub(super) fn discard(&self, large: Box<dyn Send>) {
        // A closed gate hands the job back inside its error's place: it is dropped here, which is fine.
        let _ = self.gate.submit(Job::Discard(large));
    }
}

/// One core's side of the store: a transaction holds this, so that cores share no reference count.
pub(super) struct CoreStore {
    pub(super) core: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) pool: ReaderPool,
    transactions: AtomicU64,
}

impl Pools for CoreStore {
    fn pool(&self) -> &ReaderPool {
        &self.pool
    }
}

impl CoreStore {
    /// A fresh transaction number.
    pub(super) fn next_transaction(&self) -> TransactionId {
        let count = self.transactions.fetch_add(1, Ordering::Relaxed) + 1;
        TransactionId(((self.core as u64) << TRANSACTION_COUNT_BITS) | count)
    }
}

/// Figures for /metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageMetrics {
    /// What the data file may grow to.
    pub map_bytes: u64,
    /// What the data file has grown to.
    pub used_bytes: u64,
    /// Reader slots there are.
    pub reader_slots_max: u32,
    /// Reader slots that were in use at once.
    pub reader_slots_used: u32,
    /// How old the oldest open snapshot is.
    pub oldest_snapshot_age: Duration,
    /// Groups whose freed pages the oldest snapshot keeps from being used again.
    pub oldest_snapshot_groups_behind: u64,
    /// Pages that these have freed, and that the oldest snapshot still pins.
    pub oldest_snapshot_pages_pinned: u64,
    /// Versions ordered and not durable yet.
    pub overlay_versions: u64,
    /// Jobs that wait for the commit thread.
    pub commit_queue: u64,
    /// Commits made durable.
    pub commits: u64,
    /// Groups written; commits / groups is how many shared an fsync.
    pub groups: u64,
    /// Groups that could not be written.
    pub group_failures: u64,
    /// Relations dropped and not cleared yet.
    pub relations_to_clear: u64,
    /// Keys and relations locked.
    pub locks: u64,
    /// Transactions that wait for a lock.
    pub lock_waits: u64,
    /// Deadlocks broken.
    pub deadlocks: u64,
    /// Lock waits that reached lock_timeout.
    pub lock_timeouts: u64,
    /// Snapshots given up.
    pub snapshots_expired: u64,
}

impl Storage {
    /// Opens the store, making it when it is not there; starts its threads.
    pub fn open(options: Options) -> Result<Storage, StorageError> {
        if options.cores == 0 {
            return Err(StorageError::Misuse("a store needs a core"));
        }
        std::fs::create_dir_all(&options.path).map_err(|error| StorageError::Io {
            operation: "make the storage directory",
            error: Arc::new(error),
        })?;
        format::check(&options.path)?;
        let environment =
            Environment::open(&options.path, options.map_size_bytes, options.readers_max)?;
        let environment = Arc::new(environment);
        let (counters, condemned) = read_start(&environment)?;
        let commit_counts = Arc::new(CommitCounts::default());
        let shared = Arc::new(Shared {
            gate: Arc::new(CommitGate::new(counters.last_commit)),
            locks: Arc::new(LockTable::new(options.cores)),
            watch: Arc::new(ReaderWatch::default()),
            numbers: Arc::new(Numbers::new(counters)),
            sequences: Sequences::default(),
            transaction_bytes_max: options.transaction_bytes_max,
            spill: SpillPlace::new(
                environment.path(),
                options.write_set_memory_max,
                options.transaction_bytes_max,
            )?,
            commit_counts,
            housekeeping_counts: Arc::default(),
            environment,
        });
        let stop = Arc::new(Stop::default());
        let threads = vec![
            start_commit_thread(&shared, counters.last_commit, condemned)?,
            start_housekeeping(&shared, &options, stop.clone())?,
        ];
        let cores = (0..options.cores)
            .map(|core| core_store(core, &shared))
            .collect();
        Ok(Storage(Arc::new(Handle {
            cores,
            stop,
            threads: Mutex::new(threads),
        })))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0.cores[0].shared
    }

    /// Begins a transaction of a session on this core. Cheap: nothing is opened yet.
    pub fn begin(&self, core: usize, isolation: Isolation) -> Transaction {
        Transaction::begin(self.0.cores[core].clone(), isolation)
    }

    pub(super) fn first_core(&self) -> &Arc<CoreStore> {
        &self.0.cores[0]
    }

    /// A fresh OID; durable with whatever is committed next.
    pub fn allocate_oid(&self) -> Result<Oid, StorageError> {
        self.shared().numbers.oid()
    }

    /// Fresh hidden row numbers of a table without a primary key. Such a table's keys must be exactly
    /// these numbers, 8 bytes, big-endian.
    pub fn allocate_row_numbers(
        &self,
        relation: RelationId,
        count: u64,
    ) -> Result<Range<u64>, StorageError> {
        let shared = self.shared();
        shared.numbers.rows(relation, count, &self.0.cores[0].pool)
    }

    /// nextval: not part of any transaction, logged in steps of 32 (REFERENCE §8).
    pub async fn sequence_next(
        &self,
        relation: RelationId,
        steps: SequenceSteps,
    ) -> Result<i64, StorageError> {
        self.sequence_next_of(relation, steps, 1).await
    }

    /// As [`Storage::sequence_next`], by a statement that takes so many values, this one included.
    pub async fn sequence_next_of(
        &self,
        relation: RelationId,
        steps: SequenceSteps,
        wanted: usize,
    ) -> Result<i64, StorageError> {
        let shared = self.shared();
        let pool = &self.0.cores[0].pool;
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        shared
            .sequences
            .next(relation, (steps, wanted), &shared.gate, pool)
            .await
    }

    /// setval, durable when it returns.
    pub async fn sequence_set(
        &self,
        relation: RelationId,
        state: SequenceState,
    ) -> Result<(), StorageError> {
        let shared = self.shared();
        shared.sequences.set(relation, state, &shared.gate).await
    }

    /// Where the sequence stands.
    pub fn sequence_state(
        &self,
        relation: RelationId,
        steps: SequenceSteps,
    ) -> Result<SequenceState, StorageError> {
        let shared = self.shared();
        shared
            .sequences
            .state(relation, steps, &self.0.cores[0].pool)
    }

    /// Ends the lock wait of this transaction, if it is in one, with 57014.
    pub fn cancel_wait(&self, transaction: TransactionId) {
        let locks = &self.shared().locks;
        if let Some(waiter) = locks.wait_of(transaction) {
            locks.give_up(&waiter, StorageError::WaitCancelled);
        }
    }

    /// For tests: the next so many group commits fail as if the disk were full.
    pub fn inject_commit_failures(&self, count: u32) {
        let counts = &self.shared().commit_counts;
        counts.failures_to_inject.store(count, Ordering::Relaxed);
    }

    /// Figures for /metrics; takes every shard of the lock table once.
    pub fn metrics(&self) -> StorageMetrics {
        let shared = self.shared();
        let info = shared.environment.info();
        let oldest = shared.watch.oldest();
        let (overlay, queue, _) = shared.gate.sizes();
        let (commits, housekeeping) = (&shared.commit_counts, &shared.housekeeping_counts);
        let last = info.last_transaction as u64;
        StorageMetrics {
            map_bytes: info.map_bytes as u64,
            used_bytes: info.used_bytes as u64,
            reader_slots_max: info.readers_max,
            reader_slots_used: info.reader_slots_used,
            oldest_snapshot_age: oldest.age,
            oldest_snapshot_groups_behind: oldest.lmdb_id.map_or(0, |id| last.saturating_sub(id)),
            oldest_snapshot_pages_pinned: oldest.lmdb_id.map_or(0, |id| pinned_pages(shared, id)),
            overlay_versions: overlay as u64,
            commit_queue: queue as u64,
            commits: commits.commits.load(Ordering::Relaxed),
            groups: commits.groups.load(Ordering::Relaxed),
            group_failures: commits.failures.load(Ordering::Relaxed),
            relations_to_clear: commits.condemned.load(Ordering::Relaxed),
            locks: shared.locks.len() as u64,
            lock_waits: shared.locks.waits().len() as u64,
            deadlocks: housekeeping.deadlocks.load(Ordering::Relaxed),
            lock_timeouts: housekeeping.lock_timeouts.load(Ordering::Relaxed),
            snapshots_expired: housekeeping.snapshots_expired.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.cores[0].shared.gate.close();
        self.stop.stop();
        for thread in self.threads.get_mut().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a storage thread had panicked");
            }
        }
    }
}

fn pinned_pages(shared: &Shared, oldest: u64) -> u64 {
    // A snapshot of transaction n needs what n + 1 and later ones freed.
    let pages = shared.environment.pages_freed_since(oldest + 1);
    pages.unwrap_or_else(|error| {
        tracing::warn!(%error, "could not count the pages that the oldest snapshot pins");
        0
    })
}

fn core_store(core: usize, shared: &Arc<Shared>) -> Arc<CoreStore> {
    Arc::new(CoreStore {
        core,
        pool: ReaderPool::new(shared.environment.clone(), shared.watch.clone()),
        shared: shared.clone(),
        transactions: AtomicU64::new(0),
    })
}

/// The counters, and the relations that a crash or an earlier run left to be cleared.
fn read_start(environment: &Environment) -> Result<(Counters, VecDeque<RelationId>), StorageError> {
    let transaction = environment.write()?;
    let counters = match transaction.get(&record::counters_key())? {
        Some(value) => Counters::decode(value)?,
        None => Counters::FIRST,
    };
    let keys = transaction.keys_with_prefix(&record::condemned_prefix(), CONDEMNED_MAX)?;
    let condemned = keys
        .iter()
        .map(|key| record::condemned_relation(key))
        .collect::<Result<_, _>>()?;
    Ok((counters, condemned))
}

fn start_commit_thread(
    shared: &Arc<Shared>,
    last_commit: CommitNumber,
    condemned: VecDeque<RelationId>,
) -> Result<JoinHandle<()>, StorageError> {
    let thread = CommitThread {
        room: Room::new(shared.environment.clone()),
        environment: shared.environment.clone(),
        gate: shared.gate.clone(),
        numbers: shared.numbers.clone(),
        counts: shared.commit_counts.clone(),
        last_commit,
        condemned,
    };
    let gate = shared.gate.clone();
    start_thread("commit", move || {
        let _close = CloseOnPanic(gate);
        thread.run();
    })
}

/// A commit thread that dies of a mistake of ours must not leave anybody waiting for it.
struct CloseOnPanic(Arc<CommitGate>);

impl Drop for CloseOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the commit thread has panicked: nothing can be committed any more");
            self.0.abandon();
        }
    }
}

fn start_housekeeping(
    shared: &Arc<Shared>,
    options: &Options,
    stop: Arc<Stop>,
) -> Result<JoinHandle<()>, StorageError> {
    let housekeeping = Housekeeping {
        locks: shared.locks.clone(),
        watch: shared.watch.clone(),
        counts: shared.housekeeping_counts.clone(),
        directory: shared.environment.path().to_owned(),
        deadlock_timeout: options.deadlock_timeout,
        snapshot_age_max: options.snapshot_age_max,
    };
    start_thread("storage-house", move || housekeeping.run(&stop))
}

fn start_thread(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, StorageError> {
    let thread = thread::Builder::new().name(name.into()).spawn(body);
    thread.map_err(|error| StorageError::Io {
        operation: "start a storage thread",
        error: Arc::new(error),
    })
}
