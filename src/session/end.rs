//! Every way a session ends: one enum, and what the client is told for each.

use crate::access;
use crate::diagnostic::{Diagnostic, SqlState};

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client said Terminate.
    Terminated,
    /// The client went away without a word, or the connection failed.
    ClientGone,
    /// What the client sent cannot be followed any further; the error has been sent.
    ProtocolViolation,
    /// Its credential or its database is gone (REFERENCE §1: 57P01).
    Access(access::EndReason),
    /// KILL SESSION
    Killed,
    /// The server stops.
    Shutdown,
    /// It listens, and does not take what it is told.
    NotificationsUntaken,
    /// idle_session_timeout
    IdleSession,
    /// idle_in_transaction_session_timeout
    IdleInTransaction,
}

impl EndReason {
    /// The last message to the client, FATAL; None where nobody listens or all has been said.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        match self {
            EndReason::Terminated | EndReason::ClientGone | EndReason::ProtocolViolation => None,
            EndReason::Access(reason) => Some(reason.diagnostic()),
            EndReason::Killed | EndReason::Shutdown => Some(Diagnostic::fatal(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            )),
            EndReason::NotificationsUntaken => Some(
                Diagnostic::fatal(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "terminating connection because too many notifications wait for it",
                )
                .with_hint("A session that listens should read, and not stay in a transaction."),
            ),
            EndReason::IdleSession => Some(Diagnostic::fatal(
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout",
            )),
            EndReason::IdleInTransaction => Some(Diagnostic::fatal(
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout",
            )),
        }
    }

    /// The reason as logs name it.
    pub fn as_str(&self) -> &'static str {
        match self {
            EndReason::Terminated => "terminated by the client",
            EndReason::ClientGone => "client gone",
            EndReason::ProtocolViolation => "protocol violation",
            EndReason::Access(_) => "credential or database gone",
            EndReason::Killed => "killed",
            EndReason::Shutdown => "shutdown",
            EndReason::NotificationsUntaken => "notifications not taken",
            EndReason::IdleSession => "idle session timeout",
            EndReason::IdleInTransaction => "idle in transaction timeout",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;

    #[test]
    fn whoever_is_still_listening_is_told_why_with_fatal() {
        let told = [
            (EndReason::Access(access::EndReason::Dropped), "57P01"),
            (EndReason::Access(access::EndReason::Disabled), "57P01"),
            (EndReason::Access(access::EndReason::Expired), "57P01"),
            (EndReason::Killed, "57P01"),
            (EndReason::Shutdown, "57P01"),
            (EndReason::NotificationsUntaken, "54000"),
            (EndReason::IdleSession, "57P05"),
            (EndReason::IdleInTransaction, "25P03"),
        ];
        for (reason, code) in told {
            let diagnostic = reason.diagnostic().expect("the client is told");
            assert_eq!(diagnostic.sqlstate().as_str(), code, "{reason:?}");
            assert_eq!(diagnostic.fields().severity, Severity::Fatal);
        }
        for reason in [
            EndReason::Terminated,
            EndReason::ClientGone,
            EndReason::ProtocolViolation,
        ] {
            assert_eq!(reason.diagnostic(), None);
        }
    }
}
