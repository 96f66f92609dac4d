//! One step of an epoch: what the log records and what makes the next [`Principals`].
//!
//! A change carries the object as it is afterwards, so that applying one needs no decision: all
//! checks were made by `control` before it was written. Applying is deterministic and total, the
//! same on the control core, at recovery and in a test's model.

use super::ids::{DatabaseId, FIRST_USER_OID, KeyId, PrincipalId, TenantId};
use super::key::ApiKey;
use super::principal::{Database, Principal, Role, Tenant};
use super::provider::Provider;
use super::revocation::Subject;
use super::snapshot::Principals;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One step of an epoch. The order of the variants is part of the log's format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// Made, or replaced under the same id.
    PutTenant(Arc<Tenant>),
    /// Gone. What belonged to it has been dropped before.
    DropTenant(TenantId),
    /// Made, or replaced under the same id.
    PutPrincipal(Arc<Principal>),
    /// Gone; its id is never given again.
    DropPrincipal(PrincipalId),
    /// Made, or replaced under the same id.
    PutRole(Arc<Role>),
    /// Gone; its id is never given again.
    DropRole(PrincipalId),
    /// Made, or replaced under the same id.
    PutDatabase(Arc<Database>),
    /// Gone; its id is never given again.
    DropDatabase(DatabaseId),
    /// Made, or replaced under the same id.
    PutKey(Arc<ApiKey>),
    /// Gone.
    DropKey(KeyId),
    /// Made, or replaced under the same id.
    PutProvider(Arc<Provider>),
    /// Gone; its id is never given again.
    DropProvider(PrincipalId),
}

/// The next ids to give: they only grow, so that no id is ever given twice, dropped or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Users, service accounts, custom roles and identity providers.
    pub next_principal: u32,
    /// Databases.
    pub next_database: u32,
    /// Tenants that CREATE TENANT does not number.
    pub next_tenant: u32,
}

impl Default for Marks {
    fn default() -> Self {
        Marks {
            next_principal: FIRST_USER_OID,
            next_database: FIRST_USER_OID,
            next_tenant: 1,
        }
    }
}

impl Marks {
    fn saw_principal(&mut self, id: PrincipalId) {
        self.next_principal = self.next_principal.max(id.0.saturating_add(1));
    }

    fn saw_database(&mut self, id: DatabaseId) {
        self.next_database = self.next_database.max(id.0.saturating_add(1));
    }

    fn saw_tenant(&mut self, id: TenantId) {
        self.next_tenant = self.next_tenant.max(id.0.saturating_add(1));
    }
}

impl Change {
    /// Whose sessions it may end.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Change::PutPrincipal(principal) => Some(Subject::Principal(principal.id)),
            Change::DropPrincipal(id) => Some(Subject::Principal(*id)),
            Change::PutDatabase(database) => Some(Subject::Database(database.id)),
            Change::DropDatabase(id) => Some(Subject::Database(*id)),
            Change::PutKey(key) => Some(Subject::Key(key.id)),
            Change::DropKey(id) => Some(Subject::Key(*id)),
            Change::PutProvider(provider) => Some(Subject::Provider(provider.id)),
            Change::DropProvider(id) => Some(Subject::Provider(*id)),
            Change::PutTenant(_)
            | Change::DropTenant(_)
            | Change::PutRole(_)
            | Change::DropRole(_) => None,
        }
    }
}

impl Principals {
    /// The next ids to give.
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Makes up for ids whose holders are gone, as a snapshot file remembers them.
    pub(super) fn raise_marks(&mut self, marks: Marks) {
        self.marks.next_principal = self.marks.next_principal.max(marks.next_principal);
        self.marks.next_database = self.marks.next_database.max(marks.next_database);
        self.marks.next_tenant = self.marks.next_tenant.max(marks.next_tenant);
    }

    /// Applies one change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutTenant(tenant) => self.put_tenant(tenant),
            Change::DropTenant(id) => self.drop_tenant(*id),
            Change::PutPrincipal(principal) => self.put_principal(principal),
            Change::DropPrincipal(id) => self.drop_principal(*id),
            Change::PutRole(role) => self.put_role(role),
            Change::DropRole(id) => self.drop_role(*id),
            Change::PutDatabase(database) => self.put_database(database),
            Change::DropDatabase(id) => self.drop_database(*id),
            Change::PutKey(key) => self.put_key(key),
            Change::DropKey(id) => self.drop_key(*id),
            Change::PutProvider(provider) => self.put_provider(provider),
            Change::DropProvider(id) => self.drop_provider(*id),
        }
    }

    fn put_tenant(&mut self, tenant: &Arc<Tenant>) {
        self.marks.saw_tenant(tenant.id);
        self.drop_tenant(tenant.id);
        self.tenant_names.insert(tenant.name.clone(), tenant.id);
        self.tenants.insert(tenant.id, tenant.clone());
    }

    fn drop_tenant(&mut self, id: TenantId) {
        if let Some(old) = self.tenants.remove(&id) {
            self.tenant_names.remove(&old.name);
        }
    }

    fn put_principal(&mut self, principal: &Arc<Principal>) {
        self.marks.saw_principal(principal.id);
        self.drop_principal(principal.id);
        self.principal_names.insert(&*principal.name, principal.id);
        self.principals.insert(principal.id, principal.clone());
    }

    fn drop_principal(&mut self, id: PrincipalId) {
        if let Some(old) = self.principals.remove(&id) {
            self.principal_names.remove(&*old.name, id);
        }
    }

    fn put_role(&mut self, role: &Arc<Role>) {
        self.marks.saw_principal(role.id);
        self.drop_role(role.id);
        let key = (role.tenant, role.name.clone());
        self.role_ids.insert(role.id, key.clone());
        self.roles.insert(key, role.clone());
    }

    fn drop_role(&mut self, id: PrincipalId) {
        if let Some(key) = self.role_ids.remove(&id) {
            self.roles.remove(&key);
        }
    }

    fn put_database(&mut self, database: &Arc<Database>) {
        self.marks.saw_database(database.id);
        self.drop_database(database.id);
        let key = (database.tenant, database.name.clone());
        self.database_names.insert(key, database.id);
        self.databases.insert(database.id, database.clone());
    }

    fn drop_database(&mut self, id: DatabaseId) {
        if let Some(old) = self.databases.remove(&id) {
            self.database_names.remove(&(old.tenant, old.name.clone()));
        }
    }

    fn put_key(&mut self, key: &Arc<ApiKey>) {
        self.drop_key(key.id);
        self.key_names.insert((key.tenant, &*key.name), key.id);
        self.keys_of.insert((key.owner, key.id));
        self.keys.insert(key.id, key.clone());
    }

    fn drop_key(&mut self, id: KeyId) {
        if let Some(old) = self.keys.remove(&id) {
            self.key_names.remove((old.tenant, &*old.name), id);
            self.keys_of.remove(&(old.owner, id));
        }
    }

    fn put_provider(&mut self, provider: &Arc<Provider>) {
        self.marks.saw_principal(provider.id);
        self.drop_provider(provider.id);
        let name = (provider.tenant, provider.name.clone());
        self.provider_names.insert(name, provider.id);
        let issuer = (provider.issuer.clone(), provider.id);
        self.provider_issuers.insert(issuer);
        self.providers.insert(provider.id, provider.clone());
    }

    fn drop_provider(&mut self, id: PrincipalId) {
        if let Some(old) = self.providers.remove(&id) {
            self.provider_names.remove(&(old.tenant, old.name.clone()));
            self.provider_issuers.remove(&(old.issuer.clone(), id));
        }
    }
}
