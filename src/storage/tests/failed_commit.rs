//! A group that cannot be written (DESIGN §6): everything ordered after the last durable commit fails
//! alike, and whoever took a value from it gets 40001.

use super::*;
use crate::storage::StorageError;

/// Orders a change of `k` without letting the commit thread write it.
macro_rules! ordered_update {
    ($transaction:ident, $row:expr) => {{
        lock(&mut $transaction, b"k");
        $transaction.newest(TABLE, b"k").unwrap();
        $transaction.put(TABLE, b"k", $row).unwrap();
        let mut commit = Box::pin($transaction.commit());
        assert!(poll_once(&mut commit).is_pending());
        commit
    }};
}

#[test]
fn all_that_was_ordered_fails_alike_and_what_was_durable_stays() {
    let store = Store::new();
    store.put(b"k", b"0");
    let environment = store.storage.shared().environment.clone();
    let writer = environment.write().unwrap();
    let (mut first, mut second, mut third) = (store.begin(), store.begin(), store.begin());
    let first_commit = ordered_update!(first, b"1");
    let second_commit = ordered_update!(second, b"2");
    lock(&mut third, b"k");
    assert_eq!(
        third.newest(TABLE, b"k").unwrap().row.as_deref(),
        Some(&b"2"[..])
    );
    third.put(TABLE, b"k", b"3").unwrap();
    let third_durable = Box::pin(third.durable());
    store.storage.inject_commit_failures(1);
    drop(writer);
    drop(environment);
    for commit in [first_commit, second_commit] {
        assert_eq!(wait(commit).unwrap_err().sqlstate().as_str(), "53100");
    }
    assert_eq!(
        wait(third_durable).unwrap_err().sqlstate().as_str(),
        "40001"
    );
    assert_eq!(
        third.begin_statement().unwrap_err().sqlstate().as_str(),
        "40001"
    );
    let lost = wait(third.commit()).unwrap_err();
    assert!(matches!(lost, StorageError::ValueLost { .. }));
    drop(third);

    let mut after = store.begin();
    lock(&mut after, b"k");
    assert_eq!(
        after.newest(TABLE, b"k").unwrap().row.as_deref(),
        Some(&b"0"[..])
    );
    after.put(TABLE, b"k", b"4").unwrap();
    wait(after.commit()).unwrap();
    drop((first, second, after));
    let store = store.reopened();
    assert_eq!(store.get(b"k").as_deref(), Some(&b"4"[..]));
}

#[test]
fn a_value_that_became_durable_before_the_failure_is_not_lost() {
    let store = Store::new();
    store.put(b"k", b"0");
    let environment = store.storage.shared().environment.clone();
    let writer = environment.write().unwrap();
    let (mut first, mut taker) = (store.begin(), store.begin());
    let first_commit = ordered_update!(first, b"1");
    lock(&mut taker, b"k");
    taker.newest(TABLE, b"k").unwrap();
    drop(writer);
    wait(first_commit).unwrap();
    store.storage.inject_commit_failures(1);
    let mut failing = store.begin();
    failing.put(TABLE, b"other", b"x").unwrap();
    assert!(wait(failing.commit()).is_err());
    taker.begin_statement().unwrap();
    taker.put(TABLE, b"k", b"2").unwrap();
    wait(taker.commit()).unwrap();
    assert_eq!(store.get(b"k").as_deref(), Some(&b"2"[..]));
}

#[test]
fn counters_under_concurrent_updates_lose_nothing_acknowledged_when_groups_fail() {
    let store = Store::new();
    store.put(b"k", &0u64.to_be_bytes());
    let acknowledged: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                scope.spawn({
                    let storage = store.storage.clone();
                    move || {
                        (0..60)
                            .filter(|round| {
                                if worker == 0 && round % 10 == 5 {
                                    storage.inject_commit_failures(1);
                                }
                                increment(&storage, worker % 2)
                            })
                            .count() as u64
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    let store = store.reopened();
    let stored = u64::from_be_bytes(store.get(b"k").unwrap().try_into().unwrap());
    assert_eq!(stored, acknowledged);
    assert!(acknowledged > 0);
}

/// Adds one to `k`; whether that was acknowledged.
fn increment(storage: &Storage, core: usize) -> bool {
    let mut transaction = storage.begin(core, Isolation::ReadCommitted);
    let locked = wait(transaction.lock(TABLE, b"k", LockMode::NoKeyUpdate, LockWait::Block));
    locked.unwrap();
    let Ok(newest) = transaction.newest(TABLE, b"k") else {
        return false;
    };
    let count = u64::from_be_bytes(newest.row.unwrap().as_ref().try_into().unwrap());
    transaction
        .put(TABLE, b"k", &(count + 1).to_be_bytes())
        .unwrap();
    wait(transaction.commit()).is_ok()
}
