//! Tokens, good and hostile, against a provider's keys.

mod claims;
mod hostile;
mod vectors;

use super::signer::{Kind, Signer, key_set};
use super::{Checks, LIFETIME_MAX, Refusal, Token, Verified, verify};
use crate::auth::jwks::KeySet;
use serde_json::{Value, json};

const SECONDS: i64 = 1_800_000_000;
const NOW: i64 = SECONDS * 1_000_000;
const ISSUER: &str = "https://id.example/";
const AUDIENCE: &str = "nodedb-api";

/// A provider with a key of each kind, and what is demanded of its tokens.
struct World {
    es256: Signer,
    es384: Signer,
    rs256: Signer,
    keys: KeySet,
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "auth0|42", "iat": SECONDS - 10, "exp": SECONDS + 3_600})
}

/// The claims with these in their place; null takes one away.
fn claims_but(changed: Value) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().expect("an object");
    for (name, value) in changed.as_object().expect("an object") {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn checks() -> Checks<'static> {
    Checks {
        issuer: ISSUER,
        audience: Some(AUDIENCE),
        lifetime_max: LIFETIME_MAX,
    }
}

impl World {
    fn new() -> World {
        let es256 = Signer::new(Kind::Es256, "elliptic");
        let es384 = Signer::new(Kind::Es384, "longer");
        let rs256 = Signer::new(Kind::Rs256, "rsa");
        let document = key_set(&[&es256, &es384, &rs256]);
        World {
            keys: KeySet::parse(document.as_bytes()).expect("a key set"),
            es256,
            es384,
            rs256,
        }
    }

    fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        verify(Token::parse(token)?, &checks(), &self.keys, NOW)
    }

    /// Signed with its P-256 key.
    fn judge(&self, claims: &Value) -> Result<Verified, Refusal> {
        self.verify(&self.es256.token(claims))
    }
}
