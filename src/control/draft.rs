//! The catalog as one request is changing it: the changes so far, and the state they lead to.

use super::authority::Authority;
use crate::catalog::ids::FIRST_USER_OID;
use crate::catalog::principal::{Principal, Tenant};
use crate::catalog::{Change, DatabaseId, PrincipalId, Snapshot, TenantId};
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;

/// What a request works on. Thrown away when the request fails.
pub struct Draft {
    /// Who asks, on the catalog the request began with.
    pub by: Authority,
    /// Unix microseconds.
    pub now: i64,
    /// Notices for the client, in order.
    pub notices: Vec<Diagnostic>,
    snapshot: Snapshot,
    changes: Vec<Change>,
}

impl Draft {
    /// Begins with a catalog; costs nothing.
    pub fn new(by: Authority, snapshot: Snapshot, now: i64) -> Draft {
        Draft {
            by,
            now,
            notices: Vec::new(),
            snapshot,
            changes: Vec::new(),
        }
    }

    /// The catalog with the changes so far.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Makes one change.
    pub fn change(&mut self, change: Change) {
        self.snapshot.principals.apply(&change);
        self.changes.push(change);
    }

    /// A principal replaced by what the closure makes of it.
    pub fn change_principal(&mut self, old: &Principal, edit: impl FnOnce(&mut Principal)) {
        let mut next = old.clone();
        edit(&mut next);
        if next != *old {
            self.change(Change::PutPrincipal(Arc::new(next)));
        }
    }

    /// Makes one change of definitions, which the store does not keep: they live with the rows.
    pub fn drop_definitions_of(&mut self, database: DatabaseId) {
        let relations: Vec<_> = self
            .snapshot
            .definitions
            .of_database(database)
            .map(|relation| relation.oid)
            .collect();
        for oid in relations {
            let change = crate::catalog::definition::DefinitionChange::Drop(oid);
            self.snapshot.definitions = self.snapshot.definitions.with(&change);
        }
        let kept = self.snapshot.definitions.kept_schemas();
        let schemas: Vec<_> = kept
            .filter(|(of, ..)| *of == database)
            .map(|(_, name, _)| name.clone())
            .collect();
        for name in schemas {
            let definitions = &self.snapshot.definitions;
            self.snapshot.definitions = definitions.without_record_of(database, &name);
        }
        let types = self.snapshot.definitions.types_of(database);
        let types: Vec<_> = types.map(|known| known.type_id.oid).collect();
        for oid in types {
            let change = crate::catalog::definition::DefinitionChange::DropType(oid);
            self.snapshot.definitions = self.snapshot.definitions.with(&change);
        }
    }

    /// Adds a notice.
    pub fn notice(&mut self, notice: Diagnostic) {
        self.notices.push(notice);
    }

    /// A new id for a user, service account or custom role.
    ///
    /// # Errors
    /// 54000 when all four thousand million have been given.
    pub fn next_principal(&self) -> Result<PrincipalId, Diagnostic> {
        let next = self.snapshot.principals.marks().next_principal;
        given_out("user", next).map(PrincipalId)
    }

    /// A new id for a database.
    ///
    /// # Errors
    /// 54000 when all have been given.
    pub fn next_database(&self) -> Result<DatabaseId, Diagnostic> {
        let next = self.snapshot.principals.marks().next_database;
        given_out("database", next).map(DatabaseId)
    }

    /// A new id for a tenant that nobody numbered.
    ///
    /// # Errors
    /// 54000 when none is left above the highest.
    pub fn next_tenant(&self) -> Result<TenantId, Diagnostic> {
        let next = self.snapshot.principals.marks().next_tenant;
        if next > TENANT_ID_MAX {
            return Err(exhausted("tenant").with_hint("CREATE TENANT name ID n takes a free one."));
        }
        Ok(TenantId(next))
    }

    /// The tenant, which the catalog always has for whatever points at it.
    pub fn tenant(&self, id: TenantId) -> Arc<Tenant> {
        let tenant = self.snapshot.principals.tenant(id);
        tenant.expect("a tenant outlives what is in it").clone()
    }

    /// The changes, and the catalog they lead to.
    pub fn finish(self) -> (Snapshot, Vec<Change>, Vec<Diagnostic>) {
        (self.snapshot, self.changes, self.notices)
    }
}

/// The highest tenant number: clients read it as a 4-byte integer.
pub const TENANT_ID_MAX: u32 = i32::MAX as u32;

fn given_out(what: &str, next: u32) -> Result<u32, Diagnostic> {
    assert!(next >= FIRST_USER_OID, "marks begin above PostgreSQL's own");
    if next == u32::MAX {
        return Err(exhausted(what));
    }
    Ok(next)
}

fn exhausted(what: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("all {what} numbers have been given"),
    )
}
