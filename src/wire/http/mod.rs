//! HTTP/1.1 (REFERENCE §4): SQL, health and metrics.
//!
//! `head` reads a request's head out of bytes, `body` its body off the connection; `route` answers
//! for health and metrics. `query` answers for SQL: `credential` finds who asks, `asked` and
//! `parameters` what for, `run` runs it, and `json` writes the rows into an `output`: a `reply` that
//! is whole when it is sent, or `lines` that go as they come. `response` prints, `send` waits for
//! slow readers, `connection` is the loop between them and a socket.

mod asked;
mod body;
mod connection;
mod credential;
mod error;
mod head;
mod json;
mod lines;
mod output;
mod parameters;
mod query;
mod readiness;
mod refusal;
mod reply;
mod response;
mod route;
mod run;
mod send;

pub use connection::{REQUEST_DEADLINE, serve};
pub use error::HttpError;
pub use head::{
    Authorization, Body, HEAD_BYTES_MAX, HEADERS_MAX, Head, Method, Parsed, Version, parse,
};
pub use readiness::{Phase, Readiness};
pub use response::{Framing, KeepAlive, Response, Status};
pub use route::{Peer, Service, answer};
pub use send::{IDLE_DEADLINE, OUTBOX_BYTES_MAX};
