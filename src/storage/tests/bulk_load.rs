//! Relations that a transaction makes: loaded straight, cleared when it rolls back or drops them.

use super::*;
use crate::storage::{ALL_KEYS, Direction, StorageError};

fn count(store: &Store, relation: RelationId) -> usize {
    let mut transaction = store.begin();
    transaction.begin_statement().unwrap();
    let mut scan = transaction
        .scan(relation, ALL_KEYS, Direction::Forward)
        .unwrap();
    let mut count = 0;
    while scan.next().unwrap().is_some() {
        count += 1;
    }
    count
}

fn load(
    transaction: &mut Transaction,
    relation: RelationId,
    keys: impl Iterator<Item = u32>,
    row: &[u8],
) {
    wait(async {
        for key in keys {
            transaction
                .bulk_put(relation, &key.to_be_bytes(), row)
                .await
                .unwrap();
        }
        transaction.bulk_finish().await.unwrap();
    });
}

/// Waits until the commit thread has nothing left to clear.
fn cleared(store: &Store, relation: RelationId) {
    while count(store, relation) > 0 || store.storage.metrics().relations_to_clear > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn loaded_rows_are_seen_by_the_next_statement_and_stay_after_the_commit() {
    let store = Store::new();
    let mut transaction = store.begin();
    let relation = transaction.create_relation().unwrap();
    assert!(transaction.bulk_loads(relation));
    // Several batches, in descending order, with rows of 1 KiB.
    load(&mut transaction, relation, (0..20_000).rev(), &[7; 1_024]);
    transaction.begin_statement().unwrap();
    assert!(
        transaction
            .get(relation, &5u32.to_be_bytes())
            .unwrap()
            .is_some()
    );
    transaction
        .put(relation, &5u32.to_be_bytes(), b"changed")
        .unwrap();
    wait(transaction.commit()).unwrap();
    drop(transaction);
    let store = store.reopened();
    assert_eq!(count(&store, relation), 20_000);
    assert_eq!(store.storage.metrics().relations_to_clear, 0);
}

#[test]
fn a_rolled_back_load_is_cleared() {
    let store = Store::new();
    let mut transaction = store.begin();
    let relation = transaction.create_relation().unwrap();
    load(&mut transaction, relation, 0..10_000, b"row");
    assert_eq!(count(&store, relation), 10_000);
    drop(transaction);
    cleared(&store, relation);
}

#[test]
fn a_load_whose_commit_fails_is_cleared() {
    let store = Store::new();
    let mut transaction = store.begin();
    let relation = transaction.create_relation().unwrap();
    load(&mut transaction, relation, 0..10, b"row");
    store.storage.inject_commit_failures(1);
    assert!(wait(transaction.commit()).is_err());
    cleared(&store, relation);
}

#[test]
fn a_load_under_way_at_a_crash_is_cleared_by_the_next_start() {
    let store = Store::new();
    let mut transaction = store.begin();
    let relation = transaction.create_relation().unwrap();
    load(&mut transaction, relation, 0..10, b"row");
    // The closed gate takes no clearing any more: the rows and their mark stay, as after a crash.
    store.storage.shared().gate.close();
    drop(transaction);
    let store = store.reopened();
    cleared(&store, relation);
    let mut next = store.begin();
    assert!(
        next.create_relation().unwrap() > relation,
        "its id is not given out again"
    );
}

#[test]
fn a_dropped_relation_is_cleared_after_its_commit_and_not_before() {
    let store = Store::new();
    store.put(b"k", b"v");
    let mut rolled_back = store.begin();
    rolled_back.drop_relation(TABLE);
    drop(rolled_back);
    assert!(store.get(b"k").is_some());
    let mut dropping = store.begin();
    dropping.drop_relation(TABLE);
    wait(dropping.commit()).unwrap();
    cleared(&store, TABLE);
}

#[test]
fn a_key_loaded_twice_is_told_with_its_relation() {
    let store = Store::new();
    let mut transaction = store.begin();
    let relation = transaction.create_relation().unwrap();
    let outcome = wait(async {
        transaction.bulk_put(relation, b"a", b"1").await?;
        transaction.bulk_put(relation, b"a", b"2").await?;
        transaction.bulk_finish().await
    });
    let Err(StorageError::DuplicateKey {
        relation: found,
        key,
    }) = outcome
    else {
        panic!("not a duplicate: {outcome:?}");
    };
    assert_eq!((found, key.as_ref()), (relation, &b"a"[..]));
}

#[test]
fn a_load_respects_what_its_transaction_wrote_and_deleted_one_by_one() {
    // A row put by itself and then loaded was replaced without a word, and a row deleted by itself and
    // loaded again was gone after the commit: the write set is applied over the load.
    let store = Store::new();
    let mut transaction = store.begin();
    let relation = transaction.create_relation().unwrap();
    transaction.put(relation, b"put", b"1").unwrap();
    let twice = wait(transaction.bulk_put(relation, b"put", b"2")).unwrap_err();
    assert!(matches!(twice, StorageError::DuplicateKey { .. }));
    transaction.delete(relation, b"deleted").unwrap();
    wait(transaction.bulk_put(relation, b"deleted", b"again")).unwrap();
    wait(transaction.commit()).unwrap();
    assert_eq!(count(&store, relation), 2);
}

#[test]
fn a_relation_made_before_a_savepoint_takes_no_bulk_load_after_it() {
    let store = Store::new();
    let mut transaction = store.begin();
    let before = transaction.create_relation().unwrap();
    let savepoint = transaction.savepoint();
    let after = transaction.create_relation().unwrap();
    assert!(!transaction.bulk_loads(before));
    assert!(transaction.bulk_loads(after));
    load(&mut transaction, after, 0..10, b"row");
    transaction.rollback_to(savepoint);
    cleared(&store, after);
    transaction.release(savepoint);
    assert!(transaction.bulk_loads(before));
    assert!(!store.begin().bulk_loads(before));
}

#[test]
fn a_statement_does_not_begin_before_a_load_is_finished() {
    let store = Store::new();
    let mut transaction = store.begin();
    let relation = transaction.create_relation().unwrap();
    wait(transaction.bulk_put(relation, b"a", b"1")).unwrap();
    assert!(matches!(
        transaction.begin_statement(),
        Err(StorageError::Misuse(_))
    ));
    wait(transaction.bulk_finish()).unwrap();
    transaction.begin_statement().unwrap();
}

#[test]
fn row_numbers_go_on_after_the_last_row_of_the_store() {
    let store = Store::new();
    let numbers = store.storage.allocate_row_numbers(TABLE, 3).unwrap();
    assert_eq!(numbers, 1..4);
    assert_eq!(store.storage.allocate_row_numbers(TABLE, 1).unwrap(), 4..5);
    store.put(&9u64.to_be_bytes(), b"row");
    let store = store.reopened();
    assert_eq!(
        store.storage.allocate_row_numbers(TABLE, 1).unwrap(),
        10..11
    );
}

#[test]
fn relation_ids_and_oids_that_were_used_are_not_given_out_again() {
    let store = Store::new();
    let mut transaction = store.begin();
    let relation = transaction.create_relation().unwrap();
    let oid = store.storage.allocate_oid().unwrap();
    transaction.put(relation, b"k", b"v").unwrap();
    wait(transaction.commit()).unwrap();
    drop(transaction);
    let store = store.reopened();
    assert!(store.begin().create_relation().unwrap() > relation);
    assert!(store.storage.allocate_oid().unwrap() > oid);
}
