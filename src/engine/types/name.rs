//! What types are called: OIDs, `format_type`'s names, and the types of the syntax tree.
//!
//! Source: PostgreSQL 15, `pg_type.dat` (OIDs, lengths) and `format_type.c` (names).

use super::decode::Input;
use super::enumeration;
use crate::catalog::Oid;
use crate::catalog::enumeration::noted_name;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::search_path;
use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, Ident, ObjectName, TimezoneInfo,
};

/// The longest `varchar(n)` and `char(n)`, as PostgreSQL's MaxAttrSize.
pub const CHARACTER_LENGTH_MAX: u64 = 10_485_760;
/// The precision PostgreSQL allows.
const NUMERIC_PRECISION_MAX: u64 = 1000;
/// The digits a Decimal128 holds.
pub const NUMERIC_DIGITS_MAX: u8 = 38;
/// Seconds have at most so many decimals.
pub const SECONDS_PRECISION_MAX: u64 = 6;
/// In an interval's typmod: no restriction to fields (PostgreSQL's INTERVAL_FULL_RANGE).
const INTERVAL_ALL_FIELDS: i32 = 0x7FFF;

/// One line of pg_type.
struct TypeName {
    kind: TypeKind,
    oid: u32,
    array_oid: u32,
    length: i16,
    internal: &'static str,
    sql: &'static str,
}

macro_rules! type_names {
    ($($kind:ident $oid:literal $array:literal $length:literal $internal:literal $sql:literal;)*) => {
        const TYPES: &[TypeName] = &[
            $(TypeName {
                kind: TypeKind::$kind,
                oid: $oid,
                array_oid: $array,
                length: $length,
                internal: $internal,
                sql: $sql,
            },)*
        ];
    };
}

// In the order of TypeKind's variants, so that a kind is its own index.
type_names! {
    Bool 16 1000 1 "bool" "boolean";
    Int2 21 1005 2 "int2" "smallint";
    Int4 23 1007 4 "int4" "integer";
    Int8 20 1016 8 "int8" "bigint";
    Numeric 1700 1231 -1 "numeric" "numeric";
    Float4 700 1021 4 "float4" "real";
    Float8 701 1022 8 "float8" "double precision";
    Text 25 1009 -1 "text" "text";
    Varchar 1043 1015 -1 "varchar" "character varying";
    Bpchar 1042 1014 -1 "bpchar" "character";
    Name 19 1003 64 "name" "name";
    Char 18 1002 1 "char" "\"char\"";
    Bytea 17 1001 -1 "bytea" "bytea";
    Date 1082 1182 4 "date" "date";
    Time 1083 1183 8 "time" "time without time zone";
    Timestamp 1114 1115 8 "timestamp" "timestamp without time zone";
    Timestamptz 1184 1185 8 "timestamptz" "timestamp with time zone";
    Interval 1186 1187 16 "interval" "interval";
    Uuid 2950 2951 16 "uuid" "uuid";
    Json 114 199 -1 "json" "json";
    Jsonb 3802 3807 -1 "jsonb" "jsonb";
    Oid 26 1028 4 "oid" "oid";
    Regclass 2205 2210 4 "regclass" "regclass";
    Regtype 2206 2211 4 "regtype" "regtype";
    Regproc 24 1008 4 "regproc" "regproc";
    Void 2278 0 4 "void" "void";
    Unknown 705 0 -2 "unknown" "unknown";
    Record 2249 2287 -1 "record" "record";
}

/// The line of a built-in kind; of an enumeration what all of them have.
fn entry(kind: TypeKind) -> &'static TypeName {
    let entry = TYPES.iter().find(|entry| entry.kind == kind);
    entry.unwrap_or(&ENUM)
}

/// What all enumerations have: a length, as PostgreSQL's have, and no OID or name by themselves.
const ENUM: TypeName = TypeName {
    kind: TypeKind::Text,
    oid: 0,
    array_oid: 0,
    length: 4,
    internal: "anyenum",
    sql: "anyenum",
};

/// pg_type.oid of the type; of `text[]` for an array whose kind has none.
pub fn oid(sql_type: SqlType) -> Oid {
    if let TypeKind::Enum(known) = sql_type.kind {
        return if sql_type.array {
            known.array
        } else {
            known.oid
        };
    }
    let entry = entry(sql_type.kind);
    match (sql_type.array, entry.array_oid) {
        (false, _) => Oid(entry.oid),
        (true, 0) => Oid(1009),
        (true, array) => Oid(array),
    }
}

