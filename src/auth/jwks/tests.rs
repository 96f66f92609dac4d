//! Documents that providers publish, or might.

use super::*;
use crate::auth::jwt::Algorithm;
use crate::auth::jwt::signer::{Kind, Signer, base64url, key_set};
use crate::auth::strict_json::Fault;
use serde_json::{Value, json};

fn parse(keys: Value) -> Result<KeySet, UnfitKeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn jwk(kind: Kind, changed: Value) -> Value {
    let mut jwk = Signer::new(kind, "k").jwk();
    let members = jwk.as_object_mut().expect("an object");
    for (name, value) in changed.as_object().expect("an object") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    jwk
}

/// Why this key alone is left out; None if it is used.
fn skipped(jwk: Value) -> Option<Skip> {
    let good = Signer::new(Kind::Es384, "good").jwk();
    let set = parse(json!([good, jwk])).expect("one is good");
    set.skipped().first().map(|it| it.reason)
}

#[test]
fn keys_that_are_not_for_our_signatures_are_left_out_and_the_rest_is_used() {
    let cases = [
        (
            json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMko"}),
            Skip::KeyType,
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
            Skip::KeyType,
        ),
        (json!("a key"), Skip::Malformed),
        (json!({}), Skip::Malformed),
        (jwk(Kind::Es256, json!({"use": "enc"})), Skip::Use),
        (jwk(Kind::Es256, json!({"key_ops": ["sign"]})), Skip::Use),
        (
            jwk(Kind::Es256, json!({"key_ops": "verify"})),
            Skip::Malformed,
        ),
        (jwk(Kind::Es256, json!({"alg": "ES384"})), Skip::Algorithm),
        (jwk(Kind::Es256, json!({"alg": "ECDH-ES"})), Skip::Algorithm),
        (jwk(Kind::Rs256, json!({"alg": "RS512"})), Skip::Algorithm),
        (jwk(Kind::Rs256, json!({"alg": "PS256"})), Skip::Algorithm),
        (jwk(Kind::Es256, json!({"crv": "P-521"})), Skip::Curve),
        (jwk(Kind::Es256, json!({"crv": "secp256k1"})), Skip::Curve),
        (jwk(Kind::Es256, json!({"crv": "P-384"})), Skip::Malformed),
        (jwk(Kind::Es256, json!({"kid": 7})), Skip::Malformed),
        (
            jwk(Kind::Es256, json!({"kid": "k".repeat(257)})),
            Skip::Malformed,
        ),
        (jwk(Kind::Es256, json!({"x": null})), Skip::Malformed),
        (
            jwk(Kind::Es256, json!({"x": "====", "y": "===="})),
            Skip::Malformed,
        ),
        (
            jwk(Kind::Es256, json!({"y": base64url([7; 32])})),
            Skip::Point,
        ),
        (
            jwk(
                Kind::Es256,
                json!({"x": base64url([0; 32]), "y": base64url([0; 32])}),
            ),
            Skip::Point,
        ),
        (
            jwk(Kind::Es256, json!({"d": base64url([7; 32])})),
            Skip::Private,
        ),
        (jwk(Kind::Rs256, json!({"d": "AQAB"})), Skip::Private),
        (
            jwk(Kind::Rs256, json!({"n": base64url([0xff; 128])})),
            Skip::Modulus(1_024),
        ),
        (
            jwk(Kind::Rs256, json!({"n": base64url([0x7f; 256])})),
            Skip::Modulus(2_047),
        ),
        (
            jwk(Kind::Rs256, json!({"n": base64url([0xff; 1_025])})),
            Skip::Modulus(8_200),
        ),
        (jwk(Kind::Rs256, json!({"n": ""})), Skip::Modulus(0)),
        (
            jwk(Kind::Rs256, json!({"n": base64url([0xfe; 256])})),
            Skip::Malformed,
        ),
        (jwk(Kind::Rs256, json!({"e": "AQ"})), Skip::Exponent),
        (jwk(Kind::Rs256, json!({"e": "AQAC"})), Skip::Exponent),
        (jwk(Kind::Rs256, json!({"e": ""})), Skip::Exponent),
        (
            jwk(Kind::Rs256, json!({"e": base64url([0xff; 9])})),
            Skip::Exponent,
        ),
        (
            jwk(Kind::Rs256, json!({"e": base64url([2, 0, 0, 0, 1])})),
            Skip::Exponent,
        ),
    ];
    for (key, reason) in cases {
        assert_eq!(skipped(key.clone()), Some(reason), "{key}");
    }
}

#[test]
fn what_a_key_need_not_say_may_be_left_out() {
    for kind in [Kind::Es256, Kind::Es384, Kind::Rs256] {
        let bare = jwk(kind, json!({"use": null, "alg": null, "kid": null}));
        assert_eq!(skipped(bare), None, "{kind:?}");
        let more =
            json!({"x5c": ["MIIB"], "x5t": "AAAA", "issuer": "somebody", "key_ops": ["verify"]});
        assert_eq!(skipped(jwk(kind, more)), None, "{kind:?}");
    }
}

