//! When it fetches, what comes of it, and who waits.

use super::*;
use crate::auth::jwks::{Circuit, NoKeys};
use crate::control::jwks::FETCHES_AT_ONCE;

fn shown(in_force: &InForce) -> String {
    format!("{:?}", in_force.keys)
}

#[test]
fn keys_are_in_force_when_whoever_waits_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    world.answers.put(KEYS, &document("one"));
    world.follow(AUTH0, ISSUER);
    assert_eq!(world.refresh(AUTH0), Ok(1));
    let mut view = world.sets.view();
    assert!(view.keys(AUTH0, NOW).is_ok());
    let in_force = world.sets.of(AUTH0).expect("published");
    assert_eq!(in_force.status.last_refresh, Some(NOW));
    assert_eq!(&*in_force.status.name, "provider 40000");
    world.requests().forget(AUTH0);
    assert_eq!(
        world.refresh(AUTH0),
        Err("the provider is not followed any more".to_owned())
    );
    assert_eq!(view.keys(AUTH0, NOW).unwrap_err(), NoKeys::NotYet);
}

#[test]
fn an_hour_later_newer_keys_replace_the_old_ones_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    world.answers.put(KEYS, &document("one"));
    world.follow(AUTH0, ISSUER);
    world.until(AUTH0, |it| it.status.successes == 1);
    world.answers.put(KEYS, &document("two"));
    world.pass(3_599);
    assert!(
        world.unknown_kid(PrincipalId(9)).is_err(),
        "it has looked at the clock"
    );
    assert!(shown(&world.sets.of(AUTH0).unwrap()).contains("one"));
    world.pass(1);
    let newer = world.until(AUTH0, |it| it.status.successes == 2);
    assert!(shown(&newer).contains("two") && !shown(&newer).contains("one"));
}

#[test]
fn a_token_with_an_unknown_kid_brings_the_keys_of_a_provider_that_has_rotated_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    world.answers.put(KEYS, &document("one"));
    world.follow(AUTH0, ISSUER);
    world.until(AUTH0, |it| it.status.successes == 1);
    world.answers.put(KEYS, &document("two"));
    assert_eq!(world.unknown_kid(AUTH0), Ok(1));
    assert!(shown(&world.sets.of(AUTH0).unwrap()).contains("two"));
    let asked = world.answers.asked();
    for _ in 0..100 {
        assert!(world.unknown_kid(AUTH0).is_err(), "once a minute");
    }
    assert_eq!(world.answers.asked(), asked);
    world.pass(60);
    assert_eq!(world.unknown_kid(AUTH0), Ok(1));
}

#[test]
fn a_provider_that_fails_is_left_alone_and_its_keys_go_on_verifying() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    let document = document("one");
    world.answers.put(KEYS, &document);
    world.follow(AUTH0, ISSUER);
    world.until(AUTH0, |it| it.status.successes == 1);
    world.answers.break_down(KEYS);
    world.pass(3_600);
    for failures in 1..5 {
        world.until(AUTH0, |it| it.status.failures == failures);
        world.pass(10);
    }
    let is_open = |it: &InForce| matches!(it.status.circuit, Circuit::Open { .. });
    let open = world.until(AUTH0, is_open);
    assert_eq!(
        open.status.reason.as_deref(),
        Some(&*format!("{KEYS}: it is down"))
    );
    assert!(open.keys.is_some());
    let refused = world.unknown_kid(AUTH0).unwrap_err();
    assert!(refused.contains("breaker is open"), "{refused}");
    world.answers.put(KEYS, &document);
    world.pass(30);
    let closed = world.until(AUTH0, |it| it.status.circuit == Circuit::Closed);
    assert_eq!((closed.status.failures, closed.status.successes), (5, 2));
    assert!(Arc::ptr_eq(
        closed.keys.as_ref().unwrap(),
        open.keys.as_ref().unwrap()
    ));
}

#[test]
fn a_provider_that_does_not_answer_holds_up_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    let other = PrincipalId(40_001);
    world.answers.put(KEYS, &document("one"));
    world.answers.hold(KEYS);
    world.follow(AUTH0, ISSUER);
    let keys = "https://other.example/.well-known/jwks.json";
    world.answers.put(keys, &document("two"));
    world.follow(other, "https://other.example");
    assert_eq!(world.refresh(other), Ok(1));
    let mut view = world.sets.view();
    assert_eq!(view.keys(AUTH0, NOW).unwrap_err(), NoKeys::NotYet);
    world.answers.release();
    world.until(AUTH0, |it| it.keys.is_some());
}

