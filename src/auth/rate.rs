//! How often API keys may be presented: WITH RATE n PER SECOND.
//!
//! The generic cell rate algorithm (ITU-T I.371): each key has the moment at which it would have used
//! up its rate, and a request is taken while that is no further ahead than a tenth of a second's
//! worth. So no second has more than 1.1 n requests, whichever cores they come to.
//!
//! This is the one thing that cores share besides storage: a share of the rate for each core, moved
//! about as the load does, would refuse half of what a client with one connection may send until
//! it had been moved. A look-up under a lock of its own shard takes well under a microsecond.

use crate::catalog::KeyId;
use crate::catalog::key::ApiKey;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Keys are spread over as many locks.
const SHARDS: usize = 64;

/// A shard with more keys than this looks for those that have been quiet.
const QUIET_KEYS_MIN: usize = 1_024;

/// The rates of all keys that have one. Cloning shares.
#[derive(Clone)]
pub struct Rates(Arc<Shared>);

struct Shared {
    began: Instant,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    /// When each key would have used up its rate, nanoseconds since the beginning.
    used_up: HashMap<KeyId, u64>,
    tidy_at: usize,
}

/// A key has been presented too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften;

impl Default for Rates {
    fn default() -> Rates {
        Rates(Arc::new(Shared {
            began: Instant::now(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }))
    }
}

impl Rates {
    /// Counts one request by the key; nothing for a key without a rate.
    ///
    /// # Errors
    /// The key has been presented too often; this request is not counted.
    pub fn admit(&self, key: &ApiKey) -> Result<(), TooOften> {
        let Some(rate) = key.rate_per_second else {
            return Ok(());
        };
        let since = self.0.began.elapsed().as_nanos();
        let now = u64::try_from(since).expect("the server runs for less than 500 years");
        self.admit_at(key.id, rate.get(), now)
    }

    fn admit_at(&self, id: KeyId, rate: u32, now: u64) -> Result<(), TooOften> {
        const SECOND: u64 = 1_000_000_000;
        let interval = SECOND / u64::from(rate);
        // One at least, whatever the rate.
        let ahead_max = (SECOND / 10).max(interval);
        let mut shard = self.0.shards[id.shard(SHARDS)].lock();
        let used_up = shard.used_up.get(&id).copied().unwrap_or(0).max(now);
        let next = used_up + interval;
        if next > now + ahead_max {
            return Err(TooOften);
        }
        shard.used_up.insert(id, next);
        shard.forget_quiet(now);
        Ok(())
    }
}

impl Shard {
    /// A key whose moment has passed is as one that was never presented.
    fn forget_quiet(&mut self, now: u64) {
        if self.used_up.len() < self.tidy_at.max(QUIET_KEYS_MIN) {
            return;
        }
        self.used_up.retain(|_, used_up| *used_up > now);
        self.tidy_at = self.used_up.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: KeyId = KeyId::new([7; 8]);
    const MILLISECOND: u64 = 1_000_000;

    /// How many of the requests that come at each of these moments are taken.
    fn taken(rates: &Rates, rate: u32, moments: impl Iterator<Item = u64>) -> u32 {
        moments
            .map(|now| u32::from(rates.admit_at(ID, rate, now).is_ok()))
            .sum()
    }

    #[test]
    fn a_second_has_the_rate_and_at_most_a_tenth_more() {
        for rate in [1, 7, 100, 5_000] {
            let rates = Rates::default();
            // Far more often than it may, for ten seconds.
            let first = taken(&rates, rate, (0..1_000).map(|it| it * MILLISECOND));
            assert!(
                first >= rate.min(1_000) && first <= rate + rate / 10 + 1,
                "{rate}: {first}"
            );
            let rest = taken(
                &rates,
                rate,
                (10_000..100_000).map(|it| it * MILLISECOND / 10),
            );
            let expected = rate * 9;
            let off = rest.abs_diff(expected);
            assert!(
                off <= expected / 10 + 1,
                "{rate}: {rest} instead of {expected}"
            );
        }
    }

    #[test]
    fn whoever_stays_below_the_rate_is_never_refused() {
        let rates = Rates::default();
        let moments = (0..1_000).map(|it| it * 10 * MILLISECOND);
        assert_eq!(taken(&rates, 100, moments), 1_000);
    }

    #[test]
    fn a_burst_of_a_tenth_is_taken_at_once_and_one_at_least() {
        let rates = Rates::default();
        assert_eq!(taken(&rates, 100, std::iter::repeat_n(5, 50)), 10);
        let slow = Rates::default();
        assert_eq!(taken(&slow, 1, std::iter::repeat_n(5, 50)), 1);
    }

    #[test]
    fn quiet_keys_are_forgotten() {
        let rates = Rates::default();
        for number in 0..200_000_u64 {
            let id = KeyId::new(number.to_be_bytes());
            assert_eq!(rates.admit_at(id, 1_000, number * MILLISECOND), Ok(()));
        }
        let kept: usize = rates
            .0
            .shards
            .iter()
            .map(|it| it.lock().used_up.len())
            .sum();
        assert!(kept <= SHARDS * QUIET_KEYS_MIN, "{kept} are kept");
    }
}
