//! One key that a provider publishes (RFC 7517 §4, RFC 7518 §6): made ready for ring, or left out.

use crate::auth::jwt::{Algorithm, KEY_ID_BYTES_MAX};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use ring::agreement::{
    self, ECDH_P256, ECDH_P384, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral,
};
use ring::rand::SystemRandom;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// Moduli that ring verifies with; shorter ones can be broken.
const RSA_BITS: RangeInclusive<usize> = 2_048..=8_192;

/// Exponents that ring verifies with.
const RSA_EXPONENT: RangeInclusive<u64> = 3..=(1 << 33) - 1;

/// Why a key is left out. The rest of its set is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// Not an object, or a member of it is missing or malformed.
    #[error("it is malformed")]
    Malformed,
    /// Neither `RSA` nor `EC`.
    #[error("its kty is neither RSA nor EC")]
    KeyType,
    /// For encryption, or not for verification.
    #[error("it is not for signatures (use, key_ops)")]
    Use,
    /// Neither P-256 nor P-384.
    #[error("its curve is neither P-256 nor P-384")]
    Curve,
    /// Its own `alg` is another than the one its kind of key is taken for.
    #[error("its alg is not that of its kind of key (RS256, ES256 or ES384)")]
    Algorithm,
    /// [`RSA_BITS`]
    #[error("its modulus has {0} bits, not 2048 to 8192")]
    Modulus(usize),
    /// [`RSA_EXPONENT`]
    #[error("its exponent is not an odd number from 3 to 2^33 - 1")]
    Exponent,
    /// Whoever is sent such a point learns something, or nothing verifies.
    #[error("its point is not on its curve")]
    Point,
    /// The private half is published with it: whoever reads it can sign.
    #[error("its private half is published")]
    Private,
    /// A key before it has its `kid` and algorithm: which is meant, nobody can know, and trying both
    /// would double what a token costs. The first one stays.
    #[error("its kid and alg are those of a key before it")]
    Duplicate,
}

/// A key that verifies.
#[derive(Clone)]
pub(super) struct Key {
    pub kid: Option<Box<str>>,
    pub algorithm: Algorithm,
    /// Of the modulus, or of the curve.
    pub bits: usize,
    pub decoding: DecodingKey,
}

impl Key {
    /// Reads one. Costs up to a millisecond for the point's test: never on a session core.
    pub fn read(jwk: &Value) -> Result<Key, Skip> {
        let jwk = jwk.as_object().ok_or(Skip::Malformed)?;
        let kid = match jwk.get("kid") {
            None => None,
            // A longer one is no token's.
            Some(Value::String(kid)) if kid.len() <= KEY_ID_BYTES_MAX => Some(kid.as_str().into()),
            Some(_) => return Err(Skip::Malformed),
        };
        let key_type = text(jwk, "kty")?;
        is_for_signatures(jwk)?;
        let (algorithm, bits, decoding) = match key_type {
            "RSA" => rsa(jwk)?,
            "EC" => elliptic(jwk)?,
            _ => return Err(Skip::KeyType),
        };
        if jwk.contains_key("d") {
            return Err(Skip::Private);
        }
        match jwk.get("alg") {
            None => {}
            Some(Value::String(own)) if own == algorithm.name() => {}
            Some(_) => return Err(Skip::Algorithm),
        }
        Ok(Key {
            kid,
            algorithm,
            bits,
            decoding,
        })
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<&'a str, Skip> {
    jwk.get(name).and_then(Value::as_str).ok_or(Skip::Malformed)
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, Skip> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text(jwk, name)?);
    decoded.map_err(|_| Skip::Malformed)
}

/// RFC 7517 §4.2, §4.3; absent, it is for anything.
fn is_for_signatures(jwk: &Map<String, Value>) -> Result<(), Skip> {
    let used = match jwk.get("use") {
        None => true,
        Some(used) => used == "sig",
    };
    let operations = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|it| it == "verify"),
        Some(_) => return Err(Skip::Malformed),
    };
    (used && operations).then_some(()).ok_or(Skip::Use)
}

/// RFC 7518 §6.3.1. A modulus with zeros in front is read all the same, as §6.3.1.1 warns of them.
fn rsa(jwk: &Map<String, Value>) -> Result<(Algorithm, usize, DecodingKey), Skip> {
    let (modulus, exponent) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    let (modulus, exponent) = (without_zeros(&modulus), without_zeros(&exponent));
    let bits = match modulus.first() {
        None => 0,
        Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
    };
    if !RSA_BITS.contains(&bits) {
        return Err(Skip::Modulus(bits));
    }
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err(Skip::Malformed);
    }
    if exponent.len() > size_of::<u64>() {
        return Err(Skip::Exponent);
    }
    let value = exponent
        .iter()
        .fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    if !RSA_EXPONENT.contains(&value) || value % 2 == 0 {
        return Err(Skip::Exponent);
    }
    let decoding = DecodingKey::from_rsa_raw_components(modulus, exponent);
    Ok((Algorithm::Rs256, bits, decoding))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// RFC 7518 §6.2.1: both coordinates in the curve's full length.
fn elliptic(jwk: &Map<String, Value>) -> Result<(Algorithm, usize, DecodingKey), Skip> {
    let (algorithm, bits, curve) = match text(jwk, "crv")? {
        "P-256" => (Algorithm::Es256, 256, &ECDH_P256),
        "P-384" => (Algorithm::Es384, 384, &ECDH_P384),
        _ => return Err(Skip::Curve),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != bits / 8 || y.len() != bits / 8 {
        return Err(Skip::Malformed);
    }
    // SEC 1 §2.3.3, uncompressed.
    let point = [&[4], &x[..], &y[..]].concat();
    is_on(curve, &point)?;
    Ok((algorithm, bits, DecodingKey::from_ec_der(&point)))
}

/// ring tests a point only where it is used, and a key agreement is the use that says so.
fn is_on(curve: &'static agreement::Algorithm, point: &[u8]) -> Result<(), Skip> {
    let private = EphemeralPrivateKey::generate(curve, &SystemRandom::new());
    let private = private.expect("the kernel's random generator answers");
    let agreed = agree_ephemeral(private, &UnparsedPublicKey::new(curve, point), |_| ());
    agreed.map_err(|_| Skip::Point)
}
