//! SHOW PERMISSIONS: object_type, object, privilege, source: what the session's user may do here.

use super::{TEXT, Table, Viewer, text};
use crate::catalog::role::Ladder;

/// What each rung adds (REFERENCE §2).
const LADDER: [(Ladder, &str, &str); 13] = [
    (Ladder::ReadOnly, "table", "SELECT"),
    (Ladder::ReadWrite, "table", "INSERT"),
    (Ladder::ReadWrite, "table", "UPDATE"),
    (Ladder::ReadWrite, "table", "DELETE"),
    (Ladder::ReadWrite, "table", "TRUNCATE"),
    (Ladder::Admin, "table", "DEFINE"),
    (Ladder::Admin, "policy", "DEFINE"),
    (Ladder::Admin, "database", "DEFINE"),
    (Ladder::Admin, "credential", "SHOW"),
    (Ladder::TenantAdmin, "user", "DEFINE"),
    (Ladder::TenantAdmin, "role", "DEFINE"),
    (Ladder::TenantAdmin, "grant", "DEFINE"),
    (Ladder::Superuser, "tenant", "DEFINE"),
];

pub fn rows(viewer: &Viewer<'_>) -> Table {
    let by_rung = LADDER
        .iter()
        .filter(|(rung, _, _)| viewer.rights.reaches(*rung))
        .map(|(rung, kind, privilege)| vec![text(kind), text("*"), text(privilege), text(rung)]);
    let by_grant = viewer
        .snapshot
        .definitions
        .of_database(viewer.rights.database())
        .flat_map(|relation| {
            // A key may have less than what was granted to its owner.
            let in_force = viewer.rights.privileges(relation);
            let grants = relation
                .grants
                .iter()
                .filter(|grant| viewer.rights.counts(grant.grantee));
            grants.flat_map(move |grant| {
                let source = viewer.snapshot.principals.name_of(grant.grantee);
                grant
                    .privileges
                    .intersection(in_force)
                    .names()
                    .map(move |privilege| {
                        vec![
                            text("table"),
                            text(format!("{}.{}", relation.schema, relation.name)),
                            text(privilege),
                            source.map(|source| source.to_string()),
                        ]
                    })
            })
        });
    Table {
        columns: vec![
            ("object_type", TEXT),
            ("object", TEXT),
            ("privilege", TEXT),
            ("source", TEXT),
        ],
        rows: by_rung.chain(by_grant).collect(),
    }
}
