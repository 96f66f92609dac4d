//! The protocols: each a codec without I/O and a connection loop.

mod attended;
pub mod encryption;
pub mod http;
mod input;
pub mod native;
pub mod pgwire;
pub mod proxied;
