//! How much may be used at once: CONNECTION LIMIT and STATEMENT LIMIT of tenants, logins and API keys.

use serde::{Deserialize, Serialize};

/// The limits of one tenant, login or API key; each counts for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Sessions at once; None: any number.
    pub connections: Option<u32>,
    /// Statements that run at once; None: any number.
    pub statements: Option<u32>,
}

/// What a statement changes of an [`Allowance`]: the outer None leaves a limit as it is, the inner one
/// (LIMIT -1, as PostgreSQL writes it) lifts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowanceChange {
    /// CONNECTION LIMIT
    pub connections: Option<Option<u32>>,
    /// STATEMENT LIMIT
    pub statements: Option<Option<u32>>,
}

impl AllowanceChange {
    /// The words that name what it changes.
    pub fn title(&self) -> &'static str {
        match (self.connections, self.statements) {
            (Some(_), None) => "CONNECTION LIMIT",
            (None, Some(_)) => "STATEMENT LIMIT",
            (Some(_), Some(_)) | (None, None) => "CONNECTION LIMIT STATEMENT LIMIT",
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == AllowanceChange::default()
    }

    /// The limits afterwards.
    pub fn applied_to(self, before: Allowance) -> Allowance {
        Allowance {
            connections: self.connections.unwrap_or(before.connections),
            statements: self.statements.unwrap_or(before.statements),
        }
    }
}
