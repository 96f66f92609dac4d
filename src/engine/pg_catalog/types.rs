//! Types, access methods, collations, languages.

use super::cell::{Cell, number, row, text};
use super::procedures::{ARRAY_INPUT, ENUM_INPUT};
use super::relations::{CATALOG_OWNER, catalog, namespace, own, owner};
use super::{PG_CATALOG_OID, Row};
use crate::catalog::definition::{Relation, RelationBody};
use crate::catalog::enumeration::{EnumLabel, UserType};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::context::StatementContext;
use crate::engine::types;
use crate::engine::types::text::NAME_BYTES_MAX;
use std::sync::Arc;

/// pg_collation.oid of `default` and `C`.
pub const DEFAULT_COLLATION: u32 = 100;
const C_COLLATION: u32 = 950;

/// What pg_type and pg_attribute say of a type besides its name.
pub struct Facts {
    /// typlen
    pub length: i16,
    /// typbyval
    pub by_value: bool,
    /// typalign
    pub alignment: &'static str,
    /// typstorage
    pub storage: &'static str,
    /// typcollation
    pub collation: u32,
    category: &'static str,
    preferred: bool,
}

/// The facts of a type.
pub fn facts(sql_type: SqlType) -> Facts {
    let length = types::type_length(sql_type);
    let collation = match sql_type.kind {
        TypeKind::Text | TypeKind::Varchar | TypeKind::Bpchar => DEFAULT_COLLATION,
        TypeKind::Name => C_COLLATION,
        _ => 0,
    };
    let (category, preferred) = if sql_type.array {
        ("A", false)
    } else {
        category(sql_type.kind)
    };
    Facts {
        length,
        by_value: (1..=8).contains(&length),
        alignment: match (sql_type.kind, length) {
            (_, 8) => "d",
            (TypeKind::Interval, _) => "d",
            (TypeKind::Uuid | TypeKind::Name, _) | (_, 1) => "c",
            (_, 2) => "s",
            _ => "i",
        },
        storage: match length {
            -1 if sql_type.kind == TypeKind::Numeric && !sql_type.array => "m",
            -1 => "x",
            _ => "p",
        },
        collation,
        category,
        preferred,
    }
}

fn category(kind: TypeKind) -> (&'static str, bool) {
    match kind {
        TypeKind::Bool => ("B", true),
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8 | TypeKind::Numeric | TypeKind::Float4 => {
            ("N", false)
        }
        TypeKind::Float8 | TypeKind::Oid => ("N", true),
        TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc => ("N", false),
        TypeKind::Text => ("S", true),
        TypeKind::Varchar | TypeKind::Bpchar | TypeKind::Name => ("S", false),
        TypeKind::Char => ("Z", false),
        TypeKind::Date | TypeKind::Time | TypeKind::Timestamp => ("D", false),
        TypeKind::Timestamptz => ("D", true),
        TypeKind::Interval => ("T", true),
        TypeKind::Void => ("P", false),
        TypeKind::Unknown => ("X", false),
        TypeKind::Bytea | TypeKind::Uuid | TypeKind::Json | TypeKind::Jsonb => ("U", false),
        TypeKind::Enum(_) => ("E", false),
    }
}

/// pg_type.oid of the type of a table's or view's rows: it has none of its own, and no OID that is given
/// comes so high.
pub fn row_type(relation: &Relation) -> Option<u32> {
    match relation.body {
        RelationBody::Table(_) | RelationBody::View(_) => Some(relation.oid.0 | 1 << 30),
        RelationBody::Index(_) | RelationBody::Sequence(_) => None,
    }
}

/// The types of the rows of the database's tables and views.
fn row_types(context: &StatementContext) -> impl Iterator<Item = Row> {
    let shape = catalog("pg_type");
    own(context).filter_map(move |relation| {
        let oid = row_type(relation)?;
        Some(row(
            shape,
            &[
                ("oid", number(oid)),
                ("typname", text(&*relation.name)),
                ("typnamespace", number(namespace(&relation.schema, context))),
                ("typowner", owner(relation.owner)),
                ("typlen", number(-1)),
                ("typtype", text("c")),
                ("typcategory", text("C")),
                ("typisdefined", Cell::Bool(true)),
                ("typdelim", text(",")),
                ("typrelid", number(relation.oid.0)),
                ("typalign", text("d")),
                ("typstorage", text("x")),
                ("typtypmod", number(-1)),
            ],
        ))
    })
}

