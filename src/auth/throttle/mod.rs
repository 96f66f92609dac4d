//! Failed log-ins, and what they cost whoever makes them (REFERENCE §3 "Throttle").
//!
//! A pair of a name and an address has so many failures in a window, and an address so many; past that a
//! password is not looked at until the window has ended ([`Throttle::admit`]). An address that is past its
//! limit keeps the names that have logged in from there within the last hour: somebody else's failures
//! lock nobody out. Failures for a name from elsewhere delay the answer, whatever it is, and never where
//! the name has logged in from lately.
//!
//! - A guess is decided upon when it is answered ([`Throttle::settle`]), not when it begins: a thousand
//!   log-ins that begin at once are as many answers as the limit, and the rest are refused, right or wrong.
//! - Names count as they are spelled, known or not (invariant 6).
//! - API keys, tokens and certificates cannot be guessed. Bad ones count for their address; good ones are
//!   taken from wherever they come.
//! - An IPv6 address counts as its /64: whoever has one has all of it.
//!
//! Memory: [`BYTES`], taken at the start and never more, whoever floods (`table` says who is forgotten).
//!
//! Shared by the cores, as the rates of keys are (`rate`): connections of one address come to whichever
//! core accepts them, so that a count of each core would let a guesser have the limit as many times as
//! there are cores, and word from core to core would come a round of guesses late. An attempt takes
//! three locks of shards of their own, one after another, each for well under a microsecond; no statement
//! takes one.

mod table;

use crate::diagnostic::{Diagnostic, SqlState};
use parking_lot::Mutex;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::Table;

/// The counts are spread over as many locks.
const SHARDS: usize = 64;

/// Entries of each kind in a shard: 65,536 in all.
const SHARD_ENTRIES: usize = 1_024;

/// What all counts take: pairs, successes, addresses and names, each entry 16 bytes.
pub const BYTES: usize = 4 * SHARDS * SHARD_ENTRIES * 16;

/// How long a success makes an address a known one for its name (REFERENCE §3: an hour).
const KNOWN_SECONDS: u32 = 3_600;

/// The longest delay of an answer (REFERENCE §3).
pub const DELAY_MAX: Duration = Duration::from_secs(2);

/// What each failure from elsewhere, past those of one pair, adds to the delay.
const DELAY_A_FAILURE: Duration = Duration::from_millis(50);

/// `[auth.throttle]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Failures of a name from one address in a window.
    pub per_name_failures: u32,
    /// Failures from one address in a window.
    pub per_address_failures: u32,
    /// The window.
    pub window_secs: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            per_name_failures: 10,
            per_address_failures: 30,
            window_secs: 60,
        }
    }
}

/// What became of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was the right one.
    Proved,
    /// It was not, or nobody has the name.
    Refused,
}

/// There have been too many failures: whatever was presented is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyFailures {
    /// When the window ends.
    pub retry_after_seconds: u32,
}

impl From<TooManyFailures> for Diagnostic {
    fn from(refusal: TooManyFailures) -> Diagnostic {
        let seconds = refusal.retry_after_seconds;
        let unit = if seconds == 1 { "second" } else { "seconds" };
        Diagnostic::error(
            SqlState::TOO_MANY_CONNECTIONS,
            "too many failed authentication attempts",
        )
        .with_hint(format!("Try again in {seconds} {unit}."))
        .with_retry_after(seconds)
    }
}

/// All counts. Cloning shares.
#[derive(Clone)]
pub struct Throttle(Arc<Shared>);

