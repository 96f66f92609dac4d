//! What the one who asks may change, on the newest catalog (REFERENCE §2).

use crate::access::rights::denied;
use crate::access::{EndReason, Standing};
use crate::auth::identity::{Grounds, KeyUsed, TokenGrounds};
use crate::catalog::port::Caller;
use crate::catalog::principal::Principal;
use crate::catalog::role::Ladder;
use crate::catalog::{DatabaseId, PrincipalId, Snapshot, TenantId};
use crate::diagnostic::Diagnostic;

/// Who asks, with what they hold; by an API key, with what that leaves of it.
#[derive(Clone)]
pub struct Authority {
    /// The user or service account; an identity provider for who has no user record.
    pub principal: PrincipalId,
    /// The tenant in force, which names are looked up in.
    pub tenant: TenantId,
    /// The database of the session.
    pub database: DatabaseId,
    rung: Option<Ladder>,
}

impl Authority {
    /// Works it out. The session may be behind: its user may be gone by now.
    ///
    /// # Errors
    /// 42501 when the user, its key or its token's provider is gone, disabled or expired, or in a tenant
    /// that is not its own.
    pub fn of(snapshot: &Snapshot, caller: &Caller, now: i64) -> Result<Authority, Diagnostic> {
        let token = caller.token.as_ref();
        let grounds = Grounds {
            principal: caller.principal,
            // Which of its secrets it was decides over the session, not over a statement of it.
            key: caller.key.map(|id| KeyUsed { id, generation: 0 }),
            token: token.map(|token| TokenGrounds {
                provider: token.provider,
                claims: &token.claims,
            }),
        };
        let standing = Standing::of(snapshot, grounds).map_err(gone)?;
        let has_ended = |end: Option<i64>| end.is_some_and(|end| end <= now);
        let is_out = |record: &Principal| !record.enabled || has_ended(record.valid_until);
        if standing.record().is_some_and(is_out) {
            return Err(gone(EndReason::Dropped));
        }
        if standing.key().is_some_and(|key| has_ended(key.expires_at)) {
            return Err(gone(EndReason::KeyDropped));
        }
        let rung = standing.rung();
        if caller.tenant != standing.home() && rung != Some(Ladder::Superuser) {
            return Err(denied("permission denied for another tenant"));
        }
        Ok(Authority {
            principal: standing.id(),
            tenant: caller.tenant,
            database: caller.database,
            rung,
        })
    }

    /// Whether nothing narrows what it holds below this rung, which its own record may have.
    pub fn reaches(&self, rung: Option<Ladder>) -> bool {
        self.rung >= rung
    }

    /// Everything, across tenants.
    pub fn is_superuser(&self) -> bool {
        self.rung == Some(Ladder::Superuser)
    }

    /// Demands a rung.
    ///
    /// # Errors
    /// 42501 with the message.
    pub fn require(&self, rung: Ladder, message: impl Into<String>) -> Result<(), Diagnostic> {
        if self.rung >= Some(rung) {
            return Ok(());
        }
        Err(denied(message))
    }

    /// Demands a superuser.
    ///
    /// # Errors
    /// 42501 with the message.
    pub fn require_superuser(&self, message: impl Into<String>) -> Result<(), Diagnostic> {
        self.require(Ladder::Superuser, message)
    }

    /// Whether the principal is in sight: of the tenant in force, or anybody for a superuser.
    pub fn sees(&self, principal: &Principal) -> bool {
        self.is_superuser() || principal.tenant == self.tenant
    }

    /// Nobody grants what they do not hold; only a superuser makes superusers.
    ///
    /// # Errors
    /// 42501.
    pub fn may_give(&self, role: &str, gives: Option<Ladder>) -> Result<(), Diagnostic> {
        if gives == Some(Ladder::Superuser) {
            return self.require_superuser("must be superuser to create superusers");
        }
        if self.rung >= gives {
            return Ok(());
        }
        Err(denied(format!("must have admin option on role \"{role}\"")))
    }
}

fn gone(why: EndReason) -> Diagnostic {
    denied(match why {
        EndReason::KeyDropped => "the API key of this session has been dropped or has expired",
        EndReason::ProviderDropped => "the OIDC provider of this session has been dropped",
        _ => "the user of this session has been dropped or disabled",
    })
}
