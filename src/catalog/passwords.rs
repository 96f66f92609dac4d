//! The passwords of a user: the one in force, a second one while it is being replaced, and those before.

use super::verifier::Verifier;
use serde::{Deserialize, Serialize};

/// Earlier verifiers that are kept at most, whatever `[auth.password] reuse` says.
pub const EARLIER_MAX: usize = 24;

/// What a user's password is checked against.
///
/// A SCRAM challenge names one salt before the client has proved anything, so the second verifier is made
/// with the salt and the iterations of the first ([`Passwords::add`] keeps it so): whichever password the
/// client knows, its proof fits one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passwords {
    /// None: PASSWORD NULL, password login is off.
    verifier: Option<Verifier>,
    /// ADD PASSWORD: good as well, until DROP OLD PASSWORD leaves it alone.
    added: Option<Box<Verifier>>,
    /// Those that are good no more, the newest first, for `[auth.password] reuse`.
    earlier: Box<[Verifier]>,
}

/// Why a user's passwords cannot be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordsFault {
    /// ADD PASSWORD where there are two already.
    TwoAlready,
    /// ADD PASSWORD with a verifier of another salt, or other iterations, than the one in force.
    AnotherSalt,
    /// DROP OLD PASSWORD where there is one at most.
    OnlyOne,
}

impl From<Option<Verifier>> for Passwords {
    /// One password, or none.
    fn from(verifier: Option<Verifier>) -> Passwords {
        Passwords {
            verifier,
            ..Passwords::default()
        }
    }
}

impl Passwords {
    /// The one in force: the older of two.
    pub fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_ref()
    }

    /// The one that has been added beside it.
    pub fn added(&self) -> Option<&Verifier> {
        self.added.as_deref()
    }

    /// All that a new one is not to be the same as, the newest first.
    pub fn used(&self) -> impl Iterator<Item = &Verifier> {
        let live = self.added().into_iter().chain(&self.verifier);
        live.chain(&*self.earlier)
    }

    /// PASSWORD: this one from now on, and no other. Of those before so many are remembered.
    pub fn set(&mut self, new: Option<Verifier>, remembered: usize) {
        let added = self.added.take().map(|it| *it);
        let old = std::mem::replace(&mut self.verifier, new);
        self.remember(added.into_iter().chain(old), remembered);
    }

    /// ADD PASSWORD: this one as well. Where there is none it is the one.
    ///
    /// # Errors
    /// There are two already, or its salt is another.
    pub fn add(&mut self, new: Verifier) -> Result<(), PasswordsFault> {
        match (&self.verifier, &self.added) {
            (None, _) => self.verifier = Some(new),
            (Some(_), Some(_)) => return Err(PasswordsFault::TwoAlready),
            (Some(first), None) => {
                if (&first.salt, first.iterations) != (&new.salt, new.iterations) {
                    return Err(PasswordsFault::AnotherSalt);
                }
                self.added = Some(Box::new(new));
            }
        }
        Ok(())
    }

    /// DROP OLD PASSWORD: the added one alone from now on.
    ///
    /// # Errors
    /// There is one at most.
    pub fn drop_old(&mut self, remembered: usize) -> Result<(), PasswordsFault> {
        let added = self.added.take().ok_or(PasswordsFault::OnlyOne)?;
        let old = self.verifier.replace(*added);
        self.remember(old.into_iter(), remembered);
        Ok(())
    }

    fn remember(&mut self, newest: impl Iterator<Item = Verifier>, remembered: usize) {
        let earlier = std::mem::take(&mut self.earlier);
        let most = remembered.min(EARLIER_MAX);
        self.earlier = newest.chain(earlier).take(most).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier(salt: u8, key: u8) -> Verifier {
        Verifier {
            iterations: 4_096,
            salt: vec![salt; 16],
            stored_key: [key; 32],
            server_key: [key; 32],
        }
    }

    fn keys(passwords: &Passwords) -> Vec<u8> {
        passwords.used().map(|it| it.stored_key[0]).collect()
    }

    #[test]
    fn a_rotation_goes_by_two_passwords_of_one_salt_to_the_new_one() {
        let mut passwords = Passwords::from(Some(verifier(1, 1)));
        let another = passwords.add(verifier(2, 2));
        assert_eq!(another, Err(PasswordsFault::AnotherSalt));
        let more_rounds = Verifier {
            iterations: 5_000,
            ..verifier(1, 2)
        };
        assert_eq!(passwords.add(more_rounds), Err(PasswordsFault::AnotherSalt));
        assert_eq!(passwords.add(verifier(1, 2)), Ok(()));
        assert_eq!(keys(&passwords), [2, 1]);
        assert_eq!(
            passwords.add(verifier(1, 3)),
            Err(PasswordsFault::TwoAlready)
        );
        assert_eq!(passwords.drop_old(0), Ok(()));
        assert_eq!(passwords.verifier(), Some(&verifier(1, 2)));
        assert_eq!(passwords.added(), None);
        assert_eq!(passwords.drop_old(0), Err(PasswordsFault::OnlyOne));
    }

    #[test]
    fn setting_a_password_ends_both_of_a_rotation() {
        let mut passwords = Passwords::from(Some(verifier(1, 1)));
        passwords.add(verifier(1, 2)).expect("it is of one salt");
        passwords.set(Some(verifier(9, 3)), 5);
        assert_eq!(passwords.added(), None);
        assert_eq!(keys(&passwords), [3, 2, 1], "both are remembered");
        passwords.set(None, 1);
        assert_eq!((passwords.verifier(), keys(&passwords)), (None, vec![3]));
        assert_eq!(passwords.add(verifier(4, 4)), Ok(()), "the first of a user");
        assert_eq!(passwords.verifier(), Some(&verifier(4, 4)));
    }

    #[test]
    fn no_more_are_remembered_than_is_wanted_and_never_more_than_the_limit() {
        let mut passwords = Passwords::default();
        for key in 0..40 {
            passwords.set(Some(verifier(key, key)), 100);
        }
        assert_eq!(keys(&passwords).len(), 1 + EARLIER_MAX);
        passwords.set(Some(verifier(40, 40)), 2);
        assert_eq!(keys(&passwords), [40, 39, 38]);
        passwords.set(Some(verifier(41, 41)), 0);
        assert_eq!(keys(&passwords), [41]);
    }
}
