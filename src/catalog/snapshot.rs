//! The catalog at one epoch: immutable, shared by pointer, made anew by each change.

use super::change::Marks;
use super::definition::Definitions;
use super::ids::{DatabaseId, Epoch, KeyId, PrincipalId, TenantId};
use super::index::{ByKeyId, Least, NameIndex};
use super::key::ApiKey;
use super::principal::{Database, Principal, PrincipalKind, Role, Tenant};
use super::provider::Provider;
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

/// Everything the server knows besides rows, at one epoch. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Which state this is.
    pub epoch: Epoch,
    /// Tenants, users, roles, databases, keys, providers.
    pub principals: Principals,
    /// Tables and what belongs to them.
    pub definitions: Definitions,
}

/// The maps of the principals' half.
#[derive(Clone, Debug, Default)]
pub struct Principals {
    pub(super) tenants: OrdMap<TenantId, Arc<Tenant>>,
    pub(super) tenant_names: OrdMap<Arc<str>, TenantId>,
    pub(super) principals: OrdMap<PrincipalId, Arc<Principal>>,
    pub(super) principal_names: NameIndex<PrincipalId>,
    pub(super) roles: OrdMap<(TenantId, Arc<str>), Arc<Role>>,
    pub(super) role_ids: OrdMap<PrincipalId, (TenantId, Arc<str>)>,
    pub(super) databases: OrdMap<DatabaseId, Arc<Database>>,
    pub(super) database_names: OrdMap<(TenantId, Arc<str>), DatabaseId>,
    pub(super) keys: ByKeyId<Arc<ApiKey>>,
    pub(super) key_names: NameIndex<KeyId>,
    pub(super) keys_of: OrdSet<(PrincipalId, KeyId)>,
    pub(super) providers: OrdMap<PrincipalId, Arc<Provider>>,
    pub(super) provider_names: OrdMap<(TenantId, Arc<str>), PrincipalId>,
    pub(super) provider_issuers: OrdSet<(Arc<str>, PrincipalId)>,
    pub(super) marks: Marks,
}

/// What somebody is called in records of what happened, and whose administrators may read of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The login name; `provider NAME` for who goes by an identity provider.
    pub name: String,
    /// The home tenant.
    pub tenant: TenantId,
}

impl Principals {
    /// Whether this is the state before the first start.
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// How many objects there are, of all kinds.
    pub fn count(&self) -> usize {
        self.tenants.len()
            + self.principals.len()
            + self.roles.len()
            + self.databases.len()
            + self.keys.len()
            + self.providers.len()
    }

    /// The user or service account with this id.
    pub fn principal(&self, id: PrincipalId) -> Option<&Arc<Principal>> {
        self.principals.get(&id)
    }

    /// What a user, a service account, or whoever goes by the provider of this id is called.
    pub fn called(&self, id: PrincipalId) -> Option<Called> {
        let record = self.principal(id);
        let record = record.map(|it| (it.name.to_string(), it.tenant));
        let provider = || {
            let provider = self.provider(id)?;
            Some((format!("provider {}", provider.name), provider.tenant))
        };
        let (name, tenant) = record.or_else(provider)?;
        Some(Called { name, tenant })
    }

    /// The user or service account of this name; names are unique in the whole server.
    pub fn principal_named(&self, name: &str) -> Option<&Arc<Principal>> {
        self.principal_names
            .candidates(name)
            .filter_map(|id| self.principals.get(&id))
            .find(|principal| &*principal.name == name)
    }

    /// Who owns what this principal makes in this database: a user does, but what a service
    /// account makes, or who goes by an identity provider, belongs to the database's owner
    /// (REFERENCE §9).
    pub fn owner_of_new(&self, maker: PrincipalId, database: DatabaseId) -> PrincipalId {
        let is_account = self
            .principal(maker)
            .is_some_and(|maker| matches!(maker.kind, PrincipalKind::ServiceAccount { .. }));
        let owns_nothing = is_account || self.provider(maker).is_some();
        match self.database(database) {
            Some(database) if owns_nothing => database.owner,
            _ => maker,
        }
    }

