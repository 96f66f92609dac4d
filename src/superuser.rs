//! The superuser's password at first start and after `reset-superuser-password` (REFERENCE §6).
//!
//! It is the one that the environment gives, or 24 random characters in a file that only the
//! server's user can read. The path is logged, the password never.

use crate::auth::derivation::{DerivationError, Derived, derive_now};
use crate::auth::secret::Password;
use crate::catalog::store::{Embedded, StoreError};
use crate::catalog::verifier::Verifier;
use crate::config::{Config, Environment};
use crate::control;
use crate::data_dir::{DataDir, DataDirError};
use crate::diagnostic::Diagnostic;
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
    /// The data directory cannot be used, or the password file not written.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// There is nobody to give a new password to.
    #[error("there is no server's data in {} yet: the first start sets the password", .0.display())]
    NotStartedYet(PathBuf),
    /// The configuration names somebody else.
    #[error("there is no user \"{0}\" ([auth] superuser_name) in this server")]
    NoSuchUser(String),
    /// The catalog cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog does not take the change.
    #[error("{}", .0.message())]
    Refused(Diagnostic),
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

/// `nodedb reset-superuser-password`: gives the superuser a new password and lets it log in again.
/// The server must be stopped: the lock on its data directory sees to that.
///
/// # Errors
///
/// [`SuperuserError`]; nothing has changed then, but that a password file may be left that fits
/// nothing when the catalog could not be written.
pub fn reset_password(
    config: &Config,
    environment: &Environment,
) -> Result<PasswordSource, SuperuserError> {
    let path = &config.server.data_dir;
    if !path.exists() {
        return Err(SuperuserError::NotStartedYet(path.clone()));
    }
    let data_dir = DataDir::open(path)?;
    let (mut store, recovered) = Embedded::open(&data_dir.catalog())?;
    if recovered.principals.is_empty() {
        return Err(SuperuserError::NotStartedYet(path.clone()));
    }
    let name = &config.auth.superuser_name;
    if recovered.principals.principal_named(name).is_none() {
        return Err(SuperuserError::NoSuchUser(name.clone()));
    }
    let fresh = set_password(
        environment.superuser_password(),
        &data_dir,
        config.auth.scram_iterations,
    )?;
    control::reset_superuser(
        &mut store,
        recovered.epoch,
        &recovered.principals,
        name,
        fresh.verifier,
    )
    .map_err(SuperuserError::Refused)?;
    Ok(fresh.source)
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
    use crate::catalog::principal::{Principal, PrincipalKind};
    use crate::catalog::store::Store;
    use crate::catalog::{Change, Epoch};
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

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

    /// A server's data with the superuser disabled and its password forgotten.
    fn locked_out(data_dir: &Path) -> Config {
        let data_dir = DataDir::open(data_dir).unwrap();
        let (mut store, _) = Embedded::open(&data_dir.catalog()).unwrap();
        let first = control::FirstStart {
            superuser_name: "nodedb".to_owned(),
            verifier: set_password(None, &data_dir, 4096).unwrap().verifier,
            now: 0,
        };
        let (epoch, principals) = control::first_start(&mut store, first).unwrap();
        let superuser = principals.principal_named("nodedb").unwrap();
        let disabled = Principal {
            enabled: false,
            ..Principal::clone(superuser)
        };
        let disable = Change::PutPrincipal(Arc::new(disabled));
        store.append(Epoch(epoch.0 + 1), &[disable]).unwrap();
        let mut config = Config::default();
        config.server.data_dir = data_dir.path().to_owned();
        config
    }

    #[test]
    fn a_reset_lets_the_superuser_in_again_with_the_password_in_the_file() {
        let parent = tempfile::tempdir().unwrap();
        let config = locked_out(&parent.path().join("data"));
        let source = reset_password(&config, &Environment::default()).unwrap();
        let PasswordSource::File(path) = source else {
            panic!("{source}");
        };
        let password = fs::read_to_string(path).unwrap();

        let (_, recovered) = Embedded::open(&config.server.data_dir.join("catalog")).unwrap();
        let superuser = recovered.principals.principal_named("nodedb").unwrap();
        assert!(superuser.enabled);
        let PrincipalKind::User { passwords, .. } = &superuser.kind else {
            panic!("{superuser:?}");
        };
        assert!(fits(password.trim_end(), passwords.verifier().unwrap()));
    }

    #[test]
    fn a_reset_while_the_server_runs_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let config = locked_out(&parent.path().join("data"));
        let _server = DataDir::open(&config.server.data_dir).unwrap();
        let error = reset_password(&config, &Environment::default()).unwrap_err();
        assert!(
            error.to_string().contains("is in use by process"),
            "{error}"
        );
    }

    #[test]
    fn a_reset_before_the_first_start_makes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data_dir = parent.path().join("data");
        let error = reset_password(&config, &Environment::default()).unwrap_err();
        assert!(matches!(error, SuperuserError::NotStartedYet(_)), "{error}");
        assert!(!config.server.data_dir.exists());
    }

    #[test]
    fn a_reset_of_a_name_that_is_not_there_says_so() {
        let parent = tempfile::tempdir().unwrap();
        let mut config = locked_out(&parent.path().join("data"));
        config.auth.superuser_name = "root".to_owned();
        let error = reset_password(&config, &Environment::default()).unwrap_err();
        assert!(matches!(error, SuperuserError::NoSuchUser(_)), "{error}");
    }

    #[test]
    fn made_passwords_differ() {
        let random = SystemRandom::new();
        assert_ne!(random_password(&random), random_password(&random));
    }
}
