//! Where session cores find each provider's keys, and whoever asks how they got there.
//!
//! One pointer to a map that is never changed, only replaced. A core looks at a word that is written
//! when it is, and takes the lock only then: a token that is presented again costs no shared lock.

use super::breaker::Circuit;
use super::key_set::KeySet;
use crate::catalog::PrincipalId;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One provider's keys and how they came about.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The last good set. None: none has come yet, or it has become too old.
    pub keys: Option<Arc<KeySet>>,
    /// Until when they verify, Unix microseconds.
    pub good_until: i64,
    /// How it came about.
    pub status: Status,
}

/// What SHOW OIDC PROVIDERS and the metrics tell. Times are Unix microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The provider's name when it was last followed.
    pub name: Arc<str>,
    /// When the keys were fetched.
    pub last_refresh: Option<i64>,
    /// When the next fetch is due.
    pub next_refresh: i64,
    /// The breaker.
    pub circuit: Circuit,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
    /// Fetches that have brought keys, since the start.
    pub successes: u64,
    /// Fetches that have not.
    pub failures: u64,
    /// Why the last one has not, where it has not.
    pub reason: Option<Arc<str>>,
    /// Keys of the set that are left out.
    pub keys_skipped: usize,
}

/// Why a provider's keys cannot be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// It is not followed, or nothing has come of it yet.
    #[error("the provider's keys have not been fetched yet")]
    NotYet,
    /// `max_stale_secs`
    #[error("the provider's keys are too old: fetching newer ones has failed for too long")]
    Stale,
}

type Map = BTreeMap<PrincipalId, Arc<InForce>>;

/// All providers' keys. Cloning shares.
#[derive(Clone, Default)]
pub struct KeySets(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Grows with each publication, after the map is in place.
    version: AtomicU64,
    map: RwLock<Arc<Map>>,
}

impl KeySets {
    /// From now on this is in force of a provider. One thread publishes: the fetcher's.
    pub fn publish(&self, provider: PrincipalId, in_force: InForce) {
        self.replace(|map| {
            map.insert(provider, Arc::new(in_force));
        });
    }

    /// A provider was dropped.
    pub fn forget(&self, provider: PrincipalId) {
        self.replace(|map| {
            map.remove(&provider);
        });
    }

    fn replace(&self, change: impl FnOnce(&mut Map)) {
        let mut map = self.0.map.write();
        change(Arc::make_mut(&mut map));
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// What is in force of one provider.
    pub fn of(&self, provider: PrincipalId) -> Option<Arc<InForce>> {
        self.0.map.read().get(&provider).cloned()
    }

    /// What is in force of each.
    pub fn all(&self) -> Vec<(PrincipalId, Arc<InForce>)> {
        let map = self.0.map.read().clone();
        map.iter().map(|(id, it)| (*id, it.clone())).collect()
    }

    /// A core's own look at them.
    pub fn view(&self) -> View {
        View {
            sets: self.clone(),
            version: self.0.version.load(Ordering::Acquire),
            map: self.0.map.read().clone(),
        }
    }
}

/// What one core sees: always the newest.
pub struct View {
    sets: KeySets,
    version: u64,
    map: Arc<Map>,
}

impl View {
    /// A provider's keys; `now` in Unix microseconds. Costs nanoseconds, and a lock for as long where
    /// something was published since.
    ///
    /// # Errors
    /// [`NoKeys`]
    pub fn keys(&mut self, provider: PrincipalId, now: i64) -> Result<&Arc<KeySet>, NoKeys> {
        let version = self.sets.0.version.load(Ordering::Acquire);
        if version != self.version {
            // Read before the map: a map that is newer still is only looked at once more.
            self.version = version;
            self.map = self.sets.0.map.read().clone();
        }
        let in_force = self.map.get(&provider).ok_or(NoKeys::NotYet)?;
        let stale = in_force.good_until > 0 && now >= in_force.good_until;
        match &in_force.keys {
            _ if stale => Err(NoKeys::Stale),
            Some(keys) => Ok(keys),
            None => Err(NoKeys::NotYet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::signer::{Kind, Signer, key_set};

    const AUTH0: PrincipalId = PrincipalId(40_000);

    fn in_force(keys: Option<Arc<KeySet>>, good_until: i64) -> InForce {
        InForce {
            keys,
            good_until,
            status: Status {
                name: Arc::from("auth0"),
                last_refresh: None,
                next_refresh: 0,
                circuit: Circuit::Closed,
                failures_in_a_row: 0,
                successes: 0,
                failures: 0,
                reason: None,
                keys_skipped: 0,
            },
        }
    }

    fn keys() -> Arc<KeySet> {
        let document = key_set(&[&Signer::new(Kind::Es256, "one")]);
        Arc::new(KeySet::parse(document.as_bytes()).expect("a key set"))
    }

    #[test]
    fn a_view_sees_what_is_published_after_it_was_taken() {
        let sets = KeySets::default();
        let mut view = sets.view();
        assert_eq!(view.keys(AUTH0, 1).unwrap_err(), NoKeys::NotYet);
        let first = keys();
        sets.publish(AUTH0, in_force(Some(first.clone()), 100));
        assert!(Arc::ptr_eq(view.keys(AUTH0, 1).expect("keys"), &first));
        let second = keys();
        sets.publish(AUTH0, in_force(Some(second.clone()), 100));
        assert!(Arc::ptr_eq(view.keys(AUTH0, 1).expect("keys"), &second));
        sets.forget(AUTH0);
        assert_eq!(view.keys(AUTH0, 1).unwrap_err(), NoKeys::NotYet);
        assert!(sets.all().is_empty());
    }

    #[test]
    fn keys_that_have_become_too_old_verify_nothing_even_before_anybody_takes_them_away() {
        let sets = KeySets::default();
        sets.publish(AUTH0, in_force(Some(keys()), 100));
        let mut view = sets.view();
        assert!(view.keys(AUTH0, 99).is_ok());
        assert_eq!(view.keys(AUTH0, 100).unwrap_err(), NoKeys::Stale);
        sets.publish(AUTH0, in_force(None, 100));
        assert_eq!(view.keys(AUTH0, 100).unwrap_err(), NoKeys::Stale);
        sets.publish(AUTH0, in_force(None, 0));
        assert_eq!(view.keys(AUTH0, 100).unwrap_err(), NoKeys::NotYet);
    }
}