    /// All users and service accounts, by id.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.principals.values()
    }

    /// The tenant.
    pub fn tenant(&self, id: TenantId) -> Option<&Arc<Tenant>> {
        self.tenants.get(&id)
    }

    /// The tenant of this name.
    pub fn tenant_named(&self, name: &str) -> Option<&Arc<Tenant>> {
        let id = self.tenant_names.get(name)?;
        self.tenants.get(id)
    }

    /// All tenants, by id.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// The custom role of this tenant.
    pub fn role(&self, tenant: TenantId, name: &str) -> Option<&Arc<Role>> {
        self.roles.get(&(tenant, Arc::from(name)))
    }

    /// The custom role with this id.
    pub fn role_by_id(&self, id: PrincipalId) -> Option<&Arc<Role>> {
        self.role_ids.get(&id).and_then(|key| self.roles.get(key))
    }

    /// The name of a user, service account or custom role, as grants and owners point at them.
    pub fn name_of(&self, id: PrincipalId) -> Option<&Arc<str>> {
        match self.principals.get(&id) {
            Some(principal) => Some(&principal.name),
            None => self.role_by_id(id).map(|role| &role.name),
        }
    }

    /// All custom roles.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values()
    }

    /// The database with this id.
    pub fn database(&self, id: DatabaseId) -> Option<&Arc<Database>> {
        self.databases.get(&id)
    }

    /// The database of this name in the tenant.
    pub fn database_named(&self, tenant: TenantId, name: &str) -> Option<&Arc<Database>> {
        let id = self.database_names.get(&(tenant, Arc::from(name)))?;
        self.databases.get(id)
    }

    /// All databases, by id.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.databases.values()
    }

    /// The API key with this id.
    pub fn key(&self, id: KeyId) -> Option<&Arc<ApiKey>> {
        self.keys.get(&id)
    }

    /// The API key of this name in the tenant.
    pub fn key_named(&self, tenant: TenantId, name: &str) -> Option<&Arc<ApiKey>> {
        self.key_names
            .candidates((tenant, name))
            .filter_map(|id| self.keys.get(&id))
            .find(|key| key.tenant == tenant && &*key.name == name)
    }

    /// The API keys that belong to a user or service account.
    pub fn keys_of(&self, owner: PrincipalId) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.keys_of
            .range((owner, KeyId::LEAST)..)
            .take_while(move |(found, _)| *found == owner)
            .filter_map(|(_, id)| self.keys.get(id))
    }

    /// All API keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.keys.values()
    }

    /// The identity provider with this id.
    pub fn provider(&self, id: PrincipalId) -> Option<&Arc<Provider>> {
        self.providers.get(&id)
    }

    /// The identity provider of this name in the tenant.
    pub fn provider_named(&self, tenant: TenantId, name: &str) -> Option<&Arc<Provider>> {
        let id = self.provider_names.get(&(tenant, Arc::from(name)))?;
        self.providers.get(id)
    }

    /// The identity providers, of all tenants, whose tokens have this `iss`.
    pub fn providers_of(&self, issuer: &str) -> impl Iterator<Item = &Arc<Provider>> {
        let issuer: Arc<str> = Arc::from(issuer);
        self.provider_issuers
            .range((issuer.clone(), PrincipalId::LEAST)..)
            .take_while(move |(found, _)| *found == issuer)
            .filter_map(|(_, id)| self.providers.get(id))
    }

    /// Whether no provider has changed between the two. Costs nothing; may say no where none has.
    pub fn has_the_providers_of(&self, other: &Principals) -> bool {
        self.providers.ptr_eq(&other.providers)
    }

    /// All identity providers, by id.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }
}
