//! When each API key was last presented: kept beside the catalog, without a write for each request.
//!
//! Every core notes its own and sends them to the control core every few seconds, which folds them
//! into one map. Readers get it by pointer. It is information, no credential: a crash may forget
//! the last minute.

use super::ids::KeyId;
use imbl::OrdMap;
use parking_lot::Mutex;
use std::sync::Arc;

/// The times of all keys, Unix microseconds. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct KeyUsage(Arc<Mutex<OrdMap<KeyId, i64>>>);

impl KeyUsage {
    /// As a file remembers them.
    pub fn new(times: OrdMap<KeyId, i64>) -> KeyUsage {
        KeyUsage(Arc::new(Mutex::new(times)))
    }

    /// The times as they are now; costs a pointer.
    pub fn current(&self) -> OrdMap<KeyId, i64> {
        self.0.lock().clone()
    }

    /// Adds what a core has noted; for control only. Costs a look-up for each, off the lock.
    pub fn fold(&self, used: impl IntoIterator<Item = (KeyId, i64)>) {
        let mut next = self.current();
        for (id, at) in used {
            let latest = next.get(&id).map_or(at, |before| at.max(*before));
            next.insert(id, latest);
        }
        *self.0.lock() = next;
    }

    /// Forgets keys that are gone; for control only.
    pub fn forget(&self, dropped: impl Iterator<Item = KeyId>) {
        let mut next = self.current();
        for id in dropped {
            next.remove(&id);
        }
        *self.0.lock() = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_use_stands_whichever_core_tells_first() {
        let usage = KeyUsage::default();
        let (a, b) = (KeyId::new([1; 8]), KeyId::new([2; 8]));
        usage.fold([(a, 5), (b, 1)]);
        usage.fold([(a, 3), (b, 2)]);
        let now = usage.current();
        assert_eq!((now.get(&a), now.get(&b)), (Some(&5), Some(&2)));
        usage.forget([a].into_iter());
        assert_eq!(usage.current().get(&a), None);
        assert_eq!(now.get(&a), Some(&5), "a reader keeps what it has");
    }
}
