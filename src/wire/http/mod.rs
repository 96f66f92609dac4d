//! HTTP/1.1 (REFERENCE §4): health and metrics.
//!
//! `head` reads a request's head out of bytes, `route` answers it, `response` prints the answer:
//! none of them does I/O. `connection` is the loop between them and a socket. Requests carry no
//! body yet; one that announces a body is refused and its connection closed, so that nobody takes
//! body bytes for the next request.

mod connection;
mod error;
mod head;
mod readiness;
mod response;
mod route;

pub use connection::{IDLE_DEADLINE, OUTBOX_BYTES_MAX, REQUEST_DEADLINE, serve};
pub use error::HttpError;
pub use head::{Body, HEAD_BYTES_MAX, HEADERS_MAX, Head, Method, Parsed, parse};
pub use readiness::{Phase, Readiness};
pub use response::{KeepAlive, Response, Status};
pub use route::{Peer, Service, answer};
