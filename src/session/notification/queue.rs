//! The one queue of notifications for all cores, in the order of commits.
//!
//! The commit thread appends (and a session whose transaction has written nothing); each core takes
//! what it has not handed on yet. What all have taken is gone. Its lock is held for an append or a
//! look; nobody waits under it.

use crate::catalog::DatabaseId;
use crate::diagnostic::Diagnostic;
use crate::engine::notification::{Notification, too_many};
use parking_lot::Mutex;
use shards::CoreId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may wait for the slowest core; cores take at once, so that only one that hangs lets
/// it fill.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// What one transaction has told.
#[derive(Debug)]
pub struct Batch {
    /// Where it is heard.
    pub database: DatabaseId,
    /// Who told it: pg_backend_pid().
    pub pid: i32,
    /// In order.
    pub notifications: Vec<Notification>,
}

impl Batch {
    fn bytes(&self) -> usize {
        self.notifications.iter().map(Notification::bytes).sum()
    }
}

/// The queue. Cloning shares.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Sessions that listen, on all cores together.
    listening: AtomicUsize,
}

struct State {
    /// The place of the first batch.
    first: u64,
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    /// How far each core has taken.
    taken: Vec<u64>,
}

impl Queue {
    /// For so many cores.
    pub fn new(cores: u16) -> Queue {
        Queue(Arc::new(Inner {
            state: Mutex::new(State {
                first: 0,
                batches: VecDeque::new(),
                bytes: 0,
                taken: vec![0; usize::from(cores)],
            }),
            listening: AtomicUsize::new(0),
        }))
    }

    /// One more session listens, or one less.
    pub fn count_listener(&self, more: bool) {
        let listening = &self.0.listening;
        if more {
            listening.fetch_add(1, Ordering::AcqRel);
        } else {
            listening.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether anybody would hear.
    pub fn is_listened_to(&self) -> bool {
        self.0.listening.load(Ordering::Acquire) > 0
    }

    /// The place that the next batch gets.
    pub fn end(&self) -> u64 {
        let state = self.0.state.lock();
        state.first + state.batches.len() as u64
    }

    /// Whether a batch would find room, before its transaction is committed.
    ///
    /// # Errors
    /// 54000
    pub fn admit(&self, batch: &Batch) -> Result<(), Diagnostic> {
        let waiting = self.0.state.lock().bytes;
        match waiting + batch.bytes() <= QUEUE_BYTES_MAX {
            true => Ok(()),
            false => Err(too_many()),
        }
    }

    /// Appends what a transaction tells that is durable now.
    pub fn publish(&self, batch: Batch) {
        let mut state = self.0.state.lock();
        state.bytes += batch.bytes();
        state.batches.push_back(Arc::new(batch));
    }

    /// The next batches that this core has not handed on, each with its place.
    pub fn take(&self, core: CoreId, batches_max: usize) -> Vec<(u64, Arc<Batch>)> {
        let mut state = self.0.state.lock();
        let from = state.taken[core.index()];
        let skipped = usize::try_from(from - state.first).expect("the queue is in memory");
        let batches = state.batches.iter().skip(skipped).take(batches_max);
        let batches: Vec<_> = (from..).zip(batches.cloned()).collect();
        state.taken[core.index()] = from + batches.len() as u64;
        let all = state.taken.iter().copied().min().unwrap_or(state.first);
        while state.first < all {
            let gone = state.batches.pop_front().expect("it has been taken");
            state.bytes -= gone.bytes();
            state.first += 1;
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SqlState;

    fn batch(payload: &str) -> Batch {
        Batch {
            database: DatabaseId(1),
            pid: 7,
            notifications: vec![Notification::new("c", payload).expect("within the limits")],
        }
    }

    #[test]
    fn each_core_takes_each_batch_once_in_order_and_the_last_frees_it() {
        let queue = Queue::new(2);
        for payload in ["a", "b", "c"] {
            queue.publish(batch(payload));
        }
        let taken = |core, max| {
            let batches = queue.take(CoreId(core), max);
            let texts = batches
                .iter()
                .map(|(place, batch)| format!("{place}{}", batch.notifications[0].payload));
            texts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(taken(0, 2), "0a 1b");
        assert_eq!(taken(1, 9), "0a 1b 2c");
        assert_eq!(queue.0.state.lock().batches.len(), 1);
        assert_eq!(taken(0, 9), "2c");
        assert_eq!(taken(0, 9), "");
        assert_eq!(queue.0.state.lock().bytes, 0);
        assert_eq!(queue.end(), 3);
    }

    #[test]
    fn a_core_that_takes_nothing_lets_the_queue_fill_and_no_further() {
        let queue = Queue::new(2);
        let long = "x".repeat(7_000);
        let refused = (0..100_000).find_map(|_| match queue.admit(&batch(&long)) {
            Ok(()) => {
                queue.publish(batch(&long));
                queue.take(CoreId(0), 9);
                None
            }
            Err(refused) => Some(refused),
        });
        let refused = refused.expect("it is full at some time");
        assert_eq!(refused.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        queue.take(CoreId(1), usize::MAX);
        queue.admit(&batch(&long)).expect("there is room again");
    }
}
