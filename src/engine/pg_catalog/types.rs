//! Types, access methods, collations, languages.

use super::built_in_types::Facts;
use super::cell::{Cell, number, row, text};
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

/// pg_proc.oid of record_in, record_out, record_recv and record_send.
const RECORD_INPUT: u32 = 2290;
const RECORD_OUTPUT: u32 = 2291;
const RECORD_RECEIVE: u32 = 2402;
const RECORD_SEND: u32 = 2403;

/// pg_type.oid of the type of a table's or view's rows: it has none of its own, and no OID that is given
/// comes so high.
pub fn row_type(relation: &Relation) -> Option<u32> {
    match relation.body {
        RelationBody::Table(_) | RelationBody::View(_) => Some(relation.oid.0 | 1 << 30),
        RelationBody::Index(_) | RelationBody::Sequence(_) => None,
    }
}

/// pg_type of the rows of the database's tables and views; what is built in is fixed.
pub fn pg_type(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_type");
    let types = own(context).filter_map(move |relation| {
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
                ("typinput", number(RECORD_INPUT)),
                ("typoutput", number(RECORD_OUTPUT)),
                ("typreceive", number(RECORD_RECEIVE)),
                ("typsend", number(RECORD_SEND)),
                ("typrelid", number(relation.oid.0)),
                ("typalign", text("d")),
                ("typstorage", text("x")),
                ("typtypmod", number(-1)),
            ],
        ))
    });
    types.chain(user_types(context)).collect()
}

/// pg_proc.oid of typinput, typoutput, typreceive and typsend of enumerations: enum_in and so on.
const ENUM_FUNCTIONS: [u32; 4] = [3506, 3507, 3532, 3533];
/// Those of arrays: array_in and so on.
const ARRAY_FUNCTIONS: [u32; 4] = [750, 751, 2400, 2401];
/// pg_proc.oid of array_typanalyze.
const ARRAY_ANALYZE: u32 = 3816;
/// pg_proc.oid of array_subscript_handler.
const ARRAY_SUBSCRIPT: u32 = 6179;

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
        let facts = Facts::of(sql_type);
        let (oid, array_oid) = (known.type_id.oid.0, known.type_id.array.0);
        let name = match array {
            false => known.name.to_string(),
            true => array_name(&known.name),
        };
        let [input, output, receive, send] = match array {
            false => ENUM_FUNCTIONS,
            true => ARRAY_FUNCTIONS,
        };
        let of_array = |function: u32| number(if array { function } else { 0 });
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
                ("typcategory", text(if array { "A" } else { "E" })),
                ("typispreferred", Cell::Bool(false)),
                ("typisdefined", Cell::Bool(true)),
                ("typdelim", text(",")),
                ("typelem", number(if array { oid } else { 0 })),
                ("typarray", number(if array { 0 } else { array_oid })),
                ("typinput", number(input)),
                ("typoutput", number(output)),
                ("typreceive", number(receive)),
                ("typsend", number(send)),
                ("typanalyze", of_array(ARRAY_ANALYZE)),
                ("typsubscript", of_array(ARRAY_SUBSCRIPT)),
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

/// A class of operators of btree: PostgreSQL's own, of the types that there are.
pub struct OperatorClass {
    /// pg_opclass.oid
    pub oid: u32,
    name: &'static str,
    /// What its keys are of.
    pub kind: TypeKind,
    /// pg_opfamily.oid
    family: u32,
    /// Whether an index of the type has it where none is named.
    pub default: bool,
}

const fn class(
    oid: u32,
    name: &'static str,
    kind: TypeKind,
    family: u32,
    default: bool,
) -> OperatorClass {
    OperatorClass {
        oid,
        name,
        kind,
        family,
        default,
    }
}

/// In the order of their OIDs.
pub const OPERATOR_CLASSES: &[OperatorClass] = &[
    class(1978, "int4_ops", TypeKind::Int4, 1976, true),
    class(1979, "int2_ops", TypeKind::Int2, 1976, true),
    class(1981, "oid_ops", TypeKind::Oid, 1989, true),
    class(3122, "date_ops", TypeKind::Date, 434, true),
    class(3123, "float8_ops", TypeKind::Float8, 1970, true),
    class(3124, "int8_ops", TypeKind::Int8, 1976, true),
    class(3125, "numeric_ops", TypeKind::Numeric, 1988, true),
    class(3126, "text_ops", TypeKind::Text, 1994, true),
    class(3127, "timestamptz_ops", TypeKind::Timestamptz, 434, true),
    class(3128, "timestamp_ops", TypeKind::Timestamp, 434, true),
    class(4217, "text_pattern_ops", TypeKind::Text, 2095, false),
    class(4218, "varchar_pattern_ops", TypeKind::Text, 2095, false),
    class(4219, "bpchar_pattern_ops", TypeKind::Bpchar, 2097, false),
    class(10003, "bool_ops", TypeKind::Bool, 424, true),
    class(10004, "bpchar_ops", TypeKind::Bpchar, 426, true),
    class(10006, "bytea_ops", TypeKind::Bytea, 428, true),
    class(10012, "float4_ops", TypeKind::Float4, 1970, true),
    class(10022, "interval_ops", TypeKind::Interval, 1982, true),
    class(10038, "time_ops", TypeKind::Time, 1996, true),
    class(10044, "varchar_ops", TypeKind::Text, 1994, false),
    class(10065, "uuid_ops", TypeKind::Uuid, 2968, true),
];

/// The families of those classes.
const OPERATOR_FAMILIES: &[(u32, &str)] = &[
    (424, "bool_ops"),
    (426, "bpchar_ops"),
    (428, "bytea_ops"),
    (434, "datetime_ops"),
    (1970, "float_ops"),
    (1976, "integer_ops"),
    (1982, "interval_ops"),
    (1988, "numeric_ops"),
    (1989, "oid_ops"),
    (1994, "text_ops"),
    (1996, "time_ops"),
    (2095, "text_pattern_ops"),
    (2097, "bpchar_pattern_ops"),
    (2968, "uuid_ops"),
];

/// pg_am.oid of btree.
const BTREE: u32 = 403;

/// pg_opfamily
pub fn pg_opfamily(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_opfamily");
    let family = |(oid, name): &(u32, &str)| {
        row(
            shape,
            &[
                ("oid", number(*oid)),
                ("opfmethod", number(BTREE)),
                ("opfname", text(*name)),
                ("opfnamespace", number(PG_CATALOG_OID.0)),
                ("opfowner", number(CATALOG_OWNER)),
            ],
        )
    };
    OPERATOR_FAMILIES.iter().map(family).collect()
}

/// pg_opclass
pub fn pg_opclass(_context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_opclass");
    let class = |class: &OperatorClass| {
        let keys = types::oid(SqlType::scalar(class.kind)).0;
        row(
            shape,
            &[
                ("oid", number(class.oid)),
                ("opcmethod", number(BTREE)),
                ("opcname", text(class.name)),
                ("opcnamespace", number(PG_CATALOG_OID.0)),
                ("opcowner", number(CATALOG_OWNER)),
                ("opcfamily", number(class.family)),
                ("opcintype", number(keys)),
                ("opcdefault", Cell::Bool(class.default)),
            ],
        )
    };
    OPERATOR_CLASSES.iter().map(class).collect()
}
