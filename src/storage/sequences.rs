//! Sequences: shared counters outside of transactions, logged in steps (REFERENCE §8).
//!
//! A value is given out only when the store holds one at least as far, so after a crash a sequence
//! goes on past everything it gave out, with a gap of at most [`LOGGED_STEPS`].

use super::commit_gate::{CommitGate, Job};
use super::error::StorageError;
use super::reader::ReaderPool;
use super::record;
use crate::catalog::RelationId;
use futures::channel::oneshot;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Values logged ahead.
const LOGGED_STEPS: i64 = 32;

/// How a sequence counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceSteps {
    /// START: the first value.
    pub start: i64,
    /// INCREMENT, not 0.
    pub increment: i64,
    /// MINVALUE
    pub min: i64,
    /// MAXVALUE
    pub max: i64,
    /// CYCLE
    pub cycle: bool,
}

/// Where a sequence stands, as `SELECT * FROM sequence` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceState {
    /// The value given out last, or START.
    pub last_value: i64,
    /// Whether last_value was given out.
    pub is_called: bool,
}

impl SequenceSteps {
    /// The value after this state.
    fn after(&self, state: SequenceState) -> Result<i64, StorageError> {
        if !state.is_called {
            return Ok(state.last_value);
        }
        let next = state.last_value.checked_add(self.increment);
        match next.filter(|next| (self.min..=self.max).contains(next)) {
            Some(next) => Ok(next),
            None if self.cycle && self.increment > 0 => Ok(self.min),
            None if self.cycle => Ok(self.max),
            None => Err(StorageError::SequenceExhausted {
                limit: if self.increment > 0 {
                    self.max
                } else {
                    self.min
                },
                ascending: self.increment > 0,
            }),
        }
    }

    /// The value to log before `first` may be given out, and how many values that covers.
    fn log_ahead(&self, first: i64) -> (i64, i64) {
        let room = match self.increment > 0 {
            true => i128::from(self.max) - i128::from(first),
            false => i128::from(first) - i128::from(self.min),
        };
        let further =
            (room / i128::from(self.increment).abs()).clamp(0, i128::from(LOGGED_STEPS - 1));
        let further = i64::try_from(further).expect("at most LOGGED_STEPS");
        (first + self.increment * further, further + 1)
    }
}

/// One sequence.
#[derive(Default)]
struct Counter {
    /// None: not read from the store yet.
    state: Option<SequenceState>,
    /// How many values after `state` the store covers.
    covered: i64,
    /// Those who wait for the record under way; none is under way without this.
    logging: Option<Vec<oneshot::Sender<Result<(), StorageError>>>>,
}

type SharedCounter = Arc<Mutex<Counter>>;

/// The sequences in use.
#[derive(Default)]
pub(super) struct Sequences(Mutex<HashMap<RelationId, SharedCounter>>);

/// What a look at a counter leads to.
enum Look {
    Value(i64),
    Wait(oneshot::Receiver<Result<(), StorageError>>),
}

impl Sequences {
    fn counter(&self, relation: RelationId) -> SharedCounter {
        self.0.lock().entry(relation).or_default().clone()
    }

    /// nextval
    pub(super) async fn next(
        &self,
        relation: RelationId,
        steps: SequenceSteps,
        gate: &CommitGate,
        pool: &ReaderPool,
    ) -> Result<i64, StorageError> {
        let shared = self.counter(relation);
        loop {
            let look = look(&shared, relation, steps, gate, pool)?;
            match look {
                Look::Value(value) => return Ok(value),
                Look::Wait(done) => done.await.unwrap_or(Err(StorageError::ShuttingDown))?,
            }
        }
    }

    /// setval
    pub(super) async fn set(
        &self,
        relation: RelationId,
        state: SequenceState,
        gate: &CommitGate,
    ) -> Result<(), StorageError> {
        let shared = self.counter(relation);
        loop {
            let wait = {
                let mut counter = shared.lock();
                match counter.logging.is_some() {
                    // After the record under way, so that it does not undo this one.
                    true => (join(&mut counter), false),
                    false => (
                        record_state(&shared, &mut counter, relation, state, Logged::Set, gate)?,
                        true,
                    ),
                }
            };
            let (done, is_ours) = wait;
            done.await.unwrap_or(Err(StorageError::ShuttingDown))?;
            if is_ours {
                return Ok(());
            }
        }
    }

    /// Where the sequence stands.
    pub(super) fn state(
        &self,
        relation: RelationId,
        steps: SequenceSteps,
        pool: &ReaderPool,
    ) -> Result<SequenceState, StorageError> {
        let shared = self.counter(relation);
        let mut counter = shared.lock();
        load(&mut counter, relation, steps, pool)
    }

