//! Sequences: increasing across sessions, gaps after a crash, never a value twice.

use super::*;
use crate::storage::{SequenceState, SequenceSteps};

const STEPS: SequenceSteps = SequenceSteps {
    start: 1,
    increment: 1,
    min: 1,
    max: i64::MAX,
    cycle: false,
};

#[test]
fn values_increase_and_a_restart_goes_on_past_all_of_them() {
    let store = Store::new();
    let next = |store: &Store| wait(store.storage.sequence_next(TABLE, STEPS)).unwrap();
    let values: Vec<i64> = (0..100).map(|_| next(&store)).collect();
    assert_eq!(values, (1..=100).collect::<Vec<i64>>());
    let store = store.reopened();
    let after = next(&store);
    assert!((101..=149).contains(&after), "{after}");
}

#[test]
fn sessions_on_all_cores_share_one_counter() {
    let store = Store::new();
    let mut values: Vec<i64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let storage = store.storage.clone();
                scope.spawn(move || -> Vec<i64> {
                    (0..200)
                        .map(|_| wait(storage.sequence_next(TABLE, STEPS)).unwrap())
                        .collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    values.sort_unstable();
    assert_eq!(values, (1..=800).collect::<Vec<i64>>());
}

#[test]
fn setval_is_durable_and_decides_the_next_value() {
    let store = Store::new();
    wait(store.storage.sequence_next(TABLE, STEPS)).unwrap();
    let state = SequenceState {
        last_value: 500,
        is_called: false,
    };
    wait(store.storage.sequence_set(TABLE, state)).unwrap();
    assert_eq!(store.storage.sequence_state(TABLE, STEPS).unwrap(), state);
    let store = store.reopened();
    assert_eq!(store.storage.sequence_state(TABLE, STEPS).unwrap(), state);
    assert_eq!(
        wait(store.storage.sequence_next(TABLE, STEPS)).unwrap(),
        500
    );
}

#[test]
fn the_end_of_a_sequence_is_2200h() {
    let store = Store::new();
    let short = SequenceSteps { max: 2, ..STEPS };
    assert_eq!(wait(store.storage.sequence_next(TABLE, short)).unwrap(), 1);
    assert_eq!(wait(store.storage.sequence_next(TABLE, short)).unwrap(), 2);
    let error = wait(store.storage.sequence_next(TABLE, short)).unwrap_err();
    assert_eq!(error.sqlstate().as_str(), "2200H");
}
