//! SHOW SERVICE ACCOUNTS: name, tenant_id, roles, databases, created_at.

use super::{TENANT_ID, TEXT, TIMESTAMPTZ, Table, Viewer, roles_of, text, timestamp};
use crate::catalog::principal::{Principal, PrincipalKind};
use crate::diagnostic::Diagnostic;

pub fn rows(viewer: &Viewer<'_>) -> Result<Table, Diagnostic> {
    viewer.require_admin("service accounts")?;
    let mut accounts: Vec<_> = viewer
        .snapshot
        .principals
        .all()
        .filter(|account| viewer.sees(account.tenant))
        .filter(|account| matches!(account.kind, PrincipalKind::ServiceAccount { .. }))
        .collect();
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    let rows = accounts.into_iter().map(|account| {
        vec![
            text(&account.name),
            text(account.tenant),
            text(roles_of(account)),
            text(databases_of(viewer, account)),
            timestamp(account.created_at),
        ]
    });
    Ok(Table {
        columns: vec![
            ("name", TEXT),
            ("tenant_id", TENANT_ID),
            ("roles", TEXT),
            ("databases", TEXT),
            ("created_at", TIMESTAMPTZ),
        ],
        rows: rows.collect(),
    })
}

/// Their names, the default one first.
fn databases_of(viewer: &Viewer<'_>, account: &Principal) -> String {
    let PrincipalKind::ServiceAccount { databases } = &account.kind else {
        return String::new();
    };
    let names = databases
        .iter()
        .filter_map(|id| viewer.snapshot.principals.database(*id))
        .map(|database| database.name.to_string());
    names.collect::<Vec<_>>().join(", ")
}
