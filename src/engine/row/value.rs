//! How one value is kept in a row: by its physical type, little-endian, without its length.

use super::error::RowError;
use super::varint;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types;
use crate::engine::types::number::Number;
use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;

/// Numerics of at most this many digits fit an i64.
const I64_DIGITS: u8 = 18;

/// The physical type of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Physical {
    /// One byte.
    Bool,
    /// Two bytes.
    Int16,
    /// Four bytes.
    Int32,
    /// Eight bytes.
    Int64,
    /// Four bytes: oid and its like.
    UInt32,
    /// Four bytes.
    Float32,
    /// Eight bytes.
    Float64,
    /// numeric of at most 18 digits: eight bytes. Precision and scale.
    Decimal64(u8, i8),
    /// numeric of more digits: sixteen bytes. Precision and scale.
    Decimal128(u8, i8),
    /// Every other numeric: the ordered bytes of a number, any length.
    Numeric,
    /// Days, four bytes.
    Date,
    /// Microseconds, eight bytes.
    Time,
    /// Microseconds, eight bytes; true with time zone.
    Timestamp(bool),
    /// Months, days, nanoseconds: sixteen bytes.
    Interval,
    /// Sixteen bytes.
    Uuid,
    /// UTF-8, any length.
    Text,
    /// Any length.
    Binary,
    /// An enumeration's value, which has no byte 0: any length.
    Enum,
    /// Count, null bitmap, elements; with the type of the elements.
    List(Box<Physical>, SqlType),
}

impl Physical {
    /// That of a column of this type; of void, which no column has, text's.
    pub fn of(sql_type: SqlType) -> Physical {
        if sql_type.array {
            let element = SqlType {
                array: false,
                ..sql_type
            };
            return Physical::List(Box::new(Physical::of(element)), element);
        }
        match sql_type.kind {
            TypeKind::Bool => Physical::Bool,
            TypeKind::Int2 => Physical::Int16,
            TypeKind::Int4 => Physical::Int32,
            TypeKind::Int8 => Physical::Int64,
            TypeKind::Numeric => match types::data_type(sql_type) {
                DataType::Decimal128(precision, scale) if precision <= I64_DIGITS => {
                    Physical::Decimal64(precision, scale)
                }
                DataType::Decimal128(precision, scale) => Physical::Decimal128(precision, scale),
                _ => Physical::Numeric,
            },
            TypeKind::Float4 => Physical::Float32,
            TypeKind::Float8 => Physical::Float64,
            TypeKind::Text
            | TypeKind::Varchar
            | TypeKind::Bpchar
            | TypeKind::Name
            | TypeKind::Char
            | TypeKind::Json
            | TypeKind::Jsonb
            | TypeKind::Void
            | TypeKind::Unknown => Physical::Text,
            TypeKind::Bytea | TypeKind::Record => Physical::Binary,
            TypeKind::Date => Physical::Date,
            TypeKind::Time => Physical::Time,
            TypeKind::Timestamp => Physical::Timestamp(false),
            TypeKind::Timestamptz => Physical::Timestamp(true),
            TypeKind::Interval => Physical::Interval,
            TypeKind::Uuid => Physical::Uuid,
            TypeKind::Oid | TypeKind::Regclass | TypeKind::Regtype | TypeKind::Regproc => {
                Physical::UInt32
            }
            TypeKind::Enum(_) => Physical::Enum,
        }
    }

    /// Bytes of a value; None where values vary and stand behind their length.
    #[inline]
    pub fn width(&self) -> Option<usize> {
        match self {
            Physical::Bool => Some(1),
            Physical::Int16 => Some(2),
            Physical::Int32 | Physical::UInt32 | Physical::Float32 | Physical::Date => Some(4),
            Physical::Int64
            | Physical::Float64
            | Physical::Decimal64(..)
            | Physical::Time
            | Physical::Timestamp(_) => Some(8),
            Physical::Decimal128(..) | Physical::Interval | Physical::Uuid => Some(16),
            Physical::Numeric
            | Physical::Text
            | Physical::Binary
            | Physical::Enum
            | Physical::List(..) => None,
        }
    }

    fn mismatch(&self, found: &ScalarValue) -> RowError {
        RowError::Mismatch {
            expected: format!("{self:?}"),
            found: found.data_type().to_string(),
        }
    }

