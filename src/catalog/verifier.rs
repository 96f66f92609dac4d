//! A password as the catalog keeps it: the SCRAM-SHA-256 verifier (RFC 5803, REFERENCE §3).
//!
//! Only the shape and its text form stand here; making and checking one is `auth::scram`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` in binary.
///
/// Never printed: `Debug` shows the iteration count only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier {
    /// PBKDF2 rounds, 4,096 to 100,000.
    pub iterations: u32,
    /// The salt (16 bytes when made here; as given when stored as it came).
    pub salt: Vec<u8>,
    /// H(ClientKey)
    pub stored_key: [u8; 32],
    /// HMAC(SaltedPassword, "Server Key")
    pub server_key: [u8; 32],
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Verifier(SCRAM-SHA-256, {} iterations, ***)",
            self.iterations
        )
    }
}
