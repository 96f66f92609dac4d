//! Deriving verifiers off the session cores: threads at nice 10 behind a bounded queue.
//!
//! PBKDF2 takes milliseconds and a slice has 500 µs (DESIGN §2). The queue is bounded, so that
//! whoever sends passwords faster than they can be hashed is told so (53300) and cannot fill
//! memory. The threads yield to the session cores on small machines.

use super::authenticated::Authenticated;
use super::scram::verifier::{self, PasswordForm, SALT_BYTES};
use super::scram::{Credential, ITERATIONS_MAX, ITERATIONS_MIN, Refusal};
use super::secret::{PASSWORD_BYTES_MAX, Password};
use crate::catalog::verifier::Verifier;
use crate::diagnostic::{Diagnostic, SqlState};
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use futures::channel::oneshot;
use ring::rand::{SecureRandom, SystemRandom};
use std::num::NonZeroU32;
use std::{io, thread};
use thiserror::Error;

/// Passwords that may wait to be hashed (DESIGN §2).
pub const QUEUE_JOBS_MAX: usize = 64;

/// How far the threads stand back behind the session cores (DESIGN §2).
const NICE: i32 = 10;

/// Why no verifier was derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DerivationError {
    /// The queue is full.
    #[error("too many passwords wait to be hashed")]
    QueueFull,
    /// The server is stopping.
    #[error("the server is shutting down")]
    Stopped,
    /// An md5 hash in place of a password.
    #[error("MD5 password hashes are not supported")]
    Md5,
    /// A ready verifier outside the range of iteration counts.
    #[error("a verifier with {0} iterations is not accepted")]
    IterationsOutOfRange(u32),
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is too long")]
    TooLong,
    /// Empty, where one is needed.
    #[error("the password is empty")]
    Empty,
}

impl DerivationError {
    /// The code the client is told.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            DerivationError::QueueFull => SqlState::TOO_MANY_CONNECTIONS,
            DerivationError::Stopped => SqlState::ADMIN_SHUTDOWN,
            DerivationError::Md5
            | DerivationError::IterationsOutOfRange(_)
            | DerivationError::TooLong
            | DerivationError::Empty => SqlState::INVALID_PARAMETER_VALUE,
        }
    }
}

impl From<DerivationError> for Diagnostic {
    fn from(error: DerivationError) -> Diagnostic {
        let diagnostic = Diagnostic::error(error.sqlstate(), error.to_string());
        match error {
            DerivationError::QueueFull => diagnostic.with_hint("Try again in a moment."),
            DerivationError::Stopped | DerivationError::Empty => diagnostic,
            DerivationError::Md5 => {
                diagnostic.with_hint("Give the password itself, or a SCRAM-SHA-256 verifier of it.")
            }
            DerivationError::IterationsOutOfRange(_) => diagnostic.with_detail(format!(
                "Iteration counts from {ITERATIONS_MIN} to {ITERATIONS_MAX} are accepted."
            )),
            DerivationError::TooLong => {
                diagnostic.with_detail(format!("The limit is {PASSWORD_BYTES_MAX} bytes."))
            }
        }
    }
}

/// What PASSWORD '…' came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Derived {
    /// Store this.
    Verifier(Verifier),
    /// The password is the empty string (or a verifier of it), which PostgreSQL does not store:
    /// the user has no password, and the client gets [`Derived::empty_notice`].
    Empty,
}

impl Derived {
    /// What goes into the catalog: None is PASSWORD NULL.
    pub fn into_verifier(self) -> Option<Verifier> {
        match self {
            Derived::Verifier(verifier) => Some(verifier),
            Derived::Empty => None,
        }
    }

    /// The notice that goes with [`Derived::Empty`].
    pub fn empty_notice() -> Diagnostic {
        Diagnostic::notice("empty string is not a valid password, clearing password")
    }
}

/// What a thread is asked to work out.
enum Job {
    /// A verifier of a new password.
    Derive {
        password: Password,
        iterations: NonZeroU32,
        reply: oneshot::Sender<Result<Derived, DerivationError>>,
    },
    /// Whether a password that was presented is the one.
    Verify {
        password: Password,
        credential: Credential,
        reply: oneshot::Sender<Result<Authenticated, Refusal>>,
    },
}

