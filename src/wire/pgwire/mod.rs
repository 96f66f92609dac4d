//! The PostgreSQL wire protocol, versions 3.0 and 3.2.
//!
//! The codec has no I/O: `frame`, `startup`, `message`, `extended` read what a client sends (checked,
//! zero-copy), `reply`, `rows`, `seldom`, `error` write what it is told. `authentication` is the log-in
//! as states, `connection` the loop on a [`shards::Stream`].
//! Source: PostgreSQL 15, chapter 55; 3.2 as PostgreSQL 18 has it.

pub mod body;
pub mod error;
pub mod extended;
pub mod frame;
pub mod message;
pub mod reply;
pub mod rows;
pub mod seldom;
pub mod startup;
