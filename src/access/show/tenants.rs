//! SHOW TENANTS: tenant_id, name; for everybody but superusers their own.

use super::{TENANT_ID, TEXT, Table, Viewer, text};
use crate::diagnostic::Diagnostic;

pub fn rows(viewer: &Viewer<'_>) -> Result<Table, Diagnostic> {
    viewer.require_admin("tenants")?;
    let rows = viewer
        .snapshot
        .principals
        .tenants()
        .filter(|tenant| viewer.sees(tenant.id))
        .map(|tenant| vec![text(tenant.id), text(&tenant.name)]);
    Ok(Table {
        columns: vec![("tenant_id", TENANT_ID), ("name", TEXT)],
        rows: rows.collect(),
    })
}