impl Job {
    fn carry_out(self, random: &SystemRandom) {
        // Nobody waits when the session has ended meanwhile.
        match self {
            Job::Derive {
                password,
                iterations,
                reply,
            } if !reply.is_canceled() => {
                let _ = reply.send(derive_now(&password, iterations, random));
            }
            Job::Verify {
                password,
                credential,
                reply,
            } if !reply.is_canceled() => {
                let _ = reply.send(credential.check(&password));
            }
            Job::Derive { .. } | Job::Verify { .. } => {}
        }
    }
}

/// The way to the derivation threads. Cloning shares; the threads end with the last clone.
#[derive(Clone)]
pub struct Derivation {
    jobs: Sender<Job>,
}

impl Derivation {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(threads: usize) -> io::Result<Derivation> {
        assert!(threads > 0, "somebody has to derive");
        let (jobs, queue) = bounded(QUEUE_JOBS_MAX);
        for index in 0..threads {
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("derivation-{index}"))
                .spawn(move || work(&queue))?;
        }
        Ok(Derivation { jobs })
    }

    /// How many passwords wait.
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// The verifier for `PASSWORD '…'`: derived, or taken as it is when it is one already.
    ///
    /// Waits without blocking the core. `iterations` is the configured `scram_iterations`.
    ///
    /// # Errors
    ///
    /// [`DerivationError`]: 53300 when the queue is full, 22023 for what is not taken.
    ///
    /// # Panics
    ///
    /// If `iterations` is 0: the configuration does not let it through.
    pub async fn derive(
        &self,
        password: Password,
        iterations: u32,
    ) -> Result<Derived, DerivationError> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Err(DerivationError::TooLong);
        }
        let iterations = NonZeroU32::new(iterations).expect("scram_iterations is at least 4096");
        let (reply, answer) = oneshot::channel();
        self.send(Job::Derive {
            password,
            iterations,
            reply,
        })?;
        answer.await.unwrap_or(Err(DerivationError::Stopped))
    }

    /// Checks a password that a client has presented as it is.
    ///
    /// Waits without blocking the core; as long for an unknown name as for a wrong password.
    ///
    /// # Errors
    ///
    /// [`DerivationError`]: 53300 when the queue is full, 57P01 when the server stops. Within:
    /// why the password is refused, for the log; the client is told one thing.
    pub async fn verify(
        &self,
        password: Password,
        credential: Credential,
    ) -> Result<Result<Authenticated, Refusal>, DerivationError> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Ok(Err(Refusal::WrongPassword));
        }
        let (reply, answer) = oneshot::channel();
        self.send(Job::Verify {
            password,
            credential,
            reply,
        })?;
        answer.await.map_err(|_| DerivationError::Stopped)
    }

    fn send(&self, job: Job) -> Result<(), DerivationError> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => DerivationError::QueueFull,
            TrySendError::Disconnected(_) => DerivationError::Stopped,
        })
    }
}

fn work(queue: &Receiver<Job>) {
    // Nice is a property of each thread on Linux. Without it the thread works all the same, only
    // with a session core's weight.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::warn!(%error, "a derivation thread keeps the ordinary priority");
    }
    let random = SystemRandom::new();
    for job in queue {
        job.carry_out(&random);
    }
}

/// What [`Derivation::derive`] does, on the calling thread: for first start and the command line.
///
/// # Errors
///
/// [`DerivationError`], except the queue's.
///
/// # Panics
///
/// If the kernel gives no random bytes.
pub fn derive_now(
    password: &Password,
    iterations: NonZeroU32,
    random: &dyn SecureRandom,
) -> Result<Derived, DerivationError> {
    if password.is_empty() {
        return Ok(Derived::Empty);
    }
    if password.expose().len() > PASSWORD_BYTES_MAX {
        return Err(DerivationError::TooLong);
    }
    match verifier::password_form(password) {
        PasswordForm::Md5 => Err(DerivationError::Md5),
        PasswordForm::IterationsOutOfRange(count) => {
            Err(DerivationError::IterationsOutOfRange(count))
        }
        PasswordForm::Verifier(ready) if is_of_empty_password(&ready) => Ok(Derived::Empty),
        PasswordForm::Verifier(ready) => Ok(Derived::Verifier(ready)),
        PasswordForm::Plain => {
            let mut salt = [0; SALT_BYTES];
            random
                .fill(&mut salt)
                .expect("the kernel's random generator answers");
            Ok(Derived::Verifier(verifier::derive(
                password, &salt, iterations,
            )))
        }
    }
}

