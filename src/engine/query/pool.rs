//! The query pool: threads of its own for whatever is longer than a point statement.
//!
//! A tokio runtime apart from the session cores (DESIGN §2). Its threads run at nice 10, so that
//! session cores come first on small machines, and have stacks of 16 MiB, because DataFusion walks
//! trees recursively (their depth is bounded before it sees them, DESIGN §6).

use crate::diagnostic::Diagnostic;
use futures::channel::oneshot;
use std::future::Future;
use tokio::runtime::{Handle, Runtime};

/// Bytes of a pool thread's stack.
const STACK_BYTES: usize = 16 << 20;
/// How far pool threads stand back.
const NICENESS: i32 = 10;
/// The lowest priority there is.
const NICENESS_MAX: i32 = 19;
/// Threads that may block at once (spill files, subqueries evaluated row by row, waits for advisory
/// locks).
const BLOCKING_THREADS_MAX: usize = 96;

/// The pool; dropping it ends its threads without waiting for them.
pub struct Pool {
    runtime: Option<Runtime>,
}

impl Pool {
    /// Starts so many threads.
    ///
    /// # Errors
    /// XX000 when threads cannot be made.
    pub fn start(threads: usize) -> Result<Pool, Diagnostic> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            .on_thread_start(stand_back)
            .enable_time()
            .build()
            .map_err(|error| Diagnostic::internal(format!("query pool: {error}")))?;
        Ok(Pool {
            runtime: Some(runtime),
        })
    }

    /// The runtime's handle.
    pub fn handle(&self) -> &Handle {
        self.runtime
            .as_ref()
            .expect("the runtime is taken only by drop")
            .handle()
    }

    /// Runs something on the pool and waits for it without blocking the calling core.
    ///
    /// # Errors
    /// XX000 if the work panicked; the session goes on.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Diagnostic> {
        let (done, wait) = oneshot::channel();
        self.handle().spawn(async move {
            // Nobody waiting any more is no error: the statement was given up.
            let _ = done.send(work.await);
        });
        wait.await
            .map_err(|_| Diagnostic::internal("the query pool gave up a statement"))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs something that blocks: on a pool thread its other tasks move to another one first.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(_) => tokio::task::block_in_place(work),
        Err(_) => work(),
    }
}

/// Whether this is a thread of the pool, where work may block.
pub fn is_here() -> bool {
    Handle::try_current().is_ok()
}

/// Lowers this thread's priority below the server's own; where the system refuses, it runs as it is.
fn stand_back() {
    let thread = Some(rustix::thread::gettid());
    let own = rustix::process::getpriority_process(thread).unwrap_or(0);
    let _ = rustix::process::setpriority_process(thread, (own + NICENESS).min(NICENESS_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_pool_threads_that_stand_back_and_its_value_comes_back() {
        let own = rustix::process::getpriority_process(None).expect("it is told");
        let pool = Pool::start(1).expect("threads can be made");
        let niceness =
            futures::executor::block_on(pool.run(async {
                rustix::process::getpriority_process(Some(rustix::thread::gettid()))
            }))
            .expect("the work ends");
        assert_eq!(niceness, Ok((own + NICENESS).min(NICENESS_MAX)));
    }

    #[test]
    fn a_panic_on_the_pool_is_an_internal_error_of_that_statement() {
        let pool = Pool::start(1).expect("threads can be made");
        let answer = futures::executor::block_on(pool.run(async { panic!("on purpose") }));
        let answer: Result<(), Diagnostic> = answer;
        assert!(answer.is_err());
        let next = futures::executor::block_on(pool.run(async { 1 }));
        assert_eq!(next.expect("the pool goes on"), 1);
    }
}
