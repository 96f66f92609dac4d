//! The client's side of a login with SCRAM-SHA-256, for drivers of load.

pub mod connection;
pub mod scram;
pub mod sources;
pub mod transport;
