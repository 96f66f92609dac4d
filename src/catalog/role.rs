//! The ladder of built-in roles (REFERENCE §2): each includes those before it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A rung of the ladder; the order of the variants is the order of the rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ladder {
    /// SELECT.
    ReadOnly,
    /// And INSERT, UPDATE, DELETE, COPY, TRUNCATE.
    ReadWrite,
    /// And definitions of its tenant, and SHOW of credentials.
    Admin,
    /// And users, service accounts, keys and grants of its tenant.
    TenantAdmin,
    /// Everything, across tenants.
    Superuser,
}

impl Ladder {
    /// All rungs, lowest first.
    pub const ALL: [Ladder; 5] = [
        Ladder::ReadOnly,
        Ladder::ReadWrite,
        Ladder::Admin,
        Ladder::TenantAdmin,
        Ladder::Superuser,
    ];

    /// The name in SQL.
    pub fn as_str(&self) -> &'static str {
        match self {
            Ladder::ReadOnly => "readonly",
            Ladder::ReadWrite => "readwrite",
            Ladder::Admin => "admin",
            Ladder::TenantAdmin => "tenant_admin",
            Ladder::Superuser => "superuser",
        }
    }
}

impl FromStr for Ladder {
    type Err = ();

    fn from_str(name: &str) -> Result<Ladder, ()> {
        Ladder::ALL
            .into_iter()
            .find(|rung| rung.as_str() == name)
            .ok_or(())
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
