//! A provider's signing key: makes tokens, and the JWK that verifies them.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

/// The private key of RFC 7515 appendix A.2.
const RSA: &str = include_str!("../vectors/jose/rfc7515_a2_key.json");

/// What is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Es256,
    Es384,
    /// Always the one key of RFC 7515: ring makes no RSA keys.
    Rs256,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// One key.
pub struct Signer {
    pub kid: String,
    pub kind: Kind,
    pair: Pair,
    random: SystemRandom,
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn elliptic(
    algorithm: &'static ring::signature::EcdsaSigningAlgorithm,
    random: &SystemRandom,
) -> Pair {
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, random).expect("a key");
    Pair::Ec(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), random).expect("that key"))
}

fn rsa() -> Pair {
    let jwk: Value = serde_json::from_str(RSA).expect("a vector");
    let part = |name: &str| {
        let text = jwk[name].as_str().expect("a part of the key");
        BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
    };
    let components = KeyPairComponents {
        public_key: PublicKeyComponents {
            n: part("n"),
            e: part("e"),
        },
        d: part("d"),
        p: part("p"),
        q: part("q"),
        dP: part("dp"),
        dQ: part("dq"),
        qInv: part("qi"),
    };
    Pair::Rsa(RsaKeyPair::from_components(&components).expect("a consistent key"))
}

impl Signer {
    /// A new key of that name.
    pub fn new(kind: Kind, kid: &str) -> Signer {
        let random = SystemRandom::new();
        let pair = match kind {
            Kind::Es256 => elliptic(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            Kind::Es384 => elliptic(&ECDSA_P384_SHA384_FIXED_SIGNING, &random),
            Kind::Rs256 => rsa(),
        };
        Signer {
            kid: kid.to_owned(),
            kind,
            pair,
            random,
        }
    }

    /// Its name in `alg`.
    pub fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::Es256 => "ES256",
            Kind::Es384 => "ES384",
            Kind::Rs256 => "RS256",
        }
    }

    /// Its public half (RFC 7517).
    pub fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = ["P-256", "P-384"][usize::from(self.kind == Kind::Es384)];
                json!({"kty": "EC", "use": "sig", "alg": self.algorithm(), "kid": self.kid,
                    "crv": curve, "x": base64url(x), "y": base64url(y)})
            }
            Pair::Rsa(_) => {
                let jwk: Value = serde_json::from_str(RSA).expect("a vector");
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
                    "n": jwk["n"], "e": jwk["e"]})
            }
        }
    }

    /// Bytes of the public half as ring takes them: the point, or modulus and exponent.
    pub fn public(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The signature alone.
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Ec(pair) => {
                let signature = pair.sign(&self.random, message);
                signature.expect("signed").as_ref().to_vec()
            }
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
                    .expect("signed");
                signature
            }
        }
    }

    /// A token of exactly these bytes.
    pub fn sign(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let signature = base64url(self.signature(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// A token with an ordinary header.
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.kid});
        self.sign(header.to_string(), claims.to_string())
    }
}

/// The document that a provider publishes of these.
pub fn key_set(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}
