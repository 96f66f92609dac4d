//! What the load needs to know of a protocol.

use crate::error::DriveError;
use std::net::TcpStream;

/// A protocol's part of the load. One for all connections.
pub trait Protocol: Sync {
    /// A connection that has logged in and waits for a request.
    ///
    /// # Errors
    /// [`DriveError`]
    fn connect(&self) -> Result<TcpStream, DriveError>;

    /// Appends the request for an account's balance.
    fn request(&self, account: u32, out: &mut Vec<u8>);

    /// How long the reply is that stands at the beginning; None while some of it is missing.
    ///
    /// # Errors
    /// The server refuses, or the reply is not one row.
    fn reply(&self, received: &[u8]) -> Result<Option<usize>, DriveError>;
}

/// The statement up to the account.
pub const STATEMENT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = ";
