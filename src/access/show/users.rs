//! SHOW USERS: username, tenant_id, roles, is_superuser, status.

use super::{BOOL, TENANT_ID, TEXT, Table, Viewer, boolean, roles_of, text};
use crate::access::rights::Held;
use crate::catalog::principal::{Principal, PrincipalKind};
use crate::catalog::role::Ladder;
use crate::diagnostic::Diagnostic;

pub fn rows(viewer: &Viewer<'_>) -> Result<Table, Diagnostic> {
    viewer.require_admin("users")?;
    let principals = &viewer.snapshot.principals;
    let mut users: Vec<_> = principals
        .all()
        .filter(|user| viewer.sees(user.tenant))
        .filter(|user| matches!(user.kind, PrincipalKind::User { .. }))
        .collect();
    users.sort_by(|a, b| a.name.cmp(&b.name));
    let rows = users.into_iter().map(|user| {
        let is_superuser = Held::of(viewer.snapshot, user).rung == Some(Ladder::Superuser);
        vec![
            text(&user.name),
            text(user.tenant),
            text(roles_of(user)),
            boolean(is_superuser),
            text(status(user, viewer.now)),
        ]
    });
    Ok(Table {
        columns: vec![
            ("username", TEXT),
            ("tenant_id", TENANT_ID),
            ("roles", TEXT),
            ("is_superuser", BOOL),
            ("status", TEXT),
        ],
        rows: rows.collect(),
    })
}

/// Whether the user can log in: not one who is disabled, nor after VALID UNTIL.
fn status(user: &Principal, now: i64) -> &'static str {
    match user.valid_until {
        _ if !user.enabled => "disabled",
        Some(until) if until <= now => "expired",
        _ => "active",
    }
}
