//! numeric arithmetic on 128-bit decimals.
//!
//! Sums and products keep PostgreSQL's scales. A quotient has 16 decimals, or as many as its
//! operands if that is more: PostgreSQL gives each quotient a scale by its size, which a column of
//! one type cannot have; the value is the same to that many digits. Quotients of two constants
//! ([`quotient_scale`]) have PostgreSQL's scale exactly.

use super::arithmetic::Operation;
use crate::engine::query::failure;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Builder};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, i256};
use datafusion::error::Result;
use std::sync::Arc;

/// Digits of a numeric here.
pub const DIGITS_MAX: u8 = 38;

/// Decimals of a quotient and of an average, at least.
pub const QUOTIENT_SCALE: i8 = 16;

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

/// The result's type. Its precision is the widest: numeric without a modifier has no bound but
/// the number of digits.
pub fn result(operation: Operation, left: &DataType, right: &DataType) -> DataType {
    let (left, right) = (scale(left), scale(right));
    let scale = match operation {
        Operation::Add | Operation::Subtract | Operation::Remainder => left.max(right),
        Operation::Multiply => (left + right).min(DIGITS_MAX as i8),
        Operation::Divide => left.max(right).max(QUOTIENT_SCALE),
    };
    DataType::Decimal128(DIGITS_MAX, scale)
}

/// A decimal type's scale; 0 of any other type.
pub fn scale(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal128(_, scale) => *scale,
        _ => 0,
    }
}

/// Computes row by row in 256 bits.
///
/// # Errors
/// 22012; 22003 past 38 digits.
pub fn compute(
    operation: Operation,
    left: &dyn Datum,
    right: &dyn Datum,
    result: &DataType,
) -> Result<ArrayRef> {
    let (left, one_left) = left.get();
    let (right, one_right) = right.get();
    let scales = (
        scale(left.data_type()),
        scale(right.data_type()),
        scale(result),
    );
    let rows = if one_left { right.len() } else { left.len() };
    let left = left.as_primitive::<Decimal128Type>();
    let right = right.as_primitive::<Decimal128Type>();
    let mut out = Decimal128Builder::with_capacity(rows).with_data_type(result.clone());
    for row in 0..rows {
        let l = if one_left { 0 } else { row };
        let r = if one_right { 0 } else { row };
        if left.is_null(l) || right.is_null(r) {
            out.append_null();
            continue;
        }
        out.append_value(one(operation, left.value(l), right.value(r), scales)?);
    }
    Ok(Arc::new(out.finish()))
}

/// One result, rounded half away from zero to the result's scale.
pub fn one(
    operation: Operation,
    left: i128,
    right: i128,
    (left_scale, right_scale, scale): (i8, i8, i8),
) -> Result<i128> {
    let overflow = || failure::external(failure::numeric_overflow());
    let wide = |value: i128, from: i8| {
        i256::from_i128(value)
            .checked_mul(power(scale - from)?)
            .ok_or_else(overflow)
    };
    let value = match operation {
        Operation::Add => wide(left, left_scale)?
            .checked_add(wide(right, right_scale)?)
            .ok_or_else(overflow)?,
        Operation::Subtract => wide(left, left_scale)?
            .checked_sub(wide(right, right_scale)?)
            .ok_or_else(overflow)?,
        Operation::Multiply => {
            let product = i256::from_i128(left)
                .checked_mul(i256::from_i128(right))
                .ok_or_else(overflow)?;
            // More decimals than there are digits are rounded off.
            divide_rounded(product, power(left_scale + right_scale - scale)?)
        }
        Operation::Divide => {
            if right == 0 {
                return Err(failure::external(failure::division_by_zero()));
            }
            let shift = i32::from(scale) - i32::from(left_scale) + i32::from(right_scale);
            let dividend = i256::from_i128(left)
                .checked_mul(power(i8::try_from(shift).map_err(|_| overflow())?)?)
                .ok_or_else(overflow)?;
            divide_rounded(dividend, i256::from_i128(right))
        }
        Operation::Remainder => {
            if right == 0 {
                return Err(failure::external(failure::division_by_zero()));
            }
            wide(left, left_scale)?
                .checked_rem(wide(right, right_scale)?)
                .ok_or_else(overflow)?
        }
    };
    narrow(value)
}

