//! How the streams of one scan share its rows: each takes what is left over, and gives half of its own
//! rest away where another has nothing to do.
//!
//! Nobody knows beforehand how many rows lie between two keys, so the work is not cut in advance. The
//! first stream that is polled begins with all of it.

use crate::storage::{Part, StorageError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

/// The rounds of a scan: a plan that is run again begins another one.
pub(super) struct Rounds {
    current: Mutex<Round>,
}

struct Round {
    begun: Vec<bool>,
    share: Arc<Share>,
}

impl Round {
    fn new(streams: usize) -> Round {
        Round {
            begun: vec![false; streams],
            share: Arc::default(),
        }
    }
}

impl Rounds {
    /// Of so many streams.
    pub(super) fn new(streams: usize) -> Rounds {
        Rounds {
            current: Mutex::new(Round::new(streams)),
        }
    }

    /// How many streams there are.
    pub(super) fn streams(&self) -> usize {
        self.current.lock().begun.len()
    }

    /// What this stream shares with the others of its round.
    pub(super) fn begin(&self, stream: usize) -> Arc<Share> {
        let mut round = self.current.lock();
        if round.begun[stream] {
            *round = Round::new(round.begun.len());
        }
        round.begun[stream] = true;
        round.share.clone()
    }
}

/// What is left over in one round.
#[derive(Default)]
pub(super) struct Share {
    state: Mutex<State>,
    /// How many streams wait, to be looked at without the lock.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    begun: bool,
    /// Streams that are reading a part.
    reading: usize,
    parts: Vec<Part>,
    waiting: Vec<Waker>,
    /// The last key of all, once somebody has asked.
    end: Option<Option<Arc<[u8]>>>,
}

/// What a stream was given.
pub(super) enum Taken {
    /// All of it.
    Whole,
    /// What another has given away.
    Part(Part),
    /// Nothing yet; it will be woken.
    NotYet,
    /// Nothing, and nobody is reading any more.
    Nothing,
}

impl Share {
    /// Something to read; [`Share::done`] says when it has been read.
    pub(super) fn take(&self, context: &Context<'_>) -> Taken {
        let mut state = self.state.lock();
        let taken = match (state.begun, state.parts.pop()) {
            (false, _) => Taken::Whole,
            (true, Some(part)) => Taken::Part(part),
            (true, None) if state.reading == 0 => return Taken::Nothing,
            (true, None) => {
                state.waiting.push(context.waker().clone());
                self.waiting.store(state.waiting.len(), Ordering::Relaxed);
                return Taken::NotYet;
            }
        };
        state.begun = true;
        state.reading += 1;
        taken
    }

    /// Whether a stream has nothing to read.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Gives a part away.
    pub(super) fn give(&self, part: Part) {
        let mut state = self.state.lock();
        state.parts.push(part);
        let waker = state.waiting.pop();
        self.waiting.store(state.waiting.len(), Ordering::Relaxed);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A part has been read to its end, or given up.
    pub(super) fn done(&self) {
        let mut state = self.state.lock();
        state.reading -= 1;
        if state.reading > 0 {
            return;
        }
        let woken = std::mem::take(&mut state.waiting);
        self.waiting.store(0, Ordering::Relaxed);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// The last key of all; `find` looks for it the first time.
    pub(super) fn end(
        &self,
        find: impl FnOnce() -> Result<Option<Vec<u8>>, StorageError>,
    ) -> Result<Option<Arc<[u8]>>, StorageError> {
        let mut state = self.state.lock();
        if let Some(end) = &state.end {
            return Ok(end.clone());
        }
        let end: Option<Arc<[u8]>> = find()?.map(Arc::from);
        state.end = Some(end.clone());
        Ok(end)
    }
}