    /// Forgets a sequence that is no more.
    pub(super) fn forget(&self, relation: RelationId) {
        self.0.lock().remove(&relation);
    }
}

fn look(
    shared: &SharedCounter,
    relation: RelationId,
    steps: SequenceSteps,
    gate: &CommitGate,
    pool: &ReaderPool,
) -> Result<Look, StorageError> {
    let mut counter = shared.lock();
    let state = load(&mut counter, relation, steps, pool)?;
    if counter.covered > 0 {
        let value = steps.after(state)?;
        counter.covered -= 1;
        counter.state = Some(SequenceState {
            last_value: value,
            is_called: true,
        });
        return Ok(Look::Value(value));
    }
    if counter.logging.is_some() {
        return Ok(Look::Wait(join(&mut counter)));
    }
    let (last_value, covered) = steps.log_ahead(steps.after(state)?);
    let target = SequenceState {
        last_value,
        is_called: true,
    };
    let wait = record_state(
        shared,
        &mut counter,
        relation,
        target,
        Logged::Ahead(covered),
        gate,
    )?;
    Ok(Look::Wait(wait))
}

/// Reads the counter from the store the first time.
fn load(
    counter: &mut Counter,
    relation: RelationId,
    steps: SequenceSteps,
    pool: &ReaderPool,
) -> Result<SequenceState, StorageError> {
    if let Some(state) = counter.state {
        return Ok(state);
    }
    let reader = pool.take()?;
    let stored = reader
        .get(&record::sequence_key(relation))
        .and_then(|stored| stored.map(record::decode_sequence).transpose());
    pool.give_back(reader);
    let state = stored?.unwrap_or(SequenceState {
        last_value: steps.start,
        is_called: false,
    });
    counter.state = Some(state);
    Ok(state)
}

fn join(counter: &mut Counter) -> oneshot::Receiver<Result<(), StorageError>> {
    let (done, receiver) = oneshot::channel();
    counter.logging.get_or_insert_default().push(done);
    receiver
}

/// What a record was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logged {
    /// nextval: so many values are covered by it.
    Ahead(i64),
    /// setval: the record is the new state.
    Set,
}

/// Sends a record to the commit thread, which finishes it whether or not anybody still waits.
fn record_state(
    shared: &SharedCounter,
    counter: &mut Counter,
    relation: RelationId,
    state: SequenceState,
    logged: Logged,
    gate: &CommitGate,
) -> Result<oneshot::Receiver<Result<(), StorageError>>, StorageError> {
    let finished = shared.clone();
    gate.submit(Job::Record {
        key: record::sequence_key(relation),
        value: record::encode_sequence(state),
        done: Box::new(move |outcome| {
            let waiting = {
                let mut counter = finished.lock();
                if outcome.is_ok() {
                    match logged {
                        Logged::Ahead(covered) => counter.covered = covered,
                        Logged::Set => {
                            counter.covered = 0;
                            counter.state = Some(state);
                        }
                    }
                }
                counter.logging.take().unwrap_or_default()
            };
            for waiter in waiting {
                let _ = waiter.send(outcome.clone());
            }
        }),
    })?;
    Ok(join(counter))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: SequenceSteps = SequenceSteps {
        start: 1,
        increment: 1,
        min: 1,
        max: 10,
        cycle: false,
    };

    fn called(last_value: i64) -> SequenceState {
        SequenceState {
            last_value,
            is_called: true,
        }
    }

    #[test]
    fn a_sequence_begins_with_its_start_and_ends_at_its_maximum() {
        let first = SequenceState {
            last_value: 1,
            is_called: false,
        };
        assert_eq!(UP.after(first).unwrap(), 1);
        assert_eq!(UP.after(called(9)).unwrap(), 10);
        let ended = UP.after(called(10)).unwrap_err();
        assert!(ended.to_string().contains("maximum value of sequence (10)"));
    }

    #[test]
    fn a_cycling_sequence_goes_round_both_ways() {
        let up = SequenceSteps { cycle: true, ..UP };
        assert_eq!(up.after(called(10)).unwrap(), 1);
        let down = SequenceSteps {
            increment: -3,
            ..up
        };
        assert_eq!(down.after(called(2)).unwrap(), 10);
    }

    #[test]
    fn logging_ahead_stops_at_the_bound_and_never_overflows() {
        assert_eq!(UP.log_ahead(1), (10, 10));
        let wide = SequenceSteps {
            max: i64::MAX,
            ..UP
        };
        assert_eq!(wide.log_ahead(1), (32, 32));
        assert_eq!(wide.log_ahead(i64::MAX - 1), (i64::MAX, 2));
        let leap = SequenceSteps {
            increment: i64::MAX,
            ..wide
        };
        assert_eq!(leap.log_ahead(1), (1, 1));
    }
}