/// The built-in type with this OID, without a modifier.
pub fn from_oid(oid: Oid) -> Option<SqlType> {
    TYPES.iter().find_map(|entry| {
        if entry.oid == oid.0 {
            Some(SqlType::scalar(entry.kind))
        } else if entry.array_oid == oid.0 && oid.0 != 0 {
            Some(SqlType::array_of(entry.kind))
        } else {
            None
        }
    })
}

/// pg_type.typlen: the size of RowDescription, negative when it varies.
pub fn type_length(sql_type: SqlType) -> i16 {
    if sql_type.array {
        -1
    } else {
        entry(sql_type.kind).length
    }
}

/// pg_type.typname, with the `_` of arrays: what a result column of a cast is called.
pub fn internal_name(sql_type: SqlType) -> String {
    let noted;
    let name = match sql_type.kind {
        TypeKind::Enum(known) => {
            noted = noted_name(known);
            &*noted
        }
        kind => entry(kind).internal,
    };
    if sql_type.array {
        format!("_{name}")
    } else {
        name.to_owned()
    }
}

/// The word that tells a type in metadata and rewritten trees; [`from_stored_name`] reads it.
pub fn stored_name(sql_type: SqlType) -> String {
    match (sql_type.kind, sql_type.array) {
        (TypeKind::Enum(known), false) => enumeration::stored_name(known),
        (TypeKind::Enum(known), true) => format!("_{}", enumeration::stored_name(known)),
        _ => internal_name(sql_type),
    }
}

/// The type of such a word.
pub fn from_stored_name(name: &str) -> Option<SqlType> {
    let element = name.strip_prefix('_');
    match enumeration::of_stored_name(element.unwrap_or(name)) {
        Some(known) => Some(SqlType {
            array: element.is_some(),
            ..SqlType::scalar(TypeKind::Enum(known))
        }),
        None => from_internal_name(name),
    }
}

/// The type in a syntax tree, as [`from_ast`] reads it.
pub fn to_ast(sql_type: SqlType) -> Option<DataType> {
    let TypeKind::Enum(known) = sql_type.kind else {
        return None;
    };
    let name = Ident::with_quote('"', enumeration::stored_name(known));
    let scalar = DataType::Custom(name.into(), Vec::new());
    Some(match sql_type.array {
        false => scalar,
        true => DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(scalar), None)),
    })
}

/// The scalar type of this pg_type.typname or SQL name of one word, in lower case.
pub fn from_internal_name(name: &str) -> Option<SqlType> {
    let (name, array) = match name.strip_prefix('_') {
        Some(element) => (element, true),
        None => (name, false),
    };
    let kind = match name {
        "int" | "integer" => TypeKind::Int4,
        "smallint" => TypeKind::Int2,
        "bigint" => TypeKind::Int8,
        "boolean" => TypeKind::Bool,
        "real" => TypeKind::Float4,
        "decimal" => TypeKind::Numeric,
        _ => TYPES.iter().find(|entry| entry.internal == name)?.kind,
    };
    Some(SqlType {
        kind,
        typmod: -1,
        array,
    })
}

/// The scalar type that `format_type` prints so without a modifier.
pub fn from_sql_name(name: &str) -> Option<SqlType> {
    let entry = TYPES.iter().find(|entry| entry.sql == name)?;
    Some(SqlType::scalar(entry.kind))
}

/// The name PostgreSQL's `format_type` gives, with the modifier: `character varying(3)`.
pub fn format_type(sql_type: SqlType) -> String {
    let entry = entry(sql_type.kind);
    let typmod = sql_type.typmod;
    let mut name = match sql_type.kind {
        TypeKind::Enum(known) => noted_name(known).to_string(),
        TypeKind::Varchar | TypeKind::Bpchar if typmod >= 4 => {
            format!("{}({})", entry.sql, typmod - 4)
        }
        TypeKind::Numeric if typmod >= 4 => {
            let (precision, scale) = numeric_modifier_wide(typmod);
            format!("numeric({precision},{scale})")
        }
        TypeKind::Time if typmod >= 0 => format!("time({typmod}) without time zone"),
        TypeKind::Timestamp if typmod >= 0 => format!("timestamp({typmod}) without time zone"),
        TypeKind::Timestamptz if typmod >= 0 => format!("timestamp({typmod}) with time zone"),
        TypeKind::Interval if typmod >= 0 => format!("interval({})", typmod & 0xFFFF),
        _ => entry.sql.to_owned(),
    };
    if sql_type.array {
        name.push_str("[]");
    }
    name
}

