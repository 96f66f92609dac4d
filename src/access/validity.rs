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
    /// DROP DATABASE.
    DatabaseDropped,
    /// CONNECT was revoked, or the role that gave the reach.
    DatabaseOutOfReach,
}

impl EndReason {
    /// All reasons.
    pub const ALL: [EndReason; 5] = [
        EndReason::Dropped,
        EndReason::Disabled,
        EndReason::Expired,
        EndReason::DatabaseDropped,
        EndReason::DatabaseOutOfReach,
    ];

    /// The code: 57P01 for all of them (REFERENCE §1).
    pub fn sqlstate(&self) -> SqlState {
        match self {
            EndReason::Dropped
            | EndReason::Disabled
            | EndReason::Expired
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
    if ends_at(snapshot, identity).is_some_and(|end| end <= now) {
        return Err(EndReason::Expired);
    }
    let database = snapshot
        .principals
        .database(identity.database)
        .ok_or(EndReason::DatabaseDropped)?;
    if !database_in_reach(snapshot, principal, database) {
        return Err(EndReason::DatabaseOutOfReach);
    }
    Ok(())
}

/// When the session ends by the clock, in Unix microseconds: the credential's own end or the
/// user's VALID UNTIL, whichever is first. For the session's timer; it moves with the epoch.
pub fn ends_at(snapshot: &Snapshot, identity: &Identity) -> Option<i64> {
    let user = snapshot
        .principals
        .principal(identity.principal)
        .and_then(|principal| principal.valid_until);
    match (identity.ends_at, user) {
        (Some(credential), Some(user)) => Some(credential.min(user)),
        (credential, user) => credential.or(user),
    }
}
