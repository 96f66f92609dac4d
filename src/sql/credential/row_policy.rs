//! CREATE and DROP RLS POLICY (REFERENCE §1). PostgreSQL's CREATE POLICY goes the way of its syntax tree
//! and ends in the same [`NewRowPolicy`].

use super::cursor::Cursor;
use super::grant::table_name;
use super::statement::{CredentialStatement, TableName};
use crate::catalog::request::IfExists;
use crate::catalog::row_policy::{PolicyCommand, PolicyMode};
use crate::diagnostic::Diagnostic;

/// A change of a table's row policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowPolicyStatement {
    /// CREATE RLS POLICY
    Create(NewRowPolicy),
    /// DROP RLS POLICY
    Drop {
        /// IF EXISTS
        if_exists: IfExists,
        /// Its name.
        name: String,
        /// ON
        table: TableName,
    },
}

/// A row policy to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRowPolicy {
    /// Unique in its table.
    pub name: String,
    /// ON
    pub table: TableName,
    /// FOR
    pub command: PolicyCommand,
    /// RESTRICTIVE, or not.
    pub mode: PolicyMode,
    /// TO: users, accounts and roles; empty: everybody.
    pub roles: Vec<String>,
    /// USING, as text.
    pub using: Option<String>,
    /// WITH CHECK, as text.
    pub check: Option<String>,
}

type Parsed = Result<CredentialStatement, Diagnostic>;

/// After CREATE RLS POLICY.
pub fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let name = cursor.name()?;
    cursor.expect(&["on"])?;
    let table = table_name(cursor)?;
    let mut policy = NewRowPolicy {
        name,
        table,
        command: PolicyCommand::All,
        mode: PolicyMode::Permissive,
        roles: Vec::new(),
        using: None,
        check: None,
    };
    if cursor.take(&["for"]) {
        policy.command = command(cursor)?;
    }
    cursor.expect(&["using"])?;
    policy.using = Some(cursor.parenthesized()?.to_owned());
    if cursor.take(&["restrictive"]) {
        policy.mode = PolicyMode::Restrictive;
    } else {
        cursor.take(&["permissive"]);
    }
    let create = RowPolicyStatement::Create(policy);
    Ok(CredentialStatement::RowPolicy(create))
}

fn command(cursor: &mut Cursor<'_>) -> Result<PolicyCommand, Diagnostic> {
    let known = [
        ("read", PolicyCommand::Read),
        ("write", PolicyCommand::Write),
        ("all", PolicyCommand::All),
    ];
    let found = known.into_iter().find(|(word, _)| cursor.take(&[word]));
    found
        .map(|(_, command)| command)
        .ok_or_else(|| cursor.unexpected().with_hint("FOR READ, WRITE or ALL."))
}

/// After DROP RLS POLICY.
pub fn drop(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    cursor.expect(&["on"])?;
    let table = table_name(cursor)?;
    Ok(CredentialStatement::RowPolicy(RowPolicyStatement::Drop {
        if_exists,
        name,
        table,
    }))
}
