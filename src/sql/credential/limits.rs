//! CONNECTION LIMIT n and STATEMENT LIMIT n: how much a tenant, a login or an API key may use at once.

use super::cursor::Cursor;
use crate::catalog::allowance::AllowanceChange;
use crate::diagnostic::{Diagnostic, SqlState};

/// Takes one of the two, if either comes next. -1 lifts a limit, as PostgreSQL has it.
///
/// # Errors
/// 42601 for one that is there twice or is no number, 22023 for a number below -1.
pub fn take(cursor: &mut Cursor<'_>, limits: &mut AllowanceChange) -> Result<bool, Diagnostic> {
    let here = cursor.clone();
    let place = if cursor.take(&["connection", "limit"]) {
        &mut limits.connections
    } else if cursor.take(&["statement", "limit"]) {
        &mut limits.statements
    } else {
        return Ok(false);
    };
    match place.replace(number(cursor)?) {
        None => Ok(true),
        Some(_) => Err(here.error(SqlState::SYNTAX_ERROR, "conflicting or redundant options")),
    }
}

/// `[WITH] CONNECTION LIMIT n [STATEMENT LIMIT n]`, in any order, where a statement changes nothing else.
/// None: something else comes next.
///
/// # Errors
/// As [`take`].
pub fn only(cursor: &mut Cursor<'_>) -> Result<Option<AllowanceChange>, Diagnostic> {
    let mut ahead = cursor.clone();
    ahead.take(&["with"]);
    let mut limits = AllowanceChange::default();
    while take(&mut ahead, &mut limits)? {}
    if limits.is_empty() {
        return Ok(None);
    }
    *cursor = ahead;
    Ok(Some(limits))
}

fn number(cursor: &mut Cursor<'_>) -> Result<Option<u32>, Diagnostic> {
    let here = cursor.clone();
    if !cursor.take_symbol('-') {
        return cursor.number().map(Some);
    }
    match cursor.number()? {
        1 => Ok(None),
        number => Err(here
            .error(
                SqlState::INVALID_PARAMETER_VALUE,
                &format!("invalid limit: -{number}"),
            )
            .with_hint("A limit is a number; -1 is none.")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CredentialStatement, parse};
    use super::*;
    use crate::catalog::Request;
    use crate::catalog::request::UserChange;

    fn of_user(text: &str) -> Result<AllowanceChange, String> {
        match parse(text).expect("a credential statement") {
            Ok(CredentialStatement::CreateUser(create)) => Ok(create.limits),
            Ok(CredentialStatement::Change(Request::AlterUser {
                change: UserChange::Limits(limits),
                ..
            })) => Ok(limits),
            Ok(CredentialStatement::CreateApiKey(wanted)) => Ok(wanted.limits),
            Ok(CredentialStatement::Change(
                Request::LimitApiKey { limits, .. }
                | Request::LimitTenant { limits, .. }
                | Request::LimitServiceAccount { limits, .. },
            )) => Ok(limits),
            Ok(other) => panic!("{text} gave {other:?}"),
            Err(error) => Err(error.sqlstate().to_string()),
        }
    }

    fn limits(
        connections: Option<Option<u32>>,
        statements: Option<Option<u32>>,
    ) -> AllowanceChange {
        AllowanceChange {
            connections,
            statements,
        }
    }

    #[test]
    fn both_limits_are_taken_wherever_logins_keys_and_tenants_are_made_or_altered() {
        let (five, none) = (Some(Some(5)), Some(None));
        for (text, expected) in [
            ("CREATE USER a WITH PASSWORD 'key'", limits(None, None)),
            (
                "CREATE USER a WITH CONNECTION LIMIT 5 PASSWORD 'key' STATEMENT LIMIT -1",
                limits(five, none),
            ),
            ("ALTER USER a CONNECTION LIMIT 5", limits(five, None)),
            ("ALTER ROLE a WITH CONNECTION LIMIT 5;", limits(five, None)),
            (
                "ALTER USER a STATEMENT LIMIT 5 CONNECTION LIMIT -1",
                limits(none, five),
            ),
            (
                "CREATE API KEY k STATEMENT LIMIT 5 ROLE readonly CONNECTION LIMIT 5",
                limits(five, five),
            ),
            ("ALTER API KEY k STATEMENT LIMIT 5", limits(None, five)),
            ("ALTER TENANT 42 CONNECTION LIMIT 5", limits(five, None)),
            ("ALTER TENANT acme STATEMENT LIMIT -1", limits(None, none)),
            (
                "ALTER SERVICE ACCOUNT 'batch' CONNECTION LIMIT 5",
                limits(five, None),
            ),
        ] {
            assert_eq!(of_user(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_limit_that_is_none_is_refused_where_it_stands() {
        for (text, code) in [
            ("ALTER USER a CONNECTION LIMIT", "42601"),
            ("ALTER USER a CONNECTION LIMIT many", "42601"),
            ("ALTER USER a CONNECTION LIMIT -2", "22023"),
            ("ALTER USER a CONNECTION LIMIT 99999999999", "22023"),
            (
                "ALTER USER a CONNECTION LIMIT 1 CONNECTION LIMIT 2",
                "42601",
            ),
            ("ALTER USER a STATEMENT LIMIT 1 PASSWORD 'x'", "42601"),
            ("ALTER TENANT a STATEMENT", "42601"),
        ] {
            assert_eq!(of_user(text), Err(code.to_owned()), "{text}");
        }
    }
}
