//! The housekeeping thread: lock timeouts, the deadlock search, the age of snapshots, room on disk.

use super::deadlock;
use super::error::StorageError;
use super::lock_table::{LockTable, Waiter};
use super::reader::ReaderWatch;
use parking_lot::{Condvar, Mutex};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often waits are looked at; lock_timeout is that exact.
const TICK: Duration = Duration::from_millis(20);

/// How often snapshots and the disk are looked at.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// Below this share of free blocks the oldest snapshot is given up (DESIGN §6).
const DISK_FREE_PERCENT_MIN: u64 = 5;

/// A younger snapshot is left alone even then: a server on a full disk goes on reading.
const SCARCE_SNAPSHOT_AGE_MIN: Duration = Duration::from_secs(10);

/// What housekeeping has done.
#[derive(Default)]
pub(super) struct HousekeepingCounts {
    pub(super) deadlocks: AtomicU64,
    pub(super) lock_timeouts: AtomicU64,
    pub(super) snapshots_expired: AtomicU64,
}

/// Tells the thread to end.
#[derive(Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn stop(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    /// Whether it was stopped within this time.
    fn wait(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, time);
        }
        *stopped
    }
}

/// The thread's state.
pub(super) struct Housekeeping {
    pub(super) locks: Arc<LockTable>,
    pub(super) watch: Arc<ReaderWatch>,
    pub(super) counts: Arc<HousekeepingCounts>,
    pub(super) directory: PathBuf,
    pub(super) deadlock_timeout: Duration,
    pub(super) snapshot_age_max: Duration,
}

impl Housekeeping {
    /// Runs until stopped.
    pub(super) fn run(self, stop: &Stop) {
        let mut snapshots_due = Instant::now() + SNAPSHOT_INTERVAL;
        while !stop.wait(TICK) {
            let now = Instant::now();
            for waiter in self.locks.waits() {
                self.look_at_wait(&waiter, now);
            }
            if snapshots_due <= now {
                self.look_at_snapshots();
                snapshots_due = now + SNAPSHOT_INTERVAL;
            }
        }
    }

    fn look_at_wait(&self, waiter: &Arc<Waiter>, now: Instant) {
        let waited = now.saturating_duration_since(waiter.since);
        let searches = waiter.searches.load(Ordering::Relaxed);
        if waited >= self.deadlock_timeout.saturating_mul(searches + 1) {
            waiter.searches.store(searches + 1, Ordering::Relaxed);
            if let Some(deadlock) = deadlock::find(&self.locks, waiter) {
                // Counted first: whoever is woken may look at once.
                self.counts.deadlocks.fetch_add(1, Ordering::Relaxed);
                self.locks.give_up(waiter, deadlock);
                return;
            }
        }
        if waiter.timeout.is_some_and(|timeout| waited >= timeout) {
            self.counts.lock_timeouts.fetch_add(1, Ordering::Relaxed);
            self.locks
                .give_up(waiter, StorageError::LockTimeout { waited });
        }
    }

    fn look_at_snapshots(&self) {
        let mut expired = self.watch.expire_older(self.snapshot_age_max);
        if self.watch.oldest().age >= SCARCE_SNAPSHOT_AGE_MIN && self.disk_is_nearly_full() {
            expired += self.watch.expire_oldest();
        }
        if expired > 0 {
            tracing::warn!(
                expired,
                "snapshots were too old, or the disk is nearly full: given up"
            );
        }
        self.counts
            .snapshots_expired
            .fetch_add(expired as u64, Ordering::Relaxed);
    }

    fn disk_is_nearly_full(&self) -> bool {
        match rustix::fs::statvfs(&self.directory) {
            Ok(disk) => disk.f_bavail < disk.f_blocks / 100 * DISK_FREE_PERCENT_MIN,
            Err(error) => {
                tracing::warn!(%error, "could not ask for the free space of the storage");
                false
            }
        }
    }
}
