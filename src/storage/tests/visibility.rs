//! What a transaction sees, before and after commits of its own and of others.

use super::*;
use crate::storage::{ALL_KEYS, Direction, StorageError};
use std::ops::Bound;

fn rows(transaction: &Transaction, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut scan = transaction.scan(TABLE, ALL_KEYS, direction).unwrap();
    let mut rows = Vec::new();
    while let Some((key, row)) = scan.next().unwrap() {
        rows.push((key.to_vec(), row.to_vec()));
    }
    rows
}

#[test]
fn a_committed_row_is_there_for_others_and_after_a_restart() {
    let store = Store::new();
    store.put(b"k", b"v");
    assert_eq!(store.get(b"k").as_deref(), Some(&b"v"[..]));
    let store = store.reopened();
    assert_eq!(store.get(b"k").as_deref(), Some(&b"v"[..]));
}

#[test]
fn own_writes_are_seen_by_their_transaction_alone_until_it_commits() {
    let store = Store::new();
    store.put(b"gone", b"1");
    let mut writer = store.begin();
    writer.put(TABLE, b"new", b"2").unwrap();
    writer.delete(TABLE, b"gone").unwrap();
    writer.begin_statement().unwrap();
    assert_eq!(
        rows(&writer, Direction::Forward),
        [(b"new".to_vec(), b"2".to_vec())]
    );
    assert_eq!(writer.get(TABLE, b"gone").unwrap(), None);
    assert_eq!(store.get(b"new"), None);
    assert!(store.get(b"gone").is_some());
    drop(writer);
    assert_eq!(store.get(b"new"), None);
    assert!(store.get(b"gone").is_some());
}

#[test]
fn read_committed_sees_a_commit_with_its_next_statement_and_repeatable_read_never() {
    let store = Store::new();
    store.put(b"k", b"old");
    let mut fresh = store.begin();
    let mut fixed = store.begin_repeatable();
    fresh.begin_statement().unwrap();
    fixed.begin_statement().unwrap();
    store.put(b"k", b"new");
    assert_eq!(
        fresh.get(TABLE, b"k").unwrap().as_deref(),
        Some(&b"old"[..])
    );
    for transaction in [&mut fresh, &mut fixed] {
        transaction.end_statement();
        transaction.begin_statement().unwrap();
    }
    assert_eq!(
        fresh.get(TABLE, b"k").unwrap().as_deref(),
        Some(&b"new"[..])
    );
    assert_eq!(
        fixed.get(TABLE, b"k").unwrap().as_deref(),
        Some(&b"old"[..])
    );
}

#[test]
fn repeatable_read_finds_that_a_row_changed_since_its_snapshot() {
    let store = Store::new();
    store.put(b"k", b"old");
    store.put(b"still", b"1");
    let mut fixed = store.begin_repeatable();
    fixed.begin_statement().unwrap();
    store.put(b"k", b"new");
    lock(&mut fixed, b"k");
    let newest = fixed.newest(TABLE, b"k").unwrap();
    assert_eq!(newest.row.as_deref(), Some(&b"new"[..]));
    assert!(fixed.changed_since_snapshot(newest.commit).unwrap());
    let still = fixed.newest(TABLE, b"still").unwrap();
    assert!(!fixed.changed_since_snapshot(still.commit).unwrap());
}

#[test]
fn the_newest_version_is_read_from_the_overlay_before_it_is_durable() {
    let store = Store::new();
    store.put(b"k", b"0");
    // Holding LMDB's writer lock keeps the commit thread from its next group.
    let environment = store.storage.shared().environment.clone();
    let writer = environment.write().unwrap();
    let mut first = store.begin();
    lock(&mut first, b"k");
    first.put(TABLE, b"k", b"1").unwrap();
    let mut ordered = Box::pin(first.commit());
    assert!(poll_once(&mut ordered).is_pending());
    let mut second = store.begin();
    lock(&mut second, b"k");
    assert_eq!(
        second.newest(TABLE, b"k").unwrap().row.as_deref(),
        Some(&b"1"[..])
    );
    let range = second
        .newest_range(TABLE, (Bound::Included(&b"k"[..]), Bound::Unbounded), 10)
        .unwrap();
    assert_eq!(range.len(), 1);
    assert_eq!(range[0].row.as_ref(), b"1");
    assert!(range[0].commit.0 > 0);
    // A plain read sees what is durable; a reply with the ordered value waits for it.
    assert_eq!(store.get(b"k").as_deref(), Some(&b"0"[..]));
    let mut durable = Box::pin(second.durable());
    assert!(poll_once(&mut durable).is_pending());
    drop(writer);
    wait(durable).unwrap();
    wait(ordered).unwrap();
    assert_eq!(store.get(b"k").as_deref(), Some(&b"1"[..]));
    assert_eq!(store.storage.metrics().overlay_versions, 0);
}

