//! What kinds of entries there are, and which of them a level keeps.

/// `[audit] level` (REFERENCE §6): each keeps what those before it keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What fails and what is refused, credential statements, providers and certificates.
    Minimal,
    /// Successful logins and the ends of sessions besides.
    #[default]
    Standard,
    /// An entry for each statement besides, without its literals.
    Full,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $text:literal from $level:ident;)*) => {
        /// What has happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name,)*
        }

        impl Event {
            /// All of them.
            pub const ALL: &'static [Event] = &[$(Event::$name,)*];

            /// As the log names it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Event::$name => $text,)*
                }
            }

            /// The lowest level that keeps it.
            pub fn level(self) -> Level {
                match self {
                    $(Event::$name => Level::$level,)*
                }
            }
        }
    };
}

events! {
    /// The server has begun to serve.
    Start = "start" from Minimal;
    /// It has been told to stop, and every session has ended.
    Stop = "stop" from Minimal;
    /// Somebody has logged in.
    Login = "login" from Standard;
    /// Somebody has not: the detail says why, and the client was not told.
    LoginRefused = "login_refused" from Minimal;
    /// Two good credentials of different logins came together; the first in order counts.
    CredentialsContradict = "credentials_contradict" from Minimal;
    /// A change of credentials was asked for, and was made or refused.
    CredentialStatement = "credential_statement" from Minimal;
    /// Somebody who has logged in may not do, or reach, what they wanted.
    AccessRefused = "access_refused" from Minimal;
    /// Somebody has had EXPLAIN tell about somebody's access, or about a token.
    Explain = "explain" from Minimal;
    /// A session was ended: its credential or its database is gone.
    SessionRevoked = "session_revoked" from Minimal;
    /// A session has ended by itself.
    SessionEnd = "session_end" from Standard;
    /// A statement is to run.
    Statement = "statement" from Full;
    /// A provider's keys have been fetched and are others, or could not be.
    ProviderKeys = "provider_keys" from Minimal;
    /// A provider's circuit breaker has opened, half opened or closed.
    ProviderCircuit = "provider_circuit" from Minimal;
    /// A copy of all data was asked for at the socket in the data directory, and what became of it.
    Backup = "backup" from Minimal;
    /// The files of TLS have been taken into force, or have not.
    Certificates = "certificates" from Minimal;
    /// A file of the log begins.
    File = "audit_file" from Minimal;
    /// Old files were removed, as `files_max` says.
    FilesRemoved = "audit_files_removed" from Minimal;
    /// A crash had left part of an entry that was never durable.
    Repaired = "audit_repaired" from Minimal;
    /// At a start the files were not as they had been left.
    ChainBroken = "audit_chain_broken" from Minimal;
    /// The log could not be written for a while, and what was refused meanwhile.
    Interrupted = "audit_interrupted" from Minimal;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_event_has_a_name_of_its_own_that_needs_no_escape() {
        let names: BTreeSet<_> = Event::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(names.len(), Event::ALL.len());
        for name in names {
            let plain = name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(plain, "{name}");
        }
    }

    #[test]
    fn only_successes_and_ends_wait_for_standard_and_only_statements_for_full() {
        let kept = |level| -> Vec<_> {
            let events = Event::ALL.iter().filter(|event| event.level() == level);
            events.map(|event| event.as_str()).collect()
        };
        assert_eq!(kept(Level::Standard), ["login", "session_end"]);
        assert_eq!(kept(Level::Full), ["statement"]);
    }
}
