//! Definitions as older formats have them, read into what there is now.

use crate::catalog::definition::{
    Column, Constraint, Grant, Index, IndexConstraint, IndexDetails, Relation, RelationBody,
    Sequence, Table, View,
};
use crate::catalog::row_policy::RowSecurity;
use crate::catalog::{DatabaseId, Oid, PrincipalId, RelationId};
use serde::Deserialize;
use std::sync::Arc;

/// A relation of format 2: tables without comments on their parts, indexes of columns alone.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Relation2 {
    oid: Oid,
    database: DatabaseId,
    schema: Arc<str>,
    name: Arc<str>,
    owner: PrincipalId,
    grants: Vec<Grant>,
    comment: Option<Arc<str>>,
    body: Body2,
    row_security: RowSecurity,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
enum Body2 {
    Table(Table2),
    Index(Index2),
    Sequence(Sequence),
    View(View),
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Table2 {
    store: RelationId,
    layout_version: u32,
    columns: Vec<Column>,
    primary_key: Vec<u16>,
    primary_index: Option<Oid>,
    indexes: Vec<Oid>,
    constraints: Vec<Constraint>,
    referenced_by: Vec<Oid>,
    options: Vec<(Arc<str>, Arc<str>)>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Index2 {
    store: RelationId,
    table: Oid,
    columns: Vec<u16>,
    descending: Vec<bool>,
    unique: bool,
    constraint: Option<IndexConstraint>,
}

impl From<Relation2> for Relation {
    fn from(old: Relation2) -> Relation {
        Relation {
            oid: old.oid,
            database: old.database,
            schema: old.schema,
            name: old.name,
            owner: old.owner,
            grants: old.grants,
            comment: old.comment,
            body: match old.body {
                Body2::Table(table) => RelationBody::Table(table.into()),
                Body2::Index(index) => RelationBody::Index(index.into()),
                Body2::Sequence(sequence) => RelationBody::Sequence(sequence),
                Body2::View(view) => RelationBody::View(view),
            },
            row_security: old.row_security,
        }
    }
}

impl From<Table2> for Table {
    fn from(old: Table2) -> Table {
        Table {
            store: old.store,
            layout_version: old.layout_version,
            columns: old.columns,
            primary_key: old.primary_key,
            primary_index: old.primary_index,
            indexes: old.indexes,
            constraints: old.constraints,
            referenced_by: old.referenced_by,
            options: old.options,
            comments: Vec::new(),
        }
    }
}

impl From<Index2> for Index {
    fn from(old: Index2) -> Index {
        Index {
            store: old.store,
            table: old.table,
            columns: old.columns,
            descending: old.descending,
            unique: old.unique,
            constraint: old.constraint,
            details: IndexDetails::default(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A table and an index of format 2, and what they are now.
    pub fn examples() -> Vec<(Relation2, Relation)> {
        let index = || Index2 {
            store: RelationId(7),
            table: Oid(20_000),
            columns: vec![1, 0],
            descending: vec![false, true],
            unique: true,
            constraint: Some(IndexConstraint::Unique),
        };
        let table = || Table2 {
            store: RelationId(6),
            layout_version: 3,
            columns: Vec::new(),
            primary_key: vec![0],
            primary_index: Some(Oid(20_001)),
            indexes: vec![Oid(20_002)],
            constraints: Vec::new(),
            referenced_by: vec![Oid(20_003)],
            options: vec![(Arc::from("fillfactor"), Arc::from("70"))],
        };
        let relation = |body| Relation2 {
            oid: Oid(20_000),
            database: DatabaseId(5),
            schema: Arc::from("public"),
            name: Arc::from("r"),
            owner: PrincipalId(10),
            grants: Vec::new(),
            comment: None,
            body,
            row_security: RowSecurity::default(),
        };
        vec![
            (
                relation(Body2::Table(table())),
                relation(Body2::Table(table())).into(),
            ),
            (
                relation(Body2::Index(index())),
                relation(Body2::Index(index())).into(),
            ),
        ]
    }
}
