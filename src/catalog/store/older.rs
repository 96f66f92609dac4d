//! Changes and objects as formats 1 to 3 of the catalog's files have them: without limits, and a user with
//! one password.
//!
//! bincode writes fields one after another and says nothing about them, so what was written without a
//! field has to be read without it. What has not changed since is read as it is.

use super::super::allowance::Allowance;
use super::super::change::Change;
use super::super::ids::{DatabaseId, KeyId, PrincipalId, TenantId};
use super::super::key::{ApiKey, PreviousSecret, SecretHash};
use super::super::passwords::Passwords;
use super::super::principal::{Database, Parent, Principal, PrincipalKind, Role, Tenant};
use super::super::provider::Provider;
use super::super::role::Ladder;
use super::super::verifier::Verifier;
use ipnet::IpNet;
use serde::Deserialize;
#[cfg(test)]
use serde::Serialize;
use std::num::NonZeroU32;
use std::sync::Arc;

/// The last format that has these.
pub const OLDER_FORMAT: u32 = 3;

/// [`Change`]
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub enum OlderChange {
    PutTenant(OlderTenant),
    DropTenant(TenantId),
    PutPrincipal(OlderPrincipal),
    DropPrincipal(PrincipalId),
    PutRole(Arc<Role>),
    DropRole(PrincipalId),
    PutDatabase(Arc<Database>),
    DropDatabase(DatabaseId),
    PutKey(OlderKey),
    DropKey(KeyId),
    PutProvider(Arc<Provider>),
    DropProvider(PrincipalId),
}

/// [`Tenant`]
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub struct OlderTenant {
    id: TenantId,
    name: Arc<str>,
    default_database: DatabaseId,
}

/// [`Principal`]
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub struct OlderPrincipal {
    id: PrincipalId,
    name: Arc<str>,
    tenant: TenantId,
    ladder: Vec<Ladder>,
    roles: Vec<Arc<str>>,
    enabled: bool,
    valid_until: Option<i64>,
    created_at: i64,
    kind: OlderKind,
}

/// [`PrincipalKind`]
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
enum OlderKind {
    User {
        verifier: Option<Verifier>,
        default_database: Option<DatabaseId>,
        connect: Vec<DatabaseId>,
    },
    ServiceAccount {
        databases: Vec<DatabaseId>,
    },
}

/// [`ApiKey`]
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub struct OlderKey {
    id: KeyId,
    name: Arc<str>,
    tenant: TenantId,
    owner: PrincipalId,
    secret: SecretHash,
    generation: u32,
    previous: Option<Box<PreviousSecret>>,
    role: Option<Parent>,
    databases: Option<Box<[DatabaseId]>>,
    scopes: Option<Box<[Arc<str>]>>,
    networks: Option<Box<[IpNet]>>,
    rate_per_second: Option<NonZeroU32>,
    created_at: i64,
    expires_at: Option<i64>,
}

impl From<OlderChange> for Change {
    fn from(older: OlderChange) -> Change {
        match older {
            OlderChange::PutTenant(tenant) => Change::PutTenant(tenant.into()),
            OlderChange::DropTenant(id) => Change::DropTenant(id),
            OlderChange::PutPrincipal(principal) => Change::PutPrincipal(principal.into()),
            OlderChange::DropPrincipal(id) => Change::DropPrincipal(id),
            OlderChange::PutRole(role) => Change::PutRole(role),
            OlderChange::DropRole(id) => Change::DropRole(id),
            OlderChange::PutDatabase(database) => Change::PutDatabase(database),
            OlderChange::DropDatabase(id) => Change::DropDatabase(id),
            OlderChange::PutKey(key) => Change::PutKey(key.into()),
            OlderChange::DropKey(id) => Change::DropKey(id),
            OlderChange::PutProvider(provider) => Change::PutProvider(provider),
            OlderChange::DropProvider(id) => Change::DropProvider(id),
        }
    }
}

impl From<OlderTenant> for Arc<Tenant> {
    fn from(older: OlderTenant) -> Arc<Tenant> {
        Arc::new(Tenant {
            id: older.id,
            name: older.name,
            default_database: older.default_database,
            allowance: Allowance::default(),
        })
    }
}

