//! Row locks and relation uses: who waits for whom, and how a wait ends.

use super::*;
use crate::catalog::Oid;
use crate::storage::{StorageError, Use};

const KEY: &[u8] = b"k";
const RELATION: Oid = Oid(20_000);

macro_rules! pending {
    ($future:expr) => {{
        let mut future = Box::pin($future);
        assert!(poll_once(&mut future).is_pending());
        future
    }};
}

fn block(
    transaction: &mut Transaction,
    mode: LockMode,
) -> impl Future<Output = Result<Locked, StorageError>> {
    transaction.lock(TABLE, KEY, mode, LockWait::Block)
}

#[test]
fn waiters_go_on_in_the_order_they_came() {
    let store = Store::new();
    let (mut a, mut b, mut c) = (store.begin(), store.begin(), store.begin());
    lock(&mut a, KEY);
    let mut second = pending!(block(&mut b, LockMode::Update));
    let mut third = pending!(block(&mut c, LockMode::Update));
    a.rollback();
    assert!(poll_once(&mut second).is_ready());
    assert!(poll_once(&mut third).is_pending());
    drop(second);
    b.rollback();
    assert!(poll_once(&mut third).is_ready());
}

#[test]
fn a_newcomer_does_not_overtake_a_conflicting_waiter() {
    let store = Store::new();
    let (mut a, mut b, mut c) = (store.begin(), store.begin(), store.begin());
    wait(block(&mut a, LockMode::Share)).unwrap();
    let waiting = pending!(block(&mut b, LockMode::Update));
    let mut sharer = pending!(block(&mut c, LockMode::Share));
    // A waiter that goes away lets those behind it go on.
    drop(waiting);
    assert!(poll_once(&mut sharer).is_ready());
}

#[test]
fn a_holder_strengthens_its_lock_before_others_in_the_queue() {
    let store = Store::new();
    let (mut a, mut b, mut c) = (store.begin(), store.begin(), store.begin());
    wait(block(&mut a, LockMode::KeyShare)).unwrap();
    wait(block(&mut b, LockMode::KeyShare)).unwrap();
    let mut stranger = pending!(block(&mut c, LockMode::Update));
    let mut stronger = pending!(block(&mut a, LockMode::Update));
    b.rollback();
    assert!(poll_once(&mut stronger).is_ready());
    assert!(poll_once(&mut stranger).is_pending());
    drop(stronger);
    a.rollback();
    assert!(poll_once(&mut stranger).is_ready());
}

#[test]
fn nowait_is_55p03_and_skip_locked_skips() {
    let store = Store::new();
    let (mut a, mut b) = (store.begin(), store.begin());
    lock(&mut a, KEY);
    let refused = wait(b.lock(TABLE, KEY, LockMode::Share, LockWait::NoWait)).unwrap_err();
    assert_eq!(refused.sqlstate().as_str(), "55P03");
    let skipped = wait(b.lock(TABLE, KEY, LockMode::Share, LockWait::SkipLocked)).unwrap();
    assert_eq!(skipped, Locked::Skipped);
}

#[test]
fn lock_timeout_is_55p03_and_leaves_the_queue() {
    let store = Store::new();
    let (mut a, mut b, mut c) = (store.begin(), store.begin(), store.begin());
    wait(block(&mut a, LockMode::Share)).unwrap();
    let timeout = LockWait::Timeout(Duration::from_millis(1));
    let error = wait(b.lock(TABLE, KEY, LockMode::Update, timeout)).unwrap_err();
    assert!(matches!(error, StorageError::LockTimeout { .. }));
    wait(c.lock(TABLE, KEY, LockMode::Share, LockWait::NoWait)).unwrap();
}

#[test]
fn a_cancelled_wait_is_57014() {
    let store = Store::new();
    let (mut a, mut b) = (store.begin(), store.begin());
    lock(&mut a, KEY);
    let id = b.id();
    let waiting = pending!(block(&mut b, LockMode::Update));
    store.storage.cancel_wait(id);
    assert_eq!(wait(waiting).unwrap_err().sqlstate().as_str(), "57014");
}

#[test]
fn a_granted_wait_that_nobody_awaits_any_more_is_released() {
    let store = Store::new();
    let (mut a, mut b, mut c) = (store.begin(), store.begin(), store.begin());
    lock(&mut a, KEY);
    let waiting = pending!(block(&mut b, LockMode::Update));
    a.rollback();
    drop(waiting);
    lock(&mut c, KEY);
}

#[test]
fn of_two_that_wait_for_each_other_one_gets_40p01_and_the_other_goes_on() {
    let store = Store::new();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let workers: Vec<_> = [(b"a", b"b"), (b"b", b"a")]
            .map(|(mine, yours)| {
                let (storage, barrier) = (store.storage.clone(), barrier.clone());
                scope.spawn(move || {
                    let mut transaction = storage.begin(0, Isolation::ReadCommitted);
                    lock(&mut transaction, mine);
                    barrier.wait();
                    wait(transaction.lock(TABLE, yours, LockMode::Update, LockWait::Block))
                })
            })
            .into();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let failed: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().err())
        .collect();
    assert_eq!(failed.len(), 1, "{outcomes:?}");
    let StorageError::Deadlock { detail } = failed[0] else {
        panic!("not a deadlock: {:?}", failed[0]);
    };
    assert_eq!(detail.lines().count(), 2, "{detail}");
    assert_eq!(store.storage.metrics().deadlocks, 1);
    assert_eq!(store.storage.metrics().locks, 0);
}