#[test]
fn many_updates_of_one_row_share_a_group() {
    let store = Store::new();
    store.put(b"k", &[0]);
    let before = store.storage.metrics();
    let environment = store.storage.shared().environment.clone();
    let writer = environment.write().unwrap();
    let mut transactions: Vec<Transaction> = (0..20).map(|_| store.begin()).collect();
    let mut commits = Vec::new();
    for transaction in &mut transactions {
        lock(transaction, b"k");
        let newest = transaction.newest(TABLE, b"k").unwrap().row.unwrap();
        transaction.put(TABLE, b"k", &[newest[0] + 1]).unwrap();
        let mut commit = Box::pin(transaction.commit());
        assert!(poll_once(&mut commit).is_pending());
        commits.push(commit);
    }
    drop(writer);
    for commit in commits {
        wait(commit).unwrap();
    }
    let after = store.storage.metrics();
    assert_eq!(store.get(b"k"), Some(vec![20]));
    assert_eq!(after.commits - before.commits, 20);
    assert!(
        after.groups - before.groups <= 2,
        "one group under way, one for all others"
    );
}

#[test]
fn a_scan_goes_both_ways_within_its_bounds() {
    let store = Store::new();
    for key in [b"a", b"b", b"c", b"d"] {
        store.put(key, key);
    }
    let mut transaction = store.begin();
    transaction.put(TABLE, b"bb", b"own").unwrap();
    transaction.begin_statement().unwrap();
    let range = (Bound::Excluded(&b"a"[..]), Bound::Included(&b"c"[..]));
    let keys = |direction| {
        let mut scan = transaction.scan(TABLE, range, direction).unwrap();
        let mut keys = Vec::new();
        while let Some((key, _)) = scan.next().unwrap() {
            keys.push(String::from_utf8(key.to_vec()).unwrap());
        }
        keys
    };
    assert_eq!(keys(Direction::Forward), ["b", "bb", "c"]);
    assert_eq!(keys(Direction::Backward), ["c", "bb", "b"]);
    let nothing = (Bound::Excluded(&b"c"[..]), Bound::Excluded(&b"b"[..]));
    let mut scan = transaction
        .scan(TABLE, nothing, Direction::Forward)
        .unwrap();
    assert_eq!(scan.next().unwrap(), None);
}

#[test]
fn a_statement_does_not_meet_what_it_writes_itself() {
    let store = Store::new();
    store.put(b"a", b"1");
    let mut transaction = store.begin();
    transaction.begin_statement().unwrap();
    let mut scan = transaction
        .scan(TABLE, ALL_KEYS, Direction::Forward)
        .unwrap();
    let view = transaction.view(2).unwrap();
    transaction.put(TABLE, b"b", b"2").unwrap();
    assert!(scan.next().unwrap().is_some());
    assert_eq!(scan.next().unwrap(), None);
    assert_eq!(view.get(TABLE, b"b").unwrap(), None);
}

