//! The store against a model: a `BTreeMap` for what is committed and one for what a transaction sees.

use super::*;
use crate::storage::{Direction, Savepoint};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::Bound;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Operation {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Savepoint,
    RollbackTo(usize),
    Release(usize),
    Commit,
    Rollback,
    Scan(Bound<Vec<u8>>, Bound<Vec<u8>>),
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(0..4u8, 0..4)
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (key(), vec(any::<u8>(), 0..20)).prop_map(|(key, row)| Operation::Put(key, row)),
        4 => key().prop_map(Operation::Delete),
        2 => Just(Operation::Savepoint),
        1 => (0..4usize).prop_map(Operation::RollbackTo),
        1 => (0..4usize).prop_map(Operation::Release),
        2 => Just(Operation::Commit),
        1 => Just(Operation::Rollback),
        6 => (bound(), bound()).prop_map(|(low, high)| Operation::Scan(low, high)),
    ]
}

/// What the model knows of a transaction.
struct Model {
    committed: Rows,
    seen: Rows,
    savepoints: Vec<(Savepoint, Rows)>,
}

fn is_within(key: &[u8], low: &Bound<Vec<u8>>, high: &Bound<Vec<u8>>) -> bool {
    let above = match low {
        Bound::Included(low) => key >= low.as_slice(),
        Bound::Excluded(low) => key > low.as_slice(),
        Bound::Unbounded => true,
    };
    above
        && match high {
            Bound::Included(high) => key <= high.as_slice(),
            Bound::Excluded(high) => key < high.as_slice(),
            Bound::Unbounded => true,
        }
}

fn compare(
    transaction: &mut Transaction,
    model: &Model,
    low: &Bound<Vec<u8>>,
    high: &Bound<Vec<u8>>,
) {
    transaction.begin_statement().unwrap();
    let view = transaction.view(2).unwrap();
    let range = (
        low.as_ref().map(Vec::as_slice),
        high.as_ref().map(Vec::as_slice),
    );
    let expected: Vec<_> = model
        .seen
        .iter()
        .filter(|(key, _)| is_within(key, low, high))
        .collect();
    for direction in [Direction::Forward, Direction::Backward] {
        for scan in [
            transaction.scan(TABLE, range, direction),
            view.scan(TABLE, range, direction),
        ] {
            let mut scan = scan.unwrap();
            let mut found = Vec::new();
            while let Some((key, row)) = scan.next().unwrap() {
                found.push((key.to_vec(), row.to_vec()));
            }
            if direction == Direction::Backward {
                found.reverse();
            }
            assert!(
                found
                    .iter()
                    .map(|(key, row)| (key, row))
                    .eq(expected.iter().copied())
            );
        }
    }
    let newest = transaction.newest_range(TABLE, range, usize::MAX).unwrap();
    assert!(
        newest
            .iter()
            .map(|entry| &entry.key)
            .eq(expected.iter().map(|(key, _)| *key))
    );
    for (key, row) in &model.seen {
        assert_eq!(
            transaction.get(TABLE, key).unwrap().as_deref(),
            Some(row.as_slice())
        );
        let newest = transaction.newest(TABLE, key).unwrap().row;
        assert_eq!(newest.as_deref(), Some(row.as_slice()));
    }
    transaction.end_statement();
}

fn apply(store: &Store, transaction: &mut Transaction, model: &mut Model, operation: Operation) {
    match operation {
        Operation::Put(key, row) => {
            transaction.put(TABLE, &key, &row).unwrap();
            model.seen.insert(key, row);
        }
        Operation::Delete(key) => {
            transaction.delete(TABLE, &key).unwrap();
            model.seen.remove(&key);
        }
        Operation::Savepoint => model
            .savepoints
            .push((transaction.savepoint(), model.seen.clone())),
        Operation::RollbackTo(place) => {
            if let Some((savepoint, seen)) = model.savepoints.get(place) {
                transaction.rollback_to(*savepoint);
                model.seen = seen.clone();
                model.savepoints.truncate(place + 1);
            }
        }
        Operation::Release(place) => {
            if let Some((savepoint, _)) = model.savepoints.get(place) {
                transaction.release(*savepoint);
                model.savepoints.truncate(place);
            }
        }
        Operation::Commit => {
            wait(transaction.commit()).unwrap();
            model.committed = model.seen.clone();
            model.savepoints.clear();
            *transaction = store.begin();
        }
        Operation::Rollback => {
            *transaction = store.begin();
            model.seen = model.committed.clone();
            model.savepoints.clear();
        }
        Operation::Scan(low, high) => compare(transaction, model, &low, &high),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn write_sets_savepoints_and_scans_agree_with_a_map(
        operations in vec(operation(), 1..60),
        memory in prop_oneof![Just(64 << 20), Just(0), Just(30)],
    ) {
        let store = Store::with_write_set_memory(memory);
        let mut model = Model {
            committed: Rows::new(),
            seen: Rows::new(),
            savepoints: Vec::new(),
        };
        let mut transaction = store.begin();
        for operation in operations {
            apply(&store, &mut transaction, &mut model, operation);
        }
        drop(transaction);
        model.seen = model.committed.clone();
        let store = store.reopened();
        compare(&mut store.begin(), &model, &Bound::Unbounded, &Bound::Unbounded);
    }
}
