//! Where a session is: `SET tenant = n` takes a superuser to another tenant, `USE DATABASE d` to
//! another database in reach (REFERENCE §1, §7).

use super::settings::Scope;
use super::transaction::{Block, not_in_a_block};
use super::{Answer, Protocol, Session};
use crate::access;
use crate::auth::identity::Identity;
use crate::catalog::{DatabaseId, Snapshot, TenantId};
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::outcome::CommandTag;
use shards::Adopted;
use std::sync::Arc;

impl Session {
    /// Moves the session to a tenant's default database; None is its home tenant.
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
        let database = self.resolve(&adopted, tenant, None)?;
        self.move_to(&adopted, database);
        let text = tenant.to_string();
        self.settings.put("tenant", Some(&text), Scope::Session);
        Ok(())
    }

    /// USE DATABASE. PostgreSQL's protocol has no word for it: what a driver has prepared and what a
    /// pool believes would be of another database.
    ///
    /// # Errors
    /// 0A000 over PostgreSQL's protocol, 25001 in a block, 3D000 for a database that is not there,
    /// 42501 for one out of reach.
    pub(super) fn use_database(&mut self, name: &str) -> Result<Answer, Diagnostic> {
        if self.entry.protocol() == Protocol::Pgwire {
            return Err(
                Diagnostic::unsupported("USE DATABASE over the PostgreSQL protocol")
                    .with_hint("Connect to the database: \\c in psql."),
            );
        }
        if !matches!(self.block, Block::None) {
            return Err(not_in_a_block("USE DATABASE"));
        }
        let adopted = self.adopt()?;
        let tenant = self.rights.tenant();
        let principals = &adopted.snapshot().principals;
        if principals.database_named(tenant, name).is_none() {
            return Err(Diagnostic::error(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{name}\" does not exist"),
            ));
        }
        let database = self.resolve(&adopted, tenant, Some(name))?;
        self.move_to(&adopted, database);
        Ok(Answer::Done(CommandTag::Plain("USE DATABASE")))
    }

    fn resolve(
        &self,
        adopted: &Adopted<Snapshot>,
        tenant: TenantId,
        database: Option<&str>,
    ) -> Result<DatabaseId, Diagnostic> {
        let grounds = self.identity.grounds();
        access::login(adopted.snapshot(), grounds, Some(tenant), database)
            .map_err(|error| error.with_severity(Severity::Error))
    }

    fn move_to(&mut self, adopted: &Adopted<Snapshot>, database: DatabaseId) {
        let moved = Identity {
            database,
            ..Identity::clone(&self.identity)
        };
        self.identity = Arc::new(moved);
        // Reached under this snapshot: it ends by the clock if at all.
        let valid_until = access::valid_until(adopted.snapshot(), &self.identity);
        let sessions = &self.services.sessions;
        sessions.move_to(
            &self.entry,
            self.identity.clone(),
            valid_until.unwrap_or(None),
        );
        self.rights = self.services.rights(adopted, &self.identity);
        // Plans and values belong to the database that was left.
        self.named = Default::default();
        self.effects = None;
    }
}
