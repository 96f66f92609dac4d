//! How a store is opened, and how a transaction sees it.

use std::path::PathBuf;
use std::time::Duration;

/// How [`Storage::open`](super::Storage::open) opens the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the data file; made when it is not there.
    pub path: PathBuf,
    /// The most that the data file may grow to; only address space is taken until then.
    pub map_size_bytes: usize,
    /// How many session cores there are; `begin`'s core is below it.
    pub cores: usize,
    /// Snapshots open at a time: max_connections + 16 × pool threads + 64 (DESIGN §6).
    pub readers_max: u32,
    /// An older snapshot ends with 72000.
    pub snapshot_age_max: Duration,
    /// What a transaction's write set, spilled or not, and locks may take; beyond it 54000.
    pub transaction_bytes_max: usize,
    /// Rows of a transaction in memory, in bytes; more of them go to a file in `path`.
    pub write_set_memory_max: usize,
    /// How long a lock is waited for before deadlocks are looked for.
    pub deadlock_timeout: Duration,
}

impl Options {
    /// The defaults of REFERENCE §6 for a store at this path.
    pub fn new(path: impl Into<PathBuf>, cores: usize) -> Options {
        Options {
            path: path.into(),
            map_size_bytes: 1 << 40,
            cores,
            readers_max: 10_000 + 16 * 2 + 64,
            snapshot_age_max: Duration::from_secs(600),
            transaction_bytes_max: 1 << 30,
            write_set_memory_max: 64 << 20,
            deadlock_timeout: Duration::from_secs(1),
        }
    }
}

/// Which snapshots a transaction's statements read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement a fresh one.
    ReadCommitted,
    /// Every statement that of the first.
    RepeatableRead,
}
