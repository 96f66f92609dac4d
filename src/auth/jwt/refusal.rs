//! Why a token is refused: precise, for the log and the audit. Outside all of it is one text.

use super::Algorithm;
use super::checks::{LIFETIME_MAX, SKEW};
use super::token::{CLAIMS_MAX, KEY_ID_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::auth::strict_json::Fault;
use std::fmt;

/// A part of a token that is read (RFC 7515 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Header,
    /// The second.
    Claims,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Header => "header",
            Part::Claims => "claims",
        })
    }
}

/// What was wrong with it. Nothing of the token itself is told: it may be good elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// [`TOKEN_BYTES_MAX`]
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// An encrypted token has five.
    #[error("the token has not three parts")]
    NotThreeParts,
    /// RFC 7515 §2: without padding, spaces or line ends.
    #[error("the {0} of the token: it is not base64url without padding")]
    NotBase64(Part),
    /// Header or claims.
    #[error("the {0} of the token: {1}")]
    NotStrictJson(Part, Fault),
    /// `alg` is missing, `none`, or another that is not taken.
    #[error("the token's alg is not ES256, ES384 or RS256")]
    Algorithm,
    /// RFC 7515 §4.1.11: an extension that must be understood; none is.
    #[error("the token has a critical header (crit)")]
    Critical,
    /// `zip` or `enc`.
    #[error("the token is compressed or encrypted")]
    CompressedOrEncrypted,
    /// `cty` says that its claims are another token.
    #[error("the token holds another token")]
    Nested,
    /// `typ` says that it is for another purpose (RFC 8725 §3.11).
    #[error("the token's typ is not that of a JWT or an access token")]
    Type,
    /// Not a text, empty, or past its limit.
    #[error("the token's kid is not a text of 1 to {KEY_ID_BYTES_MAX} bytes")]
    KeyId,
    /// [`CLAIMS_MAX`], or a claim that decides is missing or not of its kind.
    #[error("the token's {0} is missing or of the wrong kind (of at most {CLAIMS_MAX} claims)")]
    Claim(&'static str),
    /// Exact: with or without a slash at its end are two issuers.
    #[error("the token's iss is not the provider's")]
    Issuer,
    /// None of its audiences is.
    #[error("the token's aud is not the provider's")]
    Audience,
    /// With [`SKEW`].
    #[error("the token has expired (exp, with {} s of skew)", SKEW / 1_000_000)]
    Expired,
    /// With [`SKEW`].
    #[error("the token is not valid yet (nbf, with {} s of skew)", SKEW / 1_000_000)]
    NotYetValid,
    /// With [`SKEW`].
    #[error("the token was issued in the future (iat, with {} s of skew)", SKEW / 1_000_000)]
    IssuedInTheFuture,
    /// [`LIFETIME_MAX`] unless the provider says otherwise.
    #[error("the token lives longer than the provider's limit (by default {} h)", LIFETIME_MAX / 3_600_000_000)]
    Lifetime,
    /// The one refusal that newer keys may change: whoever gets it asks for a fetch.
    #[error("the token's kid is none of the provider's {0} keys")]
    UnknownKid(usize),
    /// The key of its kid is there, for another algorithm.
    #[error("the token's alg, {0}, is not that of its key")]
    AlgorithmOfKey(Algorithm),
    /// It names no key, and the provider has none or several of that algorithm.
    #[error("the token has no kid, and the provider has {1} keys for {0}")]
    NoKid(Algorithm, usize),
    /// Another key's, or of something else, or not base64url.
    #[error("the token's signature is wrong")]
    Signature,
}
