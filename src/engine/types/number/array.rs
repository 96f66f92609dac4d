//! Numbers in Arrow: LargeBinary of their ordered bytes, read from every exact number type.

use super::{Number, order};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, LargeBinaryArray, LargeBinaryBuilder,
};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Int16Type, Int32Type, Int64Type, UInt32Type, UInt64Type,
};
use datafusion::common::ScalarValue;

/// Whether [`Numbers`] reads it.
pub fn is_exact(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Decimal128(..)
            | DataType::LargeBinary
            | DataType::Null
    )
}

/// An array whose values are read as numbers.
pub struct Numbers<'a>(&'a ArrayRef);

impl<'a> Numbers<'a> {
    /// Over an array of a type that [`is_exact`].
    pub fn new(array: &'a ArrayRef) -> Numbers<'a> {
        debug_assert!(is_exact(array.data_type()), "{}", array.data_type());
        Numbers(array)
    }

    /// The number of a row; None where it is NULL.
    pub fn get(&self, row: usize) -> Option<Number> {
        let array = self.0;
        if array.is_null(row) {
            return None;
        }
        macro_rules! integer {
            ($primitive:ty) => {
                Number::of_integer(i128::from(array.as_primitive::<$primitive>().value(row)))
            };
        }
        Some(match array.data_type() {
            DataType::Int16 => integer!(Int16Type),
            DataType::Int32 => integer!(Int32Type),
            DataType::Int64 => integer!(Int64Type),
            DataType::UInt32 => integer!(UInt32Type),
            DataType::UInt64 => integer!(UInt64Type),
            DataType::Decimal128(_, scale) => {
                Number::of_decimal(array.as_primitive::<Decimal128Type>().value(row), *scale)
            }
            DataType::LargeBinary => {
                let bytes = array.as_binary::<i64>().value(row);
                // Only our own output is of this type.
                Number::of_ordered(bytes).unwrap_or(Number::NaN)
            }
            _ => return None,
        })
    }

    /// All of them, each in its own bytes.
    pub fn ordered(&self) -> LargeBinaryArray {
        if let Some(already) = self.0.as_binary_opt::<i64>() {
            return already.clone();
        }
        let mut out = LargeBinaryBuilder::with_capacity(self.0.len(), self.0.len() * 16);
        let mut bytes = Vec::new();
        for row in 0..self.0.len() {
            match self.get(row) {
                None => out.append_null(),
                Some(number) => {
                    bytes.clear();
                    number.write_ordered(&mut bytes);
                    out.append_value(&bytes);
                }
            }
        }
        out.finish()
    }

    /// Their keys, which are equal where the numbers are.
    pub fn keys(&self) -> BinaryArray {
        let mut out = BinaryBuilder::with_capacity(self.0.len(), self.0.len() * 14);
        if let Some(ordered) = self.0.as_binary_opt::<i64>() {
            for bytes in ordered {
                out.append_option(bytes.map(order::key_of));
            }
            return out.finish();
        }
        let mut key = Vec::new();
        for row in 0..self.0.len() {
            match self.get(row) {
                None => out.append_null(),
                Some(number) => {
                    key.clear();
                    number.write_key(&mut key);
                    out.append_value(&key);
                }
            }
        }
        out.finish()
    }
}

impl Number {
    /// As a value of numeric.
    pub fn to_scalar(&self) -> ScalarValue {
        ScalarValue::LargeBinary(Some(self.to_ordered()))
    }

    /// Of a value of an exact number type; None of NULL and of other types.
    pub fn of_scalar(value: &ScalarValue) -> Option<Number> {
        Some(match value {
            ScalarValue::Int16(Some(value)) => Number::of_integer(i128::from(*value)),
            ScalarValue::Int32(Some(value)) => Number::of_integer(i128::from(*value)),
            ScalarValue::Int64(Some(value)) => Number::of_integer(i128::from(*value)),
            ScalarValue::UInt32(Some(value)) => Number::of_integer(i128::from(*value)),
            ScalarValue::UInt64(Some(value)) => Number::of_integer(i128::from(*value)),
            ScalarValue::Decimal128(Some(value), _, scale) => Number::of_decimal(*value, *scale),
            ScalarValue::LargeBinary(Some(bytes)) => Number::of_ordered(bytes)?,
            _ => return None,
        })
    }
}
