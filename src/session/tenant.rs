//! `SET tenant = n`: a superuser goes on in another tenant, in its default database
//! (REFERENCE §7).

use super::Session;
use super::settings::Scope;
use super::transaction::{Block, not_in_a_block};
use crate::access;
use crate::auth::identity::Identity;
use crate::catalog::TenantId;
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use std::sync::Arc;

impl Session {
    /// Moves the session; None is its home tenant.
    ///
    /// # Errors
    /// 25001 in a block, 42501 for who is not a superuser, 42704 for a tenant that is not there.
    pub(super) fn set_tenant(&mut self, value: Option<&str>) -> Result<(), Diagnostic> {
        if !matches!(self.block, Block::None) {
            return Err(not_in_a_block("SET tenant"));
        }
        let adopted = self.adopt()?;
        let tenant = match value {
            None => self.identity.tenant,
            Some(text) => TenantId(text.trim().parse().map_err(|_| {
                Diagnostic::error(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid value for parameter \"tenant\": \"{text}\""),
                )
            })?),
        };
        let (principal, key) = (self.identity.principal, self.identity.key);
        let database = access::login(adopted.snapshot(), principal, key, Some(tenant), None)
            .map_err(|error| error.with_severity(Severity::Error))?;
        let moved = Identity {
            database,
            ..Identity::clone(&self.identity)
        };
        self.identity = Arc::new(moved);
        self.entry.set_identity(self.identity.clone());
        self.rights = self.services.rights(&adopted, &self.identity);
        // Plans and values belong to the database that was left.
        self.named = Default::default();
        self.effects = None;
        let text = tenant.to_string();
        self.settings.put("tenant", Some(&text), Scope::Session);
        Ok(())
    }
}
