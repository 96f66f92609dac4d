//! Definitions as older formats have them, read into what there is now.

use crate::catalog::definition::{
    Column, Constraint, ConstraintBody, Deferral, Grant, Identity, Index, IndexConstraint,
    IndexDetails, ReferentialAction, Relation, RelationBody, Sequence, Table, View,
};
use crate::catalog::row_policy::RowSecurity;
use crate::catalog::sql_type::SqlType;
use crate::catalog::{DatabaseId, Oid, PrincipalId, RelationId};
use serde::Deserialize;
use std::sync::Arc;

/// A relation of formats 4 and 5: all constraints are validated.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Relation5 {
    oid: Oid,
    database: DatabaseId,
    schema: Arc<str>,
    name: Arc<str>,
    owner: PrincipalId,
    grants: Vec<Grant>,
    comment: Option<Arc<str>>,
    body: Body5,
    row_security: RowSecurity,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
enum Body5 {
    Table(Table5),
    Index(Index),
    Sequence(Sequence),
    View(View),
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Table5 {
    store: RelationId,
    layout_version: u32,
    columns: Vec<Column>,
    primary_key: Vec<u16>,
    primary_index: Option<Oid>,
    indexes: Vec<Oid>,
    constraints: Vec<Constraint5>,
    referenced_by: Vec<Oid>,
    options: Vec<(Arc<str>, Arc<str>)>,
    comments: Vec<(u16, Arc<str>)>,
    constraint_comments: Vec<(Oid, Arc<str>)>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Constraint5 {
    oid: Oid,
    name: Arc<str>,
    body: ConstraintBody,
}

/// A relation of format 3: foreign keys that cannot be deferred, no generated columns, no comments on
/// constraints and views' columns.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Relation3 {
    oid: Oid,
    database: DatabaseId,
    schema: Arc<str>,
    name: Arc<str>,
    owner: PrincipalId,
    grants: Vec<Grant>,
    comment: Option<Arc<str>>,
    body: Body3,
    row_security: RowSecurity,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
enum Body3 {
    Table(Table3),
    Index(Index),
    Sequence(Sequence),
    View(View3),
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct View3 {
    query: Arc<str>,
    columns: Vec<(Arc<str>, SqlType)>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Table3 {
    store: RelationId,
    layout_version: u32,
    columns: Vec<Column3>,
    primary_key: Vec<u16>,
    primary_index: Option<Oid>,
    indexes: Vec<Oid>,
    constraints: Vec<Constraint3>,
    referenced_by: Vec<Oid>,
    options: Vec<(Arc<str>, Arc<str>)>,
    comments: Vec<(u16, Arc<str>)>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Column3 {
    name: Arc<str>,
    sql_type: SqlType,
    not_null: bool,
    default: Option<Arc<str>>,
    identity: Option<Identity>,
    sequence: Option<Oid>,
    added_in: u32,
    missing: Option<Arc<[u8]>>,
    dropped: bool,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Constraint3 {
    oid: Oid,
    name: Arc<str>,
    body: ConstraintBody3,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
enum ConstraintBody3 {
    Check {
        expression: Arc<str>,
    },
    ForeignKey {
        columns: Vec<u16>,
        table: Oid,
        referenced: Vec<u16>,
        on_update: ReferentialAction,
        on_delete: ReferentialAction,
    },
}

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
    View(View3),
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Table2 {
    store: RelationId,
    layout_version: u32,
    columns: Vec<Column3>,
    primary_key: Vec<u16>,
    primary_index: Option<Oid>,
    indexes: Vec<Oid>,
    constraints: Vec<Constraint3>,
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

impl From<Relation5> for Relation {
    fn from(old: Relation5) -> Relation {
        Relation {
            oid: old.oid,
            database: old.database,
            schema: old.schema,
            name: old.name,
            owner: old.owner,
            grants: old.grants,
            comment: old.comment,
            body: match old.body {
                Body5::Table(table) => RelationBody::Table(table.into()),
                Body5::Index(index) => RelationBody::Index(index),
                Body5::Sequence(sequence) => RelationBody::Sequence(sequence),
                Body5::View(view) => RelationBody::View(view),
            },
            row_security: old.row_security,
        }
    }
}

impl From<Table5> for Table {
    fn from(old: Table5) -> Table {
        Table {
            store: old.store,
            layout_version: old.layout_version,
            columns: old.columns,
            primary_key: old.primary_key,
            primary_index: old.primary_index,
            indexes: old.indexes,
            constraints: old.constraints.into_iter().map(Constraint::from).collect(),
            referenced_by: old.referenced_by,
            options: old.options,
            comments: old.comments,
            constraint_comments: old.constraint_comments,
        }
    }
}

impl From<Constraint5> for Constraint {
    fn from(old: Constraint5) -> Constraint {
        Constraint {
            oid: old.oid,
            name: old.name,
            body: old.body,
            validated: true,
        }
    }
}

impl From<Relation3> for Relation {
    fn from(old: Relation3) -> Relation {
        Relation {
            oid: old.oid,
            database: old.database,
            schema: old.schema,
            name: old.name,
            owner: old.owner,
            grants: old.grants,
            comment: old.comment,
            body: match old.body {
                Body3::Table(table) => RelationBody::Table(table.into()),
                Body3::Index(index) => RelationBody::Index(index),
                Body3::Sequence(sequence) => RelationBody::Sequence(sequence),
                Body3::View(view) => RelationBody::View(view.into()),
            },
            row_security: old.row_security,
        }
    }
}

impl From<Table3> for Table {
    fn from(old: Table3) -> Table {
        Table {
            store: old.store,
            layout_version: old.layout_version,
            columns: old.columns.into_iter().map(Column::from).collect(),
            primary_key: old.primary_key,
            primary_index: old.primary_index,
            indexes: old.indexes,
            constraints: old.constraints.into_iter().map(Constraint::from).collect(),
            referenced_by: old.referenced_by,
            options: old.options,
            comments: old.comments,
            constraint_comments: Vec::new(),
        }
    }
}

impl From<View3> for View {
    fn from(old: View3) -> View {
        View {
            query: old.query,
            columns: old.columns,
            comments: Vec::new(),
        }
    }
}

impl From<Column3> for Column {
    fn from(old: Column3) -> Column {
        Column {
            name: old.name,
            sql_type: old.sql_type,
            not_null: old.not_null,
            default: old.default,
            generated: false,
            identity: old.identity,
            sequence: old.sequence,
            added_in: old.added_in,
            missing: old.missing,
            dropped: old.dropped,
        }
    }
}

impl From<Constraint3> for Constraint {
    fn from(old: Constraint3) -> Constraint {
        Constraint {
            oid: old.oid,
            name: old.name,
            body: match old.body {
                ConstraintBody3::Check { expression } => ConstraintBody::Check { expression },
                ConstraintBody3::ForeignKey {
                    columns,
                    table,
                    referenced,
                    on_update,
                    on_delete,
                } => ConstraintBody::ForeignKey {
                    columns,
                    table,
                    referenced,
                    on_update,
                    on_delete,
                    deferral: Deferral::None,
                },
            },
            validated: true,
        }
    }
}

impl From<Relation2> for Relation3 {
    fn from(old: Relation2) -> Relation3 {
        Relation3 {
            oid: old.oid,
            database: old.database,
            schema: old.schema,
            name: old.name,
            owner: old.owner,
            grants: old.grants,
            comment: old.comment,
            body: match old.body {
                Body2::Table(table) => Body3::Table(table.into()),
                Body2::Index(index) => Body3::Index(index.into()),
                Body2::Sequence(sequence) => Body3::Sequence(sequence),
                Body2::View(view) => Body3::View(view),
            },
            row_security: old.row_security,
        }
    }
}

impl From<Table2> for Table3 {
    fn from(old: Table2) -> Table3 {
        Table3 {
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
    use crate::catalog::sql_type::TypeKind;

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
                Relation3::from(relation(Body2::Table(table()))).into(),
            ),
            (
                relation(Body2::Index(index())),
                Relation3::from(relation(Body2::Index(index()))).into(),
            ),
        ]
    }

    /// A table of format 3 with a foreign key, and what it is now.
    pub fn examples_of_format_3() -> Vec<(Relation3, Relation)> {
        let relation = || Relation3 {
            oid: Oid(20_000),
            database: DatabaseId(5),
            schema: Arc::from("public"),
            name: Arc::from("r"),
            owner: PrincipalId(10),
            grants: Vec::new(),
            comment: None,
            body: Body3::Table(Table3 {
                store: RelationId(6),
                layout_version: 3,
                columns: vec![Column3 {
                    name: Arc::from("a"),
                    sql_type: SqlType::scalar(TypeKind::Int4),
                    not_null: true,
                    default: Some(Arc::from("7")),
                    identity: None,
                    sequence: None,
                    added_in: 1,
                    missing: None,
                    dropped: false,
                }],
                primary_key: vec![0],
                primary_index: Some(Oid(20_001)),
                indexes: Vec::new(),
                constraints: vec![Constraint3 {
                    oid: Oid(20_004),
                    name: Arc::from("r_a_fkey"),
                    body: ConstraintBody3::ForeignKey {
                        columns: vec![1],
                        table: Oid(20_003),
                        referenced: vec![0],
                        on_update: ReferentialAction::NoAction,
                        on_delete: ReferentialAction::Cascade,
                    },
                }],
                referenced_by: Vec::new(),
                options: Vec::new(),
                comments: vec![(0, Arc::from("the key"))],
            }),
            row_security: RowSecurity::default(),
        };
        vec![(relation(), relation().into())]
    }

    /// A table of format 5 with a constraint, and what it is now.
    pub fn example_of_format_5() -> (Relation5, Relation) {
        let relation = || Relation5 {
            oid: Oid(20_000),
            database: DatabaseId(5),
            schema: Arc::from("public"),
            name: Arc::from("r"),
            owner: PrincipalId(10),
            grants: Vec::new(),
            comment: None,
            body: Body5::Table(Table5 {
                store: RelationId(6),
                layout_version: 3,
                columns: Vec::new(),
                primary_key: Vec::new(),
                primary_index: None,
                indexes: Vec::new(),
                constraints: vec![Constraint5 {
                    oid: Oid(20_004),
                    name: Arc::from("r_check"),
                    body: ConstraintBody::Check {
                        expression: Arc::from("true"),
                    },
                }],
                referenced_by: Vec::new(),
                options: Vec::new(),
                comments: Vec::new(),
                constraint_comments: vec![(Oid(20_004), Arc::from("always"))],
            }),
            row_security: RowSecurity::default(),
        };
        (relation(), relation().into())
    }
}
