//! Stored definitions of relations and types.

use super::rows::table;
use nodedb::catalog::definition::{Relation, RelationBody, View};
use nodedb::catalog::enumeration::UserType;
use nodedb::catalog::sql_type::{EnumType, SqlType, TypeKind};
use nodedb::catalog::{DatabaseId, Oid, PrincipalId};
use nodedb::engine::definitions::codec::{decode, decode_type, encode, encode_type};
use std::sync::Arc;

/// A table, a view and an enumeration.
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
        .chain([encode_type(&enumeration()).expect("a small one")])
        .collect()
}

fn enumeration() -> UserType {
    let mut made = UserType {
        type_id: EnumType {
            oid: Oid(20_000),
            array: Oid(20_001),
        },
        database: DatabaseId(5),
        schema: Arc::from("public"),
        name: Arc::from("mood"),
        owner: PrincipalId(10),
        comment: None,
        labels: Vec::new(),
    };
    made.insert(0, Oid(20_002), "sad");
    made.insert(1, Oid(20_003), "happy");
    made
}

/// What is read is written and read again.
pub fn run(data: &[u8]) {
    if let Ok(relation) = decode(data) {
        let written = encode(&relation).expect("no larger than it was");
        assert_eq!(decode(&written).ok(), Some(relation));
    }
    if let Ok(known) = decode_type(data) {
        let written = encode_type(&known).expect("no larger than it was");
        assert_eq!(decode_type(&written).ok(), Some(known));
    }
}
