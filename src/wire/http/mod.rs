//! HTTP/1.1 (REFERENCE §4): SQL, health and metrics.
//!
//! `head` and `fields` read a request's head out of bytes, `body` its body off the connection; `route` answers
//! for health and metrics. `query` answers for SQL: `credential` finds who asks, `asked` and
//! `parameters` what for, `run` runs it, and `json` writes the rows into an `output`: a `reply` that
//! is whole when it is sent, or `lines` that go as they come. `response` prints, `gzip`
//! compresses, `send` waits for slow readers, `cors` knows which pages may ask,
//! `forwarded` where a request comes from, `connection` is the loop between them and a socket.

mod asked;
mod body;
mod connection;
mod cors;
mod credential;
mod error;
mod fields;
mod forwarded;
mod gzip;
mod head;
mod json;
mod lines;
mod operator;
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

pub use asked::{Access, Query, read_body};
pub use connection::{REQUEST_DEADLINE, serve};
pub use cors::Origins;
pub use error::HttpError;
pub use forwarded::TrustedProxies;
pub use gzip::{Coding, GZIP_BYTES_MIN};
pub use head::{
    Authorization, Body, HEAD_BYTES_MAX, HEADERS_MAX, Head, Method, Page, Parsed, Version, parse,
};
pub use json::RowMode;
pub use readiness::{Phase, Readiness};
pub use response::{Framing, Headers, KeepAlive, Response, Status};
pub use route::{Peer, Service, answer};
pub use send::{IDLE_DEADLINE, OUTBOX_BYTES_MAX};
