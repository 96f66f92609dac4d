//! The protocols: each a codec without I/O and a connection loop.

pub mod http;
pub mod pgwire;
