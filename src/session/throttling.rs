//! Where log-ins meet the throttle (`auth::throttle`): what a failure counts for, and who waits.
//!
//! A password is asked about twice: before anything is spent on it ([`admit`]), and when it has been looked
//! at and nobody has been told yet ([`proved`], [`failed`]): whoever guesses learns nothing from how long
//! an answer takes, nor from log-ins that were begun in time.

use super::attempt::{Claim, Fault, Reason};
use super::services::CoreServices;
use crate::auth::identity::Method;
use crate::auth::scram::ScramError;
use crate::auth::throttle::Outcome;
use crate::diagnostic::Diagnostic;
use std::net::SocketAddr;
use std::time::Duration;

/// Whether a password of this name is looked at.
///
/// # Errors
/// 53300, with a time to come again.
pub fn admit(services: &CoreServices, name: &str, peer: SocketAddr) -> Result<(), Diagnostic> {
    let throttle = &services.parts.throttle;
    Ok(throttle.admit(name, peer.ip())?)
}

/// A password was right; waits where others have guessed at the name. Until it returns nothing of it may
/// be told.
///
/// # Errors
/// 53300: it is not told, because there have been too many failures meanwhile.
pub async fn proved(
    services: &CoreServices,
    name: &str,
    peer: SocketAddr,
) -> Result<(), Diagnostic> {
    let throttle = &services.parts.throttle;
    let delay = throttle.settle(name, peer.ip(), Outcome::Proved)?;
    wait(services, delay).await;
    Ok(())
}

/// An attempt has failed: counts it, and waits as [`proved`] does.
///
/// # Errors
/// 53300: it is told instead of the reason.
pub async fn failed(
    services: &CoreServices,
    claim: &Claim,
    reason: &Reason,
    peer: SocketAddr,
) -> Result<(), Diagnostic> {
    let throttle = &services.parts.throttle;
    match counts_for(claim, reason) {
        Counts::Nobody => {}
        Counts::Address => throttle.refused(peer.ip())?,
        Counts::Name(name) => {
            let delay = throttle.settle(name, peer.ip(), Outcome::Refused)?;
            wait(services, delay).await;
        }
    }
    Ok(())
}

/// Never so long that the log-in would come too late for its deadline: that would lock somebody out by
/// others' failures.
async fn wait(services: &CoreServices, delay: Duration) {
    if !delay.is_zero() {
        let longest = services.parts.limits.login_deadline / 2;
        shards::sleep(delay.min(longest)).await;
    }
}

/// What a failed attempt counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts<'a> {
    /// Nothing was guessed.
    Nobody,
    /// A bad key, token or certificate.
    Address,
    /// A wrong password, or one of nobody's.
    Name(&'a str),
}

fn counts_for<'a>(claim: &'a Claim, reason: &Reason) -> Counts<'a> {
    let is_guess = match reason {
        // Anything else is no SCRAM, and is refused before the proof is looked at.
        Reason::Scram(error) => matches!(error, ScramError::Refused(_)),
        _ => reason.fault() == Fault::BadCredential,
    };
    match (is_guess, claim.method, &claim.name) {
        (false, _, _) => Counts::Nobody,
        (true, Some(Method::Scram | Method::Password), Some(name)) => Counts::Name(name),
        (true, _, _) => Counts::Address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scram::Refusal;
    use crate::auth::{api_key, jwt};
    use crate::diagnostic::SqlState;

    #[test]
    fn passwords_count_for_their_name_and_everything_else_for_its_address() {
        let named = |method| Claim::named(method, "alice", None);
        let told = |code| Reason::Told(Diagnostic::error(code, "no"));
        let guess = ScramError::Refused(Refusal::WrongPassword);
        for (claim, reason, expected) in [
            (
                named(Method::Scram),
                Reason::Scram(guess),
                Counts::Name("alice"),
            ),
            (
                named(Method::Password),
                Reason::Password(Refusal::UnknownUser),
                Counts::Name("alice"),
            ),
            (
                named(Method::Scram),
                Reason::Scram(ScramError::NonceMismatch),
                Counts::Nobody,
            ),
            (
                named(Method::Certificate),
                Reason::CertificateOfAnotherLogin,
                Counts::Address,
            ),
            (
                Claim::by(Method::ApiKey),
                Reason::ApiKey(api_key::Refusal::Malformed),
                Counts::Address,
            ),
            (
                Claim::by(Method::Jwt),
                Reason::Token(jwt::Refusal::TooLong.into()),
                Counts::Address,
            ),
            (Claim::default(), Reason::Trust, Counts::Address),
            (Claim::default(), Reason::NoCredential, Counts::Nobody),
            (
                named(Method::Scram),
                told(SqlState::INVALID_CATALOG_NAME),
                Counts::Nobody,
            ),
            (
                named(Method::Scram),
                told(SqlState::TOO_MANY_CONNECTIONS),
                Counts::Nobody,
            ),
        ] {
            assert_eq!(counts_for(&claim, &reason), expected, "{reason:?}");
        }
    }
}
