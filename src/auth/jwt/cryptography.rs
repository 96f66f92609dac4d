//! What jsonwebtoken verifies with: ring, and for these three algorithms only (DESIGN §5).
//!
//! The crate's own backends stay out: one brings `rsa` (RUSTSEC-2023-0071), the other a second
//! cryptography library. A database signs no tokens, so that half answers an error.

use super::Algorithm;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

static OVER_RING: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| unsupported(),
        rsa_pub_components_from_public_key: |_| unsupported(),
        ec_pub_components_from_private_key: |_, _| unsupported(),
        ed_pub_components_from_private_key: |_, _| unsupported(),
        compute_digest: |_, _| unsupported(),
    },
};

/// Makes ring what tokens are verified with, in this process. Any number of times; a key set does it
/// before it can be used.
///
/// # Panics
/// If something else in the process has installed another: tokens would be verified by it.
pub fn install() {
    let _ = OVER_RING.install_default();
    let installed = CryptoProvider::try_get_default();
    assert!(
        installed.is_some_and(|it| std::ptr::eq(it, &raw const OVER_RING)),
        "tokens are verified on ring and by nothing else"
    );
}

/// Whether this is the key's signature of the message. Costs ring's own verification: 25 µs for RS256
/// with 2,048 bits and 60 for ES256 on the machine of the benches, and a millisecond and more for ES384.
pub(in crate::auth) fn is_signed(
    message: &str,
    signature: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> bool {
    let algorithm = algorithm.jsonwebtoken();
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, algorithm).unwrap_or(false)
}

fn unsupported<T>() -> Result<T, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn no_signer(_: &jsonwebtoken::Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    unsupported()
}

fn verifier(
    algorithm: &jsonwebtoken::Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    use jsonwebtoken::Algorithm::{ES256, ES384, RS256};
    match (algorithm, key.kind()) {
        (ES256, DecodingKeyKind::SecretOrDer(point)) => Ok(Box::new(Ecdsa {
            key: UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.clone()),
            algorithm: ES256,
        })),
        (ES384, DecodingKeyKind::SecretOrDer(point)) => Ok(Box::new(Ecdsa {
            key: UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point.clone()),
            algorithm: ES384,
        })),
        (RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            Ok(Box::new(Rsa(RsaPublicKeyComponents {
                n: n.clone(),
                e: e.clone(),
            })))
        }
        _ => unsupported(),
    }
}

struct Ecdsa {
    key: UnparsedPublicKey<Vec<u8>>,
    algorithm: jsonwebtoken::Algorithm,
}

impl Verifier<Vec<u8>> for Ecdsa {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let verified = self.key.verify(message, signature);
        verified.map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Ecdsa {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm
    }
}

struct Rsa(RsaPublicKeyComponents<Vec<u8>>);

impl Verifier<Vec<u8>> for Rsa {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let verified = self
            .0
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature);
        verified.map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Rsa {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        jsonwebtoken::Algorithm::RS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_installed_any_number_of_times() {
        install();
        install();
    }

    #[test]
    fn nothing_is_signed_and_no_other_algorithm_is_verified() {
        install();
        let secret = EncodingKey::from_secret(b"secret").expect("a secret");
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        assert!(jsonwebtoken::encode(&header, &(), &secret).is_err());
        let point = DecodingKey::from_ec_der(&[4; 65]);
        for algorithm in [
            jsonwebtoken::Algorithm::HS256,
            jsonwebtoken::Algorithm::RS256,
            jsonwebtoken::Algorithm::PS256,
            jsonwebtoken::Algorithm::EdDSA,
        ] {
            assert!(verifier(&algorithm, &point).is_err(), "{algorithm:?}");
        }
        assert!(!is_signed("message", "AAAA", &point, Algorithm::Es256));
        assert!(!is_signed(
            "message",
            "not base64url!",
            &point,
            Algorithm::Es256
        ));
    }
}
