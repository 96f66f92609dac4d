//! Why a run failed.

use login_driver::connection::LoginError;
use std::io;
use thiserror::Error;

/// Why a run failed.
#[derive(Debug, Error)]
pub enum DriveError {
    /// A connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nobody was let in.
    #[error("{0}")]
    Login(#[from] LoginError),
    /// The server answers with an error; what of it is text.
    #[error("the server says: {0}")]
    Refused(String),
    /// It answers otherwise than with one row.
    #[error("the server sent {0}")]
    Unexpected(&'static str),
    /// Nothing to prove who asks.
    #[error("set {0}")]
    NoSecret(&'static str),
}

impl DriveError {
    /// The error with what can be read of the server's reply.
    pub fn refused(reply: &[u8]) -> DriveError {
        let readable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let text = reply.iter().copied().map(|byte| match readable(&byte) {
            true => char::from(byte),
            false => '·',
        });
        DriveError::Refused(text.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_of_a_reply_is_told() {
        let error = DriveError::refused(b"\xa7message\xa3bad\n");
        assert_eq!(error.to_string(), "the server says: ·message·bad·");
    }
}
