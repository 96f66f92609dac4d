//! SHOW of what the catalog knows. SHOW of a setting is the session's.

use super::cursor::Cursor;
use super::statement::{CredentialStatement, Show};
use crate::diagnostic::Diagnostic;

/// After SHOW; None for a setting.
pub fn parse(cursor: &mut Cursor<'_>) -> Option<Result<CredentialStatement, Diagnostic>> {
    const WORDS: [(&[&str], Show); 10] = [
        (&["users"], Show::Users),
        (&["roles"], Show::Roles),
        (&["databases"], Show::Databases),
        (&["tenants"], Show::Tenants),
        (&["service", "accounts"], Show::ServiceAccounts),
        (&["permissions"], Show::Permissions),
        (&["sessions"], Show::Sessions),
        (&["revocations"], Show::Revocations),
        (&["tls"], Show::Tls),
        (&["oidc", "providers"], Show::OidcProviders),
    ];
    if cursor.take(&["audit", "log"]) {
        return Some(audit_log(cursor));
    }
    for (words, show) in WORDS {
        if cursor.take(words) {
            return Some(Ok(CredentialStatement::Show(show)));
        }
    }
    if cursor.take(&["grants"]) {
        return Some(whose(cursor).map(|of| CredentialStatement::Show(Show::Grants { of })));
    }
    if cursor.take(&["api", "keys"]) {
        return Some(whose(cursor).map(|of| CredentialStatement::Show(Show::ApiKeys { of })));
    }
    if cursor.take(&["rls", "policies"]) {
        let of = match cursor.take(&["on"]) {
            true => cursor.name().map(Some),
            false => Ok(None),
        };
        return Some(of.map(|of| CredentialStatement::Show(Show::RowPolicies { of })));
    }
    // SHOW SESSION AUTHORIZATION is PostgreSQL's.
    let mut ahead = cursor.clone();
    if ahead.take(&["session"]) && ahead.at_end() {
        *cursor = ahead;
        return Some(Ok(CredentialStatement::Show(Show::Session)));
    }
    None
}

/// `[LIMIT n]`
fn audit_log(cursor: &mut Cursor<'_>) -> Result<CredentialStatement, Diagnostic> {
    let limit = match cursor.take(&["limit"]) {
        true => Some(cursor.number()?),
        false => None,
    };
    Ok(CredentialStatement::ShowAuditLog { limit })
}

/// `[FOR name]`
fn whose(cursor: &mut Cursor<'_>) -> Result<Option<String>, Diagnostic> {
    match cursor.take(&["for"]) {
        true => cursor.name().map(Some),
        false => Ok(None),
    }
}