    /// Appends the value, which is not NULL, behind its length where that varies.
    ///
    /// # Errors
    /// XX000 for a value of another type.
    pub fn put(&self, value: &ScalarValue, out: &mut Vec<u8>) -> Result<(), RowError> {
        match (self, value) {
            (Physical::Bool, ScalarValue::Boolean(Some(value))) => out.push(u8::from(*value)),
            (Physical::Int16, ScalarValue::Int16(Some(value))) => out.extend(value.to_le_bytes()),
            (Physical::Int32, ScalarValue::Int32(Some(value)))
            | (Physical::Date, ScalarValue::Date32(Some(value))) => {
                out.extend(value.to_le_bytes());
            }
            (Physical::Int64, ScalarValue::Int64(Some(value)))
            | (Physical::Time, ScalarValue::Time64Microsecond(Some(value)))
            | (Physical::Timestamp(_), ScalarValue::TimestampMicrosecond(Some(value), _)) => {
                out.extend(value.to_le_bytes());
            }
            (Physical::UInt32, ScalarValue::UInt32(Some(value))) => out.extend(value.to_le_bytes()),
            (Physical::Float32, ScalarValue::Float32(Some(value))) => {
                out.extend(value.to_le_bytes());
            }
            (Physical::Float64, ScalarValue::Float64(Some(value))) => {
                out.extend(value.to_le_bytes());
            }
            (Physical::Decimal64(_, scale), ScalarValue::Decimal128(Some(value), _, found))
                if scale == found =>
            {
                let narrow = i64::try_from(*value).map_err(|_| self.mismatch_of(value))?;
                out.extend(narrow.to_le_bytes());
            }
            (Physical::Decimal128(_, scale), ScalarValue::Decimal128(Some(value), _, found))
                if scale == found =>
            {
                out.extend(value.to_le_bytes());
            }
            (Physical::Numeric, ScalarValue::LargeBinary(Some(bytes))) => put_bytes(bytes, out),
            (Physical::Interval, ScalarValue::IntervalMonthDayNano(Some(value))) => {
                out.extend(interval_bytes(*value));
            }
            (Physical::Uuid, ScalarValue::FixedSizeBinary(16, Some(bytes)))
                if bytes.len() == 16 =>
            {
                out.extend_from_slice(bytes);
            }
            (
                Physical::Text,
                ScalarValue::Utf8(Some(text))
                | ScalarValue::Utf8View(Some(text))
                | ScalarValue::LargeUtf8(Some(text)),
            ) => put_bytes(text.as_bytes(), out),
            (
                Physical::Binary,
                ScalarValue::Binary(Some(bytes)) | ScalarValue::BinaryView(Some(bytes)),
            ) => put_bytes(bytes, out),
            (Physical::Enum, ScalarValue::BinaryView(Some(value))) => put_bytes(value, out),
            (Physical::List(element, _), ScalarValue::List(list)) => {
                put_list(element, list.value(0).as_ref(), out)?;
            }
            (_, other) => return Err(self.mismatch(other)),
        }
        Ok(())
    }

    /// A numeric that its own precision should have kept out.
    fn mismatch_of(&self, value: &i128) -> RowError {
        RowError::Mismatch {
            expected: format!("{self:?}"),
            found: format!("numeric {value}"),
        }
    }

    /// The value of stored bytes, of exactly the type's width where that is fixed.
    ///
    /// # Errors
    /// XX001 for bytes that are no such value.
    pub fn get(&self, bytes: &[u8]) -> Result<ScalarValue, RowError> {
        macro_rules! number {
            ($number:ty) => {
                Some(<$number>::from_le_bytes(exact(bytes)?))
            };
        }
        Ok(match self {
            Physical::Bool => ScalarValue::Boolean(number!(u8).map(|byte| byte != 0)),
            Physical::Int16 => ScalarValue::Int16(number!(i16)),
            Physical::Int32 => ScalarValue::Int32(number!(i32)),
            Physical::Int64 => ScalarValue::Int64(number!(i64)),
            Physical::UInt32 => ScalarValue::UInt32(number!(u32)),
            Physical::Float32 => ScalarValue::Float32(number!(f32)),
            Physical::Float64 => ScalarValue::Float64(number!(f64)),
            Physical::Decimal64(precision, scale) => {
                ScalarValue::Decimal128(number!(i64).map(i128::from), *precision, *scale)
            }
            Physical::Decimal128(precision, scale) => {
                ScalarValue::Decimal128(number!(i128), *precision, *scale)
            }
            Physical::Numeric => {
                let number = Number::of_ordered(bytes);
                number.ok_or(RowError::Damaged { what: "numeric" })?;
                ScalarValue::LargeBinary(Some(bytes.to_vec()))
            }
            Physical::Date => ScalarValue::Date32(number!(i32)),
            Physical::Time => ScalarValue::Time64Microsecond(number!(i64)),
            Physical::Timestamp(zoned) => {
                ScalarValue::TimestampMicrosecond(number!(i64), zoned.then(|| "UTC".into()))
            }
            Physical::Interval => {
                ScalarValue::IntervalMonthDayNano(Some(interval_of(&exact(bytes)?)))
            }
            Physical::Uuid => ScalarValue::FixedSizeBinary(16, Some(exact::<16>(bytes)?.to_vec())),
            Physical::Text => ScalarValue::Utf8(Some(text_of(bytes)?.to_owned())),
            Physical::Binary => ScalarValue::Binary(Some(bytes.to_vec())),
            Physical::Enum => ScalarValue::BinaryView(Some(bytes.to_vec())),
            Physical::List(element, sql_type) => get_list(element, *sql_type, bytes)?,
        })
    }

