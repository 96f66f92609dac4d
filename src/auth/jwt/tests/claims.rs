//! What the claims have to say.

use super::*;
use crate::auth::jwt::{Check, SKEW};

#[test]
fn a_good_token_of_each_algorithm_is_verified_and_ends_at_its_exp() {
    let world = World::new();
    for signer in [&world.es256, &world.es384, &world.rs256] {
        let verified = world
            .verify(&signer.token(&claims()))
            .expect("a good token");
        assert_eq!(verified.ends_at, NOW + 3_600_000_000);
        assert_eq!(verified.claims["sub"], "auth0|42");
        assert_eq!(verified.claims.len(), 5);
    }
}

#[test]
fn an_issuer_with_and_without_its_slash_are_two() {
    let world = World::new();
    for other in [
        "https://id.example",
        "https://id.example//",
        "HTTPS://id.example/",
        "",
    ] {
        let token = claims_but(json!({ "iss": other }));
        assert_eq!(world.judge(&token), Err(Refusal::Issuer), "{other}");
    }
    for other in [
        json!(null),
        json!(7),
        json!([ISSUER]),
        json!({"is": ISSUER}),
    ] {
        let token = claims_but(json!({ "iss": other }));
        assert_eq!(world.judge(&token), Err(Refusal::Claim("iss")), "{other}");
    }
}

#[test]
fn an_audience_is_one_text_or_one_of_a_list_of_texts() {
    let world = World::new();
    for good in [
        json!(AUDIENCE),
        json!([AUDIENCE]),
        json!(["other", AUDIENCE]),
    ] {
        assert!(
            world.judge(&claims_but(json!({ "aud": good }))).is_ok(),
            "{good}"
        );
    }
    for wrong in [
        json!("nodedb"),
        json!("nodedb-api "),
        json!(["other"]),
        json!([]),
        json!("other nodedb-api"),
    ] {
        let token = claims_but(json!({ "aud": wrong }));
        assert_eq!(world.judge(&token), Err(Refusal::Audience), "{wrong}");
    }
    for malformed in [
        json!(null),
        json!(7),
        json!([AUDIENCE, 7]),
        json!([[AUDIENCE]]),
        json!({AUDIENCE: true}),
    ] {
        let token = claims_but(json!({ "aud": malformed }));
        assert_eq!(
            world.judge(&token),
            Err(Refusal::Claim("aud")),
            "{malformed}"
        );
    }
}

#[test]
fn a_provider_without_an_audience_does_not_ask_for_one() {
    let world = World::new();
    let token = world.es256.token(&claims_but(json!({ "aud": null })));
    let token = Token::parse(&token).expect("well-formed");
    let checks = Checks {
        audience: None,
        ..checks()
    };
    assert!(verify(token, &checks, &world.keys, NOW).is_ok());
}

#[test]
fn a_token_has_to_say_when_it_ends_and_in_seconds() {
    let world = World::new();
    for exp in [
        json!(null),
        json!("1800003600"),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(253_402_300_800_i64),
        json!([SECONDS + 60]),
        json!(true),
    ] {
        let token = claims_but(json!({ "exp": exp }));
        assert_eq!(world.judge(&token), Err(Refusal::Claim("exp")), "{exp}");
    }
    let broken = claims_but(json!({ "exp": SECONDS as f64 + 0.5 }));
    let verified = world.judge(&broken).expect("a fraction is a number");
    assert_eq!(verified.ends_at, NOW + 500_000);
}

#[test]
fn clocks_may_differ_by_a_minute_and_no_more() {
    let world = World::new();
    let with = |name: &str, seconds: i64| {
        let mut changed = json!({ "iat": SECONDS - 3_600 });
        changed[name] = json!(SECONDS + seconds);
        world.judge(&claims_but(changed)).map(|_| ())
    };
    assert_eq!(SKEW, 60_000_000);
    assert_eq!(with("exp", -59), Ok(()));
    assert_eq!(with("exp", -60), Err(Refusal::Expired));
    assert_eq!(with("nbf", 60), Ok(()));
    assert_eq!(with("nbf", 61), Err(Refusal::NotYetValid));
    assert_eq!(with("iat", 60), Ok(()));
    assert_eq!(with("iat", 61), Err(Refusal::IssuedInTheFuture));
    for name in ["nbf", "iat"] {
        let text = claims_but(json!({ name: "1800000000" }));
        let expected = Err(Refusal::Claim(if name == "nbf" { "nbf" } else { "iat" }));
        assert_eq!(world.judge(&text), expected);
    }
}

#[test]
fn a_token_lives_for_a_day_at_most_from_its_issue_or_from_now() {
    let world = World::new();
    let judge = |iat: Value, exp: i64| {
        let changed = json!({ "iat": iat, "exp": exp });
        world.judge(&claims_but(changed)).map(|_| ())
    };
    const DAY: i64 = 86_400;
    assert_eq!(judge(json!(SECONDS - 10), SECONDS - 10 + DAY), Ok(()));
    assert_eq!(
        judge(json!(SECONDS - 10), SECONDS - 9 + DAY),
        Err(Refusal::Lifetime)
    );
    assert_eq!(judge(json!(null), SECONDS + DAY), Ok(()));
    assert_eq!(
        judge(json!(null), SECONDS + DAY + 1),
        Err(Refusal::Lifetime)
    );
    let token = world.es256.token(&claims());
    let checks = Checks {
        lifetime_max: 600_000_000,
        ..checks()
    };
    let verified = verify(Token::parse(&token).unwrap(), &checks, &world.keys, NOW);
    assert_eq!(verified, Err(Refusal::Lifetime), "a provider's own limit");
}

#[test]
fn each_check_can_be_asked_for_alone_and_the_first_that_fails_is_the_one_that_counts() {
    let world = World::new();
    let stranger = Signer::new(Kind::Es256, "elliptic");
    let token = stranger.token(&claims_but(json!({"aud": "other", "nbf": SECONDS + 90})));
    let token = Token::parse(&token).expect("well-formed");
    let outcomes = Check::ALL.map(|check| {
        let outcome = check.make(&token, &checks(), &world.keys, NOW);
        (check.name(), outcome.err())
    });
    let expected = [
        ("issuer", None),
        ("audience", Some(Refusal::Audience)),
        ("expiry", None),
        ("not before", Some(Refusal::NotYetValid)),
        ("issued at", None),
        ("lifetime", None),
        ("key", None),
        ("signature", Some(Refusal::Signature)),
    ];
    assert_eq!(outcomes, expected);
    let verified = verify(token, &checks(), &world.keys, NOW);
    assert_eq!(verified, Err(Refusal::Audience));
}