/// pg_type
pub fn pg_type(context: &StatementContext) -> Vec<Row> {
    let arrays = TypeKind::ALL
        .iter()
        .filter(|kind| !matches!(kind, TypeKind::Void | TypeKind::Unknown));
    TypeKind::ALL
        .iter()
        .map(|kind| SqlType::scalar(*kind))
        .chain(arrays.map(|kind| SqlType::array_of(*kind)))
        .map(type_row)
        .chain(row_types(context))
        .chain(user_types(context))
        .collect()
}

/// The types that somebody has defined, and those of their arrays.
fn user_types(context: &StatementContext) -> impl Iterator<Item = Row> {
    let shape = catalog("pg_type");
    let types = context
        .snapshot
        .definitions
        .types_of(context.identity.database);
    let both = types.flat_map(|known| [(known, false), (known, true)]);
    both.map(move |(known, array)| {
        let of_values = known.sql_type();
        let sql_type = SqlType { array, ..of_values };
        let facts = facts(sql_type);
        let (oid, array_oid) = (known.type_id.oid.0, known.type_id.array.0);
        let name = match array {
            false => known.name.to_string(),
            true => array_name(&known.name),
        };
        row(
            shape,
            &[
                ("oid", number(types::oid(sql_type).0)),
                ("typname", text(name)),
                ("typnamespace", number(namespace(&known.schema, context))),
                ("typowner", owner(known.owner)),
                ("typlen", number(facts.length)),
                ("typbyval", Cell::Bool(facts.by_value)),
                ("typtype", text(if array { "b" } else { "e" })),
                ("typcategory", text(facts.category)),
                ("typispreferred", Cell::Bool(false)),
                ("typisdefined", Cell::Bool(true)),
                ("typdelim", text(",")),
                ("typelem", number(if array { oid } else { 0 })),
                ("typarray", number(if array { 0 } else { array_oid })),
                (
                    "typinput",
                    number(if array { ARRAY_INPUT } else { ENUM_INPUT }),
                ),
                ("typalign", text(facts.alignment)),
                ("typstorage", text(facts.storage)),
                ("typtypmod", number(-1)),
            ],
        )
    })
}

/// The name of the type of arrays, as PostgreSQL chooses it where nothing else has it.
pub fn array_name(element: &str) -> String {
    let mut name = format!("_{element}");
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    name
}

/// pg_enum
pub fn pg_enum(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_enum");
    let types = context
        .snapshot
        .definitions
        .types_of(context.identity.database);
    let labels = types.flat_map(|known| {
        let labels = known.labels.iter().enumerate();
        labels.map(move |(place, label)| (known, place, label))
    });
    let of_label = |(known, place, label): (&Arc<UserType>, usize, &EnumLabel)| {
        row(
            shape,
            &[
                ("oid", number(label.oid.0)),
                ("enumtypid", number(known.type_id.oid.0)),
                ("enumsortorder", number(place as i64 + 1)),
                ("enumlabel", text(&*label.label)),
            ],
        )
    };
    labels.map(of_label).collect()
}

