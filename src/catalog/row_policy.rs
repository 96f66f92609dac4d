//! Row policies as the catalog keeps them: of a table, with the rows (REFERENCE §3 "Row policies").

use super::ids::{Oid, PrincipalId};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What a relation's rows are guarded by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowSecurity {
    /// Whether its policies count.
    pub switch: RowSecuritySwitch,
    /// By name.
    pub policies: Vec<Policy>,
    /// What the engine has made of them, for as long as the definition stays what it is.
    #[serde(skip)]
    pub compiled: Memo,
}

/// Whether a table's policies count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowSecuritySwitch {
    /// As soon as there is one: nobody has said otherwise.
    #[default]
    ByPolicies,
    /// ENABLE ROW LEVEL SECURITY: without a policy nothing is shown.
    Enabled,
    /// DISABLE ROW LEVEL SECURITY
    Disabled,
}

/// A row policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// pg_policy.oid
    pub oid: Oid,
    /// Unique in its table.
    pub name: Arc<str>,
    /// Which statements it is about.
    pub command: PolicyCommand,
    /// How it joins the others.
    pub mode: PolicyMode,
    /// TO: users, accounts and roles; empty: everybody.
    pub roles: Vec<PrincipalId>,
    /// Of rows that are there, as canonical SQL text.
    pub using: Option<Arc<str>>,
    /// Of new rows; None: as `using`.
    pub check: Option<Arc<str>>,
}

/// FOR: the statements that a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyCommand {
    /// ALL
    All,
    /// READ, and PostgreSQL's SELECT
    Read,
    /// WRITE: INSERT, UPDATE and DELETE
    Write,
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
}

/// Whether a policy shows rows, or takes away from what others show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyMode {
    /// One of them must hold.
    Permissive,
    /// All of them must.
    Restrictive,
}

/// What a statement does to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowAccess {
    /// Looks at it.
    Read,
    /// Makes it.
    Insert,
    /// Changes it, or locks it to.
    Update,
    /// Takes it away.
    Delete,
}

impl RowSecurity {
    /// Whether rows are shown to those only whom a policy shows them.
    pub fn in_force(&self) -> bool {
        match self.switch {
            RowSecuritySwitch::ByPolicies => !self.policies.is_empty(),
            RowSecuritySwitch::Enabled => true,
            RowSecuritySwitch::Disabled => false,
        }
    }

    /// The policy of this name.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| &*policy.name == name)
    }
}

impl PolicyCommand {
    /// Whether a policy for these statements has a say in what one of them does.
    pub fn is_about(self, access: RowAccess) -> bool {
        match self {
            PolicyCommand::All => true,
            PolicyCommand::Read => access == RowAccess::Read,
            PolicyCommand::Write => access != RowAccess::Read,
            PolicyCommand::Insert => access == RowAccess::Insert,
            PolicyCommand::Update => access == RowAccess::Update,
            PolicyCommand::Delete => access == RowAccess::Delete,
        }
    }

    /// As SHOW RLS POLICIES says it.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyCommand::All => "ALL",
            PolicyCommand::Read => "READ",
            PolicyCommand::Write => "WRITE",
            PolicyCommand::Insert => "INSERT",
            PolicyCommand::Update => "UPDATE",
            PolicyCommand::Delete => "DELETE",
        }
    }
}

impl PolicyMode {
    /// As SHOW RLS POLICIES says it.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyMode::Permissive => "permissive",
            PolicyMode::Restrictive => "restrictive",
        }
    }
}

/// Something worked out of a definition by a room above, kept with it: a changed definition is a
/// clone, which has none. Two definitions do not differ by it.
#[derive(Default)]
pub struct Memo(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Memo {
    /// What is kept, or what `make` gives, which is kept from then on.
    pub fn get_or_make<T: Send + Sync + 'static>(&self, make: impl Fn() -> T) -> Arc<T> {
        let kept = self.0.get_or_init(|| Arc::new(make()));
        // One room keeps one kind of thing here.
        Arc::downcast(kept.clone()).unwrap_or_else(|_| Arc::new(make()))
    }
}

impl Clone for Memo {
    fn clone(&self) -> Memo {
        Memo::default()
    }
}

impl PartialEq for Memo {
    fn eq(&self, _: &Memo) -> bool {
        true
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}
