//! What an exchange checks against: a user's verifier, or a mock in its place.

use super::error::Refusal;
use super::mock::Mock;
use crate::auth::authenticated::Authenticated;
use crate::auth::identity::Method;
use crate::auth::secret::Password;
use crate::catalog::PrincipalId;
use crate::catalog::principal::{Principal, PrincipalKind};
use crate::catalog::snapshot::Principals;
use crate::catalog::verifier::Verifier;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;

/// The credential that one exchange checks against.
///
/// A mock has a verifier too, made from the name, and a refusal that is decided from the start.
#[derive(Debug)]
pub struct Credential {
    verifier: Verifier,
    second: Second,
    /// The user that may log in with it.
    standing: Result<PrincipalId, Refusal>,
}

/// What is tried beside the verifier. There always is something, so that who has two passwords takes no
/// longer than who has one, or none.
#[derive(Debug)]
enum Second {
    /// ADD PASSWORD: of the first one's salt and iterations.
    Added(Verifier),
    /// Nothing fits it.
    Mock(Verifier),
}

impl Credential {
    /// The credential of the start-up packet's user at this snapshot.
    ///
    /// Unknown, disabled and expired names, service accounts and users without a password all get
    /// a mock. `now` is Unix microseconds. Costs one map look-up and one HMAC; never blocks.
    pub fn look_up(principals: &Principals, user: &str, now: i64, mock: &Mock) -> Credential {
        // The mock is made for known names as well, so that both take the same time.
        let mocked = mock.verifier(user);
        match password_login(principals.principal_named(user), now) {
            Ok((principal, verifier, added)) => Credential {
                verifier: verifier.clone(),
                second: match added {
                    Some(added) => Second::Added(added.clone()),
                    None => Second::Mock(mocked),
                },
                standing: Ok(principal),
            },
            Err(refusal) => Credential {
                second: Second::Mock(mocked.clone()),
                verifier: mocked,
                standing: Err(refusal),
            },
        }
    }

    /// The verifier to walk the exchange with.
    pub(in crate::auth) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// The other verifier: the one that has been added, or one that nothing fits.
    pub(in crate::auth) fn second(&self) -> &Verifier {
        match &self.second {
            Second::Added(verifier) | Second::Mock(verifier) => verifier,
        }
    }

    /// The verifier that fits, of the two that are tried; both are, whichever fits.
    pub(in crate::auth) fn fitting(&self, fits: impl Fn(&Verifier) -> bool) -> Option<&Verifier> {
        let (first, second) = (fits(&self.verifier), fits(self.second()));
        match (first, second, &self.second) {
            (true, _, _) => Some(&self.verifier),
            (false, true, Second::Added(added)) => Some(added),
            (false, true, Second::Mock(_)) | (false, false, _) => None,
        }
    }

    /// Who may log in with it; to be asked only when the proof has been worked out.
    pub(in crate::auth) fn standing(&self) -> Result<PrincipalId, Refusal> {
        self.standing
    }

    /// Checks a password that was presented as it is (HTTP Basic, the native protocol).
    ///
    /// Takes milliseconds, as long for a mock as for a user: never on a session core; ask
    /// [`crate::auth::derivation::Derivation::verify`].
    ///
    /// # Errors
    /// The precise reason, for the log.
    pub fn check(&self, password: &Password) -> Result<Authenticated, Refusal> {
        let iterations = NonZeroU32::new(self.verifier.iterations).ok_or(Refusal::NoPassword)?;
        let derived = super::verifier::derive(password, &self.verifier.salt, iterations);
        let fitting = self.fitting(|it| bool::from(derived.stored_key.ct_eq(&it.stored_key)));
        let principal = self.standing()?;
        if fitting.is_none() {
            return Err(Refusal::WrongPassword);
        }
        // VALID UNTIL may be put off: it is asked of the record, at each epoch.
        Ok(Authenticated::new(principal, Method::Password, None))
    }

    /// A credential of a known user, for tests and benches.
    #[doc(hidden)]
    pub fn known(principal: PrincipalId, verifier: Verifier) -> Credential {
        Credential {
            second: Second::Mock(Verifier {
                stored_key: [0; 32],
                server_key: [0; 32],
                ..verifier.clone()
            }),
            verifier,
            standing: Ok(principal),
        }
    }

    /// The same one while its password is being replaced, for tests.
    #[cfg(test)]
    pub fn with_added(self, added: Verifier) -> Credential {
        Credential {
            second: Second::Added(added),
            ..self
        }
    }

    /// A mock, for tests and benches.
    #[doc(hidden)]
    pub fn mock(mock: &Mock, user: &str, refusal: Refusal) -> Credential {
        Credential {
            verifier: mock.verifier(user),
            second: Second::Mock(mock.verifier(user)),
            standing: Err(refusal),
        }
    }
}

fn password_login(
    principal: Option<&std::sync::Arc<Principal>>,
    now: i64,
) -> Result<(PrincipalId, &Verifier, Option<&Verifier>), Refusal> {
    let principal = principal.ok_or(Refusal::UnknownUser)?;
    let PrincipalKind::User { passwords, .. } = &principal.kind else {
        return Err(Refusal::ServiceAccount);
    };
    if !principal.enabled {
        return Err(Refusal::Disabled);
    }
    if principal.valid_until.is_some_and(|end| end <= now) {
        return Err(Refusal::Expired);
    }
    let verifier = passwords.verifier().ok_or(Refusal::NoPassword)?;
    Ok((principal.id, verifier, passwords.added()))
}
