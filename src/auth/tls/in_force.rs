//! Where every core finds the newest set.

use super::TlsSet;
use parking_lot::RwLock;
use std::sync::Arc;

/// The set in force. Cloning shares.
///
/// Looked at once a handshake, which costs a hundred microseconds and more: the lock around one
/// pointer, held for nanoseconds, is nothing beside it.
#[derive(Clone)]
pub struct InForce(Arc<RwLock<Arc<TlsSet>>>);

impl InForce {
    /// Begins with this one.
    pub fn new(set: TlsSet) -> InForce {
        InForce(Arc::new(RwLock::new(Arc::new(set))))
    }

    /// The newest; connections that have begun keep the one they began with.
    pub fn current(&self) -> Arc<TlsSet> {
        self.0.read().clone()
    }

    /// From now on handshakes begin with this one.
    pub fn replace(&self, set: TlsSet) {
        *self.0.write() = Arc::new(set);
    }
}
