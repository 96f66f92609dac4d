//! Tokens that have been verified and are presented again: a hash and a look-up instead of a signature.
//!
//! A core keeps, of each, the SHA-256 of the token (a collision would let a forged one in, so nothing
//! weaker), what was made of its claims, and the provider and key set it was verified against: it is
//! good while these are the ones in force, and until its `exp`. Bounded: the one that has not been
//! presented for longest makes room.

use crate::auth::jwks::KeySet;
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::sync::Arc;

/// Tokens that a core remembers at once: a token is good for an hour, commonly, and a core serves a
/// few thousand bearers.
pub const REMEMBERED_TOKENS_MAX: usize = 8_192;

/// How many of them make room at once: finding the oldest looks at all of them.
const EVICTED_AT_ONCE: usize = REMEMBERED_TOKENS_MAX / 8;

/// What one core remembers: `P` is the provider as the catalog has it, `V` what is made of a token.
pub struct Remembered<P, V> {
    tokens: HashMap<Trace, Entry<P, V>>,
    /// Counts presentations: the order in which tokens were last presented.
    clock: u64,
}

/// What is left of a token that was presented: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace([u8; 32]);

impl Trace {
    /// Costs half a microsecond for a token of a usual length.
    pub fn of(token: &str) -> Trace {
        let hash = digest(&SHA256, token.as_bytes());
        let bytes = hash.as_ref().try_into();
        Trace(bytes.expect("SHA-256 gives 32 bytes"))
    }
}

struct Entry<P, V> {
    provider: Arc<P>,
    keys: Arc<KeySet>,
    value: V,
    ends_at: i64,
    presented: u64,
}

impl<P, V> Default for Remembered<P, V> {
    fn default() -> Remembered<P, V> {
        Remembered {
            tokens: HashMap::new(),
            clock: 0,
        }
    }
}

impl<P, V> Remembered<P, V> {
    /// What was made of this very token, where the provider it names and that provider's keys are
    /// still those it was verified against; `now` in Unix microseconds. `in_force` answers what is,
    /// for the provider as it was then.
    pub fn find<'a>(
        &'a mut self,
        trace: &Trace,
        now: i64,
        in_force: impl FnOnce(&P) -> Option<(Arc<P>, Arc<KeySet>)>,
    ) -> Option<&'a V> {
        let entry = self.tokens.get(trace)?;
        let current = in_force(&entry.provider).is_some_and(|(provider, keys)| {
            Arc::ptr_eq(&provider, &entry.provider) && Arc::ptr_eq(&keys, &entry.keys)
        });
        if !current || now >= entry.ends_at {
            self.tokens.remove(trace);
            return None;
        }
        self.clock += 1;
        let entry = self.tokens.get_mut(trace)?;
        entry.presented = self.clock;
        Some(&entry.value)
    }

    /// Keeps what was made of a token that has passed every check against these; `ends_at` is its
    /// [`super::Verified::ends_at`].
    pub fn keep(
        &mut self,
        trace: Trace,
        provider: Arc<P>,
        keys: Arc<KeySet>,
        value: V,
        ends_at: i64,
    ) {
        if self.tokens.len() >= REMEMBERED_TOKENS_MAX && !self.tokens.contains_key(&trace) {
            self.make_room();
        }
        self.clock += 1;
        let entry = Entry {
            provider,
            keys,
            value,
            ends_at,
            presented: self.clock,
        };
        self.tokens.insert(trace, entry);
    }

    /// Forgets the eighth that was presented least lately: once in a thousand new tokens, some tens
    /// of microseconds.
    fn make_room(&mut self) {
        let mut presented: Vec<u64> = self.tokens.values().map(|it| it.presented).collect();
        let (_, newest_to_go, _) = presented.select_nth_unstable(EVICTED_AT_ONCE - 1);
        let newest_to_go = *newest_to_go;
        self.tokens.retain(|_, it| it.presented > newest_to_go);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::signer::{Kind, Signer, key_set};

    /// A provider's keys, the provider, and tokens remembered of it as numbers.
    struct World {
        keys: Arc<KeySet>,
        provider: Arc<String>,
        remembered: Remembered<String, usize>,
    }

    fn keys() -> Arc<KeySet> {
        let document = key_set(&[&Signer::new(Kind::Es256, "one")]);
        Arc::new(KeySet::parse(document.as_bytes()).expect("a key set"))
    }

    impl World {
        fn new() -> World {
            World {
                keys: keys(),
                provider: Arc::new("auth0".to_owned()),
                remembered: Remembered::default(),
            }
        }

        fn keep(&mut self, number: usize, ends_at: i64) {
            let trace = Trace::of(&number.to_string());
            let (provider, keys) = (self.provider.clone(), self.keys.clone());
            self.remembered.keep(trace, provider, keys, number, ends_at);
        }

        fn find(&mut self, number: usize, now: i64) -> Option<usize> {
            let in_force = (self.provider.clone(), self.keys.clone());
            let trace = Trace::of(&number.to_string());
            let found = self.remembered.find(&trace, now, |_| Some(in_force));
            found.copied()
        }
    }

    #[test]
    fn a_token_is_found_until_it_expires_and_no_other_is() {
        let mut world = World::new();
        world.keep(7, 100);
        assert_eq!(world.find(7, 99), Some(7));
        assert_eq!(world.find(8, 99), None);
        assert_eq!(world.find(7, 100), None);
        assert!(world.remembered.is_empty(), "it will not be good again");
    }

    #[test]
    fn another_key_set_or_provider_makes_a_token_unknown_even_if_nothing_differs() {
        let mut world = World::new();
        world.keep(7, 100);
        world.keys = keys();
        assert_eq!(world.find(7, 0), None);
        world.keep(7, 100);
        world.provider = Arc::new("auth0".to_owned());
        assert_eq!(world.find(7, 0), None);
        world.keep(7, 100);
        assert_eq!(world.find(7, 0), Some(7));
        let trace = Trace::of("7");
        let gone = world.remembered.find(&trace, 0, |_| None);
        assert_eq!(gone, None, "a provider that was dropped");
    }

    #[test]
    fn past_the_limit_those_not_presented_for_longest_make_room() {
        let mut world = World::new();
        for number in 0..REMEMBERED_TOKENS_MAX {
            world.keep(number, 100);
        }
        assert_eq!(world.find(0, 0), Some(0), "presented again");
        world.keep(REMEMBERED_TOKENS_MAX, 100);
        let kept = REMEMBERED_TOKENS_MAX - EVICTED_AT_ONCE + 1;
        assert_eq!(world.remembered.len(), kept);
        assert_eq!(world.find(0, 0), Some(0));
        assert_eq!(world.find(1, 0), None);
        assert_eq!(world.find(EVICTED_AT_ONCE, 0), None);
        assert_eq!(
            world.find(EVICTED_AT_ONCE + 1, 0),
            Some(EVICTED_AT_ONCE + 1)
        );
    }

    #[test]
    fn keeping_a_token_again_evicts_nobody() {
        let mut world = World::new();
        for number in 0..REMEMBERED_TOKENS_MAX {
            world.keep(number, 100);
        }
        world.keep(5, 200);
        assert_eq!(world.remembered.len(), REMEMBERED_TOKENS_MAX);
        assert_eq!(world.find(5, 150), Some(5));
    }
}
