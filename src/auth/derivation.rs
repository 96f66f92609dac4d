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
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded, select};
use futures::channel::oneshot;
use ring::rand::{SecureRandom, SystemRandom};
use std::num::NonZeroU32;
use std::{io, thread};
use subtle::ConstantTimeEq;
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
    /// One of the user's own, now or earlier (`[auth.password] reuse`).
    #[error("the password has been used before")]
    Reused,
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
            | DerivationError::Empty
            | DerivationError::Reused => SqlState::INVALID_PARAMETER_VALUE,
        }
    }
}

impl From<DerivationError> for Diagnostic {
    fn from(error: DerivationError) -> Diagnostic {
        let diagnostic = Diagnostic::error(error.sqlstate(), error.to_string());
        match error {
            DerivationError::QueueFull => diagnostic.with_hint("Try again in a moment."),
            DerivationError::Stopped | DerivationError::Empty => diagnostic,
            DerivationError::Reused => diagnostic.with_hint("Choose another one."),
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

/// How a new password becomes a verifier.
#[derive(Debug)]
pub struct Recipe {
    /// PBKDF2 rounds.
    pub iterations: NonZeroU32,
    /// Its salt; None: one of its own.
    pub salt: Option<Vec<u8>>,
    /// Verifiers that it may not fit: each costs as much as the one that is made.
    pub differs_from: Vec<Verifier>,
}

impl Recipe {
    /// Of a password that nothing came before.
    ///
    /// # Panics
    ///
    /// If `iterations` is 0: the configuration does not let it through.
    pub fn fresh(iterations: u32) -> Recipe {
        let iterations = NonZeroU32::new(iterations).expect("scram_iterations is at least 4096");
        Recipe {
            iterations,
            salt: None,
            differs_from: Vec::new(),
        }
    }
}

/// What a thread is asked to work out.
enum Job {
    /// A verifier of a new password.
    Derive {
        password: Password,
        recipe: Recipe,
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
                recipe,
                reply,
            } if !reply.is_canceled() => {
                let _ = reply.send(derive_by(&password, &recipe, random));
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

/// Whose password is to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presenter {
    /// Of a name that has logged in from there lately.
    Known,
    /// Anybody's.
    Stranger,
}

/// The way to the derivation threads. Cloning shares; the threads end with the last clone.
#[derive(Clone)]
pub struct Derivation {
    jobs: Sender<Job>,
    /// Passwords of those who are known: first, and in a queue of their own, so that whoever fills the
    /// other one with guesses keeps nobody out who was in before.
    known: Sender<Job>,
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
        let (known, first) = bounded(QUEUE_JOBS_MAX);
        for index in 0..threads {
            let (first, queue) = (first.clone(), queue.clone());
            thread::Builder::new()
                .name(format!("derivation-{index}"))
                .spawn(move || work(&first, &queue))?;
        }
        Ok(Derivation { jobs, known })
    }

    /// How many passwords wait.
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// The verifier for `PASSWORD '…'`: derived, or taken as it is when it is one already.
    ///
    /// Waits without blocking the core.
    ///
    /// # Errors
    ///
    /// [`DerivationError`]: 53300 when the queue is full, 22023 for what is not taken.
    pub async fn derive(
        &self,
        password: Password,
        recipe: Recipe,
    ) -> Result<Derived, DerivationError> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Err(DerivationError::TooLong);
        }
        let (reply, answer) = oneshot::channel();
        let job = Job::Derive {
            password,
            recipe,
            reply,
        };
        send(&self.jobs, job)?;
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
        presenter: Presenter,
    ) -> Result<Result<Authenticated, Refusal>, DerivationError> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Ok(Err(Refusal::WrongPassword));
        }
        let (reply, answer) = oneshot::channel();
        let queue = match presenter {
            Presenter::Known => &self.known,
            Presenter::Stranger => &self.jobs,
        };
        let job = Job::Verify {
            password,
            credential,
            reply,
        };
        send(queue, job)?;
        answer.await.map_err(|_| DerivationError::Stopped)
    }
}

fn send(queue: &Sender<Job>, job: Job) -> Result<(), DerivationError> {
    queue.try_send(job).map_err(|refused| match refused {
        TrySendError::Full(_) => DerivationError::QueueFull,
        TrySendError::Disconnected(_) => DerivationError::Stopped,
    })
}

fn work(first: &Receiver<Job>, queue: &Receiver<Job>) {
    // Nice is a property of each thread on Linux. Without it the thread works all the same, only
    // with a session core's weight.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::warn!(%error, "a derivation thread keeps the ordinary priority");
    }
    let random = SystemRandom::new();
    while let Some(job) = next(first, queue) {
        job.carry_out(&random);
    }
}

/// The next job; waits for it. None when nobody sends any more: both queues end together.
fn next(first: &Receiver<Job>, queue: &Receiver<Job>) -> Option<Job> {
    if let Ok(job) = first.try_recv() {
        return Some(job);
    }
    select! {
        recv(first) -> job => job.ok().or_else(|| queue.recv().ok()),
        recv(queue) -> job => job.ok().or_else(|| first.recv().ok()),
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
    let recipe = Recipe {
        iterations,
        salt: None,
        differs_from: Vec::new(),
    };
    derive_by(password, &recipe, random)
}

fn derive_by(
    password: &Password,
    recipe: &Recipe,
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
        PasswordForm::Verifier(ready) if recipe.differs_from.contains(&ready) => {
            Err(DerivationError::Reused)
        }
        PasswordForm::Verifier(ready) => Ok(Derived::Verifier(ready)),
        PasswordForm::Plain => {
            let mut earlier = recipe.differs_from.iter();
            if earlier.any(|earlier| is_of(password, earlier)) {
                return Err(DerivationError::Reused);
            }
            let salt = recipe.salt.clone().unwrap_or_else(|| {
                let mut salt = vec![0; SALT_BYTES];
                let filled = random.fill(&mut salt);
                filled.expect("the kernel's random generator answers");
                salt
            });
            Ok(Derived::Verifier(verifier::derive(
                password,
                &salt,
                recipe.iterations,
            )))
        }
    }
}

/// Whether the verifier is of this password.
fn is_of(password: &Password, known: &Verifier) -> bool {
    NonZeroU32::new(known.iterations).is_some_and(|iterations| {
        let derived = verifier::derive(password, &known.salt, iterations);
        bool::from(derived.stored_key.ct_eq(&known.stored_key))
    })
}

/// PostgreSQL looks for it too (CVE-2017-7546): an empty password must not come in by this door.
fn is_of_empty_password(ready: &Verifier) -> bool {
    is_of(&Password::new(String::new()), ready)
}

#[cfg(test)]
mod tests;
