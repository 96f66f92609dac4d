//! What the one who asks may change, on the newest catalog (REFERENCE §2).

use crate::access::rights::{Held, denied};
use crate::catalog::port::Caller;
use crate::catalog::principal::Principal;
use crate::catalog::role::Ladder;
use crate::catalog::{DatabaseId, PrincipalId, Snapshot, TenantId};
use crate::diagnostic::Diagnostic;

/// Who asks, with what they hold; by an API key, with what that leaves of it.
#[derive(Clone)]
pub struct Authority {
    /// The user or service account.
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
    /// 42501 when the user or its key is gone, disabled or expired, or in a tenant that is not its own.
    pub fn of(snapshot: &Snapshot, caller: Caller, now: i64) -> Result<Authority, Diagnostic> {
        let principal = snapshot
            .principals
            .principal(caller.principal)
            .filter(|it| it.enabled && it.valid_until.is_none_or(|end| end > now))
            .ok_or_else(|| denied("the user of this session has been dropped or disabled"))?;
        let key = match caller.key {
            None => None,
            Some(id) => {
                let key = snapshot.principals.key(id);
                let key = key.filter(|it| it.expires_at.is_none_or(|end| end > now));
                let gone = || denied("the API key of this session has been dropped or has expired");
                Some(&**key.ok_or_else(gone)?)
            }
        };
        let rung = Held::rung_in_force(snapshot, principal, key);
        if caller.tenant != principal.tenant && rung != Some(Ladder::Superuser) {
            return Err(denied("permission denied for another tenant"));
        }
        Ok(Authority {
            principal: principal.id,
            tenant: caller.tenant,
            database: caller.database,
            rung,
        })
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
