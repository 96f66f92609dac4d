//! Runs the published client of the native protocol against this server; see `tests`.

mod server;

pub use server::{PASSWORD, Server};
