//! NodeDB's native protocol, version 1 (REFERENCE §5, §9).
//!
//! `handshake` and `frame` say where things begin and end, `request` (MessagePack, by
//! `messagepack`) and `json` what is asked for, `value` and `binding` with which parameters;
//! `response` and `row` write the answer. None of these does I/O. `login` takes a connection to its
//! session, `connection` is the loop between the two, `execute` and `send` carry requests out.

mod binding;
mod connection;
pub mod credential;
pub mod error;
mod execute;
pub mod frame;
pub mod handshake;
mod json;
mod login;
mod messagepack;
pub mod operation;
pub mod request;
mod response;
mod row;
mod send;
pub mod value;

pub use connection::serve;
