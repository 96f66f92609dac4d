//! Black-box tests by capability: one binary, a real server, real clients.

mod architecture;