fn type_row(sql_type: SqlType) -> Row {
    let shape = catalog("pg_type");
    let facts = facts(sql_type);
    let has_array = !sql_type.array && !matches!(sql_type.kind, TypeKind::Void | TypeKind::Unknown);
    let array = has_array.then(|| types::oid(SqlType::array_of(sql_type.kind)).0);
    let element = sql_type
        .array
        .then(|| types::oid(SqlType::scalar(sql_type.kind)).0);
    let pseudo = matches!(sql_type.kind, TypeKind::Void | TypeKind::Unknown);
    let input = if sql_type.array { ARRAY_INPUT } else { 0 };
    row(
        shape,
        &[
            ("oid", number(types::oid(sql_type).0)),
            ("typname", text(types::name::internal_name(sql_type))),
            ("typnamespace", number(PG_CATALOG_OID.0)),
            ("typowner", number(CATALOG_OWNER)),
            ("typlen", number(facts.length)),
            ("typbyval", Cell::Bool(facts.by_value)),
            ("typtype", text(if pseudo { "p" } else { "b" })),
            ("typcategory", text(facts.category)),
            ("typispreferred", Cell::Bool(facts.preferred)),
            ("typisdefined", Cell::Bool(true)),
            ("typdelim", text(",")),
            ("typelem", number(element.unwrap_or_default())),
            ("typarray", number(array.unwrap_or_default())),
            ("typinput", number(input)),
            ("typalign", text(facts.alignment)),
            ("typstorage", text(facts.storage)),
            ("typtypmod", number(-1)),
            ("typcollation", number(facts.collation)),
        ],
    )
}

/// pg_am
pub fn pg_am(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_am");
    [(2, "heap", "t"), (403, "btree", "i")]
        .into_iter()
        .map(|(oid, name, kind)| {
            row(
                shape,
                &[
                    ("oid", number(oid)),
                    ("amname", text(name)),
                    ("amtype", text(kind)),
                ],
            )
        })
        .collect()
}

/// pg_collation
pub fn pg_collation(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_collation");
    [
        (DEFAULT_COLLATION, "default", "d", -1),
        (C_COLLATION, "C", "c", -1),
        (951, "POSIX", "c", -1),
    ]
    .into_iter()
    .map(|(oid, name, provider, encoding)| {
        let locale = if provider == "c" {
            text(name)
        } else {
            Cell::Null
        };
        row(
            shape,
            &[
                ("oid", number(oid)),
                ("collname", text(name)),
                ("collnamespace", number(PG_CATALOG_OID.0)),
                ("collowner", number(CATALOG_OWNER)),
                ("collprovider", text(provider)),
                ("collisdeterministic", Cell::Bool(true)),
                ("collencoding", number(encoding)),
                ("collcollate", locale.clone()),
                ("collctype", locale),
            ],
        )
    })
    .collect()
}

/// pg_language: functions are built in; there are no others.
pub fn pg_language(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_language");
    [(12, "internal"), (14, "sql")]
        .into_iter()
        .map(|(oid, name)| {
            row(
                shape,
                &[
                    ("oid", number(oid)),
                    ("lanname", text(name)),
                    ("lanowner", number(CATALOG_OWNER)),
                ],
            )
        })
        .collect()
}

/// pg_opclass.oid of btree for the types that have keys: PostgreSQL's pinned ones.
pub const DEFAULT_OPCLASSES: &[(i64, &str, TypeKind)] = &[
    (1978, "int4_ops", TypeKind::Int4),
    (1979, "int2_ops", TypeKind::Int2),
    (3124, "int8_ops", TypeKind::Int8),
    (3126, "text_ops", TypeKind::Text),
    (3127, "timestamptz_ops", TypeKind::Timestamptz),
    (3128, "timestamp_ops", TypeKind::Timestamp),
    (3122, "date_ops", TypeKind::Date),
    (3123, "float8_ops", TypeKind::Float8),
    (3125, "numeric_ops", TypeKind::Numeric),
    (1981, "oid_ops", TypeKind::Oid),
];

/// pg_opclass
pub fn pg_opclass(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_opclass");
    DEFAULT_OPCLASSES
        .iter()
        .map(|(oid, name, kind)| {
            row(
                shape,
                &[
                    ("oid", number(*oid)),
                    ("opcmethod", number(403)),
                    ("opcname", text(*name)),
                    ("opcnamespace", number(PG_CATALOG_OID.0)),
                    ("opcowner", number(CATALOG_OWNER)),
                    ("opcintype", number(types::oid(SqlType::scalar(*kind)).0)),
                    ("opcdefault", Cell::Bool(true)),
                ],
            )
        })
        .collect()
}
