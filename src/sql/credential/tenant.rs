//! CREATE, ALTER and DROP TENANT.

use super::cursor::Cursor;
use super::limits;
use super::statement::CredentialStatement;
use crate::catalog::Request;
use crate::catalog::request::TenantRef;
use crate::diagnostic::Diagnostic;

type Parsed = Result<CredentialStatement, Diagnostic>;

/// After CREATE TENANT: `[IF NOT EXISTS] name [ID n]`.
pub fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    let id = if cursor.take(&["id"]) {
        let here = cursor.clone();
        match cursor.tenant()? {
            TenantRef::Id(id) => Some(id),
            TenantRef::Name(_) => return Err(here.unexpected()),
        }
    } else {
        None
    };
    Ok(CredentialStatement::Change(Request::CreateTenant {
        if_exists,
        name,
        id,
    }))
}

/// After ALTER TENANT: `n|name RENAME TO name`, or `n|name [CONNECTION LIMIT n] [STATEMENT LIMIT n]`.
pub fn alter(cursor: &mut Cursor<'_>) -> Parsed {
    let tenant = cursor.tenant()?;
    if let Some(limits) = limits::only(cursor)? {
        return Ok(CredentialStatement::Change(Request::LimitTenant {
            tenant,
            limits,
        }));
    }
    cursor.expect(&["rename", "to"])?;
    let name = cursor.name()?;
    Ok(CredentialStatement::Change(Request::RenameTenant {
        tenant,
        name,
    }))
}

/// After DROP TENANT: `[IF EXISTS] n|name [CASCADE|RESTRICT]`.
pub fn drop(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_exists();
    let tenant = cursor.tenant()?;
    let cascade = cursor.take(&["cascade"]);
    if !cascade {
        cursor.take(&["restrict"]);
    }
    Ok(CredentialStatement::Change(Request::DropTenant {
        if_exists,
        tenant,
        cascade,
    }))
}
