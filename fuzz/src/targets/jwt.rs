//! A bearer's token: any text is one, or is refused.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nodedb::auth::jwt::{CLAIMS_MAX, KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX, Token};

fn token(header: &str, claims: &str) -> Vec<u8> {
    let [header, claims] = [header, claims].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it));
    format!("{header}.{claims}.c2lnbmF0dXJl").into_bytes()
}

/// The shape that begins with `{` is header and claims in plain, a line each: a mutation of base64
/// seldom lets JSON through.
pub fn seeds() -> Vec<Vec<u8>> {
    const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"one"}"#;
    const CLAIMS: &str = r#"{"iss":"https://id.example/","aud":["a","b"],"exp":1800000000,"nbf":1.5e9,"iat":1,"n":{"a":[null,true,-1.5]}}"#;
    let mut seeds = vec![token(HEADER, CLAIMS), token(r#"{"alg":"none"}"#, "{}")];
    seeds.extend(super::texts(&[
        &format!("{HEADER}\n{CLAIMS}"),
        "{\"alg\":\"RS256\",\"crit\":[]}\n{\"exp\":\"1\",\"exp\":2}",
        "{\"alg\":\"ES384\"}\n{\"iss\":\"\\u0000\",\"exp\":1e400,\"a\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}",
        "a.b.c.d.e",
    ]));
    seeds
}

/// What is read is within the limits, reads the same again, and is shown nowhere.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check(text);
    if let Some((header, claims)) = text.split_once('\n') {
        let token = token(header, claims);
        check(std::str::from_utf8(&token).expect("base64url is ASCII"));
    }
}

fn check(text: &str) {
    let Ok(token) = Token::parse(text) else {
        return;
    };
    assert!(text.len() <= TOKEN_BYTES_MAX);
    assert_eq!(text.split('.').count(), 3);
    let claims = token.unverified_claims();
    assert!(claims.len() <= CLAIMS_MAX && claims.contains_key("exp"));
    assert_eq!(claims["iss"], token.issuer());
    assert!(
        token
            .key_id()
            .is_none_or(|it| (1..=KEY_ID_BYTES_MAX).contains(&it.len()))
    );
    assert_eq!(
        format!("{token:?}"),
        format!("Token({}, ***)", token.algorithm())
    );
    let again = Token::parse(text).expect("it was read before");
    assert_eq!(again.unverified_claims(), claims);
}
