//! A SCRAM client that says of channel binding whatever it is told to (RFC 5802 §3), which published
//! ones do not.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

/// What it says.
#[derive(Clone, Debug)]
pub struct ScramClient {
    /// The mechanism it chooses.
    pub mechanism: &'static str,
    /// The GS2 header.
    pub header: &'static str,
    /// The data that it is bound to.
    pub data: Vec<u8>,
    /// The password, of characters that need no preparation.
    pub password: &'static str,
}

impl ScramClient {
    /// client-first-message.
    pub fn first(&self) -> String {
        format!("{}n=,r={NONCE}", self.header)
    }

    /// client-final-message, in answer to the challenge.
    pub fn last(&self, server_first: &[u8]) -> String {
        let server_first = std::str::from_utf8(server_first).expect("text");
        let mut parts = server_first.split(',').map(|part| &part[2..]);
        let (nonce, salt, iterations) = (parts.next(), parts.next(), parts.next());
        let salt = BASE64_STANDARD.decode(salt.expect("a salt"));
        let iterations = iterations.and_then(|count| count.parse().ok());
        let mut salted = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            NonZeroU32::new(iterations.expect("a count")).expect("at least one"),
            &salt.expect("base64"),
            self.password.as_bytes(),
            &mut salted,
        );
        let repeated = BASE64_STANDARD.encode([self.header.as_bytes(), &self.data].concat());
        let unsigned = format!("c={repeated},r={}", nonce.expect("a nonce"));
        let transcript = format!("n=,r={NONCE},{server_first},{unsigned}");
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = sign(stored_key.as_ref(), transcript.as_bytes());
        let pairs = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(key, mask)| key ^ mask).collect();
        format!("{unsigned},p={}", BASE64_STANDARD.encode(proof))
    }
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}