#[test]
fn a_view_reads_on_other_threads_after_its_transaction_has_ended() {
    let store = Store::new();
    let write = |numbers: std::ops::Range<u16>| {
        let mut writer = store.begin();
        for number in numbers {
            writer.put(TABLE, &number.to_be_bytes(), b"row").unwrap();
        }
        writer
    };
    wait(write(0..250).commit()).unwrap();
    let mut transaction = write(250..500);
    transaction.begin_statement().unwrap();
    let view = transaction.view(4).unwrap();
    drop(transaction);
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let scans: Vec<_> = (0..4)
            .map(|_| {
                let view = view.clone();
                scope.spawn(move || {
                    let mut scan = view.scan(TABLE, ALL_KEYS, Direction::Forward).unwrap();
                    let mut count = 0;
                    while scan.next().unwrap().is_some() {
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        scans.into_iter().map(|scan| scan.join().unwrap()).collect()
    });
    assert_eq!(counts, [500; 4]);
}

#[test]
fn a_savepoint_returns_writes_and_row_locks() {
    let store = Store::new();
    let mut transaction = store.begin();
    transaction.put(TABLE, b"a", b"1").unwrap();
    let savepoint = transaction.savepoint();
    lock(&mut transaction, b"b");
    transaction.put(TABLE, b"b", b"2").unwrap();
    let inner = transaction.savepoint();
    transaction.delete(TABLE, b"a").unwrap();
    transaction.release(inner);
    transaction.rollback_to(savepoint);
    let mut other = store.begin();
    lock(&mut other, b"b");
    wait(transaction.commit()).unwrap();
    assert!(store.get(b"a").is_some());
    assert_eq!(store.get(b"b"), None);
}

#[test]
fn limits_are_54000() {
    let store = Store::new();
    let mut transaction = store.begin();
    let key_bytes_max = store.storage.shared().environment.key_bytes_max;
    let longest = vec![7; key_bytes_max - 4];
    transaction.put(TABLE, &longest, b"row").unwrap();
    let longer = vec![7; key_bytes_max - 3];
    let error = transaction.put(TABLE, &longer, b"row").unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "54000");
    transaction.begin_statement().unwrap();
    assert_eq!(transaction.get(TABLE, &longer).unwrap(), None);
    wait(transaction.commit()).unwrap();
    assert!(store.get(&longest).is_some());
}

#[test]
fn a_transaction_past_its_bytes_is_54000_and_rolls_back() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(Options {
        transaction_bytes_max: 10_000,
        ..options(&directory)
    })
    .unwrap();
    let mut transaction = storage.begin(0, Isolation::ReadCommitted);
    let error = (0..1_000u32)
        .find_map(|n| transaction.put(TABLE, &n.to_be_bytes(), &[0; 100]).err())
        .expect("the limit is reached");
    assert!(matches!(
        error,
        StorageError::TransactionTooLarge { bytes_max: 10_000 }
    ));
    assert_eq!(error.sqlstate().as_str(), "54000");
}

#[test]
fn a_full_map_is_53100_and_what_was_acknowledged_stays() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::open(Options {
        map_size_bytes: 2 << 20,
        ..options(&directory)
    })
    .unwrap();
    let mut acknowledged = 0u32;
    let error = loop {
        let mut transaction = storage.begin(0, Isolation::ReadCommitted);
        transaction
            .put(TABLE, &acknowledged.to_be_bytes(), &[0; 60_000])
            .unwrap();
        match wait(transaction.commit()) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.sqlstate().as_str(), "53100");
    let mut reader = storage.begin(0, Isolation::ReadCommitted);
    reader.begin_statement().unwrap();
    for key in 0..acknowledged {
        assert!(reader.get(TABLE, &key.to_be_bytes()).unwrap().is_some());
    }
    assert_eq!(
        reader.get(TABLE, &acknowledged.to_be_bytes()).unwrap(),
        None
    );
}

#[test]
fn an_ended_transaction_refuses_work() {
    let store = Store::new();
    let mut transaction = store.begin();
    transaction.rollback();
    assert!(transaction.put(TABLE, b"k", b"v").is_err());
    assert!(transaction.begin_statement().is_err());
    assert!(wait(transaction.commit()).is_err());
}

#[test]
fn a_write_set_made_for_an_older_layout_is_40001() {
    let store = Store::new();
    let table = store.storage.allocate_oid().unwrap();
    let mut definition = store.begin();
    definition.set_layout(table, 2);
    wait(definition.commit()).unwrap();
    let mut late = store.begin();
    late.expect_layout(table, 1);
    late.put(TABLE, b"k", b"v").unwrap();
    assert!(matches!(
        wait(late.commit()),
        Err(StorageError::LayoutChanged)
    ));
    let mut current = store.begin();
    current.expect_layout(table, 2);
    current.put(TABLE, b"k", b"v").unwrap();
    wait(current.commit()).unwrap();
}