/// numeric without a modifier.
pub const ANY_NUMERIC: SqlType = SqlType::scalar(TypeKind::Numeric);

/// Precision and scale of a numeric's typmod, which must be ≥ 4.
pub fn numeric_modifier_wide(typmod: i32) -> (i32, i32) {
    let bits = typmod - 4;
    // PostgreSQL 15 keeps the scale in 11 bits, in two's complement.
    ((bits >> 16) & 0xFFFF, ((bits & 0x7FF) ^ 1024) - 1024)
}

/// Precision and scale of a numeric that Decimal128 holds: at most 38 digits, of which not more
/// than all stand behind the point. None of every other numeric, whose values are
/// [`super::number::Number`]s.
pub fn fixed_numeric(sql_type: SqlType) -> Option<(u8, i8)> {
    if sql_type.kind != TypeKind::Numeric || sql_type.typmod < 4 {
        return None;
    }
    let (precision, scale) = numeric_modifier_wide(sql_type.typmod);
    let holds = precision <= i32::from(NUMERIC_DIGITS_MAX) && (0..=precision).contains(&scale);
    holds.then_some((precision as u8, scale as i8))
}

/// The type with numeric(precision, scale) as its modifier.
pub fn numeric_type(precision: impl Into<i32>, scale: impl Into<i32>) -> SqlType {
    SqlType {
        kind: TypeKind::Numeric,
        typmod: ((precision.into() << 16) | (scale.into() & 0x7FF)) + 4,
        array: false,
    }
}

/// How many decimals of a second a typmod of a time type leaves; None: all six.
pub fn seconds_precision(sql_type: SqlType) -> Option<u32> {
    let precision = match sql_type.kind {
        TypeKind::Interval if sql_type.typmod >= 0 => sql_type.typmod & 0xFFFF,
        _ => sql_type.typmod,
    };
    u32::try_from(precision).ok().filter(|digits| *digits < 6)
}

/// The type that a syntax tree names: a built-in one, or one that somebody has defined.
///
/// # Errors
/// 42704 for a name that is no type, 0A000 for one of PostgreSQL's that is not here, 22023 for a
/// modifier out of range.
pub fn from_ast(data_type: &DataType, input: Input<'_>) -> Result<SqlType, Diagnostic> {
    read(data_type, Some(input))
}

/// As [`from_ast`], of built-in types alone.
///
/// # Errors
/// As there.
pub fn built_in(data_type: &DataType) -> Result<SqlType, Diagnostic> {
    read(data_type, None)
}

fn read(data_type: &DataType, input: Option<Input<'_>>) -> Result<SqlType, Diagnostic> {
    let scalar = |kind| Ok(SqlType::scalar(kind));
    match data_type {
        DataType::Bool | DataType::Boolean => scalar(TypeKind::Bool),
        DataType::Int2(None) | DataType::SmallInt(None) => scalar(TypeKind::Int2),
        DataType::Int(None) | DataType::Int4(None) | DataType::Integer(None) => {
            scalar(TypeKind::Int4)
        }
        DataType::Int8(None) | DataType::BigInt(None) => scalar(TypeKind::Int8),
        DataType::Float4 | DataType::Real => scalar(TypeKind::Float4),
        DataType::Float8
        | DataType::DoublePrecision
        | DataType::Double(ExactNumberInfo::None)
        | DataType::Float(ExactNumberInfo::None) => scalar(TypeKind::Float8),
        DataType::Float(ExactNumberInfo::Precision(bits)) => float_of_bits(*bits),
        DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => numeric(info),
        DataType::Text => scalar(TypeKind::Text),
        DataType::Varchar(length)
        | DataType::CharacterVarying(length)
        | DataType::CharVarying(length) => character(TypeKind::Varchar, length.as_ref()),
        DataType::Char(None) | DataType::Character(None) => Ok(SqlType {
            kind: TypeKind::Bpchar,
            typmod: 5,
            array: false,
        }),
        DataType::Char(length) | DataType::Character(length) => {
            character(TypeKind::Bpchar, length.as_ref())
        }
        DataType::Bytea => scalar(TypeKind::Bytea),
        DataType::Date => scalar(TypeKind::Date),
        DataType::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            of_seconds(TypeKind::Time, *precision)
        }
        DataType::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            of_seconds(TypeKind::Timestamp, *precision)
        }
        DataType::Timestamp(precision, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            of_seconds(TypeKind::Timestamptz, *precision)
        }
        DataType::Interval {
            fields: None,
            precision,
        } => Ok(interval(*precision)?),
        DataType::Uuid => scalar(TypeKind::Uuid),
        DataType::JSON => scalar(TypeKind::Json),
        DataType::JSONB => scalar(TypeKind::Jsonb),
        DataType::Regclass => scalar(TypeKind::Regclass),
        DataType::Array(
            ArrayElemTypeDef::SquareBracket(element, _) | ArrayElemTypeDef::AngleBracket(element),
        ) => array_of(read(element, input)?),
        DataType::Custom(name, modifiers) => {
            let found = input.map_or(Ok(None), |input| user_type(name, input))?;
            match found {
                Some(_) if !modifiers.is_empty() => Err(bad_modifier(&name.to_string())),
                Some(found) => Ok(found),
                None => custom(name, modifiers),
            }
        }
        other => Err(Diagnostic::unsupported(format!("type {other}"))),
    }
}

