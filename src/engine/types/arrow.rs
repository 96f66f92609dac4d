//! SQL types as Arrow types, both ways.

use super::name;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// The key of the field metadata that says which SQL type a column has: `bpchar:88`, `_int4:-1`.
pub const TYPE_METADATA_KEY: &str = "nodedb.type";

/// The Arrow type of values of this SQL type. Results of type numeric may also be Decimal128, where
/// all of a column have one scale.
pub fn data_type(sql_type: SqlType) -> DataType {
    let element = match sql_type.kind {
        TypeKind::Bool => DataType::Boolean,
        TypeKind::Int2 => DataType::Int16,
        TypeKind::Int4 => DataType::Int32,
        TypeKind::Int8 => DataType::Int64,
        TypeKind::Numeric => match name::fixed_numeric(sql_type) {
            Some((precision, scale)) => DataType::Decimal128(precision, scale),
            None => DataType::LargeBinary,
        },
        TypeKind::Float4 => DataType::Float32,
        TypeKind::Float8 => DataType::Float64,
        TypeKind::Text
        | TypeKind::Varchar
        | TypeKind::Bpchar
        | TypeKind::Name
        | TypeKind::Char
        | TypeKind::Json
        | TypeKind::Jsonb
        | TypeKind::Unknown => DataType::Utf8,
        TypeKind::Bytea | TypeKind::Record => DataType::Binary,
        TypeKind::Date => DataType::Date32,
        TypeKind::Time => DataType::Time64(TimeUnit::Microsecond),
        TypeKind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        TypeKind::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        TypeKind::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        TypeKind::Uuid => DataType::FixedSizeBinary(16),
        TypeKind::Oid | TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc => {
            DataType::UInt32
        }
        TypeKind::Void => DataType::Null,
        TypeKind::Enum(_) => DataType::BinaryView,
    };
    if sql_type.array {
        DataType::List(Arc::new(Field::new_list_field(element, true)))
    } else {
        element
    }
}

/// A field that also says its SQL type.
pub fn arrow_field(name: impl Into<String>, sql_type: SqlType, nullable: bool) -> Field {
    Field::new(name, data_type(sql_type), nullable)
        .with_metadata([(TYPE_METADATA_KEY.to_owned(), metadata(sql_type))].into())
}

/// The text kept under [`TYPE_METADATA_KEY`].
pub fn metadata(sql_type: SqlType) -> String {
    format!("{}:{}", name::stored_name(sql_type), sql_type.typmod)
}

fn from_metadata(text: &str) -> Option<SqlType> {
    let (name, typmod) = text.rsplit_once(':')?;
    let found = name::from_stored_name(name)?;
    Some(SqlType {
        typmod: typmod.parse().ok()?,
        ..found
    })
}

/// The SQL type of a field: what its metadata says, if that fits its Arrow type (an expression may
/// carry the metadata of the column it was made from), else what the Arrow type means alone.
pub fn sql_type(field: &Field) -> Result<SqlType, Diagnostic> {
    if let Some(said) = field
        .metadata()
        .get(TYPE_METADATA_KEY)
        .and_then(|text| from_metadata(text))
        && fits(said, field.data_type())
    {
        return Ok(said);
    }
    from_data_type(field.data_type())
}

fn fits(said: SqlType, data_type: &DataType) -> bool {
    match (self::data_type(said), data_type) {
        (DataType::Utf8, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) => true,
        (DataType::Decimal128(_, declared), DataType::Decimal128(_, scale)) => declared == *scale,
        (DataType::LargeBinary, DataType::Decimal128(..)) => said.typmod < 4,
        (DataType::List(_), DataType::List(element)) => {
            let element_type = SqlType {
                array: false,
                ..said
            };
            fits(element_type, element.data_type())
        }
        (expected, found) => expected == *found,
    }
}

/// The SQL type that an Arrow type means without metadata.
///
/// # Errors
/// 0A000 for Arrow types that no SQL type has, or that do not tell it.
pub fn from_data_type(data_type: &DataType) -> Result<SqlType, Diagnostic> {
    let kind = match data_type {
        DataType::Boolean => TypeKind::Bool,
        DataType::Int8 | DataType::Int16 => TypeKind::Int2,
        DataType::UInt8 | DataType::UInt16 | DataType::Int32 => TypeKind::Int4,
        DataType::Int64 | DataType::UInt64 => TypeKind::Int8,
        DataType::UInt32 => TypeKind::Oid,
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::LargeBinary => TypeKind::Numeric,
        DataType::Float16 | DataType::Float32 => TypeKind::Float4,
        DataType::Float64 => TypeKind::Float8,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            TypeKind::Text
        }
        // BinaryView is an enumeration's, which only metadata names.
        DataType::Binary => TypeKind::Bytea,
        DataType::Date32 | DataType::Date64 => TypeKind::Date,
        DataType::Time32(_) | DataType::Time64(_) => TypeKind::Time,
        DataType::Timestamp(_, None) => TypeKind::Timestamp,
        DataType::Timestamp(_, Some(_)) => TypeKind::Timestamptz,
        DataType::Interval(_) | DataType::Duration(_) => TypeKind::Interval,
        DataType::FixedSizeBinary(16) => TypeKind::Uuid,
        DataType::Dictionary(_, value) => return from_data_type(value),
        DataType::List(element) | DataType::LargeList(element) => {
            let element = sql_type(element)?;
            return Ok(SqlType {
                array: true,
                typmod: -1,
                ..element
            });
        }
        DataType::BinaryView => {
            return Err(Diagnostic::unsupported("an enumeration in this expression"));
        }
        other => return Err(Diagnostic::unsupported(format!("a result of type {other}"))),
    };
    Ok(SqlType::scalar(kind))
}

/// NULL of this type.
pub fn null_scalar(sql_type: SqlType) -> ScalarValue {
    ScalarValue::try_from(&self::data_type(sql_type))
        .expect("every type of ours has a NULL in Arrow")
}
