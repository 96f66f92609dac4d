//! Names to what they stand for, as the asking tenant sees them; errors carry the missing
//! statement as a hint (REFERENCE §1).

use super::draft::Draft;
use crate::access::rights::Held;
use crate::catalog::TenantId;
use crate::catalog::principal::{Database, Parent, Principal, PrincipalKind, Tenant};
use crate::catalog::request::TenantRef;
use crate::catalog::role::Ladder;
use crate::diagnostic::{Diagnostic, SqlState};
use std::str::FromStr;
use std::sync::Arc;

/// The longest name in bytes: PostgreSQL's NAMEDATALEN − 1.
pub const NAME_BYTES_MAX: usize = 63;

/// Names nobody may take, besides those of the ladder and those that begin with `pg_`:
/// PostgreSQL's keywords for roles.
const RESERVED_NAMES: [&str; 5] = [
    "public",
    "none",
    "current_user",
    "current_role",
    "session_user",
];

/// A login name or a custom role's that may be taken.
///
/// # Errors
/// 42602, 42622, or 42939 (PostgreSQL's reserved_name).
pub fn new_role_name(name: &str) -> Result<Arc<str>, Diagnostic> {
    let reserved =
        RESERVED_NAMES.contains(&name) || name.starts_with("pg_") || Ladder::from_str(name).is_ok();
    if reserved {
        return Err(Diagnostic::error(
            SqlState::new("42939"),
            format!("role name \"{name}\" is reserved"),
        ));
    }
    new_name(name)
}

/// A name of any other kind that may be taken.
///
/// # Errors
/// 42602 for an empty one or one with control characters, 42622 for one that is too long.
pub fn new_name(name: &str) -> Result<Arc<str>, Diagnostic> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Diagnostic::error(
            SqlState::INVALID_NAME,
            "a name must not be empty nor contain control characters",
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(Diagnostic::error(
            SqlState::NAME_TOO_LONG,
            format!("a name must not be longer than {NAME_BYTES_MAX} bytes"),
        ));
    }
    Ok(Arc::from(name))
}

/// A role that may be given: a rung, or a custom role.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenRole {
    /// Which.
    pub role: Parent,
    /// The rung that comes with it.
    pub rung: Option<Ladder>,
}

impl Draft {
    /// A user or service account in sight.
    pub fn find_principal(&self, name: &str) -> Option<Arc<Principal>> {
        self.snapshot()
            .principals
            .principal_named(name)
            .filter(|principal| self.by.sees(principal))
            .cloned()
    }

    /// A user in sight.
    ///
    /// # Errors
    /// 42704; 42809 for a service account or a custom role.
    pub fn user(&self, name: &str) -> Result<Arc<Principal>, Diagnostic> {
        match self.find_principal(name) {
            Some(principal) => match principal.kind {
                PrincipalKind::User { .. } => Ok(principal),
                PrincipalKind::ServiceAccount { .. } => Err(Diagnostic::error(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{name}\" is a service account"),
                )),
            },
            None if self.is_role(name) => Err(Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{name}\" is a role, not a user"),
            )),
            None => Err(unknown_user(name)),
        }
    }

    /// Whether this is a rung or a custom role of the tenant in force.
    fn is_role(&self, name: &str) -> bool {
        let roles = &self.snapshot().principals;
        Ladder::from_str(name).is_ok() || roles.role(self.by.tenant, name).is_some()
    }

    /// A rung or a custom role of the tenant.
    ///
    /// # Errors
    /// 42704 with a hint; 42809 for a user.
    pub fn role(&self, tenant: TenantId, name: &str) -> Result<GivenRole, Diagnostic> {
        if let Ok(rung) = Ladder::from_str(name) {
            return Ok(GivenRole {
                role: Parent::Ladder(rung),
                rung: Some(rung),
            });
        }
        if let Some(role) = self.snapshot().principals.role(tenant, name) {
            return Ok(GivenRole {
                role: Parent::Role(role.name.clone()),
                rung: Held::of_role(self.snapshot(), tenant, name).rung,
            });
        }
        if self.find_principal(name).is_some() {
            return Err(Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{name}\" is a user, not a role"),
            ));
        }
        Err(unknown_role(name))
    }

    /// A database of the tenant.
    ///
    /// # Errors
    /// 3D000 with a hint.
    pub fn database(&self, tenant: TenantId, name: &str) -> Result<Arc<Database>, Diagnostic> {
        self.snapshot()
            .principals
            .database_named(tenant, name)
            .cloned()
            .ok_or_else(|| {
                Diagnostic::error(
                    SqlState::INVALID_CATALOG_NAME,
                    format!("database \"{name}\" does not exist"),
                )
                .with_hint(format!("CREATE DATABASE {}", quoted(name)))
            })
    }

    /// A tenant by number or name. Only superusers get this far.
    pub fn find_tenant(&self, tenant: &TenantRef) -> Option<Arc<Tenant>> {
        let principals = &self.snapshot().principals;
        match tenant {
            TenantRef::Id(id) => principals.tenant(*id).cloned(),
            TenantRef::Name(name) => principals.tenant_named(name).cloned(),
        }
    }
}

/// 42704 for a user, with the missing statement.
pub fn unknown_user(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("role \"{name}\" does not exist"),
    )
    .with_hint(format!("CREATE USER {} WITH PASSWORD '…'", quoted(name)))
}

/// 42704 for a role, with the missing statement.
pub fn unknown_role(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("role \"{name}\" does not exist"),
    )
    .with_hint(format!("CREATE ROLE {}", quoted(name)))
}

/// 42704 for a tenant, with the missing statement.
pub fn unknown_tenant(tenant: &TenantRef) -> Diagnostic {
    let (message, hint) = match tenant {
        TenantRef::Id(id) => (
            format!("tenant {id} does not exist"),
            format!("CREATE TENANT name ID {id}"),
        ),
        TenantRef::Name(name) => (
            format!("tenant \"{name}\" does not exist"),
            format!("CREATE TENANT {}", quoted(name)),
        ),
    };
    Diagnostic::error(SqlState::UNDEFINED_OBJECT, message).with_hint(hint)
}

/// 42710 for a user or role.
pub fn role_exists(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DUPLICATE_OBJECT,
        format!("role \"{name}\" already exists"),
    )
}

/// The name as a statement would have it: bare where it may be, else in double quotes.
pub fn quoted(name: &str) -> String {
    let bare = name
        .bytes()
        .enumerate()
        .all(|(at, byte)| matches!(byte, b'a'..=b'z' | b'_') || (at > 0 && byte.is_ascii_digit()));
    if bare && !name.is_empty() {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
