//! numeric without a bound: digits of any number, each value with a scale of its own, NaN and
//! infinities.
//!
//! numeric(p,s) of up to 38 digits is `super::numeric`'s, an i128 in Arrow's Decimal128. Everything
//! else of the type numeric is a [`Number`], in Arrow a LargeBinary of the bytes that
//! [`order`] makes: comparing them compares the values, and the scale stands behind.
//!
//! Source: PostgreSQL 15, section 8.1.2, and what its server answers where that is silent.

mod arithmetic;
pub mod array;
mod divide;
mod functions;
mod magnitude;
pub mod order;
mod round;
mod text;
mod transfer;

use magnitude::Magnitude;
pub use round::Way;
pub use transfer::parse_binary;

use super::numeric::Decimal;
use crate::diagnostic::{Diagnostic, SqlState};
use std::cmp::Ordering;

/// Digits of one value at most: PostgreSQL has 131,072 before the point, whose product would hold a
/// session core for a second; of so many it is under a millisecond.
pub const DIGITS_MAX: usize = 4_000;
/// Decimals behind the point at most, as in PostgreSQL.
pub const SCALE_MAX: i32 = 16_383;
/// Decimals that a quotient or a root may have, as in PostgreSQL.
const RESULT_SCALE_MAX: i32 = 1_000;
/// Significant digits that a quotient or a root has at least.
const SIGNIFICANT_DIGITS_MIN: i32 = 16;
/// Decimal digits in one digit of a magnitude.
const GROUP: i32 = 4;
/// What a digit of a magnitude counts to.
const BASE: u32 = 10_000;

/// A numeric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// Greater than everything else, and equal to itself.
    NaN,
    /// Infinity, negative where true.
    Infinity(bool),
    /// A number.
    Finite(Finite),
}

/// A finite number: its value is ± the magnitude, printed with `scale` decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finite {
    negative: bool,
    magnitude: Magnitude,
    scale: i32,
}

impl Finite {
    /// 0 has no sign.
    fn new(negative: bool, magnitude: Magnitude, scale: i32) -> Finite {
        Finite {
            negative: negative && !magnitude.is_zero(),
            magnitude,
            scale,
        }
    }

    /// The number where it is within the limits.
    fn checked(self) -> Result<Number, Diagnostic> {
        if self.magnitude.len() > DIGITS_MAX / GROUP as usize {
            return Err(too_many_digits());
        }
        if self.scale > SCALE_MAX || !self.magnitude.weight_fits() {
            return Err(overflow());
        }
        Ok(Number::Finite(self))
    }

    fn compare(&self, other: &Finite) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude.compare(&other.magnitude),
            (true, true) => other.magnitude.compare(&self.magnitude),
        }
    }
}

impl Number {
    /// An integer.
    pub fn of_integer(value: i128) -> Number {
        Number::of_decimal(value, 0)
    }

    /// `unscaled` × 10^-`scale`.
    pub fn of_decimal(unscaled: i128, scale: i8) -> Number {
        let magnitude = Magnitude::of(unscaled.unsigned_abs(), i32::from(scale));
        Number::Finite(Finite::new(
            unscaled < 0,
            magnitude,
            i32::from(scale.max(0)),
        ))
    }

    /// Decimals that are printed; None of NaN and infinities.
    pub fn scale(&self) -> Option<i32> {
        match self {
            Number::Finite(finite) => Some(finite.scale),
            _ => None,
        }
    }

    /// Whether it is NaN.
    pub fn is_nan(&self) -> bool {
        *self == Number::NaN
    }

    /// Whether it equals 0.
    pub fn is_zero(&self) -> bool {
        matches!(self, Number::Finite(finite) if finite.magnitude.is_zero())
    }

    /// Whether it is less than 0; NaN is not.
    pub fn is_negative(&self) -> bool {
        match self {
            Number::NaN => false,
            Number::Infinity(negative) => *negative,
            Number::Finite(finite) => finite.negative,
        }
    }

    /// The order of numeric: NaN is the largest and equals itself; scales do not count.
    pub fn compare(&self, other: &Number) -> Ordering {
        let rank = |number: &Number| match number {
            Number::Infinity(true) => 0,
            Number::Finite(_) => 1,
            Number::Infinity(false) => 2,
            Number::NaN => 3,
        };
        match (self, other) {
            (Number::Finite(left), Number::Finite(right)) => left.compare(right),
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// With the other sign.
    pub fn negated(self) -> Number {
        match self {
            Number::NaN => Number::NaN,
            Number::Infinity(negative) => Number::Infinity(!negative),
            Number::Finite(finite) => Number::Finite(Finite::new(
                !finite.negative,
                finite.magnitude,
                finite.scale,
            )),
        }
    }

    /// Without its sign.
    pub fn absolute(self) -> Number {
        match self.is_negative() {
            true => self.negated(),
            false => self,
        }
    }

    /// As an i128 and a scale; None where it does not fit in 38 digits.
    pub fn to_decimal(&self) -> Option<Decimal> {
        let Number::Finite(finite) = self else {
            return None;
        };
        let scale = u8::try_from(finite.scale)
            .ok()
            .filter(|scale| *scale <= 38)?;
        let magnitude = finite.magnitude.scaled(finite.scale)?;
        let magnitude = i128::try_from(magnitude).ok()?;
        (magnitude < 10i128.pow(38)).then_some(Decimal {
            unscaled: if finite.negative {
                -magnitude
            } else {
                magnitude
            },
            scale,
        })
    }
}

fn overflow() -> Diagnostic {
    Diagnostic::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "value overflows numeric format",
    )
}

fn too_many_digits() -> Diagnostic {
    Diagnostic::unsupported(format!("a numeric of more than {DIGITS_MAX} digits"))
}

#[cfg(test)]
mod tests;
