//! Waiting for time to pass.

use std::future::Future;
use std::time::Duration;

/// The time of a [`timeout`] was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time allowed is over")]
pub struct Elapsed;

/// Waits.
pub async fn sleep(_duration: Duration) {
    todo!()
}

/// Gives the future at most so long.
///
/// # Errors
///
/// [`Elapsed`] when the time is over first; the future is dropped.
pub async fn timeout<F: Future>(_duration: Duration, _future: F) -> Result<F::Output, Elapsed> {
    todo!()
}
