//! What a provider publishes: a set of keys (RFC 7517 §5), read within limits, ready for use.

use super::key::{Key, Skip};
use crate::auth::jwt::{Algorithm, Token, install};
use crate::auth::strict_json::{self, Fault};
use jsonwebtoken::DecodingKey;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use std::fmt;

/// The longest document that is read (REFERENCE §3).
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Keys of one set: providers publish two to ten.
pub const KEYS_MAX: usize = 256;

/// Members of the document beside `keys`.
const MEMBERS_MAX: usize = 64;

/// RSA keys that a session core verifies with itself: the cost grows with the square, and is a fifth of
/// a slice's budget here (DESIGN §2).
const QUICK_RSA_BITS_MAX: usize = 4_096;

/// Keys, of which at least one is of use. Shared, never changed: another document is another set.
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<Skipped>,
    fingerprint: [u8; 32],
}

/// A key that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the document, from 0.
    pub place: usize,
    /// Why.
    pub reason: Skip,
}

/// Why a document is not a set that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitKeySet {
    /// [`DOCUMENT_BYTES_MAX`]
    #[error("the key set is longer than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
    /// An error page, say.
    #[error("the key set cannot be read: {0}")]
    Unreadable(#[from] Fault),
    /// `keys` is not there, or no list.
    #[error("the document is not a key set: it has no list of keys")]
    NoKeys,
    /// [`KEYS_MAX`]
    #[error("the key set has {0} keys, more than {KEYS_MAX}")]
    TooManyKeys(usize),
    /// It is empty, or each was left out.
    #[error("none of the {count} keys of the set is of use{}", because(*.first))]
    NothingOfUse {
        /// How many there are.
        count: usize,
        /// Why the first one is not.
        first: Option<Skip>,
    },
}

fn because(reason: Option<Skip>) -> String {
    reason.map_or_else(String::new, |it| format!(" (the first: {it})"))
}

/// What a token's header leads to in a set.
pub enum Choice<'k> {
    /// The key.
    Key(&'k DecodingKey),
    /// No key has its `kid`: a newer set may have one.
    UnknownKid,
    /// Those that have are for other algorithms.
    OfAnotherAlgorithm,
    /// It has no `kid`, and so many keys are for its algorithm: not one.
    Undecided(usize),
}

impl KeySet {
    /// Reads a document. Costs up to a millisecond for each key: never on a session core.
    ///
    /// # Errors
    /// [`UnfitKeySet`]
    pub fn parse(document: &[u8]) -> Result<KeySet, UnfitKeySet> {
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(UnfitKeySet::TooLong);
        }
        let read = strict_json::object(document, MEMBERS_MAX)?;
        let Some(Value::Array(jwks)) = read.get("keys") else {
            return Err(UnfitKeySet::NoKeys);
        };
        if jwks.len() > KEYS_MAX {
            return Err(UnfitKeySet::TooManyKeys(jwks.len()));
        }
        let fingerprint = digest(&SHA256, document).as_ref().try_into();
        let mut set = KeySet {
            keys: Vec::new(),
            skipped: Vec::new(),
            fingerprint: fingerprint.expect("SHA-256 gives 32 bytes"),
        };
        for (place, jwk) in jwks.iter().enumerate() {
            set.add(place, jwk);
        }
        if set.keys.is_empty() {
            return Err(UnfitKeySet::NothingOfUse {
                count: jwks.len(),
                first: set.skipped.first().map(|it| it.reason),
            });
        }
        // Whoever has keys can verify with them.
        install();
        Ok(set)
    }

    fn add(&mut self, place: usize, jwk: &Value) {
        let key = Key::read(jwk).and_then(|key| match self.has(&key) {
            true => Err(Skip::Duplicate),
            false => Ok(key),
        });
        match key {
            Ok(key) => self.keys.push(key),
            Err(reason) => self.skipped.push(Skipped { place, reason }),
        }
    }

    fn has(&self, key: &Key) -> bool {
        let same = |it: &Key| it.kid == key.kid && it.algorithm == key.algorithm;
        key.kid.is_some() && self.keys.iter().any(same)
    }

    /// The key for a token (REFERENCE §3): that of its `kid`, else the only one of its algorithm.
    pub fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Choice<'_> {
        match self.chosen(kid, algorithm) {
            Ok(key) => Choice::Key(&key.decoding),
            Err(choice) => choice,
        }
    }

    fn chosen(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Choice<'_>> {
        let fits = |key: &&Key| key.algorithm == algorithm;
        let Some(kid) = kid else {
            let count = self.keys.iter().filter(fits).count();
            let only = self.keys.iter().find(fits).filter(|_| count == 1);
            return only.ok_or(Choice::Undecided(count));
        };
        let mut named = self
            .keys
            .iter()
            .filter(|key| key.kid.as_deref() == Some(kid))
            .peekable();
        if named.peek().is_none() {
            return Err(Choice::UnknownKid);
        }
        named.find(fits).ok_or(Choice::OfAnotherAlgorithm)
    }

    /// Whether verifying this token is too long for a session core's slice (DESIGN §2): its key is on
    /// P-384, where ring takes a millisecond and more, or a very long one of RSA.
    pub fn is_slow(&self, token: &Token<'_>) -> bool {
        match self.chosen(token.key_id(), token.algorithm()) {
            Ok(key) => match key.algorithm {
                Algorithm::Es256 => false,
                Algorithm::Es384 => true,
                Algorithm::Rs256 => key.bits > QUICK_RSA_BITS_MAX,
            },
            Err(_) => false,
        }
    }

    /// How many keys verify.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: a set without a key of use is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Those that do not, with the reason.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether both were read from the same bytes.
    pub fn is_same(&self, other: &KeySet) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for key in &self.keys {
            list.entry(&format_args!("{:?} {}", key.kid, key.algorithm));
        }
        list.finish()
    }
}
