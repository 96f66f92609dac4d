//! The age of snapshots, and the reader slots they take.

use super::*;
use crate::storage::{ALL_KEYS, Direction, StorageError};

#[test]
fn an_idle_repeatable_read_transaction_whose_snapshot_was_given_up_gets_72000() {
    let store = Store::new();
    store.put(b"k", b"v");
    let mut idle = store.begin_repeatable();
    idle.begin_statement().unwrap();
    idle.end_statement();
    assert!(store.storage.shared().watch.oldest().lmdb_id.is_some());
    assert_eq!(store.storage.shared().watch.expire_oldest(), 1);
    // The pages are free at once, not when the session comes back.
    assert_eq!(store.storage.shared().watch.oldest().lmdb_id, None);
    let error = idle.begin_statement().unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "72000");
}

#[test]
fn a_statement_under_way_with_a_given_up_snapshot_gets_72000() {
    let store = Store::new();
    let mut writer = store.begin();
    for key in 0..200u8 {
        writer.put(TABLE, &[key], b"v").unwrap();
    }
    wait(writer.commit()).unwrap();
    let mut reading = store.begin();
    reading.begin_statement().unwrap();
    let view = reading.view(1).unwrap();
    let mut scan = reading.scan(TABLE, ALL_KEYS, Direction::Forward).unwrap();
    assert!(scan.next().unwrap().is_some());
    store.storage.shared().watch.expire_oldest();
    assert!(matches!(
        reading.get(TABLE, b"k"),
        Err(StorageError::SnapshotTooOld)
    ));
    assert!(matches!(
        view.get(TABLE, b"k"),
        Err(StorageError::SnapshotTooOld)
    ));
    assert!(matches!(scan.next(), Err(StorageError::SnapshotTooOld)));
    // The next statement has a fresh one.
    reading.end_statement();
    reading.begin_statement().unwrap();
    reading.get(TABLE, b"k").unwrap();
}

#[test]
fn old_snapshots_are_given_up_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(Options {
        snapshot_age_max: Duration::from_millis(1),
        ..options(&directory)
    })
    .unwrap();
    let mut idle = storage.begin(0, Isolation::RepeatableRead);
    idle.begin_statement().unwrap();
    idle.end_statement();
    while storage.metrics().snapshots_expired == 0 {
        std::thread::yield_now();
    }
    assert!(matches!(
        idle.begin_statement(),
        Err(StorageError::SnapshotTooOld)
    ));
}

#[test]
fn statements_use_the_same_reader_again() {
    let store = Store::new();
    for _ in 0..1_000 {
        let mut transaction = store.begin();
        transaction.begin_statement().unwrap();
        transaction.begin_statement().unwrap();
        transaction.end_statement();
    }
    assert!(store.storage.metrics().reader_slots_used <= 2);
}

#[test]
fn more_snapshots_than_slots_is_53300_and_others_go_on_when_one_ends() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(Options {
        readers_max: 4,
        ..options(&directory)
    })
    .unwrap();
    let mut open = Vec::new();
    let error = loop {
        let mut transaction = storage.begin(0, Isolation::ReadCommitted);
        match transaction.begin_statement() {
            Ok(()) => open.push(transaction),
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate().as_str(), "53300");
    open.pop();
    storage
        .begin(0, Isolation::ReadCommitted)
        .begin_statement()
        .unwrap();
}

#[test]
fn the_pages_that_an_old_snapshot_pins_are_counted() {
    let store = Store::new();
    store.put(b"k", b"v");
    let mut old = store.begin_repeatable();
    old.begin_statement().unwrap();
    assert_eq!(store.storage.metrics().oldest_snapshot_pages_pinned, 0);
    for _ in 0..5 {
        store.put(b"k", b"w");
    }
    let metrics = store.storage.metrics();
    assert!(metrics.oldest_snapshot_pages_pinned >= 5, "{metrics:?}");
    assert_eq!(metrics.oldest_snapshot_groups_behind, 5);
    drop(old);
    assert_eq!(store.storage.metrics().oldest_snapshot_pages_pinned, 0);
}
