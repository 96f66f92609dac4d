//! EXPLAIN of who somebody is and what they may: EXPLAIN AUTHENTICATION and EXPLAIN ACCESS.

use super::cursor::Cursor;
use super::grant::table_name;
use super::statement::{CredentialStatement, Show, TableName};
use crate::catalog::row_policy::RowAccess;
use crate::diagnostic::Diagnostic;
use std::fmt;
use zeroize::Zeroizing;

/// What EXPLAIN AUTHENTICATION is to tell about.
#[derive(Debug)]
pub enum ExplainAuthentication {
    /// TOKEN '…': would it log somebody in, and whom.
    Token(TokenText),
    /// FOR USER name [DATABASE d]: how may the user log in, and what comes of it.
    User {
        /// The login name.
        name: String,
        /// DATABASE
        database: Option<String>,
    },
}

/// A token: a secret while it lives, zeroed when it is dropped and never printed.
pub struct TokenText(Zeroizing<String>);

impl TokenText {
    /// The token itself. Named so that a reviewer sees each place that looks at it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(***)")
    }
}

/// After EXPLAIN AUTHENTICATION: `TOKEN '…'` or `FOR USER name [DATABASE d]`.
pub fn authentication(cursor: &mut Cursor<'_>) -> Result<CredentialStatement, Diagnostic> {
    let about = if cursor.take(&["token"]) {
        ExplainAuthentication::Token(TokenText(cursor.literal()?))
    } else {
        cursor.expect(&["for", "user"])?;
        let name = cursor.name()?;
        let database = match cursor.take(&["database"]) {
            true => Some(cursor.name()?),
            false => None,
        };
        ExplainAuthentication::User { name, database }
    };
    Ok(CredentialStatement::ExplainAuthentication(about))
}

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
pub fn access(cursor: &mut Cursor<'_>) -> Result<CredentialStatement, Diagnostic> {
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

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn both_forms_are_read_and_a_token_is_not_printed() {
        let parsed = parse("EXPLAIN AUTHENTICATION TOKEN 'open.se.same';");
        let Some(Ok(CredentialStatement::ExplainAuthentication(ExplainAuthentication::Token(
            token,
        )))) = &parsed
        else {
            panic!("{parsed:?}");
        };
        assert_eq!(token.expose(), "open.se.same");
        assert!(!format!("{parsed:?}").contains("same"));
        for (text, expected) in [
            ("explain authentication for user alice", None),
            (
                "EXPLAIN AUTHENTICATION FOR USER 'alice' DATABASE d",
                Some("d"),
            ),
        ] {
            let parsed = parse(text);
            let Some(Ok(CredentialStatement::ExplainAuthentication(ExplainAuthentication::User {
                name,
                database,
            }))) = parsed
            else {
                panic!("{text} gave {parsed:?}");
            };
            assert_eq!((&*name, database.as_deref()), ("alice", expected));
        }
        for wrong in [
            "EXPLAIN AUTHENTICATION",
            "EXPLAIN AUTHENTICATION TOKEN",
            "EXPLAIN AUTHENTICATION TOKEN x",
            "EXPLAIN AUTHENTICATION FOR alice",
            "EXPLAIN AUTHENTICATION FOR USER alice DATABASE",
            "EXPLAIN AUTHENTICATION TOKEN 'same' 'same'",
        ] {
            let refused = parse(wrong);
            let Some(Err(error)) = refused else {
                panic!("{wrong} gave {refused:?}");
            };
            assert_eq!(error.sqlstate().as_str(), "42601", "{wrong}");
            assert!(!error.to_string().contains("same"), "{error}");
        }
    }
}
