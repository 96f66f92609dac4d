//! SHOW ROLES: name, tenant_id, parent. The rungs, which every tenant has, then custom roles.

use super::{TENANT_ID, TEXT, Table, Viewer, text};
use crate::catalog::principal::Parent;
use crate::catalog::role::Ladder;
use crate::diagnostic::Diagnostic;

pub fn rows(viewer: &Viewer<'_>) -> Result<Table, Diagnostic> {
    viewer.require_admin("roles")?;
    let below = [None].into_iter().chain(Ladder::ALL.map(Some));
    let rungs = Ladder::ALL
        .into_iter()
        .zip(below)
        .map(|(rung, below)| vec![text(rung), None, below.map(|rung| rung.to_string())]);
    let custom = viewer
        .snapshot
        .principals
        .roles()
        .filter(|role| viewer.sees(role.tenant))
        .map(|role| {
            let parent = role.parent.as_ref().map(|parent| match parent {
                Parent::Ladder(rung) => rung.to_string(),
                Parent::Role(role) => role.to_string(),
            });
            vec![text(&role.name), text(role.tenant), parent]
        });
    Ok(Table {
        columns: vec![("name", TEXT), ("tenant_id", TENANT_ID), ("parent", TEXT)],
        rows: rungs.chain(custom).collect(),
    })
}
