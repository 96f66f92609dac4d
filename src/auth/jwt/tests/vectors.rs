//! The examples of RFC 7515, RFC 7517 and RFC 7638.

use super::*;
use crate::auth::jwks::{Choice, Skip};
use crate::auth::jwt::Algorithm;

const TOKENS: &str = include_str!("../../../../tests/vectors/jose/rfc7515_tokens.json");
const KEY_SET: &str = include_str!("../../../../tests/vectors/jose/rfc7517_key_set.json");

/// The examples' claims: `{"iss":"joe","exp":1300819380,"http://example.com/is_root":true}`.
const BEFORE_EXPIRY: i64 = 1_300_819_000_000_000;

#[test]
fn the_tokens_of_rfc_7515_are_verified_with_their_keys_or_refused() {
    let vectors: Value = serde_json::from_str(TOKENS).expect("JSON");
    let checks = Checks {
        issuer: "joe",
        audience: None,
        lifetime_max: LIFETIME_MAX,
    };
    let vectors = vectors.as_array().expect("a list");
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let (text, source) = (vector["token"].as_str().unwrap(), &vector["source"]);
        let Some(jwk) = vector.get("jwk") else {
            let refused = Token::parse(text).map(|_| ());
            assert_eq!(refused, Err(Refusal::Algorithm), "{source}");
            continue;
        };
        let keys = KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes());
        let keys = keys.expect("its key");
        let token = Token::parse(text).expect("well-formed");
        assert_eq!(token.algorithm().name(), vector["alg"], "{source}");
        let verified = verify(token, &checks, &keys, BEFORE_EXPIRY);
        let verified = verified.unwrap_or_else(|refusal| panic!("{source}: {refusal}"));
        assert_eq!(verified.ends_at, 1_300_819_380_000_000);
        assert_eq!(verified.claims["http://example.com/is_root"], true);
        let token = Token::parse(text).expect("well-formed");
        let today = verify(token, &checks, &keys, NOW);
        assert_eq!(today, Err(Refusal::Expired), "{source}");
    }
}

#[test]
fn the_key_set_of_rfc_7517_has_one_key_for_signatures() {
    let keys = KeySet::parse(KEY_SET.as_bytes()).expect("a key set");
    assert_eq!(keys.len(), 1);
    let skipped: Vec<_> = keys
        .skipped()
        .iter()
        .map(|it| (it.place, it.reason))
        .collect();
    assert_eq!(skipped, [(0, Skip::Use)], "the first is for encryption");
    let chosen = keys.choose(Some("2011-04-29"), Algorithm::Rs256);
    assert!(matches!(chosen, Choice::Key(_)));
    let encryption = keys.choose(Some("1"), Algorithm::Es256);
    assert!(matches!(encryption, Choice::UnknownKid));
}
