//! Arrow arrays into rows.

use super::error::RowError;
use super::layout::{RowLayout, check_size};
use super::value::{Physical, interval_bytes, put_bytes};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray,
    LargeBinaryArray, PrimitiveArray, StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt32Type,
};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// Encodes the rows of one batch; making one costs a downcast a column.
pub struct RowEncoder {
    layout: Arc<RowLayout>,
    columns: Vec<Source>,
}

/// One column of the batch, by its type.
enum Source {
    /// A dropped column: always NULL.
    Dropped,
    Bool(BooleanArray),
    Int16(PrimitiveArray<Int16Type>),
    Int32(PrimitiveArray<Int32Type>),
    Int64(PrimitiveArray<Int64Type>),
    UInt32(PrimitiveArray<UInt32Type>),
    Float32(PrimitiveArray<Float32Type>),
    Float64(PrimitiveArray<Float64Type>),
    Decimal64(PrimitiveArray<Decimal128Type>),
    Decimal128(PrimitiveArray<Decimal128Type>),
    Numeric(LargeBinaryArray),
    Date(PrimitiveArray<Date32Type>),
    Time(PrimitiveArray<Time64MicrosecondType>),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    Interval(PrimitiveArray<IntervalMonthDayNanoType>),
    Uuid(FixedSizeBinaryArray),
    Text(StringArray),
    TextView(StringViewArray),
    Binary(BinaryArray),
    Enum(BinaryViewArray),
    List(ArrayRef, Physical),
}

impl RowEncoder {
    /// For a batch with one array for each of the table's columns, dropped ones too (any array).
    ///
    /// # Errors
    /// XX000 for an array of another type than its column's.
    pub fn new(layout: &Arc<RowLayout>, columns: &[ArrayRef]) -> Result<RowEncoder, RowError> {
        assert_eq!(
            columns.len(),
            layout.len(),
            "one array for each column of the table"
        );
        let columns = layout
            .columns()
            .iter()
            .zip(columns)
            .map(|(column, array)| {
                if column.dropped {
                    return Ok(Source::Dropped);
                }
                Source::new(&column.physical, array).ok_or_else(|| RowError::Mismatch {
                    expected: column.physical.data_type().to_string(),
                    found: array.data_type().to_string(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(RowEncoder {
            layout: layout.clone(),
            columns,
        })
    }

    /// Appends the row.
    ///
    /// # Errors
    /// 54000 past [`super::ROW_BYTES_MAX`].
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) -> Result<(), RowError> {
        let start = out.len();
        let nulls = self.layout.put_header(out);
        for (index, column) in self.columns.iter().enumerate() {
            if !column.put(row, out)? {
                out[nulls + index / 8] |= 1 << (index % 8);
            }
        }
        check_size(out.len() - start)
    }
}

impl Source {
    fn new(physical: &Physical, array: &ArrayRef) -> Option<Source> {
        Some(match physical {
            Physical::Bool => Source::Bool(array.as_boolean_opt()?.clone()),
            Physical::Int16 => Source::Int16(array.as_primitive_opt()?.clone()),
            Physical::Int32 => Source::Int32(array.as_primitive_opt()?.clone()),
            Physical::Int64 => Source::Int64(array.as_primitive_opt()?.clone()),
            Physical::UInt32 => Source::UInt32(array.as_primitive_opt()?.clone()),
            Physical::Float32 => Source::Float32(array.as_primitive_opt()?.clone()),
            Physical::Float64 => Source::Float64(array.as_primitive_opt()?.clone()),
            Physical::Decimal64(_, scale) | Physical::Decimal128(_, scale) => {
                let numbers = array.as_primitive_opt::<Decimal128Type>()?;
                if numbers.scale() != *scale {
                    return None;
                }
                match physical {
                    Physical::Decimal64(..) => Source::Decimal64(numbers.clone()),
                    _ => Source::Decimal128(numbers.clone()),
                }
            }
            Physical::Numeric => Source::Numeric(array.as_binary_opt::<i64>()?.clone()),
            Physical::Date => Source::Date(array.as_primitive_opt()?.clone()),
            Physical::Time => Source::Time(array.as_primitive_opt()?.clone()),
            Physical::Timestamp(_) => Source::Timestamp(array.as_primitive_opt()?.clone()),
            Physical::Interval => Source::Interval(array.as_primitive_opt()?.clone()),
            Physical::Uuid => Source::Uuid(
                array
                    .as_fixed_size_binary_opt()
                    .filter(|uuids| uuids.value_length() == 16)?
                    .clone(),
            ),
            Physical::Text => match array.as_string_opt::<i32>() {
                Some(strings) => Source::Text(strings.clone()),
                None => Source::TextView(array.as_string_view_opt()?.clone()),
            },
            Physical::Binary => Source::Binary(array.as_binary_opt::<i32>()?.clone()),
            Physical::Enum => Source::Enum(array.as_binary_view_opt()?.clone()),
            Physical::List(..) => {
                array.as_list_opt::<i32>()?;
                Source::List(array.clone(), physical.clone())
            }
        })
    }

    /// Appends the value; false where it is NULL.
    #[inline]
    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<bool, RowError> {
        macro_rules! fixed {
            ($array:ident) => {{
                if $array.is_null(row) {
                    return Ok(false);
                }
                out.extend_from_slice(&$array.value(row).to_le_bytes());
            }};
        }
        macro_rules! bytes {
            ($array:ident, $put:expr) => {{
                if $array.is_null(row) {
                    return Ok(false);
                }
                $put($array.value(row));
            }};
        }
        match self {
            Source::Dropped => return Ok(false),
            Source::Bool(array) => bytes!(array, |value| out.push(u8::from(value))),
            Source::Int16(array) => fixed!(array),
            Source::Int32(array) => fixed!(array),
            Source::Int64(array) => fixed!(array),
            Source::UInt32(array) => fixed!(array),
            Source::Float32(array) => fixed!(array),
            Source::Float64(array) => fixed!(array),
            Source::Decimal128(array) => fixed!(array),
            Source::Date(array) => fixed!(array),
            Source::Time(array) => fixed!(array),
            Source::Timestamp(array) => fixed!(array),
            Source::Decimal64(array) => {
                if array.is_null(row) {
                    return Ok(false);
                }
                let value = array.value(row);
                let narrow = i64::try_from(value).map_err(|_| RowError::Mismatch {
                    expected: "numeric of at most 18 digits".to_owned(),
                    found: format!("numeric {value}"),
                })?;
                out.extend_from_slice(&narrow.to_le_bytes());
            }
            Source::Interval(array) => {
                bytes!(array, |value| out.extend_from_slice(&interval_bytes(value)))
            }
            Source::Uuid(array) => bytes!(array, |value| out.extend_from_slice(value)),
            Source::Text(array) => bytes!(array, |value: &str| put_bytes(value.as_bytes(), out)),
            Source::TextView(array) => {
                bytes!(array, |value: &str| put_bytes(value.as_bytes(), out))
            }
            Source::Binary(array) => bytes!(array, |value| put_bytes(value, out)),
            Source::Enum(array) => bytes!(array, |value| put_bytes(value, out)),
            Source::Numeric(array) => bytes!(array, |value| put_bytes(value, out)),
            Source::List(array, physical) => {
                if array.is_null(row) {
                    return Ok(false);
                }
                let value =
                    ScalarValue::try_from_array(array, row).map_err(|_| RowError::Mismatch {
                        expected: physical.data_type().to_string(),
                        found: array.data_type().to_string(),
                    })?;
                physical.put(&value, out)?;
            }
        }
        Ok(true)
    }
}
