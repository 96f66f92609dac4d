//! Tokens that have been verified and are presented again: a hash and a look-up instead of a signature.
//!
//! A core keeps, of each, the SHA-256 of the token (a collision would let a forged one in, so nothing
//! weaker), what was made of its claims, and the provider and key set it was verified against: it is
//! good while these are the ones in force, and until its `exp`. Bounded in number and, since claims take
//! memory as their token is long, in bytes: those that have not been presented for longest make room.

use crate::auth::jwks::KeySet;
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::sync::Arc;

/// Tokens that a core remembers at once: a token is good for an hour, commonly, and a core serves a
/// few thousand bearers.
pub const REMEMBERED_TOKENS_MAX: usize = 8_192;

/// Bytes of all these tokens together: claims take about four times as much.
pub const REMEMBERED_BYTES_MAX: usize = 8 << 20;

/// So much of them makes room at once, for finding the oldest looks at all of them: an eighth.
const EVICTED_SHARE: usize = 8;

/// What one core remembers: `P` is the provider as the catalog has it, `V` what is made of a token.
pub struct Remembered<P, V> {
    tokens: HashMap<Trace, Entry<P, V>>,
    /// Of the tokens that are remembered.
    bytes: usize,
    /// Counts presentations: the order in which tokens were last presented.
    clock: u64,
}

/// What is left of a token that was presented: its SHA-256, and how long it was.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace {
    hash: [u8; 32],
    bytes: usize,
}

impl Trace {
    /// Costs half a microsecond for a token of a usual length.
    pub fn of(token: &str) -> Trace {
        let hash = digest(&SHA256, token.as_bytes());
        let hash = hash.as_ref().try_into();
        Trace {
            hash: hash.expect("SHA-256 gives 32 bytes"),
            bytes: token.len(),
        }
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
            bytes: 0,
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
            self.forget(trace);
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
        self.forget(&trace);
        while self.tokens.len() >= REMEMBERED_TOKENS_MAX
            || self.bytes + trace.bytes > REMEMBERED_BYTES_MAX
        {
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
        self.bytes += trace.bytes;
        self.tokens.insert(trace, entry);
    }

    fn forget(&mut self, trace: &Trace) {
        if self.tokens.remove(trace).is_some() {
            self.bytes -= trace.bytes;
        }
    }

    /// Forgets the eighth that was presented least lately, at least one: once in a thousand new tokens,
    /// some tens of microseconds.
    fn make_room(&mut self) {
        let going = (self.tokens.len() / EVICTED_SHARE).max(1);
        let mut presented: Vec<u64> = self.tokens.values().map(|it| it.presented).collect();
        let (_, newest_to_go, _) = presented.select_nth_unstable(going - 1);
        let newest_to_go = *newest_to_go;
        self.tokens.retain(|_, it| it.presented > newest_to_go);
        self.bytes = self.tokens.keys().map(|it| it.bytes).sum();
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
        const GONE: usize = REMEMBERED_TOKENS_MAX / EVICTED_SHARE;
        let kept = REMEMBERED_TOKENS_MAX - GONE + 1;
        assert_eq!(world.remembered.len(), kept);
        assert_eq!(world.find(0, 0), Some(0));
        assert_eq!(world.find(1, 0), None);
        assert_eq!(world.find(GONE, 0), None);
        assert_eq!(world.find(GONE + 1, 0), Some(GONE + 1));
    }

    #[test]
    fn long_tokens_make_room_before_there_are_many() {
        let mut world = World::new();
        let long = |number: usize| {
            let bytes = crate::auth::jwt::TOKEN_BYTES_MAX;
            Trace::of(&format!("{number:0>bytes$}"))
        };
        for number in 0..600 {
            let (provider, keys) = (world.provider.clone(), world.keys.clone());
            let remembered = &mut world.remembered;
            remembered.keep(long(number), provider, keys, number, 100);
            assert!(remembered.bytes <= REMEMBERED_BYTES_MAX);
        }
        // 512 of them are 8 MiB: twice an eighth has made room.
        assert_eq!(world.remembered.len(), 600 - 64 - 64);
        let bytes: usize = world.remembered.tokens.keys().map(|it| it.bytes).sum();
        assert_eq!(world.remembered.bytes, bytes);
        world.keep(7, 100);
        assert_eq!(world.find(7, 100), None);
        assert_eq!(
            world.remembered.bytes, bytes,
            "what is forgotten is not counted"
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
