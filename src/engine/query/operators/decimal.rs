//! numeric arithmetic: on 128-bit decimals where every result has the same scale and fits, else on
//! numbers of any size.
//!
//! Sums, differences, products and remainders of decimals have one scale for the whole column, and
//! their types tell how many digits they can have. A quotient's scale is its own, so that it is
//! always a number.

use super::arithmetic::Operation;
use crate::engine::query::failure;
use crate::engine::types::number::Number;
use crate::engine::types::number::array::{Numbers, is_exact};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Datum, Decimal128Builder, LargeBinaryBuilder, make_array,
};
use datafusion::arrow::datatypes::{DataType, Decimal128Type};
use datafusion::error::Result;
use std::sync::Arc;

/// Digits of a decimal.
pub const DIGITS_MAX: u8 = 38;

/// The decimal type that holds all values of a number type.
pub fn of(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => DataType::Decimal128(5, 0),
        DataType::Int32 | DataType::UInt16 => DataType::Decimal128(10, 0),
        DataType::Int64 | DataType::UInt32 => DataType::Decimal128(19, 0),
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Decimal128(precision, scale) => DataType::Decimal128(*precision, *scale),
        _ => return None,
    })
}

/// A number type as it is where numbers are read of it, else as a decimal.
pub fn exact(data_type: &DataType) -> Option<DataType> {
    match is_exact(data_type) {
        true => Some(data_type.clone()),
        false => of(data_type),
    }
}

/// The decimal type that every result has; None where one may have another scale or more digits.
pub fn result(operation: Operation, left: &DataType, right: &DataType) -> Option<DataType> {
    let parts = |data_type: &DataType| match of(data_type)? {
        DataType::Decimal128(precision, scale) => Some((i16::from(precision), i16::from(scale))),
        _ => None,
    };
    let ((left_digits, left_scale), (right_digits, right_scale)) = (parts(left)?, parts(right)?);
    let common = left_scale.max(right_scale);
    let whole = (left_digits - left_scale).max(right_digits - right_scale);
    let (digits, scale) = match operation {
        Operation::Add | Operation::Subtract => (whole + common + 1, common),
        Operation::Remainder => (whole + common, common),
        Operation::Multiply => (left_digits + right_digits, left_scale + right_scale),
        Operation::Divide => return None,
    };
    let precision = u8::try_from(digits)
        .ok()
        .filter(|digits| *digits <= DIGITS_MAX)?;
    Some(DataType::Decimal128(precision, i8::try_from(scale).ok()?))
}

/// A decimal type's scale; 0 of any other type.
pub fn scale(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    }
}

/// Rows, and how to find each operand's value of one.
fn pairs<'a>(
    left: &'a dyn Datum,
    right: &'a dyn Datum,
) -> (&'a dyn Array, &'a dyn Array, Vec<(usize, usize)>) {
    let ((left, one_left), (right, one_right)) = (left.get(), right.get());
    let rows = if one_left { right.len() } else { left.len() };
    let row = |row| {
        (
            if one_left { 0 } else { row },
            if one_right { 0 } else { row },
        )
    };
    (left, right, (0..rows).map(row).collect())
}

/// Computes decimals row by row; the result's type holds them all.
///
/// # Errors
/// 22012; 22003 where a value has more digits than its type says.
pub fn compute(
    operation: Operation,
    left: &dyn Datum,
    right: &dyn Datum,
    result: &DataType,
) -> Result<ArrayRef> {
    let (left, right, rows) = pairs(left, right);
    let (left_scale, right_scale) = (scale(left.data_type()), scale(right.data_type()));
    let wide = |value: i128, from: i8| {
        let factor = 10i128.checked_pow(u32::from((scale(result) - from).unsigned_abs()))?;
        value.checked_mul(factor)
    };
    let overflow = || failure::external(failure::numeric_overflow());
    let (left, right) = (
        left.as_primitive::<Decimal128Type>(),
        right.as_primitive::<Decimal128Type>(),
    );
    let mut out = Decimal128Builder::with_capacity(rows.len()).with_data_type(result.clone());
    for (l, r) in rows {
        if left.is_null(l) || right.is_null(r) {
            out.append_null();
            continue;
        }
        let (l, r) = (left.value(l), right.value(r));
        let value = if operation == Operation::Multiply {
            l.checked_mul(r)
        } else {
            let (l, r) = wide(l, left_scale)
                .zip(wide(r, right_scale))
                .ok_or_else(overflow)?;
            match operation {
                Operation::Add => l.checked_add(r),
                Operation::Subtract => l.checked_sub(r),
                _ if r == 0 => return Err(failure::external(failure::division_by_zero())),
                _ => l.checked_rem(r),
            }
        };
        out.append_value(value.ok_or_else(overflow)?);
    }
    Ok(Arc::new(out.finish()))
}

/// Computes numbers row by row.
///
/// # Errors
/// 22012, and what [`Number`] has no room for.
pub fn compute_numbers(
    operation: Operation,
    left: &dyn Datum,
    right: &dyn Datum,
) -> Result<ArrayRef> {
    let (left, right, rows) = pairs(left, right);
    let (left, right) = (make_array(left.to_data()), make_array(right.to_data()));
    let (left, right) = (Numbers::new(&left), Numbers::new(&right));
    let mut out = LargeBinaryBuilder::with_capacity(rows.len(), rows.len() * 16);
    let mut bytes = Vec::new();
    for (l, r) in rows {
        let (Some(l), Some(r)) = (left.get(l), right.get(r)) else {
            out.append_null();
            continue;
        };
        let value = one(operation, &l, &r).map_err(failure::external)?;
        bytes.clear();
        value.write_ordered(&mut bytes);
        out.append_value(&bytes);
    }
    Ok(Arc::new(out.finish()))
}

fn one(
    operation: Operation,
    left: &Number,
    right: &Number,
) -> std::result::Result<Number, crate::diagnostic::Diagnostic> {
    match operation {
        Operation::Add => left.plus(right),
        Operation::Subtract => left.minus(right),
        Operation::Multiply => left.times(right),
        Operation::Divide => left.over(right),
        Operation::Remainder => left.modulo(right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_a_decimal_where_its_digits_have_room() {
        let decimal = |precision, scale| DataType::Decimal128(precision, scale);
        for (operation, left, right, expected) in [
            (
                Operation::Add,
                decimal(10, 2),
                decimal(5, 4),
                Some(decimal(13, 4)),
            ),
            (
                Operation::Multiply,
                decimal(10, 2),
                DataType::Int32,
                Some(decimal(20, 2)),
            ),
            (
                Operation::Remainder,
                decimal(38, 0),
                decimal(10, 0),
                Some(decimal(38, 0)),
            ),
            (Operation::Add, decimal(38, 0), decimal(10, 0), None),
            (Operation::Multiply, decimal(20, 2), decimal(20, 2), None),
            (Operation::Divide, decimal(10, 2), decimal(10, 2), None),
        ] {
            assert_eq!(result(operation, &left, &right), expected, "{operation:?}");
        }
    }
}
