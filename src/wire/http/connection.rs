//! The loop between one connection and the codec: keep-alive, pipelining, deadlines.

use super::error::HttpError;
use super::head::{Body, Head, Parsed, parse};
use super::operator::Scrape;
use super::query::{Endpoint, Exchange};
use super::refusal::refusal;
use super::response::{KeepAlive, Response};
use super::route::{METRICS_PATH, Peer, Service, answer};
use super::send::{IDLE_DEADLINE, OUTBOX_BYTES_MAX, WithBody, send};
use crate::session::{CoreServices, Protocol, login};
use crate::wire::encryption::{self, Opened};
use bytes::Buf;
use shards::{Admission, Stream};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// How long a request may take to arrive once its first byte has.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// How long one connection too many may take to say how it is to be refused.
const EXCESS_DEADLINE: Duration = Duration::from_secs(1);

/// Serves one connection until it ends. Runs on the core that accepted it.
pub async fn serve(stream: Stream, service: &Service, services: &Rc<CoreServices>) {
    let refused = match Box::pin(open(&stream, services)).await {
        Opened::Closed => return stream.close().await,
        Opened::PlainRefused => Some(HttpError::TlsRequired),
        Opened::Plain | Opened::Tls(_) => match stream.admission() {
            Admission::OverLimit => Some(HttpError::TooManyConnections),
            Admission::Admitted => None,
        },
    };
    if let Some(error) = refused {
        send(&stream, &error.response(), KeepAlive::Close, WithBody::Yes).await;
        return stream.close().await;
    }
    let certificate = login::presented(&stream, services);
    let earlier = Rc::default();
    loop {
        let next = match receive(&stream).await {
            Ok(Some(head)) => {
                match (client_of(&stream, &head, service), Endpoint::of(&head.path)) {
                    (client, Some(endpoint)) => {
                        let exchange = Exchange {
                            stream: &stream,
                            client,
                            head: &head,
                            endpoint,
                            certificate: certificate.as_ref(),
                            earlier: &earlier,
                            origins: &service.origins,
                            services,
                        };
                        Box::pin(exchange.respond()).await
                    }
                    (client, None) => {
                        let scrape = Scrape {
                            stream: &stream,
                            client,
                            head: &head,
                            certificate: certificate.as_ref(),
                            earlier: &earlier,
                            services,
                        };
                        Box::pin(respond(scrape, service)).await
                    }
                }
            }
            Ok(None) => KeepAlive::Close,
            Err(error) => {
                tracing::debug!(%error, peer = %stream.peer(), "an HTTP request is refused");
                let response = error.response();
                send(&stream, &response, KeepAlive::Close, WithBody::Yes).await
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

/// Waits for what the connection begins with, a TLS handshake perhaps. Where there is no TLS,
/// whoever is one too many is told so at once.
async fn open(stream: &Stream, services: &CoreServices) -> Opened {
    let patience = match (stream.admission(), &services.parts.encryption.tls) {
        (Admission::OverLimit, None) => return Opened::Plain,
        (Admission::OverLimit, Some(_)) => EXCESS_DEADLINE,
        (Admission::Admitted, _) => IDLE_DEADLINE,
    };
    let first = encryption::first_byte(stream);
    match shards::timeout(patience, first).await {
        Ok(Some(first)) => encryption::open(stream, services, first, Protocol::Http).await,
        Ok(None) | Err(shards::Elapsed) => Opened::Closed,
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

/// Where a request comes from.
fn client_of(stream: &Stream, head: &Head, service: &Service) -> SocketAddr {
    let forwarded_for = head.forwarded_for.as_deref();
    service.proxies.client(stream.peer(), forwarded_for)
}

async fn respond(request: Scrape<'_>, service: &Service) -> KeepAlive {
    let (stream, head) = (request.stream, request.head);
    let response = match Peer::of(request.client.ip()) {
        Peer::Elsewhere if head.path == METRICS_PATH => match request.admit().await {
            Ok(()) => answered(head, Peer::Operator, service),
            Err(refused) => refusal(&refused),
        },
        peer => answered(head, peer, service),
    };
    // The bytes of a refused body are still to come and must not be read as a request.
    let keep_alive = match head.body {
        Body::Empty => head.keep_alive,
        Body::Length(_) | Body::Chunked => KeepAlive::Close,
    };
    send(stream, &response, keep_alive, WithBody::to(head.method)).await
}

fn answered(head: &Head, peer: Peer, service: &Service) -> Response {
    answer(head, peer, service).unwrap_or_else(HttpError::response)
}
