//! SHOW DATABASES: name, owner, tenant_id, of those in reach.

use super::{TENANT_ID, TEXT, Table, Viewer, text};
use crate::access::login::database_in_reach;

pub fn rows(viewer: &Viewer<'_>) -> Table {
    let principals = &viewer.snapshot.principals;
    let key = viewer.key.and_then(|used| principals.key(used.id));
    let rows = principals
        .principal(viewer.rights.principal())
        .into_iter()
        .flat_map(|user| {
            principals.databases().filter(move |database| {
                let key = key.map(|key| &**key);
                database_in_reach(viewer.snapshot, user, key, database)
            })
        })
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
