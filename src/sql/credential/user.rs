//! CREATE USER, ALTER USER, DROP USER.

use super::cursor::Cursor;
use super::statement::{AlterPassword, CreateUser, CredentialStatement, PasswordWanted};
use super::{limits, timestamp};
use crate::catalog::Request;
use crate::catalog::allowance::AllowanceChange;
use crate::catalog::request::UserChange;
use crate::diagnostic::{Diagnostic, SqlState};

type Parsed = Result<CredentialStatement, Diagnostic>;

/// After CREATE USER:
/// `[IF NOT EXISTS] name [WITH] PASSWORD 'secret' [ROLE role] [TENANT id|'name'] [CONNECTION LIMIT n]
/// [STATEMENT LIMIT n]`.
pub fn create(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    let mut password = None;
    let mut role = None;
    let mut tenant = None;
    let mut limits = AllowanceChange::default();
    cursor.take(&["with"]);
    while !cursor.at_end() {
        if limits::take(cursor, &mut limits)? {
            continue;
        }
        let again = |taken: bool, cursor: &Cursor<'_>| match taken {
            true => Err(cursor.error(SqlState::SYNTAX_ERROR, "conflicting or redundant options")),
            false => Ok(()),
        };
        if cursor.at("password") || cursor.at("encrypted") {
            again(password.is_some(), cursor)?;
            cursor.take(&["encrypted"]);
            cursor.expect(&["password"])?;
            password = Some(cursor.password()?);
        } else if cursor.at("role") {
            again(role.is_some(), cursor)?;
            cursor.expect(&["role"])?;
            role = Some(cursor.name()?);
        } else if cursor.at("tenant") {
            again(tenant.is_some(), cursor)?;
            cursor.expect(&["tenant"])?;
            tenant = Some(cursor.tenant()?);
        } else {
            return Err(option_of_postgresql(cursor, "CREATE USER"));
        }
    }
    let Some(password) = password else {
        return Err(cursor
            .unexpected()
            .with_hint("CREATE USER takes PASSWORD '…', or PASSWORD NULL for none."));
    };
    Ok(CredentialStatement::CreateUser(CreateUser {
        if_exists,
        name,
        password,
        role,
        tenant,
        limits,
    }))
}

/// After ALTER USER.
pub fn alter(cursor: &mut Cursor<'_>) -> Parsed {
    if cursor.at("all") || cursor.at("current_user") || cursor.at("session_user") {
        return Err(cursor.unsupported_option("ALTER USER"));
    }
    let name = cursor.name()?;
    let change = if cursor.take(&["set", "default", "database"]) {
        UserChange::DefaultDatabase(cursor.name()?)
    } else if cursor.take(&["valid", "until"]) || cursor.take(&["with", "valid", "until"]) {
        UserChange::ValidUntil(timestamp::valid_until(cursor)?)
    } else if cursor.take(&["disable"]) {
        UserChange::Disable
    } else if cursor.take(&["enable"]) {
        UserChange::Enable
    } else if cursor.take(&["role"])
        || cursor.take(&["set", "role"])
        || cursor.take(&["with", "role"])
    {
        UserChange::Role(cursor.name()?)
    } else if cursor.take(&["drop", "old", "password"]) {
        return Ok(CredentialStatement::AlterPassword(AlterPassword {
            name,
            wanted: PasswordWanted::DropOld,
        }));
    } else if cursor.take(&["add", "password"]) {
        let here = cursor.clone();
        let password = cursor.password()?.ok_or_else(|| here.unexpected())?;
        return Ok(CredentialStatement::AlterPassword(AlterPassword {
            name,
            wanted: PasswordWanted::Add(password),
        }));
    } else if let Some(limits) = limits::only(cursor)? {
        UserChange::Limits(limits)
    } else if at_password(cursor) {
        let password = cursor.password()?;
        if !cursor.at_end() {
            return Err(option_of_postgresql(cursor, "ALTER USER … PASSWORD"));
        }
        return Ok(CredentialStatement::AlterPassword(AlterPassword {
            name,
            wanted: PasswordWanted::Set(password),
        }));
    } else {
        if !cursor.take(&["with"]) {
            cursor.take(&["set"]);
        }
        return Err(option_of_postgresql(cursor, "ALTER USER"));
    };
    Ok(CredentialStatement::Change(Request::AlterUser {
        name,
        change,
    }))
}

/// `[WITH|SET] [ENCRYPTED] PASSWORD`.
fn at_password(cursor: &mut Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    if !ahead.take(&["with"]) {
        ahead.take(&["set"]);
    }
    ahead.take(&["encrypted"]);
    let found = ahead.take(&["password"]);
    if found {
        *cursor = ahead;
    }
    found
}

/// After DROP USER: `[IF EXISTS] name`.
pub fn drop(cursor: &mut Cursor<'_>) -> Parsed {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    if cursor.take_symbol(',') {
        return Err(Diagnostic::unsupported("DROP USER of several names"));
    }
    Ok(CredentialStatement::Change(Request::DropUser {
        if_exists,
        name,
    }))
}

/// PostgreSQL's options that mean something else here: 0A000 with what to use instead. Anything
/// else is a syntax error.
pub fn option_of_postgresql(cursor: &Cursor<'_>, statement: &str) -> Diagnostic {
    let Some(word) = cursor.word() else {
        return cursor.unexpected();
    };
    let unsupported = cursor.unsupported_option(statement);
    match word.as_str() {
        "superuser" | "nosuperuser" | "createdb" | "nocreatedb" | "createrole" | "nocreaterole" => {
            unsupported.with_hint("ROLE gives a rung of the ladder.")
        }
        "login" => unsupported.with_hint("CREATE USER makes who logs in."),
        "nologin" => unsupported.with_hint("ALTER USER … DISABLE keeps a user out."),
        "in" => unsupported.with_hint("GRANT role TO name."),
        "valid" => unsupported.with_hint("ALTER USER … VALID UNTIL '…'"),
        "password" | "inherit" | "noinherit" | "replication" | "noreplication" | "bypassrls"
        | "nobypassrls" | "sysid" | "admin" | "rename" | "reset" => unsupported,
        _ => match statement {
            // ALTER USER … SET parameter = value.
            "ALTER USER" => unsupported,
            _ => cursor.unexpected(),
        },
    }
}
