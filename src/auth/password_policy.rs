//! What a new password has to be (`[auth.password]`), as far as it can be told from the password itself.
//!
//! A verifier that comes ready-made (psql's \password sends one) hides the password it was made of: its
//! length and whether it is on the list cannot be known. It is taken all the same, unless
//! `allow_verifiers` says not. That a password is none of the earlier ones takes PBKDF2 and is checked
//! where it is derived (`derivation`).

use super::scram::saslprep;
use super::scram::verifier::{PasswordForm, password_form};
use super::secret::Password;
use crate::diagnostic::{Diagnostic, SqlState};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use thiserror::Error;

/// The longest list of passwords that are not taken, in bytes: some ten million of them.
const DENYLIST_BYTES_MAX: u64 = 128 << 20;

/// `[auth.password]`
#[derive(Debug)]
pub struct PasswordPolicy {
    /// The fewest characters.
    pub min_length: usize,
    /// How many of a user's earlier passwords are remembered, and refused.
    pub reuse: usize,
    /// What becomes of verifiers.
    pub verifiers: Verifiers,
    /// What nobody may choose.
    pub denylist: Denylist,
}

/// What becomes of a verifier in the place of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verifiers {
    /// It is taken as it is.
    Taken,
    /// 22023.
    Refused,
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PolicyFault {
    /// Shorter than `min_length`.
    #[error("the password is shorter than {0} characters")]
    TooShort(usize),
    /// On the list.
    #[error("the password is on the list of passwords that are not taken")]
    Listed,
    /// `allow_verifiers = false`.
    #[error("a verifier in the place of a password is not taken here")]
    Verifier,
}

impl From<PolicyFault> for Diagnostic {
    fn from(fault: PolicyFault) -> Diagnostic {
        let error = Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, fault.to_string());
        match fault {
            PolicyFault::TooShort(_) => error.with_hint("Choose a longer one."),
            PolicyFault::Listed => error.with_hint("Choose one that others do not."),
            PolicyFault::Verifier => error
                .with_detail("The password policy of this server cannot be checked on it.")
                .with_hint("Give the password itself, over TLS or loopback."),
        }
    }
}

impl Default for PasswordPolicy {
    fn default() -> PasswordPolicy {
        PasswordPolicy {
            min_length: 2,
            reuse: 0,
            verifiers: Verifiers::Taken,
            denylist: Denylist::default(),
        }
    }
}

impl PasswordPolicy {
    /// Whether this may be a password. The empty one is none, and another matter
    /// ([`super::derivation::Derived::Empty`]). Costs a look-up; never blocks.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, password: &Password) -> Result<(), PolicyFault> {
        match password_form(password) {
            PasswordForm::Plain if password.is_empty() => Ok(()),
            PasswordForm::Plain if characters(password) < self.min_length => {
                Err(PolicyFault::TooShort(self.min_length))
            }
            PasswordForm::Plain if self.denylist.holds(password.expose()) => {
                Err(PolicyFault::Listed)
            }
            PasswordForm::Verifier(_) if self.verifiers == Verifiers::Refused => {
                Err(PolicyFault::Verifier)
            }
            // What else is wrong with them the derivation says.
            PasswordForm::Plain
            | PasswordForm::Verifier(_)
            | PasswordForm::IterationsOutOfRange(_)
            | PasswordForm::Md5 => Ok(()),
        }
    }
}

/// How many it has once it is prepared (RFC 4013), as it is hashed.
fn characters(password: &Password) -> usize {
    let prepared = saslprep::prepare(password.expose());
    let prepared = zeroize::Zeroizing::new(prepared.into_owned());
    prepared.chars().count()
}

/// Passwords that nobody may choose, whatever their capitals: eight bytes each.
#[derive(Debug, Default)]
pub struct Denylist {
    hash: RandomState,
    /// Sorted. Two passwords of one hash are one in 2^64 guesses.
    hashes: Vec<u64>,
}

