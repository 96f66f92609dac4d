//! Challenges for names that cannot log in by password (REFERENCE §3, invariant 6).
//!
//! The salt is a keyed hash of the name, so that asking twice gives the same salt, as it does for
//! a real user, and nobody without the key can tell the two apart. The key is made at first start
//! and kept in the data directory (`data_dir`): a new one each start would give mocks away.

use crate::auth::secret::MockKey;
use crate::catalog::verifier::Verifier;
use ring::hmac;

/// What mock challenges are made of. One for the whole server, shared by its cores.
#[derive(Debug)]
pub struct Mock {
    key: MockKey,
    iterations: u32,
}

impl Mock {
    /// `iterations` is the configured `scram_iterations`: what a real user's challenge names.
    pub fn new(key: MockKey, iterations: u32) -> Mock {
        Mock { key, iterations }
    }

    /// A verifier that no password fits in practice; whoever uses it must refuse all the same.
    pub fn verifier(&self, user: &str) -> Verifier {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.expose());
        let hash = hmac::sign(&key, user.as_bytes());
        let hash: &[u8; 32] = hash
            .as_ref()
            .try_into()
            .expect("HMAC-SHA-256 gives 32 bytes");
        Verifier {
            iterations: self.iterations,
            salt: hash[..super::verifier::SALT_BYTES].to_vec(),
            stored_key: *hash,
            server_key: *hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gets_the_same_salt_and_another_name_another() {
        let mock = Mock::new(MockKey::new([1; 32]), 4096);
        assert_eq!(mock.verifier("alice"), mock.verifier("alice"));
        assert_ne!(mock.verifier("alice").salt, mock.verifier("bob").salt);
        assert_eq!(mock.verifier("alice").salt.len(), 16);
    }

    #[test]
    fn another_server_gives_another_salt() {
        let here = Mock::new(MockKey::new([1; 32]), 4096);
        let there = Mock::new(MockKey::new([2; 32]), 4096);
        assert_ne!(here.verifier("alice").salt, there.verifier("alice").salt);
    }

    #[test]
    fn the_challenge_names_the_configured_iterations() {
        let mock = Mock::new(MockKey::new([1; 32]), 20_000);
        assert_eq!(mock.verifier("alice").iterations, 20_000);
    }
}
