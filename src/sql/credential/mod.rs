//! The credential statements of REFERENCE §1, from text to a tree.
//!
//! The grammar is our own, so the parser is too: a small tokenizer and a descent without
//! recursion, one file a family of statements. What is not one of ours is `None` and belongs to
//! `sql::parse`. Statements whose feature is not there yet are recognised and answer 0A000.
//! Passwords live in `auth::secret::Password` from the token on, and no error repeats a literal.
//!
//! GRANT and REVOKE ON TABLE are parsed here as well, since they share their first words with
//! the others, and so are row policies; they are changes of definitions and run in the session's
//! transaction (`access::grants`, `engine::definitions`).

mod api_key;
mod claim_mapping;
mod cursor;
mod database;
mod explain;
mod grant;
mod limits;
mod oidc_provider;
mod role;
mod row_policy;
mod service_account;
mod show;
mod split;
mod statement;
mod tenant;
#[cfg(test)]
mod tests;
mod timestamp;
mod token;
mod user;

pub use explain::{ExplainAccess, ExplainAuthentication, TokenText};
pub use grant::LIST_NAMES_MAX;
pub use row_policy::{NewRowPolicy, RowPolicyStatement};
pub use split::{Piece, split};
pub use statement::{
    AlterPassword, CreateUser, CredentialStatement, Direction, PasswordWanted, RotateApiKey,
    SchemaGrant, Show, TableGrant, TableName,
};

use crate::diagnostic::Diagnostic;
use cursor::Cursor;

/// Parses one statement; a trailing semicolon is allowed. None: not a credential statement,
/// which costs the look at its first words.
///
/// # Errors
/// 42601 with the position; 0A000 for what is not there yet.
pub fn parse(text: &str) -> Option<Result<CredentialStatement, Diagnostic>> {
    let mut cursor = Cursor::new(text);
    let parsed = first_words(&mut cursor)?;
    Some(parsed.and_then(|statement| cursor.end().map(|()| statement)))
}

/// The index of the statements, by what they begin with.
fn first_words(cursor: &mut Cursor<'_>) -> Option<Result<CredentialStatement, Diagnostic>> {
    if cursor.take(&["show"]) {
        return show::parse(cursor);
    }
    if cursor.take(&["grant"]) {
        return Some(grant::parse(cursor, Direction::Grant));
    }
    if cursor.take(&["explain", "authentication"]) {
        return Some(explain::authentication(cursor));
    }
    if cursor.take(&["verify", "audit", "chain"]) {
        return Some(Ok(CredentialStatement::VerifyAuditChain));
    }
    if let Some(feature) = later(cursor) {
        return Some(Err(Diagnostic::unsupported(feature)));
    }
    if cursor.take(&["explain", "access"]) {
        return Some(explain::access(cursor));
    }
    if cursor.take(&["revoke", "api", "key"]) {
        return Some(api_key::revoke(cursor));
    }
    if cursor.take(&["revoke"]) {
        return Some(grant::parse(cursor, Direction::Revoke));
    }
    if cursor.take(&["kill", "session"]) {
        return Some(cursor.name().map(CredentialStatement::KillSession));
    }
    if cursor.take(&["use", "database"]) {
        return Some(cursor.name().map(CredentialStatement::UseDatabase));
    }
    if cursor.take(&["create"]) {
        return create(cursor);
    }
    if cursor.take(&["alter"]) {
        return alter(cursor);
    }
    if cursor.take(&["drop"]) {
        return drop(cursor);
    }
    None
}

fn create(cursor: &mut Cursor<'_>) -> Option<Result<CredentialStatement, Diagnostic>> {
    match cursor.word()?.as_str() {
        "user" if cursor.take(&["user"]) => Some(user::create(cursor)),
        "role" if cursor.take(&["role"]) => Some(role::create(cursor)),
        "database" if cursor.take(&["database"]) => Some(database::create(cursor)),
        "tenant" if cursor.take(&["tenant"]) => Some(tenant::create(cursor)),
        "service" if cursor.take(&["service", "account"]) => Some(service_account::create(cursor)),
        "api" if cursor.take(&["api", "key"]) => Some(api_key::create(cursor)),
        "rls" if cursor.take(&["rls", "policy"]) => Some(row_policy::create(cursor)),
        "oidc" if cursor.take(&["oidc", "provider"]) => Some(oidc_provider::create(cursor)),
        _ => None,
    }
}

fn alter(cursor: &mut Cursor<'_>) -> Option<Result<CredentialStatement, Diagnostic>> {
    match cursor.word()?.as_str() {
        // PostgreSQL's ALTER ROLE and ALTER USER are one.
        "user" if cursor.take(&["user"]) => Some(user::alter(cursor)),
        "role" if cursor.take(&["role"]) => Some(user::alter(cursor)),
        "tenant" if cursor.take(&["tenant"]) => Some(tenant::alter(cursor)),
        "service" if cursor.take(&["service", "account"]) => Some(service_account::alter(cursor)),
        "api" if cursor.take(&["api", "key"]) => Some(api_key::alter(cursor)),
        "oidc" if cursor.take(&["oidc", "provider"]) => Some(oidc_provider::alter(cursor)),
        _ => None,
    }
}

fn drop(cursor: &mut Cursor<'_>) -> Option<Result<CredentialStatement, Diagnostic>> {
    match cursor.word()?.as_str() {
        "user" if cursor.take(&["user"]) => Some(user::drop(cursor)),
        "role" if cursor.take(&["role"]) => Some(role::drop(cursor)),
        "database" if cursor.take(&["database"]) => Some(database::drop(cursor)),
        "tenant" if cursor.take(&["tenant"]) => Some(tenant::drop(cursor)),
        "service" if cursor.take(&["service", "account"]) => Some(service_account::drop(cursor)),
        "api" if cursor.take(&["api", "key"]) => Some(api_key::drop(cursor)),
        "rls" if cursor.take(&["rls", "policy"]) => Some(row_policy::drop(cursor)),
        "oidc" if cursor.take(&["oidc", "provider"]) => Some(oidc_provider::drop(cursor)),
        _ => None,
    }
}

/// Statements whose feature is not there yet, by their first words.
fn later(cursor: &mut Cursor<'_>) -> Option<String> {
    const FEATURES: [&[&str]; 8] = [
        &["reassign", "owned"],
        &["drop", "owned"],
        &["alter", "database"],
        &["alter", "default", "privileges"],
        &["create", "user", "mapping", "for"],
        &["create", "group"],
        &["alter", "group"],
        &["drop", "group"],
    ];
    let feature = FEATURES.iter().find(|words| cursor.take(words))?;
    Some(feature.join(" ").to_ascii_uppercase())
}

/// The fuzz target's body: whatever the text, no panic, and positions inside it.
pub fn fuzz(text: &str) {
    let characters = text.chars().count() + 1;
    let check = |error: &Diagnostic| {
        if let Some(position) = error.fields().position {
            assert!(position >= 1 && position as usize <= characters);
        }
    };
    if let Some(Err(error)) = parse(text) {
        check(&error);
    }
    match split(text) {
        Err(error) => check(&error),
        Ok(pieces) => {
            for piece in pieces {
                assert!(!piece.text.is_empty());
                assert!(text.contains(piece.text));
            }
        }
    }
}
