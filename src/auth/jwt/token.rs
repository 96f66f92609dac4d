//! A token as it was sent: taken apart and read, not believed (RFC 7515 §3, §4.1; RFC 7519 §4.1).
//!
//! Stricter than the RFCs where they leave it open (RFC 8725): see [`Refusal`]. Headers that name a
//! key or where one is to be found (`jwk`, `jku`, `x5u`, `x5c`) are not looked at: the provider's key
//! set decides.

use super::{Algorithm, Part, Refusal, numeric_date};
use crate::auth::strict_json::{self, Members, Object};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use std::fmt;

/// The longest token that is looked at (REFERENCE §3).
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The longest `kid`: providers use thumbprints and UUIDs.
pub const KEY_ID_BYTES_MAX: usize = 256;

/// Claims of the first level.
pub const CLAIMS_MAX: usize = 256;

/// Members of a header: RFC 7515 registers eleven.
const HEADER_MEMBERS_MAX: usize = 32;

/// A well-formed token. What it claims is not to be believed before [`super::verify`].
pub struct Token<'a> {
    /// Header and claims as they were signed.
    pub(super) message: &'a str,
    /// In base64url, if it is: it is decoded where it is verified, once.
    pub(super) signature: &'a str,
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<Box<str>>,
    pub(super) claims: Object,
    /// Unix microseconds, as the next two.
    pub(super) expires_at: i64,
    pub(super) not_before: Option<i64>,
    pub(super) issued_at: Option<i64>,
}

impl fmt::Debug for Token<'_> {
    /// A token is a secret while it lives.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, ***)", self.algorithm)
    }
}

impl<'a> Token<'a> {
    /// Takes a token apart. Costs a few microseconds for one of a usual length.
    ///
    /// # Errors
    /// It is past a limit, or not of a shape that is taken.
    pub fn parse(text: &'a str) -> Result<Token<'a>, Refusal> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(Refusal::NotThreeParts)?;
        let (header, claims) = message.split_once('.').ok_or(Refusal::NotThreeParts)?;
        if claims.contains('.') {
            return Err(Refusal::NotThreeParts);
        }
        let header = decode(Part::Header, header)?;
        let header = strict_json::members(&header, HEADER_MEMBERS_MAX);
        let header = header.map_err(|fault| Refusal::NotStrictJson(Part::Header, fault))?;
        let algorithm = algorithm(&header)?;
        let key_id = key_id(header)?;
        let claims = strict_json::object(&decode(Part::Claims, claims)?, CLAIMS_MAX);
        let claims = claims.map_err(|fault| Refusal::NotStrictJson(Part::Claims, fault))?;
        let issuer = claims.get("iss").and_then(Value::as_str);
        issuer.ok_or(Refusal::Claim("iss"))?;
        let expires_at = date(&claims, "exp")?.ok_or(Refusal::Claim("exp"))?;
        Ok(Token {
            message,
            signature,
            algorithm,
            key_id,
            expires_at,
            not_before: date(&claims, "nbf")?,
            issued_at: date(&claims, "iat")?,
            claims,
        })
    }

    /// `iss`: says which provider is to be asked whether it is true.
    pub fn issuer(&self) -> &str {
        let issuer = self.claims.get("iss").and_then(Value::as_str);
        issuer.expect("it was seen when the token was read")
    }

    /// `alg`
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `kid`
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The claims, which nobody has vouched for.
    pub fn unverified_claims(&self) -> &Object {
        &self.claims
    }
}

fn decode(part: Part, text: &str) -> Result<Vec<u8>, Refusal> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text);
    decoded.map_err(|_| Refusal::NotBase64(part))
}

/// What the header says of how it is signed, after all that would make it something else.
fn algorithm(header: &Members<'_>) -> Result<Algorithm, Refusal> {
    let member = |name: &str| header.iter().find(|(it, _)| it == name);
    let member = |name: &str| member(name).map(|(_, value)| value);
    let has = |name: &str| member(name).is_some();
    if has("crit") {
        return Err(Refusal::Critical);
    }
    if has("zip") || has("enc") {
        return Err(Refusal::CompressedOrEncrypted);
    }
    if has("cty") {
        // RFC 7519 §5.2: only a nested token has one.
        return Err(Refusal::Nested);
    }
    if !member("typ").is_none_or(is_taken_type) {
        return Err(Refusal::Type);
    }
    let name = member("alg").and_then(Value::as_str);
    name.and_then(Algorithm::named).ok_or(Refusal::Algorithm)
}

/// Media types are compared without case, and may lack their `application/` (RFC 7515 §4.1.9). A
/// token of another type, a logout token say, is signed by the same keys and proves something else.
fn is_taken_type(value: &Value) -> bool {
    let name = value.as_str().unwrap_or_default();
    let bare = match name.split_at_checked("application/".len()) {
        Some((prefix, bare)) if prefix.eq_ignore_ascii_case("application/") => bare,
        _ => name,
    };
    bare.eq_ignore_ascii_case("JWT") || bare.eq_ignore_ascii_case("at+jwt")
}

fn key_id(header: Members<'_>) -> Result<Option<Box<str>>, Refusal> {
    let kid = header.into_iter().find(|(name, _)| name == "kid");
    match kid.map(|(_, value)| value) {
        None => Ok(None),
        Some(Value::String(kid)) if (1..=KEY_ID_BYTES_MAX).contains(&kid.len()) => {
            Ok(Some(kid.into_boxed_str()))
        }
        Some(_) => Err(Refusal::KeyId),
    }
}

fn date(claims: &Object, name: &'static str) -> Result<Option<i64>, Refusal> {
    let microseconds = |value| numeric_date::microseconds(value).ok_or(Refusal::Claim(name));
    claims.get(name).map(microseconds).transpose()
}

/// The audiences that a token is for: one text, or a list of texts (RFC 7519 §4.1.3).
pub(super) fn is_for(claims: &Object, audience: &str) -> Result<bool, Refusal> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(one == audience),
        Some(Value::Array(several)) => {
            let mut is_for = false;
            for one in several {
                is_for |= one.as_str().ok_or(Refusal::Claim("aud"))? == audience;
            }
            Ok(is_for)
        }
        _ => Err(Refusal::Claim("aud")),
    }
}
