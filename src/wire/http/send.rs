//! A response on its way: in slices, as fast as its client reads.

use super::head::Method;
use super::reply::PIECE_BYTES;
use super::response::{KeepAlive, Response};
use shards::Stream;
use std::io;
use std::time::{Duration, SystemTime};

/// Reply bytes that may wait for a client before more is written, or its next request looked at.
pub const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// How long a connection may wait for its next request, or with replies that it does not read.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(60);

/// Whether the body goes with the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithBody {
    /// It does.
    Yes,
    /// A HEAD request gets everything but the body.
    No,
}

impl WithBody {
    /// For the answer to a request of this method.
    pub fn to(method: Method) -> WithBody {
        match method {
            Method::Head => WithBody::No,
            Method::Get | Method::Post | Method::Options | Method::Other => WithBody::Yes,
        }
    }
}

/// Sends a response; says whether the connection goes on. A client that does not read is given up.
pub async fn send(
    stream: &Stream,
    response: &Response,
    keep_alive: KeepAlive,
    with_body: WithBody,
) -> KeepAlive {
    let framing = response.framing();
    response.write_head(&mut stream.outbox(), framing, keep_alive, SystemTime::now());
    if with_body == WithBody::Yes {
        for part in response.body().iter().flat_map(|it| it.chunks(PIECE_BYTES)) {
            if room(stream, OUTBOX_BYTES_MAX, IDLE_DEADLINE).await.is_err() {
                stream.abort();
                return KeepAlive::Close;
            }
            stream.outbox().extend_from_slice(part);
        }
    }
    stream.flush();
    keep_alive
}

/// Waits while more than `bytes_max` wait to be sent, until half of them are gone.
///
/// # Errors
/// The connection has failed, or the client has not read that much within the deadline.
pub async fn room(stream: &Stream, bytes_max: usize, deadline: Duration) -> io::Result<()> {
    if stream.unsent() <= bytes_max {
        return Ok(());
    }
    match shards::timeout(deadline, stream.drained(bytes_max / 2)).await {
        Ok(drained) => drained,
        Err(shards::Elapsed) => Err(io::ErrorKind::TimedOut.into()),
    }
}