    /// NULL of the type.
    pub fn null(&self) -> ScalarValue {
        ScalarValue::try_from(&self.data_type()).expect("every type of ours has a NULL in Arrow")
    }

    /// Its Arrow type.
    pub fn data_type(&self) -> DataType {
        let of = |kind| types::data_type(SqlType::scalar(kind));
        match self {
            Physical::Bool => DataType::Boolean,
            Physical::Int16 => DataType::Int16,
            Physical::Int32 => DataType::Int32,
            Physical::Int64 => DataType::Int64,
            Physical::UInt32 => DataType::UInt32,
            Physical::Float32 => DataType::Float32,
            Physical::Float64 => DataType::Float64,
            Physical::Decimal64(precision, scale) | Physical::Decimal128(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            Physical::Numeric => DataType::LargeBinary,
            Physical::Date => DataType::Date32,
            Physical::Time => of(TypeKind::Time),
            Physical::Timestamp(false) => of(TypeKind::Timestamp),
            Physical::Timestamp(true) => of(TypeKind::Timestamptz),
            Physical::Interval => of(TypeKind::Interval),
            Physical::Uuid => of(TypeKind::Uuid),
            Physical::Text => DataType::Utf8,
            Physical::Binary => DataType::Binary,
            Physical::Enum => DataType::BinaryView,
            Physical::List(_, element) => types::data_type(SqlType {
                array: true,
                ..*element
            }),
        }
    }
}

/// The bytes as an array of exactly this size.
#[inline]
pub fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RowError> {
    bytes.try_into().map_err(|_| RowError::Damaged {
        what: "value of fixed width",
    })
}

/// Stored text.
#[inline]
pub fn text_of(bytes: &[u8]) -> Result<&str, RowError> {
    std::str::from_utf8(bytes).map_err(|_| RowError::Damaged { what: "text" })
}

/// Appends bytes behind their length.
#[inline]
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    varint::put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// An interval's sixteen bytes.
pub fn interval_bytes(value: IntervalMonthDayNano) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&value.months.to_le_bytes());
    bytes[4..8].copy_from_slice(&value.days.to_le_bytes());
    bytes[8..].copy_from_slice(&value.nanoseconds.to_le_bytes());
    bytes
}

/// The interval of such bytes.
pub fn interval_of(bytes: &[u8; 16]) -> IntervalMonthDayNano {
    let bits = u128::from_le_bytes(*bytes);
    IntervalMonthDayNano::new(bits as i32, (bits >> 32) as i32, (bits >> 64) as i64)
}

/// Count, null bitmap, elements: the whole behind its length.
fn put_list(element: &Physical, values: &dyn Array, out: &mut Vec<u8>) -> Result<(), RowError> {
    let mut list = Vec::with_capacity(8 + values.len() * element.width().unwrap_or(8));
    varint::put(values.len() as u64, &mut list);
    let bitmap = list.len();
    list.resize(bitmap + values.len().div_ceil(8), 0);
    for row in 0..values.len() {
        if values.is_null(row) {
            list[bitmap + row / 8] |= 1 << (row % 8);
            continue;
        }
        let value = ScalarValue::try_from_array(values, row).map_err(|_| RowError::Mismatch {
            expected: format!("{element:?}"),
            found: values.data_type().to_string(),
        })?;
        element.put(&value, &mut list)?;
    }
    put_bytes(&list, out);
    Ok(())
}

fn get_list(element: &Physical, sql_type: SqlType, bytes: &[u8]) -> Result<ScalarValue, RowError> {
    let damaged = || RowError::Damaged { what: "array" };
    let (count, rest) = varint::take(bytes).ok_or_else(damaged)?;
    let count = usize::try_from(count).map_err(|_| damaged())?;
    let bitmap = rest.get(..count.div_ceil(8)).ok_or_else(damaged)?;
    let mut rest = &rest[bitmap.len()..];
    let mut elements = Vec::with_capacity(count.min(rest.len() + 8 * bitmap.len()));
    for index in 0..count {
        if bitmap[index / 8] & (1 << (index % 8)) != 0 {
            elements.push(element.null());
            continue;
        }
        let (value, after) = split_value(element.width(), rest).ok_or_else(damaged)?;
        elements.push(element.get(value)?);
        rest = after;
    }
    let list = ScalarValue::new_list(&elements, &types::data_type(sql_type), true);
    Ok(ScalarValue::List(list))
}

/// The next value's bytes, without its length, and what follows it.
#[inline]
pub fn split_value(width: Option<usize>, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match width {
        Some(width) => bytes.split_at_checked(width),
        None => {
            let (length, rest) = varint::take(bytes)?;
            rest.split_at_checked(usize::try_from(length).ok()?)
        }
    }
}