impl From<OlderPrincipal> for Arc<Principal> {
    fn from(older: OlderPrincipal) -> Arc<Principal> {
        Arc::new(Principal {
            id: older.id,
            name: older.name,
            tenant: older.tenant,
            ladder: older.ladder,
            roles: older.roles,
            enabled: older.enabled,
            valid_until: older.valid_until,
            created_at: older.created_at,
            allowance: Allowance::default(),
            kind: match older.kind {
                OlderKind::User {
                    verifier,
                    default_database,
                    connect,
                } => PrincipalKind::User {
                    passwords: Passwords::from(verifier),
                    default_database,
                    connect,
                },
                OlderKind::ServiceAccount { databases } => {
                    PrincipalKind::ServiceAccount { databases }
                }
            },
        })
    }
}

impl From<OlderKey> for Arc<ApiKey> {
    fn from(older: OlderKey) -> Arc<ApiKey> {
        Arc::new(ApiKey {
            id: older.id,
            name: older.name,
            tenant: older.tenant,
            owner: older.owner,
            secret: older.secret,
            generation: older.generation,
            previous: older.previous,
            role: older.role,
            databases: older.databases,
            scopes: older.scopes,
            networks: older.networks,
            rate_per_second: older.rate_per_second,
            allowance: Allowance::default(),
            created_at: older.created_at,
            expires_at: older.expires_at,
        })
    }
}

/// What a server of an older format would have written, for tests.
#[cfg(test)]
pub mod written {
    use super::*;

    impl From<&Change> for OlderChange {
        fn from(change: &Change) -> OlderChange {
            match change.clone() {
                Change::PutTenant(tenant) => OlderChange::PutTenant((&*tenant).into()),
                Change::DropTenant(id) => OlderChange::DropTenant(id),
                Change::PutPrincipal(it) => OlderChange::PutPrincipal((&*it).into()),
                Change::DropPrincipal(id) => OlderChange::DropPrincipal(id),
                Change::PutRole(role) => OlderChange::PutRole(role),
                Change::DropRole(id) => OlderChange::DropRole(id),
                Change::PutDatabase(database) => OlderChange::PutDatabase(database),
                Change::DropDatabase(id) => OlderChange::DropDatabase(id),
                Change::PutKey(key) => OlderChange::PutKey((&*key).into()),
                Change::DropKey(id) => OlderChange::DropKey(id),
                Change::PutProvider(provider) => OlderChange::PutProvider(provider),
                Change::DropProvider(id) => OlderChange::DropProvider(id),
            }
        }
    }

    impl From<&Tenant> for OlderTenant {
        fn from(tenant: &Tenant) -> OlderTenant {
            OlderTenant {
                id: tenant.id,
                name: tenant.name.clone(),
                default_database: tenant.default_database,
            }
        }
    }

    impl From<&Principal> for OlderPrincipal {
        fn from(it: &Principal) -> OlderPrincipal {
            let it = it.clone();
            OlderPrincipal {
                id: it.id,
                name: it.name,
                tenant: it.tenant,
                ladder: it.ladder,
                roles: it.roles,
                enabled: it.enabled,
                valid_until: it.valid_until,
                created_at: it.created_at,
                kind: match it.kind {
                    PrincipalKind::User {
                        passwords,
                        default_database,
                        connect,
                    } => OlderKind::User {
                        verifier: passwords.verifier().cloned(),
                        default_database,
                        connect,
                    },
                    PrincipalKind::ServiceAccount { databases } => {
                        OlderKind::ServiceAccount { databases }
                    }
                },
            }
        }
    }

    impl From<&ApiKey> for OlderKey {
        fn from(key: &ApiKey) -> OlderKey {
            let key = key.clone();
            OlderKey {
                id: key.id,
                name: key.name,
                tenant: key.tenant,
                owner: key.owner,
                secret: key.secret,
                generation: key.generation,
                previous: key.previous,
                role: key.role,
                databases: key.databases,
                scopes: key.scopes,
                networks: key.networks,
                rate_per_second: key.rate_per_second,
                created_at: key.created_at,
                expires_at: key.expires_at,
            }
        }
    }
}
