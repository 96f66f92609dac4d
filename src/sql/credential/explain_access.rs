//! EXPLAIN ACCESS SELECT|INSERT|UPDATE|DELETE ON t FOR USER name.

use super::cursor::Cursor;
use super::grant::table_name;
use super::statement::{CredentialStatement, Show, TableName};
use crate::catalog::row_policy::RowAccess;
use crate::diagnostic::Diagnostic;

/// What EXPLAIN ACCESS asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainAccess {
    /// What would be done.
    pub access: RowAccess,
    /// To which table.
    pub table: TableName,
    /// By whom: a user or service account.
    pub login: String,
}

/// After EXPLAIN ACCESS.
pub fn parse(cursor: &mut Cursor<'_>) -> Result<CredentialStatement, Diagnostic> {
    let known = [
        ("select", RowAccess::Read),
        ("insert", RowAccess::Insert),
        ("update", RowAccess::Update),
        ("delete", RowAccess::Delete),
    ];
    let found = known.into_iter().find(|(word, _)| cursor.take(&[word]));
    let access = match found {
        Some((_, access)) => access,
        None => return Err(cursor.unexpected()),
    };
    cursor.expect(&["on"])?;
    let table = table_name(cursor)?;
    cursor.expect(&["for"])?;
    if !cursor.take(&["user"]) {
        cursor.expect(&["service", "account"])?;
    }
    let login = cursor.name()?;
    Ok(CredentialStatement::Show(Show::Access(ExplainAccess {
        access,
        table,
        login,
    })))
}
