//! The credential statements of REFERENCE §1, from text to a tree.
//!
//! The grammar is our own, so the parser is too: a small tokenizer and a recursive descent of
//! bounded depth, one file a family of statements. What is not one of ours is `None` and belongs
//! to `sql::parse`. Passwords live in `auth::secret::Password` from the token on.

mod statement;

pub use statement::{
    AlterPassword, CreateUser, CredentialStatement, Direction, NewPassword, Show, TableGrant,
    TableName,
};

use crate::diagnostic::Diagnostic;

/// Parses one statement; a trailing semicolon is allowed. None: not a credential statement.
///
/// # Errors
/// 42601 with the position; 0A000 for what is not there yet.
pub fn parse(_text: &str) -> Option<Result<CredentialStatement, Diagnostic>> {
    None
}
