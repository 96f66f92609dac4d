//! A statement while it runs, whatever the protocol: its time, and the client that waits for it.

use crate::engine::context::CancelReason;
use crate::session::CoreServices;
use crate::session::registry::Handle;
use shards::Stream;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::{Duration, Instant};

/// Does what a client has asked for: the session counts as running meanwhile, a client that goes
/// away cancels it, and an adoption that waited for its end is let go.
pub async fn attended<T>(
    stream: &Stream,
    handle: &Handle,
    services: &CoreServices,
    mut work: impl Future<Output = T> + Unpin,
) -> T {
    handle.begin_statement();
    let began = Instant::now();
    let outcome = {
        let mut gone = pin!(stream.peer_gone());
        let mut watching = true;
        poll_fn(|context| {
            let polled = std::pin::Pin::new(&mut work).poll(context);
            if polled.is_pending() && watching && gone.as_mut().poll(context).is_ready() {
                watching = false;
                handle.cancel(CancelReason::User);
                return std::pin::Pin::new(&mut work).poll(context);
            }
            polled
        })
        .await
    };
    handle.end_statement();
    let figures = &services.parts.figures;
    figures.statement(handle.protocol(), began.elapsed());
    if handle.take_fence() {
        services.release_fence();
    }
    outcome
}

/// The work under statement_timeout. What can be given up looks at the session's flag; a commit
/// does not, so that a client is never told that something failed which has happened.
pub async fn within<T>(
    handle: &Handle,
    limit: Option<Duration>,
    mut work: impl Future<Output = T> + Unpin,
) -> T {
    let Some(limit) = limit else {
        return work.await;
    };
    match Box::pin(shards::timeout(limit, &mut work)).await {
        Ok(done) => done,
        Err(shards::Elapsed) => {
            handle.cancel(CancelReason::StatementTimeout);
            work.await
        }
    }
}