/// PostgreSQL looks for it too (CVE-2017-7546): an empty password must not come in by this door.
fn is_of_empty_password(ready: &Verifier) -> bool {
    let empty = Password::new(String::new());
    let iterations = NonZeroU32::new(ready.iterations).expect("parsing refuses 0 iterations");
    verifier::derive(&empty, &ready.salt, iterations) == *ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    #[test]
    fn a_derived_verifier_has_a_salt_of_its_own() {
        let derivation = Derivation::start(1).unwrap();
        let derive = || {
            block_on(derivation.derive(password("secret"), 4096))
                .unwrap()
                .into_verifier()
                .unwrap()
        };
        let (one, other) = (derive(), derive());
        assert_eq!(one.iterations, 4096);
        assert_eq!(one.salt.len(), SALT_BYTES);
        assert_ne!(one.salt, other.salt);
        assert_ne!(one.stored_key, other.stored_key);
    }

    #[test]
    fn a_ready_verifier_comes_back_as_it_was() {
        let derivation = Derivation::start(1).unwrap();
        let iterations = NonZeroU32::new(5000).unwrap();
        let ready = verifier::derive(&password("secret"), &[3; 16], iterations);
        let text = password(&verifier::to_text(&ready));
        let derived = block_on(derivation.derive(text, 4096)).unwrap();
        assert_eq!(derived, Derived::Verifier(ready));
    }

    #[test]
    fn an_empty_password_is_none_even_as_a_verifier() {
        let derivation = Derivation::start(1).unwrap();
        let derive = |text: &str| block_on(derivation.derive(password(text), 4096));
        assert_eq!(derive(""), Ok(Derived::Empty));
        let iterations = NonZeroU32::new(4096).unwrap();
        let ready = verifier::derive(&password(""), &[3; 16], iterations);
        assert_eq!(derive(&verifier::to_text(&ready)), Ok(Derived::Empty));
    }

    #[test]
    fn what_is_not_taken_is_22023() {
        let derivation = Derivation::start(1).unwrap();
        let derive = |text: &str| block_on(derivation.derive(password(text), 4096)).unwrap_err();
        let md5 = derive("md5deadbeefdeadbeefdeadbeefdeadbeef");
        assert_eq!(md5, DerivationError::Md5);
        assert_eq!(Diagnostic::from(md5).sqlstate().as_str(), "22023");
        let long = derive(&"x".repeat(PASSWORD_BYTES_MAX + 1));
        assert_eq!(long, DerivationError::TooLong);
        assert_eq!(Diagnostic::from(long).sqlstate().as_str(), "22023");
        assert!(
            block_on(derivation.derive(password(&"x".repeat(PASSWORD_BYTES_MAX)), 4096)).is_ok()
        );
    }

    #[test]
    fn past_the_queue_is_53300() {
        // No thread takes jobs here, so that the queue fills for certain.
        let (jobs, _queue) = bounded(QUEUE_JOBS_MAX);
        let derivation = Derivation { jobs };
        let mut waiting = Vec::new();
        for _ in 0..QUEUE_JOBS_MAX {
            let mut job = Box::pin(derivation.derive(password("secret"), 4096));
            assert!(futures::FutureExt::now_or_never(&mut job).is_none());
            waiting.push(job);
        }
        let refused = block_on(derivation.derive(password("secret"), 4096)).unwrap_err();
        assert_eq!(refused, DerivationError::QueueFull);
        assert_eq!(Diagnostic::from(refused).sqlstate().as_str(), "53300");
    }
}
