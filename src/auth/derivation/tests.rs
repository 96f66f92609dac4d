//! Passwords on their way to verifiers.

use super::*;
use futures::executor::block_on;

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

#[test]
fn a_derived_verifier_has_a_salt_of_its_own() {
    let derivation = Derivation::start(1).unwrap();
    let derive = || {
        block_on(derivation.derive(password("secret"), Recipe::fresh(4096)))
            .unwrap()
            .into_verifier()
            .unwrap()
    };
    let (one, other) = (derive(), derive());
    assert_eq!(one.iterations, 4096);
    assert_eq!(one.salt.len(), SALT_BYTES);
    assert_ne!(one.salt, other.salt);
    assert_ne!(one.stored_key, other.stored_key);
}

#[test]
fn a_ready_verifier_comes_back_as_it_was() {
    let derivation = Derivation::start(1).unwrap();
    let iterations = NonZeroU32::new(5000).unwrap();
    let ready = verifier::derive(&password("secret"), &[3; 16], iterations);
    let text = password(&verifier::to_text(&ready));
    let derived = block_on(derivation.derive(text, Recipe::fresh(4096))).unwrap();
    assert_eq!(derived, Derived::Verifier(ready));
}

#[test]
fn a_password_that_was_used_before_is_refused_as_itself_and_as_its_verifier() {
    let derivation = Derivation::start(1).unwrap();
    let iterations = NonZeroU32::new(4096).unwrap();
    let earlier: Vec<_> = (1..4)
        .map(|number: u8| {
            let text = format!("earlier {number}");
            verifier::derive(&password(&text), &[number; 16], iterations)
        })
        .collect();
    let derive = |text: &str| {
        let recipe = Recipe {
            differs_from: earlier.clone(),
            ..Recipe::fresh(4096)
        };
        block_on(derivation.derive(password(text), recipe))
    };
    for text in ["earlier 1", "earlier 3", &verifier::to_text(&earlier[1])] {
        assert_eq!(derive(text), Err(DerivationError::Reused), "{text}");
    }
    assert!(derive("earlier 4").is_ok());
    let error = Diagnostic::from(DerivationError::Reused);
    assert_eq!(error.sqlstate().as_str(), "22023");
}

#[test]
fn a_second_password_is_derived_by_the_salt_and_the_iterations_of_the_first() {
    let derivation = Derivation::start(1).unwrap();
    let recipe = Recipe {
        salt: Some(vec![9; 20]),
        ..Recipe::fresh(5000)
    };
    let derived = block_on(derivation.derive(password("second"), recipe)).unwrap();
    let verifier = derived.into_verifier().unwrap();
    assert_eq!((verifier.salt, verifier.iterations), (vec![9; 20], 5000));
}

#[test]
fn an_empty_password_is_none_even_as_a_verifier() {
    let derivation = Derivation::start(1).unwrap();
    let derive = |text: &str| block_on(derivation.derive(password(text), Recipe::fresh(4096)));
    assert_eq!(derive(""), Ok(Derived::Empty));
    let iterations = NonZeroU32::new(4096).unwrap();
    let ready = verifier::derive(&password(""), &[3; 16], iterations);
    assert_eq!(derive(&verifier::to_text(&ready)), Ok(Derived::Empty));
}

#[test]
fn what_is_not_taken_is_22023() {
    let derivation = Derivation::start(1).unwrap();
    let derive =
        |text: &str| block_on(derivation.derive(password(text), Recipe::fresh(4096))).unwrap_err();
    let md5 = derive("md5deadbeefdeadbeefdeadbeefdeadbeef");
    assert_eq!(md5, DerivationError::Md5);
    assert_eq!(Diagnostic::from(md5).sqlstate().as_str(), "22023");
    let long = derive(&"x".repeat(PASSWORD_BYTES_MAX + 1));
    assert_eq!(long, DerivationError::TooLong);
    assert_eq!(Diagnostic::from(long).sqlstate().as_str(), "22023");
    assert!(
        block_on(derivation.derive(
            password(&"x".repeat(PASSWORD_BYTES_MAX)),
            Recipe::fresh(4096)
        ))
        .is_ok()
    );
}

#[test]
fn past_the_queue_is_53300() {
    // No thread takes jobs here, so that the queue fills for certain.
    let (jobs, _queue) = bounded(QUEUE_JOBS_MAX);
    let (known, _first) = bounded(QUEUE_JOBS_MAX);
    let derivation = Derivation { jobs, known };
    let mut waiting = Vec::new();
    for _ in 0..QUEUE_JOBS_MAX {
        let mut job = Box::pin(derivation.derive(password("secret"), Recipe::fresh(4096)));
        assert!(futures::FutureExt::now_or_never(&mut job).is_none());
        waiting.push(job);
    }
    let refused = block_on(derivation.derive(password("secret"), Recipe::fresh(4096))).unwrap_err();
    assert_eq!(refused, DerivationError::QueueFull);
    assert_eq!(Diagnostic::from(refused).sqlstate().as_str(), "53300");
}

#[test]
fn whoever_is_known_has_a_queue_of_their_own_and_comes_first() {
    let (jobs, queue) = bounded(QUEUE_JOBS_MAX);
    let (known, first) = bounded(QUEUE_JOBS_MAX);
    let derivation = Derivation { jobs, known };
    let verifier = verifier::derive(&password("right"), &[1; 16], NonZeroU32::MIN);
    let verify = |presenter| {
        let id = crate::catalog::PrincipalId(7);
        let credential = Credential::known(id, verifier.clone());
        Box::pin(derivation.verify(password("right"), credential, presenter))
    };
    let mut waiting = Vec::new();
    for _ in 0..QUEUE_JOBS_MAX {
        let mut job = verify(Presenter::Stranger);
        assert!(futures::FutureExt::now_or_never(&mut job).is_none());
        waiting.push(job);
    }
    let refused = block_on(verify(Presenter::Stranger));
    assert!(matches!(refused, Err(DerivationError::QueueFull)));
    let mut alice = verify(Presenter::Known);
    assert!(futures::FutureExt::now_or_never(&mut alice).is_none());
    let next = next(&first, &queue).expect("there is one");
    next.carry_out(&SystemRandom::new());
    let proved = futures::FutureExt::now_or_never(alice).expect("hers was the first");
    assert!(proved.is_ok_and(|proved| proved.is_ok()));
}