fn array_of(element: SqlType) -> Result<SqlType, Diagnostic> {
    // PostgreSQL's types do not tell the number of dimensions: int[][] is int[].
    Ok(SqlType {
        array: true,
        ..element
    })
}

/// The type of this name that somebody has defined. Built-in ones come first, as pg_catalog does.
///
/// # Errors
/// 3F000 for a schema that is not there.
fn user_type(name: &ObjectName, input: Input<'_>) -> Result<Option<SqlType>, Diagnostic> {
    let Some(types) = input.types else {
        return Ok(None);
    };
    let folded = |word: &Ident| match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_lowercase(),
    };
    let words: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident()).collect();
    let found = match words.unwrap_or_default().as_slice() {
        [word] => {
            let word = folded(word);
            if let Some(known) = enumeration::of_stored_name(&word) {
                return Ok(Some(SqlType::scalar(TypeKind::Enum(known))));
            }
            match from_internal_name(&word) {
                Some(_) => None,
                None => defined(None, &word, input),
            }
        }
        [schema, word] => {
            let schema = folded(schema);
            if !types.has_schema(&schema) {
                return Err(search_path::no_schema(&schema));
            }
            defined(Some(&schema), &folded(word), input)
        }
        _ => None,
    };
    Ok(found)
}

/// The type of this name, or that of arrays of one whose name follows an underscore.
fn defined(schema: Option<&str>, name: &str, input: Input<'_>) -> Option<SqlType> {
    if let Some(found) = enumeration::named(schema, name, input) {
        return Some(found.sql_type());
    }
    let element = enumeration::named(schema, name.strip_prefix('_')?, input)?;
    Some(SqlType {
        array: true,
        ..element.sql_type()
    })
}

fn custom(name: &ObjectName, modifiers: &[String]) -> Result<SqlType, Diagnostic> {
    let mut parts = name.0.iter().filter_map(|part| part.as_ident());
    let (schema, word) = match (parts.next(), parts.next(), parts.next()) {
        (Some(word), None, None) => (None, word),
        (Some(schema), Some(word), None) => (Some(schema), word),
        _ => return Err(unknown_type(&name.to_string())),
    };
    if schema.is_some_and(|schema| !schema.value.eq_ignore_ascii_case("pg_catalog")) {
        return Err(unknown_type(&name.to_string()));
    }
    let lower = match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_ascii_lowercase(),
    };
    // Unquoted `char` is character(1); only `"char"` and pg_catalog's is the single byte.
    let found = from_internal_name(&lower)
        .filter(|found| !matches!(found.kind, TypeKind::Void | TypeKind::Unknown));
    let Some(found) = found else {
        return Err(unsupported_or_unknown(&lower));
    };
    match (found.kind, modifiers) {
        (_, []) => Ok(found),
        (TypeKind::Varchar | TypeKind::Bpchar, [length]) => {
            let length = length.parse().map_err(|_| bad_modifier(&lower))?;
            with_length(found.kind, length)
        }
        (TypeKind::Timestamp | TypeKind::Timestamptz | TypeKind::Time, [precision]) => {
            let precision = precision.parse().map_err(|_| bad_modifier(&lower))?;
            of_seconds(found.kind, Some(precision))
        }
        _ => Err(bad_modifier(&lower)),
    }
}