#[test]
fn eight_are_fetched_at_once_and_the_others_when_there_is_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    world.answers.put(KEYS, &document("one"));
    world.answers.hold(DISCOVERY);
    let ids = (0..20).map(|number| PrincipalId(40_000 + number));
    for id in ids.clone() {
        world.follow(id, ISSUER);
    }
    let ordered = PrincipalId(50_000);
    let other = "https://other.example";
    world
        .answers
        .put(&format!("{other}/.well-known/jwks.json"), &document("two"));
    world.follow(ordered, other);
    assert_eq!(world.refresh(ordered), Ok(1), "an order does not wait");
    let begun = FETCHES_AT_ONCE + 2;
    world.until(ordered, |_| world.answers.asked() >= begun);
    assert_eq!(world.answers.asked(), begun);
    world.answers.release();
    for id in ids {
        world.until(id, |it| it.keys.is_some());
    }
}

#[test]
fn a_fetch_for_a_provider_that_was_replaced_meanwhile_means_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    world.answers.put(KEYS, &document("old"));
    world.answers.hold(KEYS);
    world.follow(AUTH0, ISSUER);
    world.until(AUTH0, |_| world.answers.asked() == 2);
    let keys = "https://other.example/.well-known/jwks.json";
    world.answers.put(keys, &document("new"));
    world.follow(AUTH0, "https://other.example");
    world.until(AUTH0, |it| it.keys.is_some());
    world.answers.release();
    assert_eq!(world.refresh(AUTH0), Ok(1));
    assert!(shown(&world.sets.of(AUTH0).unwrap()).contains("new"));
}

#[test]
fn a_start_while_the_provider_is_down_uses_the_kept_keys_unless_they_are_a_day_old() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    world.answers.put(KEYS, &document("one"));
    world.follow(AUTH0, ISSUER);
    world.until(AUTH0, |it| it.status.successes == 1);
    drop(world);
    let world = World::at(directory.path(), NOW + 23 * 3_600 * SECOND);
    world.answers.break_down(KEYS);
    world.follow(AUTH0, ISSUER);
    let kept = world.until(AUTH0, |it| it.status.failures == 1);
    assert!(shown(&kept).contains("one"));
    assert_eq!(kept.status.last_refresh, Some(NOW));
    world.pass(3_600);
    let stale = world.until(AUTH0, |it| it.keys.is_none());
    assert_eq!(stale.good_until, NOW + 24 * 3_600 * SECOND);
    drop(world);
    let world = World::at(directory.path(), NOW + 24 * 3_600 * SECOND);
    world.answers.break_down(KEYS);
    world.follow(AUTH0, ISSUER);
    let refused = world.until(AUTH0, |it| it.status.failures == 1);
    assert!(refused.keys.is_none());
}

#[test]
fn what_was_kept_of_a_provider_goes_when_it_is_dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path());
    world.answers.put(KEYS, &document("one"));
    let (first, second) = (AUTH0, PrincipalId(40_001));
    for id in [first, second] {
        world.follow(id, ISSUER);
        world.until(id, |it| it.status.successes == 1);
    }
    let kept = Kept::new(directory.path().join("jwks")).path(&provider(first, ISSUER));
    world.requests().forget(first);
    assert!(world.refresh(first).is_err());
    assert!(kept.exists(), "another has the same issuer");
    world.requests().forget(second);
    assert!(world.refresh(second).is_err());
    assert!(!kept.exists());
}

#[test]
fn a_request_to_a_fetcher_that_has_ended_is_answered() {
    let (requests, inbox) = Requests::channel();
    drop(inbox);
    let ended = Err("the fetcher of keys has ended".to_owned());
    assert_eq!(futures::executor::block_on(requests.refresh(AUTH0)), ended);
    let (requests, inbox) = Requests::channel();
    requests.forget(AUTH0);
    assert!(matches!(inbox.recv(), Ok(Request::Forget(AUTH0))));
}
