//! Where every core finds the newest set, and whoever asks how it got there.

use super::TlsSet;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// The set in force. Cloning shares.
///
/// Looked at once a handshake, which costs a hundred microseconds and more: the lock around one
/// pointer, held for nanoseconds, is nothing beside it.
#[derive(Clone)]
pub struct InForce(Arc<Shared>);

struct Shared {
    set: RwLock<Arc<TlsSet>>,
    status: Mutex<Status>,
}

/// How the set in force came about. Times are Unix microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Status {
    /// When it was taken into force.
    pub taken_at: i64,
    /// How many sets have been since the start.
    pub reloads: u64,
    /// How many could not be.
    pub failures: u64,
    /// Why the newest files are not in force, where they are not.
    pub failure: Option<Failure>,
}

/// A set that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When that was first noticed.
    pub at: i64,
    /// Why.
    pub reason: String,
}

impl InForce {
    /// Begins with this one; `now` in Unix microseconds.
    pub fn new(set: TlsSet, now: i64) -> InForce {
        InForce(Arc::new(Shared {
            set: RwLock::new(Arc::new(set)),
            status: Mutex::new(Status {
                taken_at: now,
                ..Status::default()
            }),
        }))
    }

    /// The newest; connections that have begun keep the one they began with.
    pub fn current(&self) -> Arc<TlsSet> {
        self.0.set.read().clone()
    }

    /// How it came about.
    pub fn status(&self) -> Status {
        self.0.status.lock().clone()
    }

    /// From now on handshakes begin with this one.
    pub fn replace(&self, set: TlsSet, now: i64) {
        *self.0.set.write() = Arc::new(set);
        let mut status = self.0.status.lock();
        status.taken_at = now;
        status.reloads += 1;
        status.failure = None;
    }

    /// Newer files cannot be used. Whether that is news: the same reason is told once.
    pub fn refuse(&self, reason: String, now: i64) -> bool {
        let mut status = self.0.status.lock();
        let known = status.failure.as_ref();
        if known.is_some_and(|failure| failure.reason == reason) {
            return false;
        }
        status.failures += 1;
        status.failure = Some(Failure { at: now, reason });
        true
    }
}
