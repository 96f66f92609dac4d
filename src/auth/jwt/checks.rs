//! Every check of a token against its provider and the provider's keys (REFERENCE §3 "JWT").
//!
//! One list, in the order in which they are made: what costs nothing first, the signature last, so
//! that whoever sends garbage buys no cryptography with it. Logging in stops at the first that fails;
//! EXPLAIN AUTHENTICATION asks them all.

use super::token::{Token, is_for};
use super::{Refusal, is_signed};
use crate::auth::jwks::{Choice, KeySet};
use crate::auth::strict_json::Object;

/// How far the clocks of provider and server may differ, in microseconds.
pub const SKEW: i64 = 60 * 1_000_000;

/// The longest life of a token unless its provider says otherwise, in microseconds.
pub const LIFETIME_MAX: i64 = 24 * 3_600 * 1_000_000;

/// What a provider demands of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks<'a> {
    /// `iss`, exactly.
    pub issuer: &'a str,
    /// `aud`, or one of its texts, exactly. None: not asked for.
    pub audience: Option<&'a str>,
    /// From `iat`, or from now, to `exp`; microseconds.
    pub lifetime_max: i64,
}

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// `iss`
    Issuer,
    /// `aud`
    Audience,
    /// `exp`
    Expiry,
    /// `nbf`
    NotBefore,
    /// `iat`
    IssuedAt,
    /// From the one to the other.
    Lifetime,
    /// `kid` and `alg`
    Key,
    /// By that key.
    Signature,
}

impl Check {
    /// All of them, in order.
    pub const ALL: [Check; 8] = [
        Check::Issuer,
        Check::Audience,
        Check::Expiry,
        Check::NotBefore,
        Check::IssuedAt,
        Check::Lifetime,
        Check::Key,
        Check::Signature,
    ];

    /// What it is called where somebody is told of it.
    pub fn name(self) -> &'static str {
        match self {
            Check::Issuer => "issuer",
            Check::Audience => "audience",
            Check::Expiry => "expiry",
            Check::NotBefore => "not before",
            Check::IssuedAt => "issued at",
            Check::Lifetime => "lifetime",
            Check::Key => "key",
            Check::Signature => "signature",
        }
    }

    /// Makes this check alone; `now` in Unix microseconds. Only the signature's costs anything.
    ///
    /// # Errors
    /// The token fails it.
    pub fn make(
        self,
        token: &Token<'_>,
        checks: &Checks<'_>,
        keys: &KeySet,
        now: i64,
    ) -> Result<(), Refusal> {
        let fine = |fine: bool, refusal: Refusal| fine.then_some(()).ok_or(refusal);
        match self {
            Check::Issuer => fine(token.issuer() == checks.issuer, Refusal::Issuer),
            Check::Audience => match checks.audience {
                None => Ok(()),
                Some(audience) => fine(is_for(&token.claims, audience)?, Refusal::Audience),
            },
            Check::Expiry => fine(now < token.expires_at + SKEW, Refusal::Expired),
            Check::NotBefore => fine(begun(token.not_before, now), Refusal::NotYetValid),
            Check::IssuedAt => fine(begun(token.issued_at, now), Refusal::IssuedInTheFuture),
            Check::Lifetime => {
                let lives = token.expires_at - token.issued_at.unwrap_or(now);
                fine(lives <= checks.lifetime_max, Refusal::Lifetime)
            }
            Check::Key => chosen(token, keys).map(|_| ()),
            Check::Signature => {
                let key = chosen(token, keys)?;
                let (message, signature) = (token.message, token.signature);
                let signed = is_signed(message, signature, key, token.algorithm);
                fine(signed, Refusal::Signature)
            }
        }
    }
}

fn begun(at: Option<i64>, now: i64) -> bool {
    at.is_none_or(|at| at <= now + SKEW)
}

fn chosen<'k>(
    token: &Token<'_>,
    keys: &'k KeySet,
) -> Result<&'k jsonwebtoken::DecodingKey, Refusal> {
    let algorithm = token.algorithm;
    match keys.choose(token.key_id(), algorithm) {
        Choice::Key(key) => Ok(key),
        Choice::UnknownKid => Err(Refusal::UnknownKid(keys.len())),
        Choice::OfAnotherAlgorithm => Err(Refusal::AlgorithmOfKey(algorithm)),
        Choice::Undecided(count) => Err(Refusal::NoKid(algorithm, count)),
    }
}

/// A token that has passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its claims.
    pub claims: Object,
    /// `exp`, in Unix microseconds: when whatever it has begun ends.
    pub ends_at: i64,
}

/// Makes every check; `now` in Unix microseconds. Costs ring's verification of one signature and some
/// microseconds: on a session core where it is quick, apart from it where [`KeySet::is_slow`] says so.
///
/// # Errors
/// The first check that it fails.
pub fn verify(
    token: Token<'_>,
    checks: &Checks<'_>,
    keys: &KeySet,
    now: i64,
) -> Result<Verified, Refusal> {
    for check in Check::ALL {
        check.make(&token, checks, keys, now)?;
    }
    Ok(Verified {
        ends_at: token.expires_at,
        claims: token.claims,
    })
}
