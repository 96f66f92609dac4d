//! Sequences: shared counters outside of transactions, logged in steps (REFERENCE §8).
//!
//! A value is given out only when the store holds one at least as far, so after a crash a sequence
//! goes on past everything it gave out. The next step is logged before the last one is used up, so that
//! a busy sequence seldom waits for an fsync. A statement that takes many values says so: they are logged
//! at once, and as many for the next such statement go along with its commit.

use super::commit_gate::{CommitGate, Job};
use super::error::StorageError;
use super::reader::ReaderPool;
use super::record;
use crate::catalog::RelationId;
use futures::channel::oneshot;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Values logged at a time (REFERENCE §8).
const LOGGED_STEPS: i64 = 32;

/// Values logged at a time at most, for statements that take many.
const LOGGED_STEPS_MAX: i64 = 4_096;

/// Values left when the next step is logged.
const LOW_STEPS: i64 = 16;

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
    ///
    /// # Errors
    /// 2200H past the last one.
    pub fn after(&self, state: SequenceState) -> Result<i64, StorageError> {
        if !state.is_called {
            return Ok(state.last_value);
        }
        let next = state.last_value.checked_add(self.increment);
        match next.filter(|next| (self.min..=self.max).contains(next)) {
            Some(next) => Ok(next),
            None if self.cycle && self.increment > 0 => Ok(self.min),
            None if self.cycle => Ok(self.max),
            None => Err(StorageError::SequenceExhausted {
                limit: self.limit(),
                ascending: self.increment > 0,
            }),
        }
    }

    /// Whether a cycle leads from the state to this next value.
    fn goes_back(&self, state: SequenceState, value: i64) -> bool {
        match self.increment > 0 {
            true => value < state.last_value,
            false => value > state.last_value,
        }
    }

    /// How many steps lead from a value towards `bound` without passing it.
    fn steps_between(&self, from: i64, bound: i64) -> i64 {
        let room = (i128::from(bound) - i128::from(from)) / i128::from(self.increment);
        i64::try_from(room.clamp(0, i128::from(i64::MAX))).expect("clamped")
    }

    /// The bound that it counts towards.
    fn limit(&self) -> i64 {
        match self.increment > 0 {
            true => self.max,
            false => self.min,
        }
    }

    /// The value to log before `first` and those behind it are given out, about `wanted` in all.
    fn log_ahead(&self, first: i64, wanted: i64) -> i64 {
        let further = self
            .steps_between(first, self.limit())
            .min(wanted.clamp(LOGGED_STEPS, LOGGED_STEPS_MAX) - 1);
        first + self.increment * further
    }

    /// The first value behind a logged one; none at the end, where a cycle is logged when it is due.
    fn behind(&self, logged: i64) -> Option<i64> {
        let next = logged.checked_add(self.increment);
        next.filter(|next| (self.min..=self.max).contains(next))
    }
}

/// One sequence.
#[derive(Default)]
struct Counter {
    /// None: not read from the store yet.
    state: Option<SequenceState>,
    /// The value in the store, up to which values can be given out; none: not logged by this process.
    logged: Option<i64>,
    /// Whether it was logged for the value that a cycle leads back to, which is not given out yet.
    around: bool,
    /// How many values a statement has taken at most.
    most_wanted: i64,
    /// Those who wait for the record under way; none is under way without this.
    logging: Option<Vec<oneshot::Sender<Result<(), StorageError>>>>,
}

impl Counter {
    /// Whether the store is at least as far as this next value. One that a cycle leads back to is, when
    /// it has been logged since.
    fn is_covered(&self, state: SequenceState, value: i64, steps: SequenceSteps) -> bool {
        let goes_back = steps.goes_back(state, value);
        if goes_back != self.around || (goes_back && self.logging.is_some()) {
            return false;
        }
        self.logged.is_some_and(|logged| match steps.increment > 0 {
            true => value <= logged,
            false => value >= logged,
        })
    }
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

