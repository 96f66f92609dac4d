//! Who and what the catalog knows: tenants, users, service accounts, custom roles, databases.
//!
//! API keys stand in `key`, identity providers in `provider`.

use super::allowance::Allowance;
use super::ids::{DatabaseId, PrincipalId, TenantId};
use super::passwords::Passwords;
use super::role::Ladder;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A tenant (REFERENCE §7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// 0 is `system`.
    pub id: TenantId,
    /// Unique.
    pub name: Arc<str>,
    /// Its default database, named `nodedb`.
    pub default_database: DatabaseId,
    /// CONNECTION LIMIT, STATEMENT LIMIT: of all its logins together.
    pub allowance: Allowance,
}

/// Which name space a login name belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PrincipalKind {
    /// Logs in with a password (if it has one), a certificate, keys of its own.
    User {
        /// What its password is checked against.
        passwords: Passwords,
        /// SET DEFAULT DATABASE; None is the tenant's.
        default_database: Option<DatabaseId>,
        /// Databases opened with GRANT CONNECT.
        connect: Vec<DatabaseId>,
    },
    /// Never logs in by password; its databases are this list and nothing else.
    ServiceAccount {
        /// FOR DATABASE / SET DATABASES; the first is its default.
        databases: Vec<DatabaseId>,
    },
}

/// A user or a service account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    /// Never reused.
    pub id: PrincipalId,
    /// Unique in the whole server.
    pub name: Arc<str>,
    /// Its tenant.
    pub tenant: TenantId,
    /// Built-in roles held directly (normally one).
    pub ladder: Vec<Ladder>,
    /// Custom roles held directly, by name in the tenant.
    pub roles: Vec<Arc<str>>,
    /// DISABLE / ENABLE.
    pub enabled: bool,
    /// VALID UNTIL, Unix microseconds.
    pub valid_until: Option<i64>,
    /// CREATE time, Unix microseconds.
    pub created_at: i64,
    /// CONNECTION LIMIT, STATEMENT LIMIT.
    pub allowance: Allowance,
    /// User or service account.
    pub kind: PrincipalKind,
}

/// What a custom role may inherit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parent {
    /// A rung of the ladder.
    Ladder(Ladder),
    /// Another custom role of the tenant.
    Role(Arc<str>),
}

/// A custom role: holds table grants (which name it), may inherit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// From the same sequence as users, never reused; grants name it (also pg_roles.oid).
    pub id: PrincipalId,
    /// Unique in the tenant; never a rung's name, nor a login name of the tenant.
    pub name: Arc<str>,
    /// Its tenant.
    pub tenant: TenantId,
    /// INHERIT.
    pub parent: Option<Parent>,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// pg_database.oid.
    pub id: DatabaseId,
    /// Unique in the tenant.
    pub name: Arc<str>,
    /// Its tenant.
    pub tenant: TenantId,
    /// Who made it.
    pub owner: PrincipalId,
}
