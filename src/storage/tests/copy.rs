//! A copy of the store: of one moment, at its reader's pace, ended by letting go.

use super::*;
use crate::storage::{StorageError, StoreCopy};
use std::path::Path;

/// Reads a copy to its end into a directory of its own.
fn kept(mut copy: StoreCopy, directory: &Path) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = copy.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&buffer[..read]);
    }
    assert_eq!(bytes.len() as u64, copy.bytes());
    std::fs::write(directory.join(copy.file_name()), bytes).unwrap();
    let (name, text) = copy.format_file();
    std::fs::write(directory.join(name), text).unwrap();
}

fn fill(store: &Store, rows: u32) {
    let mut transaction = store.begin();
    for row in 0..rows {
        let key = row.to_be_bytes();
        transaction.put(TABLE, &key, &[7; 1000]).unwrap();
    }
    wait(transaction.commit()).unwrap();
}

#[test]
fn a_copy_has_what_was_durable_when_it_began_and_nothing_later() {
    let store = Store::new();
    fill(&store, 2_000);
    let copy = store.storage.copy().unwrap();
    // The file goes on, in place of what the copy has still to read.
    for round in 0..20 {
        fill(&store, 2_000);
        store.put(b"later", &[round]);
    }
    let directory = tempfile::tempdir().unwrap();
    kept(copy, directory.path());
    let copied = Store {
        storage: Storage::open(options(&directory)).unwrap(),
        directory,
    };
    for row in 0..2_000_u32 {
        assert_eq!(copied.get(&row.to_be_bytes()).unwrap(), [7; 1000]);
    }
    assert_eq!(copied.get(b"later"), None);
    copied.put(b"later", b"own");
    assert_eq!(copied.get(b"later").unwrap(), b"own");
}

#[test]
fn a_copy_that_is_let_go_ends_and_pins_nothing() {
    let store = Store::new();
    fill(&store, 2_000);
    let mut copy = store.storage.copy().unwrap();
    copy.read(&mut [0; 100]).unwrap();
    assert!(store.storage.metrics().oldest_snapshot_age < Duration::from_secs(60));
    assert!(store.storage.shared().watch.oldest().lmdb_id.is_some());
    drop(copy);
    assert_eq!(store.storage.shared().watch.oldest().lmdb_id, None);
    // Its thread and its reader slot are gone too: there are 64.
    for _ in 0..100 {
        store.storage.copy().unwrap();
    }
}

#[test]
fn age_alone_does_not_end_a_copy_and_want_of_disk_does() {
    let store = Store::new();
    fill(&store, 2_000);
    let mut copy = store.storage.copy().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let watch = &store.storage.shared().watch;
    assert_eq!(watch.expire_older(Duration::ZERO), 0);
    copy.read(&mut [0; 100]).unwrap();
    assert_eq!(watch.expire_oldest(), 1);
    let given_up = copy.read(&mut [0; 100]);
    assert!(matches!(given_up, Err(StorageError::SnapshotTooOld)));
}
