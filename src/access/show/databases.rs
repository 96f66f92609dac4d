//! SHOW DATABASES: name, owner, tenant_id, of those in reach.

use super::{TENANT_ID, TEXT, Table, Viewer, text};

pub fn rows(viewer: &Viewer<'_>) -> Table {
    let principals = &viewer.snapshot.principals;
    let standing = viewer.standing.as_ref();
    let rows = principals
        .databases()
        .filter(|database| standing.is_some_and(|it| it.reaches(database)))
        .map(|database| {
            vec![
                text(&database.name),
                principals
                    .name_of(database.owner)
                    .map(|name| name.to_string()),
                text(database.tenant),
            ]
        });
    Table {
        columns: vec![("name", TEXT), ("owner", TEXT), ("tenant_id", TENANT_ID)],
        rows: rows.collect(),
    }
}
