//! CREATE ROLE and DROP ROLE: custom roles.

use super::cursor::Cursor;
use super::statement::CredentialStatement;
use super::user::option_of_postgresql;
use crate::catalog::Request;
use crate::diagnostic::Diagnostic;

type Parsed = Result<CredentialStatement, Diagnostic>;

/// After CREATE ROLE: `[IF NOT EXISTS] name [INHERIT parent]`.
pub fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    let parent = if cursor.take(&["inherit"]) {
        // PostgreSQL's INHERIT is an attribute without a parent, and its default.
        match cursor.at_end() {
            true => {
                return Err(Diagnostic::unsupported(
                    "CREATE ROLE … INHERIT without a role",
                ));
            }
            false => Some(cursor.name()?),
        }
    } else {
        None
    };
    if !cursor.at_end() {
        cursor.take(&["with"]);
        return Err(option_of_postgresql(cursor, "CREATE ROLE"));
    }
    Ok(CredentialStatement::Change(Request::CreateRole {
        if_exists,
        name,
        parent,
    }))
}

/// After DROP ROLE: `[IF EXISTS] name`.
pub fn drop(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    if cursor.take_symbol(',') {
        return Err(Diagnostic::unsupported("DROP ROLE of several names"));
    }
    Ok(CredentialStatement::Change(Request::DropRole {
        if_exists,
        name,
    }))
}
