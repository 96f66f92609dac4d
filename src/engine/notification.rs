//! NOTIFY: what a transaction tells others when it is committed.
//!
//! Whatever is told lies with the session's effects until then, numbered by the turn of the
//! transaction that told it, so that a query that is still being stopped on the pool cannot put
//! its own into the next transaction.
//!
//! Source: PostgreSQL 15, NOTIFY; `async.c` for what is folded and the limits.

use crate::diagnostic::{Diagnostic, SqlState};
use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of a channel's name, as of any name.
pub const CHANNEL_BYTES_MAX: usize = 63;

/// Bytes of a payload.
pub const PAYLOAD_BYTES_MAX: usize = 7_999;

/// Bytes of all that one transaction tells.
pub const TRANSACTION_BYTES_MAX: usize = 16 << 20;

/// What one notification takes besides its texts.
const OVERHEAD_BYTES: usize = 64;

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notification {
    /// Where it is told.
    pub channel: Arc<str>,
    /// What.
    pub payload: Arc<str>,
}

/// What the open transaction has told so far.
#[derive(Debug, Default)]
pub struct Told {
    turn: u64,
    inner: Vec<Notification>,
    known: HashSet<Notification>,
    bytes: usize,
}

impl Notification {
    /// A notification within the limits.
    ///
    /// # Errors
    /// 22023
    pub fn new(channel: &str, payload: &str) -> Result<Notification, Diagnostic> {
        check_channel(channel)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(invalid("payload string too long"));
        }
        Ok(Notification {
            channel: channel.into(),
            payload: payload.into(),
        })
    }

    /// About what it takes.
    pub fn bytes(&self) -> usize {
        self.channel.len() + self.payload.len() + OVERHEAD_BYTES
    }
}

/// 22023 for what is no channel.
///
/// # Errors
/// As said.
pub fn check_channel(channel: &str) -> Result<(), Diagnostic> {
    match channel.len() {
        0 => Err(invalid("channel name cannot be empty")),
        1..=CHANNEL_BYTES_MAX => Ok(()),
        _ => Err(invalid("channel name too long")),
    }
}

fn invalid(message: &str) -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// 54000, in PostgreSQL's words.
pub fn too_many() -> Diagnostic {
    Diagnostic::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "too many notifications in the NOTIFY queue",
    )
}

impl Told {
    /// Whose turn it is.
    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// How many notifications there are.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Adds one, unless the same has been told in this transaction, or the turn is over.
    ///
    /// # Errors
    /// 54000 past [`TRANSACTION_BYTES_MAX`].
    pub fn push(&mut self, turn: u64, notification: Notification) -> Result<(), Diagnostic> {
        if turn != self.turn || self.known.contains(&notification) {
            return Ok(());
        }
        let bytes = self.bytes + notification.bytes();
        if bytes > TRANSACTION_BYTES_MAX {
            return Err(too_many());
        }
        self.bytes = bytes;
        self.known.insert(notification.clone());
        self.inner.push(notification);
        Ok(())
    }

    /// What was told after there were `len` is taken back; who told it has no turn any more.
    pub fn roll_back(&mut self, len: usize) {
        self.turn += 1;
        for undone in self.inner.drain(len..) {
            self.bytes -= undone.bytes();
            self.known.remove(&undone);
        }
    }

    /// All of it, at COMMIT; the next turn begins.
    pub fn take(&mut self) -> Vec<Notification> {
        self.turn += 1;
        self.bytes = 0;
        self.known.clear();
        std::mem::take(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(channel: &str, payload: &str) -> Notification {
        Notification::new(channel, payload).expect("within the limits")
    }

    #[test]
    fn names_and_payloads_have_postgresqls_limits() {
        let long = "x".repeat(CHANNEL_BYTES_MAX);
        let much = "y".repeat(PAYLOAD_BYTES_MAX);
        assert!(Notification::new(&long, &much).is_ok());
        for (channel, payload, message) in [
            ("", "", "channel name cannot be empty"),
            (&*format!("{long}x"), "", "channel name too long"),
            ("a", &*format!("{much}y"), "payload string too long"),
        ] {
            let error = Notification::new(channel, payload).expect_err(message);
            assert_eq!(error.sqlstate(), SqlState::INVALID_PARAMETER_VALUE);
            assert_eq!(error.message(), message);
        }
    }

    #[test]
    fn the_same_is_told_once_and_what_is_rolled_back_may_be_told_again() {
        let mut told = Told::default();
        for payload in ["1", "2", "1"] {
            told.push(0, of("a", payload)).expect("room");
        }
        assert_eq!(told.len(), 2);
        told.roll_back(1);
        told.push(0, of("a", "2")).expect("it has no turn");
        assert_eq!(
            told.len(),
            1,
            "what was told before the rollback comes late"
        );
        let turn = told.turn();
        told.push(turn, of("a", "2")).expect("room");
        assert_eq!(told.take(), [of("a", "1"), of("a", "2")]);
        assert!(told.is_empty());
    }

    #[test]
    fn one_transaction_cannot_tell_without_end() {
        let mut told = Told::default();
        let payload = "z".repeat(PAYLOAD_BYTES_MAX - 8);
        let refused = (0..1_000_000).find_map(|number| {
            told.push(0, of("a", &format!("{payload}{number:08}")))
                .err()
        });
        let refused = refused.expect("there is a limit");
        assert_eq!(refused.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        told.roll_back(0);
        assert_eq!(told.bytes, 0);
    }
}
