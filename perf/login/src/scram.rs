//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), its keys derived once.

use crate::connection::LoginError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, RwLock};

/// GS2 header `n,,`: no channel binding.
const GS2_HEADER: &str = "n,,";

/// The keys of one (salt, iterations).
struct ClientKeys {
    client_key: [u8; 32],
    stored_key: hmac::Key,
    server_key: hmac::Key,
}

/// Keys by salt and iterations.
type Derived = HashMap<(Vec<u8>, NonZeroU32), Arc<ClientKeys>>;

/// A password and the keys derived from it so far.
pub struct Keys {
    password: String,
    derived: RwLock<Derived>,
    random: SystemRandom,
}

/// What the client remembers between its two messages.
pub struct Exchange {
    bare: String,
    nonce: String,
}

/// The client's second message, and the signature that must answer it.
pub struct Proof {
    /// client-final-message
    pub message: String,
    server_signature: hmac::Tag,
}

impl Keys {
    /// No key is derived yet.
    pub fn new(password: String) -> Keys {
        Keys {
            password,
            derived: RwLock::default(),
            random: SystemRandom::new(),
        }
    }

    /// client-first-message.
    pub fn begin(&self) -> (String, Exchange) {
        let mut nonce = [0; 18];
        self.random
            .fill(&mut nonce)
            .expect("the kernel's random generator answers");
        let nonce = BASE64_STANDARD.encode(nonce);
        // The name is that of the start-up packet; servers ignore the one here.
        let bare = format!("n=,r={nonce}");
        (format!("{GS2_HEADER}{bare}"), Exchange { bare, nonce })
    }

    /// Answers server-first-message.
    pub fn prove(&self, exchange: &Exchange, server_first: &str) -> Result<Proof, LoginError> {
        let attribute = |name: &str| {
            server_first
                .split(',')
                .find_map(|attribute| attribute.strip_prefix(name))
                .ok_or(LoginError::Unexpected("a challenge without its attributes"))
        };
        let nonce = attribute("r=")?;
        if !nonce.starts_with(&exchange.nonce) {
            return Err(LoginError::Unexpected("a nonce that is not ours"));
        }
        let bad = |_| LoginError::Unexpected("a challenge with bad attributes");
        let salt = BASE64_STANDARD
            .decode(attribute("s=")?)
            .map_err(|_| bad(()))?;
        let iterations = attribute("i=")?.parse().map_err(|_| bad(()))?;
        let keys = self.keys(salt, iterations);

        let unsigned = format!("c={},r={nonce}", BASE64_STANDARD.encode(GS2_HEADER));
        let transcript = format!("{},{server_first},{unsigned}", exchange.bare);
        let signature = hmac::sign(&keys.stored_key, transcript.as_bytes());
        let mut proof = keys.client_key;
        for (byte, mask) in proof.iter_mut().zip(signature.as_ref()) {
            *byte ^= mask;
        }
        Ok(Proof {
            message: format!("{unsigned},p={}", BASE64_STANDARD.encode(proof)),
            server_signature: hmac::sign(&keys.server_key, transcript.as_bytes()),
        })
    }

    fn keys(&self, salt: Vec<u8>, iterations: NonZeroU32) -> Arc<ClientKeys> {
        let key = (salt, iterations);
        let known = self.derived.read().expect("nobody panics with the lock");
        if let Some(keys) = known.get(&key) {
            return keys.clone();
        }
        drop(known);
        let keys = Arc::new(ClientKeys::derive(&self.password, &key.0, iterations));
        let mut derived = self.derived.write().expect("nobody panics with the lock");
        derived.insert(key, keys.clone());
        keys
    }
}

impl ClientKeys {
    /// SASLprep is left out: a load test's password is ASCII.
    fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> ClientKeys {
        let mut salted = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&salted, b"Server Key");
        ClientKeys {
            client_key: client_key
                .as_ref()
                .try_into()
                .expect("HMAC-SHA-256 gives 32 bytes"),
            stored_key: hmac::Key::new(hmac::HMAC_SHA256, stored_key.as_ref()),
            server_key: hmac::Key::new(hmac::HMAC_SHA256, server_key.as_ref()),
        }
    }
}

impl Proof {
    /// Checks server-final-message: whoever has no verifier cannot have made it.
    pub fn check(&self, server_final: &str) -> Result<(), LoginError> {
        let expected = BASE64_STANDARD.encode(self.server_signature.as_ref());
        match server_final.strip_prefix("v=") {
            Some(signature) if signature == expected => Ok(()),
            _ => Err(LoginError::Unexpected(
                "a server signature that does not fit",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3, with our empty name in the place of `user`, which only changes the transcript.
    #[test]
    fn rfc_7677_section_3_conversation() {
        let keys = Keys::new("pencil".to_owned());
        let exchange = Exchange {
            bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(),
            nonce: "rOprNGfwEbeRWgbNEkqO".to_owned(),
        };
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let proof = keys.prove(&exchange, server_first).unwrap();
        assert_eq!(
            proof.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        proof
            .check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
            .unwrap();
        assert!(proof.check("v=").is_err());
    }
}
