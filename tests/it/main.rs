//! Black-box tests by capability: one binary, a real server, real clients.

mod architecture;
#[allow(dead_code, reason = "each helper is used by some capability")]
mod server;
