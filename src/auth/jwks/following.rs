//! One provider whose keys are followed: what is known of them, and what is to be done next.
//!
//! Pure: whoever fetches asks [`Following::begins`], fetches, and tells how it ended. A failed fetch
//! changes nothing about the keys in use; keys that a newer set lacks stop verifying with it.

use super::breaker::{Breaker, Circuit};
use super::in_force::{InForce, Status};
use super::key_set::KeySet;
use super::schedule::{Schedule, Terms};
use std::sync::Arc;

/// A set that was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The keys.
    pub keys: KeySet,
    /// How long the provider lets them be kept, in microseconds.
    pub max_age: Option<i64>,
}

/// Why a fetch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Its time has come.
    Due,
    /// A token shows a `kid` that is not known.
    UnknownKid,
    /// An operator says so.
    Ordered,
}

/// What follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Fetch: the next thing told is how it ended.
    Begin,
    /// One is under way already: wait for it.
    UnderWay,
    /// Not now: not due, once a minute is enough, or the breaker is open.
    NotNow,
}

/// What a fetch that has ended has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Other keys than before, or the first.
    NewKeys,
    /// The same document.
    SameKeys,
    /// It has failed.
    Failed,
}

/// One provider. Times are Unix microseconds.
#[derive(Debug)]
pub struct Following {
    name: Arc<str>,
    schedule: Schedule,
    breaker: Breaker,
    is_fetching: bool,
    keys: Option<Arc<KeySet>>,
    successes: u64,
    failures: u64,
    reason: Option<Arc<str>>,
}

impl Following {
    /// Nothing is known of it, and a fetch is due.
    pub fn new(name: &str, terms: Terms, now: i64) -> Following {
        Following {
            name: Arc::from(name),
            schedule: Schedule::new(terms, now),
            breaker: Breaker::default(),
            is_fetching: false,
            keys: None,
            successes: 0,
            failures: 0,
            reason: None,
        }
    }

    /// A set that an earlier run has kept, with the time it was fetched. Whether it is young enough to
    /// be used.
    pub fn found(&mut self, keys: KeySet, fetched_at: i64, now: i64) -> bool {
        // From the future: the clock was wrong then, or is now.
        self.schedule.found(fetched_at.min(now));
        self.keys = Some(Arc::new(keys));
        !self.expire(now)
    }

    /// Whether a fetch begins for this reason; it is under way then.
    pub fn begins(&mut self, occasion: Occasion, now: i64) -> Answer {
        if self.is_fetching {
            return Answer::UnderWay;
        }
        let admitted = match occasion {
            Occasion::Due => self.schedule.is_due(now) && self.breaker.admits(now),
            Occasion::UnknownKid => {
                self.schedule.admits_unknown_kid(now) && self.breaker.admits(now)
            }
            Occasion::Ordered => true,
        };
        if !admitted {
            return Answer::NotNow;
        }
        if occasion == Occasion::UnknownKid {
            self.schedule.asks_for_kid(now);
        }
        self.breaker.begins();
        self.is_fetching = true;
        Answer::Begin
    }

    /// The fetch that has begun has ended.
    pub fn ended(&mut self, fetched: Result<Fetched, String>, now: i64) -> News {
        self.is_fetching = false;
        match fetched {
            Ok(fetched) => {
                self.breaker.succeeded();
                self.schedule.succeeded(now, fetched.max_age);
                self.successes += 1;
                self.reason = None;
                self.take(fetched.keys)
            }
            Err(reason) => {
                self.breaker.failed(now);
                self.schedule.failed(now);
                self.failures += 1;
                self.reason = Some(Arc::from(reason));
                News::Failed
            }
        }
    }

    /// The same set again leaves the old one in its place: what was verified with it stays verified.
    fn take(&mut self, keys: KeySet) -> News {
        if self.keys.as_ref().is_some_and(|old| old.is_same(&keys)) {
            return News::SameKeys;
        }
        self.keys = Some(Arc::new(keys));
        News::NewKeys
    }

    /// Takes keys away that have become too old; whether there were such.
    pub fn expire(&mut self, now: i64) -> bool {
        let stale = self.keys.is_some() && now >= self.schedule.good_until();
        if stale {
            self.keys = None;
        }
        stale
    }

