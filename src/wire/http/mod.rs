//! HTTP/1.1 (REFERENCE §4): SQL, health and metrics.
//!
//! `head` reads a request's head out of bytes, `body` its body off the connection; `route` answers
//! for health and metrics, `query` runs SQL for whoever `credential` finds to have proved who they
//! are; `json` writes rows, `response` prints the answer. `connection` is the loop between them and
//! a socket.

mod body;
mod connection;
mod credential;
mod error;
mod head;
mod json;
mod query;
mod readiness;
mod response;
mod route;

pub use connection::{IDLE_DEADLINE, OUTBOX_BYTES_MAX, REQUEST_DEADLINE, serve};
pub use error::HttpError;
pub use head::{Authorization, Body, HEAD_BYTES_MAX, HEADERS_MAX, Head, Method, Parsed, parse};
pub use readiness::{Phase, Readiness};
pub use response::{KeepAlive, Response, Status};
pub use route::{Peer, Service, answer};
