//! The SQL types a column, a parameter or a result may have: a kind and PostgreSQL's typmod.
//!
//! Only what the catalog must say about a type stands here. Its values (text, binary, Arrow) are
//! `engine::types`.

use super::ids::Oid;
use serde::{Deserialize, Serialize};

/// A scalar type, or an array of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TypeKind {
    /// bool
    Bool,
    /// int2
    Int2,
    /// int4
    Int4,
    /// int8
    Int8,
    /// numeric
    Numeric,
    /// float4
    Float4,
    /// float8
    Float8,
    /// text
    Text,
    /// varchar, varchar(n)
    Varchar,
    /// char(n): blank-padded ("bpchar")
    Bpchar,
    /// name: PostgreSQL's 63-byte identifier type, in catalogs
    Name,
    /// "char": the single-byte type of catalogs
    Char,
    /// bytea
    Bytea,
    /// date
    Date,
    /// time
    Time,
    /// timestamp
    Timestamp,
    /// timestamptz
    Timestamptz,
    /// interval
    Interval,
    /// uuid
    Uuid,
    /// json
    Json,
    /// jsonb
    Jsonb,
    /// oid
    Oid,
    /// regclass and its like are oids that print as names
    Regclass,
    /// regtype
    Regtype,
    /// regproc
    Regproc,
    /// void: the result of a function called for its effect
    Void,
    /// unknown: an untyped literal that nothing has decided yet
    Unknown,
    /// CREATE TYPE … AS ENUM: an enumeration that somebody has defined
    Enum(EnumType),
    /// record: a row without a type of its own, as ROW(…) makes it
    Record,
}

/// Which enumeration: what the wire and the catalogs know it by (`catalog::enumeration` says the rest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EnumType {
    /// pg_type.oid
    pub oid: Oid,
    /// pg_type.oid of its arrays.
    pub array: Oid,
}

/// A type as the wire and the catalogs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SqlType {
    /// The scalar type, or that of the elements.
    pub kind: TypeKind,
    /// PostgreSQL's atttypmod: -1 when none; varchar(n) is n+4, numeric(p,s) is ((p<<16)|s)+4.
    pub typmod: i32,
    /// Whether this is an array of the kind.
    pub array: bool,
}

impl TypeKind {
    /// Every kind that is built in.
    pub const ALL: [TypeKind; 28] = [
        TypeKind::Bool,
        TypeKind::Int2,
        TypeKind::Int4,
        TypeKind::Int8,
        TypeKind::Numeric,
        TypeKind::Float4,
        TypeKind::Float8,
        TypeKind::Text,
        TypeKind::Varchar,
        TypeKind::Bpchar,
        TypeKind::Name,
        TypeKind::Char,
        TypeKind::Bytea,
        TypeKind::Date,
        TypeKind::Time,
        TypeKind::Timestamp,
        TypeKind::Timestamptz,
        TypeKind::Interval,
        TypeKind::Uuid,
        TypeKind::Json,
        TypeKind::Jsonb,
        TypeKind::Oid,
        TypeKind::Regclass,
        TypeKind::Regtype,
        TypeKind::Regproc,
        TypeKind::Void,
        TypeKind::Unknown,
        TypeKind::Record,
    ];
}

impl SqlType {
    /// The type without a modifier.
    pub const fn scalar(kind: TypeKind) -> SqlType {
        SqlType {
            kind,
            typmod: -1,
            array: false,
        }
    }

    /// An array of the kind.
    pub const fn array_of(kind: TypeKind) -> SqlType {
        SqlType {
            kind,
            typmod: -1,
            array: true,
        }
    }
}
