//! Stored definitions of relations.

use super::rows::table;
use nodedb::catalog::definition::{Relation, RelationBody, View};
use nodedb::catalog::sql_type::{SqlType, TypeKind};
use nodedb::catalog::{DatabaseId, Oid, PrincipalId};
use nodedb::engine::definitions::codec::{decode, encode};
use std::sync::Arc;

/// A table and a view.
pub fn seeds() -> Vec<Vec<u8>> {
    let kind = SqlType::scalar(TypeKind::Int4);
    let bodies = [
        RelationBody::Table(table(&[kind, SqlType::array_of(TypeKind::Text)])),
        RelationBody::View(View {
            query: Arc::from("SELECT 1"),
            columns: vec![(Arc::from("c"), kind)],
            comments: Vec::new(),
        }),
    ];
    bodies
        .into_iter()
        .map(|body| {
            let relation = Relation {
                oid: Oid(20_000),
                database: DatabaseId(5),
                schema: Arc::from("public"),
                name: Arc::from("r"),
                owner: PrincipalId(10),
                grants: Vec::new(),
                comment: Some(Arc::from("text")),
                body,
                row_security: Default::default(),
            };
            encode(&relation).expect("a small one")
        })
        .collect()
}

/// What is read is written and read again.
pub fn run(data: &[u8]) {
    if let Ok(relation) = decode(data) {
        let written = encode(&relation).expect("no larger than it was");
        assert_eq!(decode(&written).ok(), Some(relation));
    }
}