/// The value where it has 38 digits at most.
///
/// # Errors
/// 22003
pub fn narrow(value: i256) -> Result<i128> {
    const LARGEST: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;
    value
        .to_i128()
        .filter(|value| value.unsigned_abs() <= LARGEST.unsigned_abs())
        .ok_or_else(|| failure::external(failure::numeric_overflow()))
}

fn power(exponent: i8) -> Result<i256> {
    let exponent =
        u8::try_from(exponent).map_err(|_| failure::external(failure::numeric_overflow()))?;
    i256::from_i128(10)
        .checked_pow(u32::from(exponent))
        .ok_or_else(|| failure::external(failure::numeric_overflow()))
}

/// Rounds half away from zero, as numeric does.
pub fn divide_rounded(dividend: i256, divisor: i256) -> i256 {
    let quotient = dividend.wrapping_div(divisor);
    let rest = dividend.wrapping_rem(divisor);
    let twice = rest.wrapping_abs().wrapping_mul(i256::from_i128(2));
    if twice < divisor.wrapping_abs() || rest == i256::ZERO {
        quotient
    } else if (dividend < i256::ZERO) == (divisor < i256::ZERO) {
        quotient.wrapping_add(i256::ONE)
    } else {
        quotient.wrapping_sub(i256::ONE)
    }
}

/// PostgreSQL's scale for one quotient (`select_div_scale`): 16 significant digits at least,
/// counted in its digits of base 10,000.
pub fn quotient_scale(left: (i128, i8), right: (i128, i8)) -> i8 {
    let (left_weight, left_first) = leading(left);
    let (right_weight, right_first) = leading(right);
    let mut weight = left_weight - right_weight;
    if left_first <= right_first {
        weight -= 1;
    }
    let scale = i32::from(QUOTIENT_SCALE) - weight * 4;
    let scale = scale
        .max(i32::from(left.1))
        .max(i32::from(right.1))
        .clamp(0, i32::from(DIGITS_MAX));
    scale as i8
}

/// Weight and value of the first digit in base 10,000.
fn leading((value, scale): (i128, i8)) -> (i32, u128) {
    if value == 0 {
        return (0, 0);
    }
    // Digits of base 10,000 are counted from the decimal point.
    let padding = (4 - i32::from(scale).rem_euclid(4)) % 4;
    let mut rest = value.unsigned_abs() * 10u128.pow(padding as u32);
    let mut weight = -(i32::from(scale) + padding) / 4;
    while rest >= 10_000 {
        rest /= 10_000;
        weight += 1;
    }
    (weight, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From PostgreSQL 15: `select scale(a / b)`.
    #[test]
    fn quotients_of_constants_have_the_scale_that_postgresql_gives_them() {
        for (left, right, scale) in [
            ((10, 0), (3, 0), 16),
            ((1, 0), (3, 0), 20),
            ((10, 1), (3, 0), 20),
            ((100_000, 0), (3, 0), 12),
            ((10_000_000, 0), (3, 0), 12),
            ((7, 0), (2, 0), 16),
        ] {
            assert_eq!(quotient_scale(left, right), scale, "{left:?} / {right:?}");
        }
    }

    #[test]
    fn quotients_round_half_away_from_zero() {
        let quotient = |left, right| one(Operation::Divide, left, right, (0, 0, 2)).ok();
        assert_eq!(quotient(1, 8), Some(13));
        assert_eq!(quotient(-1, 8), Some(-13));
        assert_eq!(quotient(1, 3), Some(33));
        assert_eq!(quotient(2, -3), Some(-67));
    }

    #[test]
    fn results_past_38_digits_are_out_of_range() {
        let large = 10i128.pow(37);
        assert!(one(Operation::Multiply, large, 10, (0, 0, 0)).is_err());
        assert!(one(Operation::Multiply, large, 9, (0, 0, 0)).is_ok());
        assert!(one(Operation::Divide, 1, 0, (0, 0, 16)).is_err());
    }
}
