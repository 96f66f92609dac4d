//! What a provider answers: a key set, a discovery document, a header. Any bytes are one, or are not.

use nodedb::auth::jwks::{DOCUMENT_BYTES_MAX, Document, KEYS_MAX, KeySet, max_age};

/// The key set of RFC 7517, and what is wrong in an interesting way.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::texts(&[
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"a","alg":"ES256","key_ops":["verify"]}]}"#,
        r#"{"keys":[{"kty":"RSA","n":"AAAA","e":"AQAB","d":"x"},{"kty":"oct"},7]}"#,
        r#"{"issuer":"https://id.example/","jwks_uri":"https://id.example/keys"}"#,
        "public, max-age=600, no-cache",
        "<html>",
    ]);
    seeds.push(include_bytes!("../../../tests/vectors/jose/rfc7517_key_set.json").to_vec());
    seeds
}

/// Every key of a set is used or left out, and the same bytes are the same set.
pub fn run(data: &[u8]) {
    if let Ok(keys) = KeySet::parse(data) {
        assert!(data.len() <= DOCUMENT_BYTES_MAX);
        assert!(!keys.is_empty() && keys.len() + keys.skipped().len() <= KEYS_MAX);
        let again = KeySet::parse(data).expect("it was read before");
        assert!(again.is_same(&keys) && again.len() == keys.len());
    }
    if let Ok(document) = Document::read(data, "https://id.example/") {
        assert!(document.jwks_url.len() <= data.len());
    }
    if let Ok(header) = std::str::from_utf8(data) {
        assert!(max_age(header).is_none_or(|age| age >= 0));
    }
}