    /// nextval, by a statement that takes so many values, this one included.
    pub(super) async fn next(
        &self,
        relation: RelationId,
        (steps, wanted): (SequenceSteps, i64),
        gate: &CommitGate,
        pool: &ReaderPool,
    ) -> Result<i64, StorageError> {
        let shared = self.counter(relation);
        loop {
            let look = look(&shared, relation, (steps, wanted), gate, pool)?;
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
            let (done, is_ours) = {
                let mut counter = shared.lock();
                // After the record under way, so that it does not undo this one.
                let is_ours = counter.logging.is_none();
                if is_ours {
                    let gate = (gate, Haste::AtOnce);
                    record_state(&shared, &mut counter, relation, state, Purpose::Set, gate)?;
                }
                (join(&mut counter), is_ours)
            };
            let outcome = done.await.unwrap_or(Err(StorageError::ShuttingDown));
            if is_ours {
                return outcome;
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
    (steps, wanted): (SequenceSteps, i64),
    gate: &CommitGate,
    pool: &ReaderPool,
) -> Result<Look, StorageError> {
    let mut counter = shared.lock();
    let state = load(&mut counter, relation, steps, pool)?;
    let value = steps.after(state)?;
    counter.most_wanted = counter.most_wanted.max(wanted);
    if !counter.is_covered(state, value, steps) {
        if counter.logging.is_none() {
            let to = steps.log_ahead(value, wanted);
            log(shared, &mut counter, relation, to, (gate, Haste::AtOnce))?;
            counter.around = steps.goes_back(state, value);
        } else {
            // It may be one that was to go along with a commit, and it was too small.
            counter.most_wanted = (counter.most_wanted * 2).min(LOGGED_STEPS_MAX);
            gate.hurry();
        }
        return Ok(Look::Wait(join(&mut counter)));
    }
    counter.state = Some(called(value));
    counter.around = false;
    let low = counter
        .logged
        .filter(|logged| steps.steps_between(value, *logged) < LOW_STEPS);
    if let Some(first) = low.and_then(|logged| steps.behind(logged))
        && counter.logging.is_none()
    {
        let (ahead, haste) = match wanted {
            1 => (LOGGED_STEPS, Haste::AtOnce),
            // What it takes itself is logged; more will be wanted by the next one.
            _ if wanted <= LOW_STEPS => (counter.most_wanted, Haste::AlongWithCommits),
            _ => (wanted, Haste::AtOnce),
        };
        let to = steps.log_ahead(first, ahead);
        log(shared, &mut counter, relation, to, (gate, haste))?;
    }
    Ok(Look::Value(value))
}

fn called(last_value: i64) -> SequenceState {
    SequenceState {
        last_value,
        is_called: true,
    }
}

/// Logs that the values up to this one may be given out.
fn log(
    shared: &SharedCounter,
    counter: &mut Counter,
    relation: RelationId,
    value: i64,
    gate: (&CommitGate, Haste),
) -> Result<(), StorageError> {
    record_state(
        shared,
        counter,
        relation,
        called(value),
        Purpose::NextValues,
        gate,
    )
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

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// nextval: the values up to it are covered.
    NextValues,
    /// setval: it is the new state.
    Set,
}

/// When a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// As soon as the commit thread can.
    AtOnce,
    /// With whatever is written next, or once somebody waits for it.
    AlongWithCommits,
}

/// Sends a record to the commit thread, which finishes it whether or not anybody still waits.
fn record_state(
    shared: &SharedCounter,
    counter: &mut Counter,
    relation: RelationId,
    state: SequenceState,
    purpose: Purpose,
    (gate, haste): (&CommitGate, Haste),
) -> Result<(), StorageError> {
    let finished = shared.clone();
    let record = Job::Record {
        key: record::sequence_key(relation),
        value: record::encode_sequence(state),
        done: Box::new(move |outcome| {
            let waiting = {
                let mut counter = finished.lock();
                match (&outcome, purpose) {
                    (Ok(()), Purpose::NextValues) => counter.logged = Some(state.last_value),
                    (Ok(()), Purpose::Set) => {
                        counter.logged = None;
                        counter.state = Some(state);
                    }
                    (Err(_), _) => counter.around = false,
                }
                counter.logging.take().unwrap_or_default()
            };
            for waiter in waiting {
                let _ = waiter.send(outcome.clone());
            }
        }),
    };
    match haste {
        Haste::AtOnce => gate.submit(record),
        Haste::AlongWithCommits => gate.submit_along(record),
    }?;
    counter.logging = Some(Vec::new());
    Ok(())
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
        assert_eq!(UP.log_ahead(1, 1), 10);
        let wide = SequenceSteps {
            max: i64::MAX,
            ..UP
        };
        assert_eq!(wide.log_ahead(1, 1), 32);
        assert_eq!(wide.log_ahead(1, 1_000), 1_000);
        assert_eq!(wide.log_ahead(1, i64::MAX), LOGGED_STEPS_MAX);
        assert_eq!(wide.log_ahead(i64::MAX - 1, 1), i64::MAX);
        assert_eq!(wide.behind(i64::MAX), None);
        let leap = SequenceSteps {
            increment: i64::MAX,
            ..wide
        };
        assert_eq!(leap.log_ahead(1, 1), 1);
        let down = SequenceSteps {
            increment: -7,
            min: i64::MIN,
            ..wide
        };
        assert_eq!(down.log_ahead(0, 1), -7 * 31);
    }

    #[test]
    fn a_value_that_a_cycle_leads_back_to_is_logged_again() {
        let counter = Counter {
            state: Some(called(10)),
            logged: Some(10),
            around: false,
            most_wanted: 1,
            logging: None,
        };
        let cycle = SequenceSteps { cycle: true, ..UP };
        let next = cycle.after(called(10)).unwrap();
        assert!(!counter.is_covered(called(10), next, cycle));
        assert!(counter.is_covered(called(8), 9, cycle));
        let around = |logging| Counter {
            state: Some(called(10)),
            logged: Some(10),
            around: true,
            most_wanted: 1,
            logging,
        };
        assert!(around(None).is_covered(called(10), next, cycle));
        assert!(!around(Some(Vec::new())).is_covered(called(10), next, cycle));
    }

    #[test]
    fn a_new_increment_does_not_lead_past_what_is_logged() {
        let counter = Counter {
            state: Some(called(1)),
            logged: Some(32),
            around: false,
            most_wanted: 1,
            logging: None,
        };
        let wider = SequenceSteps {
            increment: 100,
            max: i64::MAX,
            ..UP
        };
        assert!(!counter.is_covered(called(1), 101, wider));
    }
}
