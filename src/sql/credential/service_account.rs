//! CREATE SERVICE ACCOUNT, ALTER SERVICE ACCOUNT, DROP SERVICE ACCOUNT.

use super::cursor::Cursor;
use super::limits;
use super::statement::CredentialStatement;
use crate::catalog::Request;
use crate::diagnostic::{Diagnostic, SqlState};

type Parsed = Result<CredentialStatement, Diagnostic>;

/// After CREATE SERVICE ACCOUNT: `[IF NOT EXISTS] name FOR DATABASE d [ROLE r] [TENANT id]`.
pub fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    cursor.expect(&["for", "database"])?;
    let database = cursor.name()?;
    let mut role = None;
    let mut tenant = None;
    while !cursor.at_end() {
        let taken = match cursor.at("role") {
            true => role.is_some(),
            false => tenant.is_some(),
        };
        if taken && (cursor.at("role") || cursor.at("tenant")) {
            return Err(cursor.error(SqlState::SYNTAX_ERROR, "conflicting or redundant options"));
        }
        if cursor.take(&["role"]) {
            role = Some(cursor.name()?);
        } else if cursor.take(&["tenant"]) {
            tenant = Some(cursor.tenant()?);
        } else if cursor.at("password") {
            return Err(cursor
                .error(
                    SqlState::SYNTAX_ERROR,
                    "a service account cannot have a password",
                )
                .with_hint("CREATE API KEY 'name' FOR account makes a key for it."));
        } else {
            return Err(cursor.unexpected());
        }
    }
    Ok(CredentialStatement::Change(Request::CreateServiceAccount {
        if_exists,
        name,
        database,
        role,
        tenant,
    }))
}

/// After ALTER SERVICE ACCOUNT: `name SET DATABASES (d, …)`, or
/// `name [CONNECTION LIMIT n] [STATEMENT LIMIT n]`.
pub fn alter(cursor: &mut Cursor<'_>) -> Parsed {
    let name = cursor.name()?;
    if let Some(limits) = limits::only(cursor)? {
        return Ok(CredentialStatement::Change(Request::LimitServiceAccount {
            name,
            limits,
        }));
    }
    cursor.expect(&["set", "databases"])?;
    let databases = cursor.list(Cursor::name)?;
    Ok(CredentialStatement::Change(Request::AlterServiceAccount {
        name,
        databases,
    }))
}

/// After DROP SERVICE ACCOUNT: `[IF EXISTS] name`.
pub fn drop(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    Ok(CredentialStatement::Change(Request::DropServiceAccount {
        if_exists,
        name,
    }))
}