#[test]
fn a_modulus_with_zeros_in_front_is_the_same_key() {
    let signer = Signer::new(Kind::Rs256, "k");
    let plain = signer.jwk();
    let modulus = plain["n"].as_str().expect("a modulus");
    let decoded = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, modulus);
    let padded = base64url([&[0, 0], &decoded.expect("base64url")[..]].concat());
    let keys = parse(json!([jwk(Kind::Rs256, json!({ "n": padded }))])).expect("a key");
    let claims = json!({"iss": "a", "exp": 1_800_000_000});
    let text = signer.token(&claims);
    let checks = crate::auth::jwt::Checks {
        issuer: "a",
        audience: None,
        lifetime_max: i64::MAX,
    };
    let token = crate::auth::jwt::Token::parse(&text).expect("well-formed");
    assert!(crate::auth::jwt::verify(token, &checks, &keys, 0).is_ok());
}

#[test]
fn of_two_keys_with_one_kid_the_first_is_used_and_of_two_algorithms_both() {
    let (first, second) = (Signer::new(Kind::Es256, "k"), Signer::new(Kind::Es256, "k"));
    let other = Signer::new(Kind::Rs256, "k");
    let set = parse(json!([first.jwk(), second.jwk(), other.jwk()])).expect("a set");
    assert_eq!(set.len(), 2);
    let skipped = Skipped {
        place: 1,
        reason: Skip::Duplicate,
    };
    assert_eq!(set.skipped(), [skipped]);
    let Choice::Key(key) = set.choose(Some("k"), Algorithm::Es256) else {
        panic!("a key");
    };
    assert_eq!(key.try_get_as_bytes().ok(), Some(&first.public()[..]));
    assert!(matches!(
        set.choose(Some("k"), Algorithm::Rs256),
        Choice::Key(_)
    ));
    let longer = set.choose(Some("k"), Algorithm::Es384);
    assert!(matches!(longer, Choice::OfAnotherAlgorithm));
    let unnamed = jwk(Kind::Es256, json!({"kid": null}));
    let set = parse(json!([unnamed, unnamed])).expect("a set");
    assert_eq!(set.len(), 2, "without a name there is none to share");
}

#[test]
fn a_document_that_is_no_usable_set_is_refused_with_its_reason() {
    let refused = |document: &[u8]| KeySet::parse(document).expect_err("it is of no use");
    assert_eq!(refused(b"<html>"), UnfitKeySet::Unreadable(Fault::NotJson));
    assert_eq!(refused(b"[]"), UnfitKeySet::Unreadable(Fault::NotAnObject));
    assert_eq!(refused(b"{}"), UnfitKeySet::NoKeys);
    assert_eq!(refused(br#"{"keys":{}}"#), UnfitKeySet::NoKeys);
    let twice = br#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#;
    assert_eq!(
        refused(twice),
        UnfitKeySet::Unreadable(Fault::DuplicateName)
    );
    let empty = refused(br#"{"keys":[]}"#);
    assert_eq!(
        empty,
        UnfitKeySet::NothingOfUse {
            count: 0,
            first: None
        }
    );
    let useless = refused(br#"{"keys":[{"kty":"oct"}]}"#);
    let text = "none of the 1 keys of the set is of use (the first: its kty is neither RSA nor EC)";
    assert_eq!(useless.to_string(), text);
}

#[test]
fn a_document_is_limited_in_bytes_and_in_keys() {
    let document = key_set(&[&Signer::new(Kind::Es256, "k")]);
    let padded = |length: usize| {
        let padding = " ".repeat(length - document.len());
        KeySet::parse(format!("{document}{padding}").as_bytes()).map(|set| set.len())
    };
    assert_eq!(padded(DOCUMENT_BYTES_MAX), Ok(1));
    assert_eq!(padded(DOCUMENT_BYTES_MAX + 1), Err(UnfitKeySet::TooLong));
    let many = |count: usize| {
        let mut keys = vec![json!({"kty": "oct"}); count - 1];
        keys.push(Signer::new(Kind::Es256, "k").jwk());
        parse(json!(keys)).map(|set| (set.len(), set.skipped().len()))
    };
    assert_eq!(many(KEYS_MAX), Ok((1, KEYS_MAX - 1)));
    assert_eq!(
        many(KEYS_MAX + 1),
        Err(UnfitKeySet::TooManyKeys(KEYS_MAX + 1))
    );
}

#[test]
fn only_the_same_bytes_are_the_same_set() {
    let (one, two) = (Signer::new(Kind::Es256, "1"), Signer::new(Kind::Es256, "2"));
    let set = |signers: &[&Signer]| KeySet::parse(key_set(signers).as_bytes()).expect("a set");
    assert!(set(&[&one, &two]).is_same(&set(&[&one, &two])));
    assert!(!set(&[&one, &two]).is_same(&set(&[&two, &one])));
}
