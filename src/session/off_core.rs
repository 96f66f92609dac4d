//! A thread beside the cores for work on texts that would take longer than a slice.
//!
//! Parsing a text of 64 MiB takes seconds; on a session core it would stop everybody else's
//! sessions (DESIGN §2).

use crate::diagnostic::{Diagnostic, SqlState};
use crossbeam::channel::{Sender, TrySendError, bounded};
use futures::channel::oneshot;
use std::io;

/// Texts that may wait for the thread at once; beyond it 53300.
pub const QUEUE_JOBS_MAX: usize = 256;

/// The parser grows its own stack; this is for everything around it.
const STACK_BYTES: usize = 2 << 20;

/// Nice of the thread: session cores come first (DESIGN §2).
const NICE: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread. Cloning shares; it ends with the last clone.
#[derive(Clone)]
pub struct OffCore {
    jobs: Sender<Job>,
}

impl OffCore {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> io::Result<OffCore> {
        let (jobs, queue) = bounded::<Job>(QUEUE_JOBS_MAX);
        std::thread::Builder::new()
            .name("nodedb-text".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                if let Err(error) = rustix::process::nice(NICE) {
                    tracing::warn!(%error, "the text thread keeps the ordinary priority");
                }
                for job in queue {
                    job();
                }
            })?;
        Ok(OffCore { jobs })
    }

    /// How many texts wait.
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// Runs the work there, and awaits what it gives.
    ///
    /// # Errors
    /// 53300 when too much waits; XX000 when the work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Diagnostic> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            if reply.is_canceled() {
                return;
            }
            // A panic must not take the thread along; the reply's end tells the session.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            if let Ok(value) = done {
                let _ = reply.send(value);
            }
        });
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Diagnostic::error(
                SqlState::TOO_MANY_CONNECTIONS,
                "too many long statement texts are waiting",
            )
            .with_hint("Try again in a moment."),
            TrySendError::Disconnected(_) => Diagnostic::internal("the text thread has ended"),
        })?;
        answer
            .await
            .map_err(|_| Diagnostic::internal("the text could not be parsed"))
    }
}