    /// When it is to be looked at again: a fetch is due, or its keys become too old.
    pub fn wakes_at(&self) -> i64 {
        let due = match (self.is_fetching, self.breaker.circuit()) {
            (true, _) => i64::MAX,
            (false, Circuit::Open { until }) => self.schedule.next_at().max(until),
            (false, _) => self.schedule.next_at(),
        };
        match self.keys {
            Some(_) => due.min(self.schedule.good_until()),
            None => due,
        }
    }

    /// Whether a fetch is under way.
    pub fn is_fetching(&self) -> bool {
        self.is_fetching
    }

    /// The breaker.
    pub fn circuit(&self) -> Circuit {
        self.breaker.circuit()
    }

    /// The keys in use.
    pub fn keys(&self) -> Option<&Arc<KeySet>> {
        self.keys.as_ref()
    }

    /// All of it, for whoever looks on.
    pub fn in_force(&self) -> InForce {
        InForce {
            keys: self.keys.clone(),
            good_until: self.schedule.good_until(),
            status: Status {
                name: self.name.clone(),
                last_refresh: self.schedule.fetched_at(),
                next_refresh: self.wakes_at(),
                circuit: self.breaker.circuit(),
                failures_in_a_row: self.breaker.failures_in_a_row(),
                successes: self.successes,
                failures: self.failures,
                reason: self.reason.clone(),
                keys_skipped: self.keys.as_ref().map_or(0, |keys| keys.skipped().len()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::signer::{Kind, Signer, key_set};

    const SECOND: i64 = 1_000_000;
    const NOW: i64 = 1_800_000_000 * SECOND;
    const HOUR: i64 = 3_600 * SECOND;

    /// A provider on a virtual clock.
    struct World {
        now: i64,
        following: Following,
        document: String,
    }

    impl World {
        fn new() -> World {
            World {
                now: NOW,
                following: Following::new("auth0", Terms::default(), NOW),
                document: key_set(&[&Signer::new(Kind::Es256, "one")]),
            }
        }

        fn keys(&self) -> KeySet {
            KeySet::parse(self.document.as_bytes()).expect("a key set")
        }

        fn begins(&mut self, occasion: Occasion) -> Answer {
            self.following.begins(occasion, self.now)
        }

        fn succeed(&mut self) -> News {
            let (keys, max_age) = (self.keys(), None);
            self.following
                .ended(Ok(Fetched { keys, max_age }), self.now)
        }

        fn fail(&mut self) -> News {
            let reason = Err("it is down".to_owned());
            self.following.ended(reason, self.now)
        }

        /// Sleeps until it wants to be looked at, and fails when it fetches. The seconds slept.
        fn sleep_and_fail(&mut self) -> i64 {
            let slept = self.following.wakes_at() - self.now;
            self.now += slept;
            assert_eq!(self.begins(Occasion::Due), Answer::Begin);
            self.fail();
            slept / SECOND
        }
    }

    #[test]
    fn a_provider_that_answers_is_asked_once_an_hour_and_the_same_set_stays_in_place() {
        let mut world = World::new();
        assert_eq!(world.begins(Occasion::Due), Answer::Begin);
        assert_eq!(world.begins(Occasion::Due), Answer::UnderWay);
        assert_eq!(world.following.wakes_at(), i64::MAX, "until it has ended");
        assert_eq!(world.succeed(), News::NewKeys);
        let first = world.following.keys().cloned().expect("keys");
        assert_eq!(world.begins(Occasion::Due), Answer::NotNow);
        assert_eq!(world.following.wakes_at(), NOW + HOUR);
        world.now += HOUR;
        assert_eq!(world.begins(Occasion::Due), Answer::Begin);
        assert_eq!(world.succeed(), News::SameKeys);
        assert!(Arc::ptr_eq(world.following.keys().expect("keys"), &first));
    }

    #[test]
    fn keys_that_vanish_stop_with_the_next_set() {
        let mut world = World::new();
        world.begins(Occasion::Due);
        world.succeed();
        world.document = key_set(&[&Signer::new(Kind::Es256, "two")]);
        world.begins(Occasion::Ordered);
        assert_eq!(world.succeed(), News::NewKeys);
        let shown = format!("{:?}", world.following.keys().expect("keys"));
        assert!(shown.contains("two") && !shown.contains("one"), "{shown}");
    }

    #[test]
    fn a_provider_that_is_down_is_tried_five_times_then_left_alone_and_probed() {
        let mut world = World::new();
        world.begins(Occasion::Due);
        world.succeed();
        world.now += HOUR;
        let mut slept: Vec<i64> = (0..9).map(|_| world.sleep_and_fail()).collect();
        assert_eq!(slept.remove(0), 0);
        assert_eq!(slept, [10, 10, 10, 10, 30, 60, 120, 240]);
        let status = world.following.in_force().status;
        assert_eq!(status.failures_in_a_row, 9);
        assert_eq!(status.circuit.name(), "open");
        assert_eq!(status.reason.as_deref(), Some("it is down"));
        assert!(world.following.keys().is_some(), "the old ones verify");
        world.now = world.following.wakes_at();
        assert_eq!(world.begins(Occasion::Due), Answer::Begin);
        assert_eq!(world.following.circuit(), Circuit::HalfOpen);
        assert_eq!(world.succeed(), News::SameKeys);
        let status = world.following.in_force().status;
        assert_eq!((status.circuit, status.reason), (Circuit::Closed, None));
        assert_eq!((status.successes, status.failures), (2, 9));
    }

    #[test]
    fn after_a_day_of_failures_the_old_keys_are_taken_away() {
        let mut world = World::new();
        world.begins(Occasion::Due);
        world.succeed();
        world.now += HOUR;
        let stale_at = NOW + 24 * HOUR;
        loop {
            world.now = world.following.wakes_at();
            if world.following.expire(world.now) {
                break;
            }
            assert!(world.following.keys().is_some());
            assert_eq!(world.begins(Occasion::Due), Answer::Begin);
            world.fail();
        }
        assert_eq!(world.now, stale_at);
        assert!(world.following.keys().is_none());
        assert_eq!(world.following.in_force().good_until, stale_at);
        while world.begins(Occasion::Due) != Answer::Begin {
            world.now = world.following.wakes_at();
        }
        assert_eq!(world.succeed(), News::NewKeys, "and they come back");
    }

    #[test]
    fn an_unknown_kid_fetches_once_a_minute_and_not_through_an_open_breaker() {
        let mut world = World::new();
        world.begins(Occasion::Due);
        world.succeed();
        assert_eq!(world.begins(Occasion::UnknownKid), Answer::Begin);
        assert_eq!(world.begins(Occasion::UnknownKid), Answer::UnderWay);
        world.succeed();
        assert_eq!(world.begins(Occasion::UnknownKid), Answer::NotNow);
        world.now += 60 * SECOND;
        assert_eq!(world.begins(Occasion::UnknownKid), Answer::Begin);
        world.fail();
        for _ in 0..4 {
            world.sleep_and_fail();
        }
        world.now += 10 * SECOND;
        assert_eq!(world.begins(Occasion::UnknownKid), Answer::NotNow);
        assert_eq!(
            world.begins(Occasion::Ordered),
            Answer::Begin,
            "an operator may"
        );
        world.succeed();
        world.now += 60 * SECOND;
        assert_eq!(world.begins(Occasion::UnknownKid), Answer::Begin);
    }

    #[test]
    fn a_kept_set_is_used_at_the_start_unless_it_is_too_old() {
        let mut world = World::new();
        let keys = world.keys();
        assert!(world.following.found(keys, NOW - 23 * HOUR, NOW));
        assert_eq!(world.begins(Occasion::Due), Answer::Begin, "all the same");
        world.fail();
        assert_eq!(world.following.in_force().good_until, NOW + HOUR);
        let mut world = World::new();
        let keys = world.keys();
        assert!(!world.following.found(keys, NOW - 24 * HOUR, NOW));
        assert!(world.following.keys().is_none());
        let mut world = World::new();
        let keys = world.keys();
        assert!(world.following.found(keys, NOW + 10 * HOUR, NOW));
        assert_eq!(world.following.in_force().good_until, NOW + 24 * HOUR);
    }
}
