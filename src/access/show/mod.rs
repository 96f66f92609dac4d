//! SHOW USERS, SERVICE ACCOUNTS, API KEYS, ROLES, DATABASES, TENANTS, GRANTS and PERMISSIONS, from the
//! snapshot; SHOW TLS and SHOW OIDC PROVIDERS, from it and from what is in force.
//!
//! Columns: REFERENCE §1. Rows: of the tenant in force only, for a superuser of all tenants.
//! Users, roles and other people's grants are shown to admin and above (REFERENCE §2); databases
//! in reach, one's own grants and one's own permissions to everybody.

mod api_keys;
mod databases;
mod grants;
mod oidc_providers;
mod permissions;
mod roles;
mod row_policies;
mod service_accounts;
mod sessions;
mod tenants;
mod tls;
mod users;

pub(crate) use oidc_providers::describe as describe_rule;
pub use oidc_providers::oidc_providers;
pub use sessions::{revocations, sessions};
pub use tls::tls;

use super::rights::{Rights, denied, rights};
use super::standing::Standing;
use crate::auth::identity::Identity;
use crate::catalog::key_usage::KeyUsage;
use crate::catalog::principal::Principal;
use crate::catalog::role::Ladder;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::catalog::{Snapshot, TenantId};
use crate::diagnostic::Diagnostic;
use crate::sql::credential::Show;

/// A small result, in text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Names and types.
    pub columns: Vec<(&'static str, SqlType)>,
    /// Values in PostgreSQL's text form; None is NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Answers a SHOW, as much of it as the identity may see; `now` in Unix microseconds, `used` says
/// when each API key was last presented.
///
/// # Errors
/// 42501 for who may not see it; 42704 for FOR somebody who does not exist. SHOW SESSION,
/// SHOW SESSIONS and what else is not the catalog's, or not alone: XX000.
pub fn rows(
    show: &Show,
    snapshot: &Snapshot,
    identity: &Identity,
    now: i64,
    used: &KeyUsage,
) -> Result<Table, Diagnostic> {
    let viewer = Viewer {
        rights: rights(snapshot, identity),
        standing: Standing::of(snapshot, identity.grounds()).ok(),
        snapshot,
        now,
        used,
    };
    match show {
        Show::Users => users::rows(&viewer),
        Show::ServiceAccounts => service_accounts::rows(&viewer),
        Show::ApiKeys { of } => api_keys::rows(&viewer, of.as_deref()),
        Show::Roles => roles::rows(&viewer),
        Show::Databases => Ok(databases::rows(&viewer)),
        Show::Tenants => tenants::rows(&viewer),
        Show::Grants { of } => grants::rows(&viewer, of.as_deref()),
        Show::Permissions => Ok(permissions::rows(&viewer)),
        Show::RowPolicies { of } => row_policies::rows(&viewer, of.as_deref()),
        Show::Session
        | Show::Sessions
        | Show::Revocations
        | Show::Tls
        | Show::OidcProviders
        | Show::Access(_) => Err(Diagnostic::internal(
            "SHOW SESSION is answered by the session",
        )),
    }
}

/// Who looks, at what.
struct Viewer<'a> {
    rights: Rights,
    /// None for whoever is gone by now.
    standing: Option<Standing<'a>>,
    snapshot: &'a Snapshot,
    now: i64,
    used: &'a KeyUsage,
}

impl Viewer<'_> {
    /// Whether something of this tenant is in sight.
    fn sees(&self, tenant: TenantId) -> bool {
        self.rights.is_superuser() || tenant == self.rights.tenant()
    }

    /// SHOW of credentials: admin and above.
    fn require_admin(&self, what: &str) -> Result<(), Diagnostic> {
        if self.rights.reaches(Ladder::Admin) {
            return Ok(());
        }
        Err(denied(format!("permission denied to show {what}"))
            .with_detail("It takes the role admin or one above it."))
    }
}

pub(super) const TEXT: SqlType = SqlType::scalar(TypeKind::Text);
const TENANT_ID: SqlType = INTEGER;
const INTEGER: SqlType = SqlType::scalar(TypeKind::Int4);
const BOOL: SqlType = SqlType::scalar(TypeKind::Bool);

const TIMESTAMPTZ: SqlType = SqlType::scalar(TypeKind::Timestamptz);

/// The roles held directly, the highest rung first.
fn roles_of(principal: &Principal) -> String {
    let mut ladder = principal.ladder.clone();
    ladder.sort_unstable_by(|a, b| b.cmp(a));
    let ladder = ladder.iter().map(|rung| rung.to_string());
    let roles = principal.roles.iter().map(|role| role.to_string());
    ladder.chain(roles).collect::<Vec<_>>().join(", ")
}

/// Unix microseconds as a timestamptz is written, in UTC.
pub fn timestamp(microseconds: i64) -> Option<String> {
    chrono::DateTime::from_timestamp_micros(microseconds)
        .map(|time| time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string())
}

fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// PostgreSQL's text form of a boolean.
fn boolean(value: bool) -> Option<String> {
    Some(if value { "t" } else { "f" }.to_owned())
}
