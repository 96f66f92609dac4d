//! The signatures that are taken: ES256, ES384 and RS256 (RFC 7518 §3.3, §3.4; REFERENCE §3).

use std::fmt;

/// One of them. `none`, the HS family and whatever else has no value here, so no code can take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// By its name in `alg`, exactly as it is written there (RFC 7515 §4.1.1).
    pub fn named(name: &str) -> Option<Algorithm> {
        match name {
            "ES256" => Some(Algorithm::Es256),
            "ES384" => Some(Algorithm::Es384),
            "RS256" => Some(Algorithm::Rs256),
            _ => None,
        }
    }

    /// Its name in `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Rs256 => "RS256",
        }
    }

    pub(super) fn jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_algorithms_have_names_and_no_other_has() {
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256] {
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
        }
        let others = [
            "none", "None", "NONE", "", "HS256", "HS384", "HS512", "RS384", "RS512", "PS256",
            "ES512", "ES256K", "EdDSA", "es256", "RS256 ",
        ];
        for other in others {
            assert_eq!(Algorithm::named(other), None, "{other}");
        }
    }
}