struct Shared {
    limits: Limits,
    began: Instant,
    /// Keyed anew at each start, so that nobody can aim at anybody's place.
    hash: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

struct Shard {
    /// Failures of a name from an address.
    pairs: Table,
    /// When a name has last logged in from an address: apart, so that no failure displaces one.
    successes: Table,
    /// Failures from an address.
    addresses: Table,
    /// Failures of a name.
    names: Table,
}

/// Whom an attempt counts for.
#[derive(Clone, Copy)]
struct Keys {
    pair: u64,
    address: u64,
    name: u64,
}

impl Throttle {
    /// Nothing has failed yet.
    pub fn new(limits: Limits) -> Throttle {
        let shard = || {
            let table = || Table::new(SHARD_ENTRIES);
            Mutex::new(Shard {
                pairs: table(),
                successes: table(),
                addresses: table(),
                names: table(),
            })
        };
        Throttle(Arc::new(Shared {
            limits,
            began: Instant::now(),
            hash: RandomState::new(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
        }))
    }

    /// Whether a password of this name is looked at, presented from there. Asked before anything is
    /// spent on it.
    ///
    /// # Errors
    /// The pair or the address has failed too often; nothing is counted.
    pub fn admit(&self, name: &str, address: IpAddr) -> Result<(), TooManyFailures> {
        self.admit_at(name, address, self.now())
    }

    /// What a password came to, to be asked before its answer is given: how long to wait with it.
    ///
    /// # Errors
    /// The pair or the address has failed too often meanwhile: the answer is this, be the password right
    /// or wrong.
    pub fn settle(
        &self,
        name: &str,
        address: IpAddr,
        outcome: Outcome,
    ) -> Result<Duration, TooManyFailures> {
        self.settle_at(name, address, outcome, self.now())
    }

    /// Whether the name has logged in from there by a password within the last hour.
    pub fn knows(&self, name: &str, address: IpAddr) -> bool {
        let pair = self.keys(name, address).pair;
        self.shard(pair).knows(pair, self.now())
    }

    /// An API key, a token or a certificate was no good.
    ///
    /// # Errors
    /// The address has failed too often: the answer is this.
    pub fn refused(&self, address: IpAddr) -> Result<(), TooManyFailures> {
        self.refused_at(address, self.now())
    }

    fn now(&self) -> u32 {
        let since = self.0.began.elapsed().as_secs();
        u32::try_from(since).expect("the server runs for less than 136 years")
    }

    fn admit_at(&self, name: &str, address: IpAddr, now: u32) -> Result<(), TooManyFailures> {
        let limits = self.0.limits;
        let keys = self.keys(name, address);
        let is_known = {
            let shard = self.shard(keys.pair);
            limits.check(&shard.pairs, keys.pair, limits.per_name_failures, now)?;
            shard.knows(keys.pair, now)
        };
        match is_known {
            true => Ok(()),
            false => {
                let shard = self.shard(keys.address);
                let most = limits.per_address_failures;
                limits.check(&shard.addresses, keys.address, most, now)
            }
        }
    }

    fn settle_at(
        &self,
        name: &str,
        address: IpAddr,
        outcome: Outcome,
        now: u32,
    ) -> Result<Duration, TooManyFailures> {
        let limits = self.0.limits;
        let keys = self.keys(name, address);
        let failed = outcome == Outcome::Refused;
        let (is_known, own) = {
            let mut shard = self.shard(keys.pair);
            limits.check(&shard.pairs, keys.pair, limits.per_name_failures, now)?;
            if failed {
                shard.pairs.add(keys.pair, now, limits.window_secs);
            }
            let own = shard.pairs.get(keys.pair, now, limits.window_secs).count;
            (shard.knows(keys.pair, now), own)
        };
        {
            let mut shard = self.shard(keys.address);
            if !is_known {
                let most = limits.per_address_failures;
                limits.check(&shard.addresses, keys.address, most, now)?;
            }
            if failed {
                shard.addresses.add(keys.address, now, limits.window_secs);
            }
        }
        let of_name = {
            let mut shard = self.shard(keys.name);
            if failed {
                shard.names.add(keys.name, now, limits.window_secs);
            }
            shard.names.get(keys.name, now, limits.window_secs).count
        };
        if !failed {
            let mut shard = self.shard(keys.pair);
            shard.successes.touch(keys.pair, now, KNOWN_SECONDS);
        }
        Ok(match is_known {
            true => Duration::ZERO,
            false => limits.delay(of_name.saturating_sub(own)),
        })
    }

    fn refused_at(&self, address: IpAddr, now: u32) -> Result<(), TooManyFailures> {
        let limits = self.0.limits;
        let key = self.address_key(address);
        let mut shard = self.shard(key);
        limits.check(&shard.addresses, key, limits.per_address_failures, now)?;
        shard.addresses.add(key, now, limits.window_secs);
        Ok(())
    }

    fn keys(&self, name: &str, address: IpAddr) -> Keys {
        let address = network_of(address);
        let hash = &self.0.hash;
        Keys {
            pair: hash.hash_one((name, address)),
            address: hash.hash_one(address),
            name: hash.hash_one(name),
        }
    }

    fn address_key(&self, address: IpAddr) -> u64 {
        self.0.hash.hash_one(network_of(address))
    }

    fn shard(&self, key: u64) -> parking_lot::MutexGuard<'_, Shard> {
        let index = key % SHARDS as u64;
        self.0.shards[usize::try_from(index).expect("it is below SHARDS")].lock()
    }
}

impl Shard {
    fn knows(&self, pair: u64, now: u32) -> bool {
        self.successes.get(pair, now, KNOWN_SECONDS).count > 0
    }
}

impl Limits {
    fn check(&self, table: &Table, key: u64, most: u32, now: u32) -> Result<(), TooManyFailures> {
        let standing = table.get(key, now, self.window_secs);
        if standing.count < most {
            return Ok(());
        }
        let ends = standing.began.saturating_add(self.window_secs);
        Err(TooManyFailures {
            // One at least: what refuses has not ended.
            retry_after_seconds: ends.saturating_sub(now).max(1),
        })
    }

    /// None for what one forgetful person may do elsewhere; then longer with each failure.
    fn delay(&self, elsewhere: u32) -> Duration {
        let past = elsewhere.saturating_sub(self.per_name_failures);
        (DELAY_A_FAILURE.saturating_mul(past)).min(DELAY_MAX)
    }
}

/// What an address counts as: itself, or its /64.
fn network_of(address: IpAddr) -> (u8, u64) {
    match address.to_canonical() {
        IpAddr::V4(address) => (4, u64::from(address.to_bits())),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64;
            (6, u64::try_from(network).expect("64 bits are left"))
        }
    }
}

#[cfg(test)]
mod tests;
