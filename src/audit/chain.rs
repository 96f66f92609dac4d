//! The chain: each line carries a hash over the one before and its own bytes.

use ring::hmac;
use std::fmt::{self, Write};
use std::str::FromStr;

/// Bytes of the key.
pub const KEY_BYTES: usize = 32;

/// The key of the chain. Printing it shows nothing of it.
#[derive(Clone)]
pub struct ChainKey(hmac::Key);

impl ChainKey {
    /// Of its bytes.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> ChainKey {
        ChainKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey(***)")
    }
}

/// One hash of the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Link([u8; 32]);

impl Link {
    /// Before the first entry.
    pub const FIRST: Link = Link([0; 32]);

    /// Characters of its text.
    pub const TEXT_BYTES: usize = 64;

    /// That of what follows `self` in the chain.
    pub fn next(&self, key: &ChainKey, body: &[u8]) -> Link {
        let mut context = hmac::Context::with_key(&key.0);
        context.update(&self.0);
        context.update(body);
        let tag = context.sign();
        Link(tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; Link::TEXT_BYTES];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({self})")
    }
}

impl FromStr for Link {
    type Err = ();

    /// Exactly the text that [`Link`] prints.
    fn from_str(text: &str) -> Result<Link, ()> {
        let text = text.as_bytes();
        if text.len() != Link::TEXT_BYTES {
            return Err(());
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(()),
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Link(bytes))
    }
}

/// What stands between what is hashed and the hash.
const BEFORE_HASH: &str = ",\"hash\":\"";

/// What stands behind the hash.
const BEHIND_HASH: &str = "\"}";

/// Bytes that a seal adds to a body.
pub const SEAL_BYTES: usize = BEFORE_HASH.len() + Link::TEXT_BYTES + BEHIND_HASH.len();

/// Closes a JSON object that is still open with its hash, and gives that.
pub fn seal(key: &ChainKey, previous: &Link, body: &mut String) -> Link {
    let link = previous.next(key, body.as_bytes());
    write!(body, "{BEFORE_HASH}{link}{BEHIND_HASH}").expect("a String takes everything");
    link
}

/// What was sealed, and the hash; None where there is no seal.
pub fn unseal(line: &[u8]) -> Option<(&[u8], Link)> {
    let body = line.len().checked_sub(SEAL_BYTES)?;
    let (body, seal) = line.split_at(body);
    let hash = seal
        .strip_prefix(BEFORE_HASH.as_bytes())?
        .strip_suffix(BEHIND_HASH.as_bytes())?;
    let hash = std::str::from_utf8(hash).ok()?.parse().ok()?;
    Some((body, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_unsealed_and_follows_only_what_it_followed() {
        let key = ChainKey::new(&[7; KEY_BYTES]);
        let mut line = "{\"seq\":1".to_owned();
        let link = seal(&key, &Link::FIRST, &mut line);
        let (body, found) = unseal(line.as_bytes()).expect("it is sealed");
        assert_eq!((body, found), (&b"{\"seq\":1"[..], link));
        assert_eq!(Link::FIRST.next(&key, body), link);
        assert_ne!(link.next(&key, body), link, "elsewhere in the chain");
        let other = ChainKey::new(&[8; KEY_BYTES]);
        assert_ne!(Link::FIRST.next(&other, body), link, "by another key");
        let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read["hash"], link.to_string());
    }

    #[test]
    fn the_hash_is_what_openssl_makes_of_the_same_bytes() {
        // By
        // `openssl dgst -sha256 -mac HMAC -macopt hexkey:00…00` over 32 zero bytes and "{".
        let link = Link::FIRST.next(&ChainKey::new(&[0; KEY_BYTES]), b"{");
        assert_eq!(
            link.to_string(),
            "a0f6492c0adccd1dcb675e3fa9cf3c7bd80a18e8a92e5ce62a831f999c6a08f7"
        );
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let text = Link::FIRST
            .next(&ChainKey::new(&[1; KEY_BYTES]), b"x")
            .to_string();
        assert_eq!(
            text.parse::<Link>().map(|link| link.to_string()),
            Ok(text.clone())
        );
        assert!(text.to_uppercase().parse::<Link>().is_err());
        assert!(text[1..].parse::<Link>().is_err());
    }

    #[test]
    fn the_key_is_never_printed() {
        let key = ChainKey::new(&[0xAB; KEY_BYTES]);
        assert_eq!(format!("{key:?}"), "ChainKey(***)");
    }
}