fn unsupported_or_unknown(name: &str) -> Diagnostic {
    const POSTGRESQL_HAS: &[&str] = &[
        "aclitem",
        "bit",
        "box",
        "cidr",
        "circle",
        "cstring",
        "inet",
        "int2vector",
        "int4range",
        "int8range",
        "line",
        "lseg",
        "macaddr",
        "macaddr8",
        "money",
        "numrange",
        "oidvector",
        "path",
        "pg_lsn",
        "point",
        "polygon",
        "regclass",
        "regnamespace",
        "regoper",
        "regrole",
        "timetz",
        "tsquery",
        "tsrange",
        "tstzrange",
        "tsvector",
        "txid_snapshot",
        "varbit",
        "xid",
        "xml",
        "daterange",
        "cid",
        "tid",
    ];
    if POSTGRESQL_HAS.contains(&name) {
        Diagnostic::unsupported(format!("type {name}"))
    } else {
        unknown_type(name)
    }
}

fn unknown_type(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("type \"{name}\" does not exist"),
    )
}

fn bad_modifier(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        format!("type modifier is not allowed for type \"{name}\""),
    )
}

fn float_of_bits(bits: u64) -> Result<SqlType, Diagnostic> {
    let out_of_range = |message| {
        Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            message,
        ))
    };
    match bits {
        0 => out_of_range("precision for type float must be at least 1 bit"),
        1..=24 => Ok(SqlType::scalar(TypeKind::Float4)),
        25..=53 => Ok(SqlType::scalar(TypeKind::Float8)),
        _ => out_of_range("precision for type float must be less than 54 bits"),
    }
}

fn numeric(info: &ExactNumberInfo) -> Result<SqlType, Diagnostic> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(SqlType::scalar(TypeKind::Numeric)),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if precision == 0 || precision > NUMERIC_PRECISION_MAX {
        return Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC precision {precision} must be between 1 and {NUMERIC_PRECISION_MAX}"),
        ));
    }
    if !(-1000..=1000).contains(&scale) {
        return Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("NUMERIC scale {scale} must be between -1000 and 1000"),
        ));
    }
    Ok(numeric_type(precision as i32, scale as i32))
}

fn character(kind: TypeKind, length: Option<&CharacterLength>) -> Result<SqlType, Diagnostic> {
    match length {
        None => Ok(SqlType::scalar(kind)),
        Some(CharacterLength::IntegerLength { length, unit: None }) => with_length(kind, *length),
        Some(other) => Err(Diagnostic::unsupported(format!("character length {other}"))),
    }
}

fn with_length(kind: TypeKind, length: u64) -> Result<SqlType, Diagnostic> {
    let name = if kind == TypeKind::Varchar {
        "varchar"
    } else {
        "char"
    };
    let out_of_range = |message| {
        Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            message,
        ))
    };
    match length {
        0 => out_of_range(format!("length for type {name} must be at least 1")),
        1..=CHARACTER_LENGTH_MAX => Ok(SqlType {
            kind,
            typmod: length as i32 + 4,
            array: false,
        }),
        _ => out_of_range(format!(
            "length for type {name} cannot exceed {CHARACTER_LENGTH_MAX}"
        )),
    }
}

fn of_seconds(kind: TypeKind, precision: Option<u64>) -> Result<SqlType, Diagnostic> {
    // PostgreSQL warns of a precision over 6 and reduces it to 6, which changes nothing.
    let typmod = precision.map_or(-1, |digits| digits.min(SECONDS_PRECISION_MAX) as i32);
    Ok(SqlType {
        kind,
        typmod,
        array: false,
    })
}

fn interval(precision: Option<u64>) -> Result<SqlType, Diagnostic> {
    let typmod = precision.map_or(-1, |digits| {
        (INTERVAL_ALL_FIELDS << 16) | digits.min(SECONDS_PRECISION_MAX) as i32
    });
    Ok(SqlType {
        kind: TypeKind::Interval,
        typmod,
        array: false,
    })
}