#[test]
fn a_deadlock_between_a_row_and_a_relation_use_is_found() {
    let store = Store::new();
    let (mut writer, mut definer) = (store.begin(), store.begin_repeatable());
    wait(writer.use_relation(RELATION, Use::Writing, LockWait::Block)).unwrap();
    lock(&mut definer, KEY);
    let exclusive = pending!(definer.use_relation(RELATION, Use::Exclusive, LockWait::Block));
    let row = pending!(block(&mut writer, LockMode::Update));
    // Either may be the victim; the search breaks the cycle by one of them.
    let error = wait_either(row, exclusive);
    assert_eq!(error.sqlstate().as_str(), "40P01");
}

/// The error of whichever fails first.
fn wait_either<A, B>(
    mut a: std::pin::Pin<Box<impl Future<Output = Result<A, StorageError>>>>,
    mut b: std::pin::Pin<Box<impl Future<Output = Result<B, StorageError>>>>,
) -> StorageError {
    loop {
        if let Poll::Ready(Err(error)) = poll_once(&mut a) {
            return error;
        }
        if let Poll::Ready(Err(error)) = poll_once(&mut b) {
            return error;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_change_of_definition_waits_for_the_users_of_all_cores_and_keeps_new_ones_out() {
    let store = Store::new();
    let mut here = store.storage.begin(0, Isolation::ReadCommitted);
    let mut there = store.storage.begin(1, Isolation::ReadCommitted);
    wait(here.use_relation(RELATION, Use::Shared, LockWait::Block)).unwrap();
    wait(there.use_relation(RELATION, Use::Writing, LockWait::Block)).unwrap();
    let mut definer = store.begin();
    let mut exclusive = pending!(definer.use_relation(RELATION, Use::Exclusive, LockWait::Block));
    let mut late = store.storage.begin(0, Isolation::ReadCommitted);
    let mut shut_out = pending!(late.use_relation(RELATION, Use::Shared, LockWait::Block));
    here.rollback();
    assert!(poll_once(&mut exclusive).is_pending());
    there.rollback();
    assert!(poll_once(&mut exclusive).is_ready());
    assert!(poll_once(&mut shut_out).is_pending());
    drop(exclusive);
    definer.rollback();
    assert!(poll_once(&mut shut_out).is_ready());
}

#[test]
fn an_index_build_lets_readers_in_and_keeps_writers_out() {
    let store = Store::new();
    let (mut builder, mut reader, mut writer) =
        (store.begin(), store.begin_repeatable(), store.begin());
    wait(builder.use_relation(RELATION, Use::BlockWriters, LockWait::Block)).unwrap();
    wait(reader.use_relation(RELATION, Use::Shared, LockWait::NoWait)).unwrap();
    let refused = wait(writer.use_relation(RELATION, Use::Writing, LockWait::NoWait));
    assert!(matches!(refused, Err(StorageError::LockNotAvailable)));
}

#[test]
fn a_refused_exclusive_use_leaves_no_core_closed() {
    let store = Store::new();
    let mut user = store.storage.begin(1, Isolation::ReadCommitted);
    wait(user.use_relation(RELATION, Use::Shared, LockWait::Block)).unwrap();
    let mut definer = store.begin();
    let refused = wait(definer.use_relation(RELATION, Use::Exclusive, LockWait::NoWait));
    assert!(refused.is_err());
    let mut other = store.storage.begin(0, Isolation::ReadCommitted);
    wait(other.use_relation(RELATION, Use::Writing, LockWait::NoWait)).unwrap();
}

#[test]
fn uses_outlive_the_commit_until_the_transaction_is_dropped() {
    let store = Store::new();
    let mut definer = store.begin();
    wait(definer.use_relation(RELATION, Use::Exclusive, LockWait::Block)).unwrap();
    definer.put(TABLE, KEY, b"v").unwrap();
    wait(definer.commit()).unwrap();
    let mut user = store.begin();
    let mut waiting = pending!(user.use_relation(RELATION, Use::Shared, LockWait::Block));
    drop(definer);
    assert!(poll_once(&mut waiting).is_ready());
}

#[test]
fn uses_of_a_session_that_went_away_last_until_its_commit_is_durable() {
    let store = Store::new();
    let environment = store.storage.shared().environment.clone();
    let held = environment.write().unwrap();
    let mut writer = store.begin();
    wait(writer.use_relation(RELATION, Use::Writing, LockWait::Block)).unwrap();
    writer.put(TABLE, KEY, b"v").unwrap();
    drop(pending!(writer.commit()));
    drop(writer);
    let mut definer = store.begin();
    let exclusive = pending!(definer.use_relation(RELATION, Use::Exclusive, LockWait::Block));
    drop(held);
    wait(exclusive).unwrap();
    assert_eq!(store.get(KEY).as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_large_write_set_keeps_its_row_locks_until_it_is_durable() {
    let store = Store::new();
    let environment = store.storage.shared().environment.clone();
    let held = environment.write().unwrap();
    let mut large = store.begin();
    for number in 0..100u32 {
        lock(&mut large, &number.to_be_bytes());
        large.put(TABLE, &number.to_be_bytes(), b"v").unwrap();
    }
    let commit = pending!(large.commit());
    let mut other = store.begin();
    let seventh = 7u32.to_be_bytes();
    let waiting = pending!(other.lock(TABLE, &seventh, LockMode::Update, LockWait::Block));
    drop(held);
    wait(commit).unwrap();
    wait(waiting).unwrap();
    let newest = other.newest(TABLE, &seventh).unwrap();
    assert_eq!(newest.row.as_deref(), Some(&b"v"[..]));
}
