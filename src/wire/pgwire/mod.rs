//! The PostgreSQL wire protocol, versions 3.0 and 3.2.
//!
//! The codec has no I/O: `frame`, `startup`, `message`, `extended` read what a client sends (checked,
//! zero-copy), `reply`, `rows`, `seldom`, `error` write what it is told. `authentication` is the log-in
//! as states, `connection` the loop on a [`shards::Stream`].
//! Source: PostgreSQL 15, chapter 55; 3.2 as PostgreSQL 18 has it.

pub mod authentication;
pub mod body;
mod connection;
mod copy;
pub mod error;
pub mod extended;
pub mod frame;
pub mod message;
mod pipeline;
pub mod reply;
pub mod rows;
pub mod seldom;
mod send;
mod simple;
pub mod startup;

pub use connection::serve;
