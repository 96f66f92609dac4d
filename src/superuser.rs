//! The superuser's password at first start and after `reset-superuser-password` (REFERENCE §6).
//!
//! It is the one that the environment gives, or 24 random characters in a file that only the
//! server's user can read. The path is logged, the password never.

use crate::auth::derivation::{DerivationError, Derived, derive_now};
use crate::auth::secret::Password;
use crate::catalog::verifier::Verifier;
use crate::data_dir::{DataDir, DataDirError};
use ring::rand::{SecureRandom, SystemRandom};
use std::num::NonZeroU32;
use std::path::PathBuf;
use thiserror::Error;

const PASSWORD_FILE: &str = "superuser_password";

/// 24 of 62 characters: 142 bits.
const PASSWORD_CHARACTERS: usize = 24;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Why there is no password.
#[derive(Debug, Error)]
pub enum SuperuserError {
    /// What NODEDB_SUPERUSER_PASSWORD says is not taken.
    #[error("NODEDB_SUPERUSER_PASSWORD: {0}")]
    BadPassword(DerivationError),
    /// The password file cannot be written.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

/// A password that was set just now.
#[derive(Debug)]
pub struct FreshPassword {
    /// For the catalog.
    pub verifier: Verifier,
    /// Where its owner finds it.
    pub source: PasswordSource,
}

/// Where the superuser's password is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// NODEDB_SUPERUSER_PASSWORD said it.
    Environment,
    /// It was made here and is in this file.
    File(PathBuf),
}

impl std::fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PasswordSource::Environment => f.write_str("the one in NODEDB_SUPERUSER_PASSWORD"),
            PasswordSource::File(path) => write!(f, "in {}", path.display()),
        }
    }
}

/// Sets the password: `given` (NODEDB_SUPERUSER_PASSWORD), or a random one that is in its file,
/// durably, when this returns. Derives on the calling thread.
///
/// A crash before the catalog has the verifier leaves a file that the next start replaces.
///
/// # Errors
///
/// [`SuperuserError`].
///
/// # Panics
///
/// If `iterations` is 0, which the configuration does not let through, or if the kernel gives no
/// random bytes.
pub fn set_password(
    given: Option<&Password>,
    data_dir: &DataDir,
    iterations: u32,
) -> Result<FreshPassword, SuperuserError> {
    let random = SystemRandom::new();
    let iterations = NonZeroU32::new(iterations).expect("scram_iterations is at least 4096");
    let made = given.is_none().then(|| random_password(&random));
    let password = given.or(made.as_ref()).expect("given, or made here");
    let derived = derive_now(password, iterations, &random).map_err(SuperuserError::BadPassword)?;
    let Derived::Verifier(verifier) = derived else {
        return Err(SuperuserError::BadPassword(DerivationError::Empty));
    };
    let source = match &made {
        Some(password) => {
            let line = zeroize::Zeroizing::new(format!("{}\n", password.expose()));
            PasswordSource::File(data_dir.write(PASSWORD_FILE, line.as_bytes())?)
        }
        None => {
            // One that was made earlier would mislead.
            data_dir.remove(PASSWORD_FILE)?;
            PasswordSource::Environment
        }
    };
    Ok(FreshPassword { verifier, source })
}

fn random_password(random: &dyn SecureRandom) -> Password {
    let mut text = String::with_capacity(PASSWORD_CHARACTERS);
    while text.len() < PASSWORD_CHARACTERS {
        let mut byte = [0];
        random
            .fill(&mut byte)
            .expect("the kernel's random generator answers");
        // Six bits; the two values past the alphabet are drawn again, so that all are as likely.
        if let Some(character) = ALPHABET.get(usize::from(byte[0] & 63)) {
            text.push(char::from(*character));
        }
    }
    Password::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scram::verifier;
    use std::fs;

    fn open() -> (tempfile::TempDir, DataDir) {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(&parent.path().join("data")).unwrap();
        (parent, data_dir)
    }

    fn fits(password: &str, verifier: &Verifier) -> bool {
        let iterations = NonZeroU32::new(verifier.iterations).unwrap();
        let password = Password::new(password.to_owned());
        verifier::derive(&password, &verifier.salt, iterations) == *verifier
    }

    #[test]
    fn without_a_given_one_it_is_24_characters_in_a_file() {
        let (_parent, data_dir) = open();
        let fresh = set_password(None, &data_dir, 4096).unwrap();
        let PasswordSource::File(path) = &fresh.source else {
            panic!("{:?}", fresh.source);
        };
        let written = fs::read_to_string(path).unwrap();
        let password = written.strip_suffix('\n').unwrap();
        assert_eq!(password.len(), 24);
        assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!(fits(password, &fresh.verifier));
    }

    #[test]
    fn a_given_one_is_used_and_written_nowhere() {
        let (_parent, data_dir) = open();
        let earlier = set_password(None, &data_dir, 4096).unwrap();
        let given = Password::new("given".to_owned());
        let fresh = set_password(Some(&given), &data_dir, 5000).unwrap();
        assert_eq!(fresh.source, PasswordSource::Environment);
        assert_eq!(fresh.verifier.iterations, 5000);
        assert!(fits("given", &fresh.verifier));
        assert_ne!(earlier.verifier, fresh.verifier);
        assert!(!data_dir.path().join(PASSWORD_FILE).exists());
    }

    #[test]
    fn a_given_one_that_is_not_taken_says_why() {
        let (_parent, data_dir) = open();
        let md5 = Password::new("md5deadbeefdeadbeefdeadbeefdeadbeef".to_owned());
        let error = set_password(Some(&md5), &data_dir, 4096).unwrap_err();
        assert_eq!(
            error.to_string(),
            "NODEDB_SUPERUSER_PASSWORD: MD5 password hashes are not supported"
        );
    }

    #[test]
    fn made_passwords_differ() {
        let random = SystemRandom::new();
        assert_ne!(random_password(&random), random_password(&random));
    }
}
