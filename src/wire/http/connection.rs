//! The loop between one connection and the codec: keep-alive, pipelining, deadlines.

use super::error::HttpError;
use super::head::{Body, Head, Method, Parsed, parse};
use super::response::{KeepAlive, Response};
use super::route::{Peer, Service, answer};
use super::{body, query};
use crate::session::CoreServices;
use bytes::Buf;
use chrono::Utc;
use shards::{Admission, Stream};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// How long a request may take to arrive once its first byte has.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// How long a connection may wait for its next request, or with replies that it does not read.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(60);

/// Reply bytes that may wait for a client before its next request is looked at.
pub const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// Serves one connection until it ends. Runs on the core that accepted it.
pub async fn serve(stream: Stream, service: &Service, services: &Rc<CoreServices>) {
    if stream.admission() == Admission::OverLimit {
        send(
            &stream,
            &HttpError::TooManyConnections.response(),
            KeepAlive::Close,
            true,
        );
        stream.close().await;
        return;
    }
    let peer = Peer::of(stream.peer().ip());
    loop {
        let next = match receive(&stream).await {
            Ok(Some(head)) if head.path == query::PATH => {
                Box::pin(respond_to_query(&stream, &head, peer, services)).await
            }
            Ok(Some(head)) => respond(&stream, &head, peer, service),
            Ok(None) => KeepAlive::Close,
            Err(error) => {
                tracing::debug!(%error, peer = %stream.peer(), "an HTTP request is refused");
                send(&stream, &error.response(), KeepAlive::Close, true);
                KeepAlive::Close
            }
        };
        if next == KeepAlive::Close {
            stream.close().await;
            return;
        }
        // Pipelined requests take turns with the other sessions of the core.
        shards::yield_now().await;
        let drained = shards::timeout(IDLE_DEADLINE, stream.drained(OUTBOX_BYTES_MAX)).await;
        if !matches!(drained, Ok(Ok(()))) {
            stream.abort();
            return;
        }
    }
}

/// The next request; None when there is none: the peer has gone, or was silent for too long.
async fn receive(stream: &Stream) -> Result<Option<Head>, HttpError> {
    if stream.inbox().is_empty() {
        let filled = shards::timeout(IDLE_DEADLINE, stream.fill()).await;
        if !matches!(filled, Ok(Ok(1..))) {
            return Ok(None);
        }
    }
    match shards::timeout(REQUEST_DEADLINE, receive_head(stream)).await {
        Ok(Ok(head)) => head,
        Ok(Err(_reset)) => Ok(None),
        Err(_elapsed) => Err(HttpError::TimedOut),
    }
}

async fn receive_head(stream: &Stream) -> io::Result<Result<Option<Head>, HttpError>> {
    loop {
        let parsed = parse(&stream.inbox());
        match parsed {
            Err(error) => return Ok(Err(error)),
            Ok(Parsed::Complete(head, length)) => {
                stream.inbox().advance(length);
                return Ok(Ok(Some(head)));
            }
            Ok(Parsed::Incomplete) => {
                if stream.fill().await? == 0 {
                    return Ok(Ok(None));
                }
            }
        }
    }
}

async fn respond_to_query(
    stream: &Stream,
    head: &Head,
    peer: Peer,
    services: &Rc<CoreServices>,
) -> KeepAlive {
    if head.expects_continue && head.body != Body::Empty {
        stream
            .outbox()
            .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.flush();
    }
    let bytes_max = services.parts.limits.message_bytes_max;
    let (response, keep_alive) = match body::receive(stream, head.body, bytes_max).await {
        Ok(Some(body)) => {
            let response = query::answer(stream, head, &body, peer, services).await;
            (response, head.keep_alive)
        }
        Ok(None) => return KeepAlive::Close,
        Err(error) => (error.response(), KeepAlive::Close),
    };
    send(stream, &response, keep_alive, true);
    keep_alive
}

fn respond(stream: &Stream, head: &Head, peer: Peer, service: &Service) -> KeepAlive {
    let response = answer(head, peer, service).unwrap_or_else(HttpError::response);
    // The bytes of a refused body are still to come and must not be read as a request.
    let keep_alive = match head.body {
        Body::Empty => head.keep_alive,
        Body::Length(_) | Body::Chunked => KeepAlive::Close,
    };
    send(stream, &response, keep_alive, head.method != Method::Head);
    keep_alive
}

fn send(stream: &Stream, response: &Response, keep_alive: KeepAlive, with_body: bool) {
    response.write(&mut stream.outbox(), keep_alive, with_body, Utc::now());
    stream.flush();
}
