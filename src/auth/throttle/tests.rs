//! The throttle under a clock driven by hand.

use super::*;
use proptest::prelude::*;

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

/// A throttle, and what time it is.
struct World {
    throttle: Throttle,
    now: u32,
}

impl World {
    fn new() -> World {
        World {
            throttle: Throttle::new(Limits::default()),
            now: 1_000,
        }
    }

    fn attempt(
        &self,
        name: &str,
        from: &str,
        outcome: Outcome,
    ) -> Result<Duration, TooManyFailures> {
        let from = address(from);
        self.throttle.admit_at(name, from, self.now)?;
        self.throttle.settle_at(name, from, outcome, self.now)
    }

    fn fail(&self, name: &str, from: &str) -> Result<Duration, TooManyFailures> {
        self.attempt(name, from, Outcome::Refused)
    }

    fn log_in(&self, name: &str, from: &str) -> Result<Duration, TooManyFailures> {
        self.attempt(name, from, Outcome::Proved)
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at_once() -> Result<Duration, TooManyFailures> {
    Ok(Duration::ZERO)
}

#[test]
fn ten_failures_of_a_pair_close_it_for_the_rest_of_the_minute() {
    let mut world = World::new();
    for _ in 0..10 {
        assert_eq!(world.fail("alice", HOME), at_once());
        world.now += 1;
    }
    let refused = TooManyFailures {
        retry_after_seconds: 50,
    };
    assert_eq!(world.fail("alice", HOME), Err(refused));
    assert_eq!(world.log_in("alice", HOME), Err(refused), "right or wrong");
    assert_eq!(world.log_in("bob", HOME), at_once(), "another name");
    assert_eq!(
        world.log_in("alice", ELSEWHERE),
        at_once(),
        "another address"
    );
    world.now += 49;
    let refused = TooManyFailures {
        retry_after_seconds: 1,
    };
    assert_eq!(
        world.log_in("alice", HOME),
        Err(refused),
        "it is not prolonged"
    );
    world.now += 1;
    assert_eq!(world.log_in("alice", HOME), at_once());
}

#[test]
fn log_ins_that_begin_at_once_are_answered_no_more_often_than_those_in_a_row() {
    let world = World::new();
    for _ in 0..1_000 {
        let admitted = world
            .throttle
            .admit_at("alice", address(ELSEWHERE), world.now);
        assert_eq!(admitted, Ok(()));
    }
    let settled = |outcome| {
        world
            .throttle
            .settle_at("alice", address(ELSEWHERE), outcome, world.now)
    };
    let answered = (0..1_000).filter(|_| settled(Outcome::Refused).is_ok());
    assert_eq!(answered.count(), 10);
    assert!(settled(Outcome::Proved).is_err(), "nor is a right guess");
}

#[test]
fn thirty_failures_of_an_address_close_it_but_for_the_names_that_it_is_known_for() {
    let mut world = World::new();
    assert_eq!(world.log_in("alice", HOME), at_once());
    world.now += KNOWN_SECONDS - 1;
    for number in 0..30 {
        assert_eq!(world.fail(&format!("user{number}"), HOME), at_once());
    }
    let refused = TooManyFailures {
        retry_after_seconds: 60,
    };
    assert_eq!(world.fail("somebody", HOME), Err(refused));
    assert_eq!(
        world.log_in("bob", HOME),
        Err(refused),
        "not known from here"
    );
    assert_eq!(world.log_in("alice", HOME), at_once());
    assert_eq!(world.log_in("bob", ELSEWHERE), at_once());
    world.now += 60;
    assert_eq!(world.log_in("bob", HOME), at_once());
}

#[test]
fn an_address_is_known_for_a_name_for_an_hour() {
    let mut world = World::new();
    assert_eq!(world.log_in("alice", HOME), at_once());
    world.now += KNOWN_SECONDS;
    for number in 0..30 {
        assert_eq!(world.fail(&format!("user{number}"), HOME), at_once());
    }
    assert!(world.log_in("alice", HOME).is_err());
}

#[test]
fn successes_never_count() {
    let world = World::new();
    for _ in 0..1_000 {
        assert_eq!(world.log_in("alice", HOME), at_once());
    }
    for _ in 0..9 {
        assert_eq!(world.fail("alice", HOME), at_once());
    }
    assert_eq!(world.log_in("alice", HOME), at_once());
    // And they forgive nothing: a guesser behind the same address would be forgiven with it.
    assert_eq!(world.fail("alice", HOME), at_once());
    assert!(world.log_in("alice", HOME).is_err());
}

#[test]
fn failures_from_elsewhere_delay_the_answer_and_never_by_more_than_two_seconds() {
    let world = World::new();
    assert_eq!(world.log_in("alice", HOME), at_once());
    let mut delays = Vec::new();
    for number in 0..100 {
        let from = format!("203.0.113.{number}");
        delays.push(world.fail("alice", &from).expect("it is answered"));
    }
    assert!(delays.is_sorted());
    assert_eq!(delays[9], Duration::ZERO);
    assert_eq!(delays[11], DELAY_A_FAILURE);
    assert_eq!(delays[99], DELAY_MAX);
    // Right or wrong is not told by the time that the answer takes.
    assert_eq!(world.log_in("alice", ELSEWHERE), Ok(DELAY_MAX));
    assert_eq!(
        world.log_in("alice", HOME),
        at_once(),
        "she is known from here"
    );
    assert_eq!(world.log_in("alice", ELSEWHERE), at_once(), "and from here");
    assert_eq!(world.log_in("bob", ELSEWHERE), at_once(), "another name");
}

#[test]
fn bad_keys_and_tokens_count_for_their_address_only() {
    let world = World::new();
    for _ in 0..30 {
        assert_eq!(world.throttle.refused_at(address(HOME), world.now), Ok(()));
    }
    let refused = TooManyFailures {
        retry_after_seconds: 60,
    };
    let again = world.throttle.refused_at(address(HOME), world.now);
    assert_eq!(again, Err(refused));
    assert_eq!(world.fail("alice", HOME), Err(refused));
    assert_eq!(world.fail("alice", ELSEWHERE), at_once());
}

#[test]
fn an_ipv6_address_counts_as_its_network_and_a_mapped_one_as_what_it_is() {
    for (one, other, alike) in [
        ("2001:db8::1", "2001:db8::ffff:0:0:1", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("::ffff:192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("0.0.0.7", "0:0:0:7::", false),
    ] {
        let [one, other] = [one, other].map(|it| network_of(address(it)));
        assert_eq!(one == other, alike);
    }
}

#[test]
fn a_flood_from_a_million_addresses_takes_no_more_memory_and_hides_nobody() {
    let world = World::new();
    assert_eq!(world.log_in("alice", HOME), at_once());
    for _ in 0..10 {
        assert_eq!(world.fail("bob", ELSEWHERE), at_once());
    }
    let held = |world: &World| -> usize {
        let shards = world.throttle.0.shards.iter();
        shards
            .map(|shard| {
                let shard = shard.lock();
                let tables = [
                    &shard.pairs,
                    &shard.successes,
                    &shard.addresses,
                    &shard.names,
                ];
                tables.map(Table::bytes).iter().sum::<usize>()
            })
            .sum()
    };
    assert_eq!(held(&world), BYTES);
    for number in 0..1_000_000_u32 {
        let from = IpAddr::from((0x0A00_0000 + number).to_be_bytes());
        let name = format!("user{}", number % 7_919);
        let settled = world
            .throttle
            .settle_at(&name, from, Outcome::Refused, world.now);
        assert!(settled.is_ok());
    }
    assert_eq!(held(&world), BYTES);
    assert!(world.fail("bob", ELSEWHERE).is_err(), "he is remembered");
    assert_eq!(world.log_in("alice", HOME), at_once(), "and so is she");
}

#[test]
fn who_is_refused_is_told_when_to_come_again() {
    let told = |seconds| {
        let refusal = TooManyFailures {
            retry_after_seconds: seconds,
        };
        Diagnostic::from(refusal)
    };
    let error = told(37);
    assert_eq!(error.sqlstate(), SqlState::TOO_MANY_CONNECTIONS);
    assert_eq!(error.fields().retry_after_seconds, Some(37));
    assert_eq!(
        error.fields().hint.as_deref(),
        Some("Try again in 37 seconds.")
    );
    assert_eq!(
        told(1).fields().hint.as_deref(),
        Some("Try again in 1 second.")
    );
}

/// One attempt of a made-up history.
#[derive(Clone, Copy, Debug)]
struct Step {
    name: u8,
    address: u8,
    after: u32,
    outcome: Outcome,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        (0..4_u8, 0..4_u8, 0..5_u32, any::<bool>()).prop_map(|(name, address, after, ok)| {
            let outcome = match ok {
                true => Outcome::Proved,
                false => Outcome::Refused,
            };
            Step {
                name,
                address,
                after,
                outcome,
            }
        });
    prop::collection::vec(step, 0..400)
}

proptest! {
    /// Whatever is tried in whatever order: a pair has at most ten wrong answers a window and an address
    /// no more than thirty besides those of the names it is known for; and whoever is known from their
    /// address, and has not failed ten times there, is let in, whatever everybody else has done.
    #[test]
    fn the_bounds_hold_and_nobody_is_locked_out_by_others(steps in steps()) {
        let mut world = World::new();
        let mut wrong: Vec<(u8, u8, u32)> = Vec::new();
        let mut known: Vec<(u8, u8, u32)> = Vec::new();
        for step in steps {
            world.now += step.after;
            let now = world.now;
            let (name, from) = (format!("user{}", step.name), format!("192.0.2.{}", step.address));
            let pair = (step.name, step.address);
            let recent = wrong.iter().filter(|it| (it.0, it.1) == pair && it.2 + 60 > now).count();
            let is_known = known.iter().any(|it| (it.0, it.1) == pair && it.2 + KNOWN_SECONDS > now);
            let settled = world.attempt(&name, &from, step.outcome);
            if is_known && recent < 10 {
                prop_assert_eq!(settled, at_once());
            }
            match (settled, step.outcome) {
                (Ok(delay), Outcome::Refused) => {
                    prop_assert!(delay <= DELAY_MAX);
                    wrong.push((step.name, step.address, now));
                }
                (Ok(_), Outcome::Proved) => known.push((step.name, step.address, now)),
                (Err(refused), _) => {
                    prop_assert!((1..=60).contains(&refused.retry_after_seconds));
                }
            }
            // A window that slides over two of the throttle's holds at most two windows' worth.
            let of_pair = wrong.iter().filter(|it| (it.0, it.1) == pair && it.2 + 60 > now).count();
            prop_assert!(of_pair <= 20);
        }
    }
}
