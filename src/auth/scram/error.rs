//! What can go wrong in a SCRAM exchange: precise inside, one sentence outside.

use crate::diagnostic::{Diagnostic, Severity, SqlState};
use thiserror::Error;

/// Why an exchange ended. `Display` is for the log; [`ScramError::diagnostic`] for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ScramError {
    /// The bytes are not a SCRAM message; the text says where.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// `p=` with the mechanism that does not bind.
    #[error("the client binds to the channel by a mechanism that does not")]
    ChannelBindingNotChosen,
    /// -PLUS without `p=`.
    #[error("the client has chosen channel binding and does not bind")]
    ChannelBindingMissing,
    /// `y` where -PLUS was offered: somebody between may have taken it off the list.
    #[error("the client could bind to the channel and was not told that the server can")]
    ChannelBindingDowngrade,
    /// `p=` with a type that this connection does not have.
    #[error("the client binds to the channel by a type that is not supported")]
    UnsupportedChannelBinding,
    /// The client is bound to another connection: somebody stands between.
    #[error("the client is bound to another channel")]
    ChannelBindingFailed,
    /// The client's second message contradicts the channel-binding flag of its first.
    #[error("the channel-binding attribute does not match the first message")]
    ChannelBindingMismatch,
    /// `a=`: to act as somebody else.
    #[error("the client asks for an authorization identity")]
    AuthorizationIdentity,
    /// `m=`: an extension that must be understood.
    #[error("the client requires a SCRAM extension")]
    MandatoryExtension,
    /// The nonce is not the one that was sent.
    #[error("the nonce does not match")]
    NonceMismatch,
    /// The credential is refused. The client is told the same whatever the reason.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
}

/// Why a well-formed exchange is refused: for logs and the audit, never for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such login name.
    #[error("no such user")]
    UnknownUser,
    /// Service accounts never log in by password.
    #[error("a service account")]
    ServiceAccount,
    /// ALTER USER … DISABLE.
    #[error("the user is disabled")]
    Disabled,
    /// VALID UNTIL has passed.
    #[error("the user's validity has ended")]
    Expired,
    /// PASSWORD NULL.
    #[error("the user has no password")]
    NoPassword,
    /// The proof does not fit the verifier.
    #[error("wrong password")]
    WrongPassword,
}

impl ScramError {
    /// The code the client is told.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            ScramError::Malformed(_)
            | ScramError::ChannelBindingNotChosen
            | ScramError::ChannelBindingMissing
            | ScramError::UnsupportedChannelBinding
            | ScramError::ChannelBindingMismatch
            | ScramError::NonceMismatch => SqlState::PROTOCOL_VIOLATION,
            ScramError::ChannelBindingDowngrade | ScramError::ChannelBindingFailed => {
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            }
            ScramError::AuthorizationIdentity | ScramError::MandatoryExtension => {
                SqlState::FEATURE_NOT_SUPPORTED
            }
            ScramError::Refused(_) => SqlState::INVALID_PASSWORD,
        }
    }

    /// What the client is told, in PostgreSQL's words; the session ends with it.
    ///
    /// `user` is the name of the start-up packet.
    pub fn diagnostic(&self, user: &str) -> Diagnostic {
        let fatal = |message: &str| Diagnostic::new(Severity::Fatal, self.sqlstate(), message);
        match self {
            ScramError::Malformed(detail) => fatal("malformed SCRAM message").with_detail(*detail),
            ScramError::ChannelBindingNotChosen => fatal("malformed SCRAM message").with_detail(
                "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message \
                 includes channel binding data.",
            ),
            ScramError::ChannelBindingMissing => fatal("malformed SCRAM message").with_detail(
                "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include \
                 channel binding data.",
            ),
            ScramError::ChannelBindingDowngrade => fatal("SCRAM channel binding negotiation error")
                .with_detail(
                    "The client supports SCRAM channel binding but thinks the server does not.  \
                     However, this server does support channel binding.",
                ),
            ScramError::UnsupportedChannelBinding => fatal(
                "unsupported SCRAM channel-binding type",
            )
            .with_detail("The types are tls-server-end-point and, with TLS 1.3, tls-exporter."),
            ScramError::ChannelBindingFailed => fatal("SCRAM channel binding check failed"),
            ScramError::ChannelBindingMismatch => {
                fatal("unexpected SCRAM channel-binding attribute in client-final-message")
            }
            ScramError::AuthorizationIdentity => {
                fatal("client uses authorization identity, but it is not supported")
            }
            ScramError::MandatoryExtension => {
                fatal("client requires an unsupported SCRAM extension")
            }
            ScramError::NonceMismatch => {
                fatal("invalid SCRAM response").with_detail("Nonce does not match.")
            }
            ScramError::Refused(_) => fatal(&format!(
                "password authentication failed for user \"{user}\""
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_tells_the_client_the_same() {
        let told = |refusal| ScramError::Refused(refusal).diagnostic("alice");
        let expected = told(Refusal::WrongPassword);
        assert_eq!(expected.sqlstate(), SqlState::INVALID_PASSWORD);
        assert_eq!(
            expected.message(),
            "password authentication failed for user \"alice\""
        );
        for refusal in [
            Refusal::UnknownUser,
            Refusal::ServiceAccount,
            Refusal::Disabled,
            Refusal::Expired,
            Refusal::NoPassword,
        ] {
            assert_eq!(told(refusal), expected, "{refusal:?}");
        }
    }

    #[test]
    fn protocol_errors_are_08p01_missing_features_0a000_and_strangers_between_28000() {
        for (error, code) in [
            (ScramError::Malformed("x"), "08P01"),
            (ScramError::ChannelBindingNotChosen, "08P01"),
            (ScramError::ChannelBindingMissing, "08P01"),
            (ScramError::UnsupportedChannelBinding, "08P01"),
            (ScramError::ChannelBindingDowngrade, "28000"),
            (ScramError::ChannelBindingFailed, "28000"),
            (ScramError::ChannelBindingMismatch, "08P01"),
            (ScramError::NonceMismatch, "08P01"),
            (ScramError::AuthorizationIdentity, "0A000"),
            (ScramError::MandatoryExtension, "0A000"),
        ] {
            let diagnostic = error.diagnostic("alice");
            assert_eq!(diagnostic.sqlstate().as_str(), code, "{error:?}");
            assert_eq!(diagnostic.fields().severity, Severity::Fatal);
        }
    }
}
