//! Whether a session may go on: asked when an epoch arrives and when a credential's time is up.

use super::standing::Standing;
use crate::auth::identity::Identity;
use crate::catalog::Snapshot;
use crate::catalog::revocation::Subject;
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
    /// DROP OIDC PROVIDER
    ProviderDropped,
    /// The client certificate that its connection came in by is on a revocation list.
    CertificateRevoked,
    /// DROP DATABASE.
    DatabaseDropped,
    /// CONNECT was revoked, or the role that gave the reach.
    DatabaseOutOfReach,
}

impl EndReason {
    /// All reasons.
    pub const ALL: [EndReason; 9] = [
        EndReason::Dropped,
        EndReason::Disabled,
        EndReason::Expired,
        EndReason::KeyDropped,
        EndReason::SecretReplaced,
        EndReason::ProviderDropped,
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
            | EndReason::ProviderDropped
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
            EndReason::ProviderDropped => "its identity provider was dropped",
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

impl EndReason {
    /// Whose change it was that ends a session of this identity.
    pub fn subject(&self, identity: &Identity) -> Subject {
        let of_key = identity.key.map(|used| Subject::Key(used.id));
        let claims = identity.claims.as_ref();
        let of_provider = claims.map(|claims| Subject::Provider(claims.provider));
        let own = match self {
            EndReason::Dropped
            | EndReason::Disabled
            | EndReason::Expired
            | EndReason::CertificateRevoked
            | EndReason::DatabaseOutOfReach => None,
            EndReason::KeyDropped | EndReason::SecretReplaced => of_key,
            EndReason::ProviderDropped => of_provider,
            EndReason::DatabaseDropped => Some(Subject::Database(identity.database)),
        };
        own.unwrap_or(Subject::Principal(identity.principal))
    }
}

/// Whether the identity's session may go on under this snapshot; `now` in Unix microseconds.
///
/// # Errors
/// Why it ends.
pub fn still_valid(snapshot: &Snapshot, identity: &Identity, now: i64) -> Result<(), EndReason> {
    match valid_until(snapshot, identity)? {
        Some(end) if end <= now => Err(EndReason::Expired),
        _ => Ok(()),
    }
}

/// Until when the identity's session may go on under this snapshot, Unix microseconds: the first end of
/// whatever ends by the clock. None: nothing of it does.
///
/// # Errors
/// Why it ends whatever the time is.
pub fn valid_until(snapshot: &Snapshot, identity: &Identity) -> Result<Option<i64>, EndReason> {
    let standing = Standing::of(snapshot, identity.grounds())?;
    let record = standing.record();
    if record.is_some_and(|record| !record.enabled) {
        return Err(EndReason::Disabled);
    }
    let key_ends_at = match (standing.key(), identity.key) {
        (Some(key), Some(used)) => key
            .ends_at(used.generation)
            .map_err(|_| EndReason::SecretReplaced)?,
        _ => None,
    };
    let record_ends_at = record.and_then(|record| record.valid_until);
    let database = snapshot
        .principals
        .database(identity.database)
        .ok_or(EndReason::DatabaseDropped)?;
    if !standing.reaches(database) {
        return Err(EndReason::DatabaseOutOfReach);
    }
    let ends = [identity.ends_at, record_ends_at, key_ends_at];
    Ok(ends.into_iter().flatten().min())
}
