//! Tests of the room as a whole, by hazard; what concerns one file is tested in that file.

mod bulk_load;
mod copy;
mod crash;
mod failed_commit;
mod locks;
mod model;
mod sequences;
mod snapshots;
mod visibility;

use super::{Isolation, LockMode, LockWait, Locked, Options, Storage, Transaction};
use crate::catalog::RelationId;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;
use tempfile::TempDir;

/// A relation that tests write to without making it.
const TABLE: RelationId = RelationId(1_000);

/// A store in a directory of its own, on two cores.
struct Store {
    storage: Storage,
    directory: TempDir,
}

fn options(directory: &TempDir) -> Options {
    Options {
        map_size_bytes: 256 << 20,
        readers_max: 64,
        deadlock_timeout: Duration::from_millis(30),
        ..Options::new(directory.path(), 2)
    }
}

impl Store {
    fn new() -> Store {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(options(&directory)).unwrap();
        Store { storage, directory }
    }

    /// Whose write sets spill past so many bytes of rows.
    fn with_write_set_memory(bytes: usize) -> Store {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(Options {
            write_set_memory_max: bytes,
            ..options(&directory)
        });
        Store {
            storage: storage.unwrap(),
            directory,
        }
    }

    /// Closes the store and opens it again.
    fn reopened(self) -> Store {
        let Store { storage, directory } = self;
        drop(storage);
        let storage = Storage::open(options(&directory)).unwrap();
        Store { storage, directory }
    }

    fn begin(&self) -> Transaction {
        self.storage.begin(0, Isolation::ReadCommitted)
    }

    fn begin_repeatable(&self) -> Transaction {
        self.storage.begin(1, Isolation::RepeatableRead)
    }

    /// Commits one row.
    fn put(&self, key: &[u8], row: &[u8]) {
        let mut transaction = self.begin();
        transaction.put(TABLE, key, row).unwrap();
        wait(transaction.commit()).unwrap();
    }

    /// A row, by a statement of its own.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut transaction = self.begin();
        transaction.begin_statement().unwrap();
        let row = transaction.get(TABLE, key).unwrap();
        row.map(|row| row.into_owned())
    }
}

/// Locks a row for an update, which must not have to wait.
fn lock(transaction: &mut Transaction, key: &[u8]) {
    let locked = wait(transaction.lock(TABLE, key, LockMode::Update, LockWait::NoWait));
    assert_eq!(locked.unwrap(), Locked::Granted);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Polls a future once.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_store_is_opened_once_in_a_process() {
    let store = Store::new();
    assert!(Storage::open(options(&store.directory)).is_err());
}

#[test]
fn handles_move_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<Storage>();
    shared::<super::View>();
    moved::<Transaction>();
    moved::<super::Scan>();
}