impl Denylist {
    /// Reads a file of one password a line. Blocks.
    ///
    /// # Errors
    /// The operating system's, and for a file that is no text or longer than 128 MiB.
    pub fn read(path: &Path) -> io::Result<Denylist> {
        if std::fs::metadata(path)?.len() > DENYLIST_BYTES_MAX {
            let message = format!("the file is longer than {DENYLIST_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(Denylist::of(&std::fs::read_to_string(path)?))
    }

    /// Of a text of one password a line.
    pub fn of(text: &str) -> Denylist {
        let hash = RandomState::new();
        let lines = text.lines().filter(|line| !line.is_empty());
        let mut hashes: Vec<u64> = lines
            .map(|line| hash.hash_one(line.to_lowercase()))
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        Denylist { hash, hashes }
    }

    fn holds(&self, password: &str) -> bool {
        if self.hashes.is_empty() {
            return false;
        }
        let folded = zeroize::Zeroizing::new(password.to_lowercase());
        let hash = self.hash.hash_one(&*folded);
        self.hashes.binary_search(&hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scram::verifier;
    use std::num::NonZeroU32;

    fn check(policy: &PasswordPolicy, text: &str) -> Result<(), PolicyFault> {
        policy.check(&Password::new(text.to_owned()))
    }

    fn a_verifier() -> String {
        let iterations = NonZeroU32::new(4_096).expect("not zero");
        let password = Password::new("x".to_owned());
        verifier::to_text(&verifier::derive(&password, &[7; 16], iterations))
    }

    #[test]
    fn a_password_has_so_many_characters_not_bytes() {
        let policy = PasswordPolicy {
            min_length: 4,
            ..PasswordPolicy::default()
        };
        assert_eq!(check(&policy, "abc"), Err(PolicyFault::TooShort(4)));
        assert_eq!(check(&policy, "äöü"), Err(PolicyFault::TooShort(4)));
        assert_eq!(
            check(&policy, "I\u{AD}X\u{AD}"),
            Err(PolicyFault::TooShort(4))
        );
        assert_eq!(check(&policy, "abcd"), Ok(()));
        assert_eq!(check(&policy, "äöüß"), Ok(()));
        assert_eq!(check(&policy, ""), Ok(()), "the empty one is none");
    }

    #[test]
    fn the_documentations_own_examples_are_long_enough_by_default() {
        for example in ["key", "secret", "strong_password_here"] {
            assert_eq!(check(&PasswordPolicy::default(), example), Ok(()));
        }
        let one = check(&PasswordPolicy::default(), "x");
        assert_eq!(one, Err(PolicyFault::TooShort(2)));
    }

    #[test]
    fn a_listed_password_is_refused_whatever_its_capitals() {
        let policy = PasswordPolicy {
            denylist: Denylist::of("hunter2\r\nPassword1\n\nqwerty"),
            ..PasswordPolicy::default()
        };
        for listed in ["hunter2", "HUNTER2", "password1", "qwerty"] {
            assert_eq!(check(&policy, listed), Err(PolicyFault::Listed), "{listed}");
        }
        for other in ["hunter", "hunter2 ", "correct horse"] {
            assert_eq!(check(&policy, other), Ok(()), "{other}");
        }
    }

    #[test]
    fn a_verifier_is_taken_unless_the_policy_says_not() {
        let mut policy = PasswordPolicy {
            min_length: 64,
            ..PasswordPolicy::default()
        };
        assert_eq!(check(&policy, &a_verifier()), Ok(()));
        policy.verifiers = Verifiers::Refused;
        assert_eq!(check(&policy, &a_verifier()), Err(PolicyFault::Verifier));
    }

    #[test]
    fn every_fault_is_22023_with_a_hint() {
        for fault in [
            PolicyFault::TooShort(8),
            PolicyFault::Listed,
            PolicyFault::Verifier,
        ] {
            let error = Diagnostic::from(fault);
            assert_eq!(error.sqlstate(), SqlState::INVALID_PARAMETER_VALUE);
            assert!(error.fields().hint.is_some());
        }
    }
}
