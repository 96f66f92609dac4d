//! Whether a session may go on: asked when an epoch arrives and when a credential's time is up.

use super::login::database_in_reach;
use crate::auth::identity::Identity;
use crate::catalog::Snapshot;
use crate::diagnostic::{Diagnostic, SqlState};

/// Why a session ends although nobody closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// DROP USER, DROP SERVICE ACCOUNT, DROP TENANT CASCADE.
    Dropped,
    /// ALTER USER … DISABLE.
    Disabled,
    /// VALID UNTIL, or the credential's own end, has passed.
    Expired,
    /// DROP API KEY.
    KeyDropped,
    /// ALTER API KEY … ROTATE: it came in by a secret that is no longer one of the key's.
    SecretReplaced,
    /// The client certificate that its connection came in by is on a revocation list.
    CertificateRevoked,
    /// DROP DATABASE.
    DatabaseDropped,
    /// CONNECT was revoked, or the role that gave the reach.
    DatabaseOutOfReach,
}

impl EndReason {
    /// All reasons.
    pub const ALL: [EndReason; 8] = [
        EndReason::Dropped,
        EndReason::Disabled,
        EndReason::Expired,
        EndReason::KeyDropped,
        EndReason::SecretReplaced,
        EndReason::CertificateRevoked,
        EndReason::DatabaseDropped,
        EndReason::DatabaseOutOfReach,
    ];

    /// The code: 57P01 for all of them (REFERENCE §1).
    pub fn sqlstate(&self) -> SqlState {
        match self {
            EndReason::Dropped
            | EndReason::Disabled
            | EndReason::Expired
            | EndReason::KeyDropped
            | EndReason::SecretReplaced
            | EndReason::CertificateRevoked
            | EndReason::DatabaseDropped
            | EndReason::DatabaseOutOfReach => SqlState::ADMIN_SHUTDOWN,
        }
    }

    /// What the client is told as the last thing.
    pub fn diagnostic(&self) -> Diagnostic {
        let why = match self {
            EndReason::Dropped => "its user was dropped",
            EndReason::Disabled => "its user was disabled",
            EndReason::Expired => "its credential has expired",
            EndReason::KeyDropped => "its API key was dropped",
            EndReason::SecretReplaced => "its API key was rotated",
            EndReason::CertificateRevoked => "its client certificate was revoked",
            EndReason::DatabaseDropped => "its database was dropped",
            EndReason::DatabaseOutOfReach => "its user may no longer connect to this database",
        };
        Diagnostic::fatal(
            self.sqlstate(),
            format!("terminating connection because {why}"),
        )
    }
}

/// Whether the identity's session may go on under this snapshot; `now` in Unix microseconds.
///
/// # Errors
/// Why it ends.
pub fn still_valid(snapshot: &Snapshot, identity: &Identity, now: i64) -> Result<(), EndReason> {
    let principal = snapshot
        .principals
        .principal(identity.principal)
        .ok_or(EndReason::Dropped)?;
    if !principal.enabled {
        return Err(EndReason::Disabled);
    }
    let (key, key_ends_at) = match identity.key {
        None => (None, None),
        Some(used) => {
            let key = snapshot
                .principals
                .key(used.id)
                .ok_or(EndReason::KeyDropped)?;
            let ends_at = key
                .ends_at(used.generation)
                .map_err(|_| EndReason::SecretReplaced)?;
            (Some(&**key), ends_at)
        }
    };
    let ends = [identity.ends_at, principal.valid_until, key_ends_at];
    if ends.into_iter().flatten().any(|end| end <= now) {
        return Err(EndReason::Expired);
    }
    let database = snapshot
        .principals
        .database(identity.database)
        .ok_or(EndReason::DatabaseDropped)?;
    if !database_in_reach(snapshot, principal, key, database) {
        return Err(EndReason::DatabaseOutOfReach);
    }
    Ok(())
}
