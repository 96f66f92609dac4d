//! + - * and %, with PostgreSQL's scales.

use super::divide::{quotient, remainder};
use super::{
    Finite, GROUP, Number, RESULT_SCALE_MAX, SCALE_MAX, SIGNIFICANT_DIGITS_MIN, too_many_digits,
};
use crate::diagnostic::{Diagnostic, SqlState};
use std::cmp::Ordering;

impl Number {
    /// left + right, with the larger of the scales.
    ///
    /// # Errors
    /// 0A000 past the digits there may be.
    pub fn plus(&self, other: &Number) -> Result<Number, Diagnostic> {
        let (left, right) = match (self, other) {
            (Number::Finite(left), Number::Finite(right)) => (left, right),
            (Number::NaN, _) | (_, Number::NaN) => return Ok(Number::NaN),
            (Number::Infinity(left), Number::Infinity(right)) if left != right => {
                return Ok(Number::NaN);
            }
            (Number::Infinity(_), _) => return Ok(self.clone()),
            (_, Number::Infinity(_)) => return Ok(other.clone()),
        };
        let (a, b) = (&left.magnitude, &right.magnitude);
        // What lies between their digits would be filled with zeros.
        if !a.is_zero()
            && !b.is_zero()
            && (a.weight().max(b.weight()) - a.lowest().min(b.lowest())) as usize
                > super::DIGITS_MAX
        {
            return Err(too_many_digits());
        }
        let scale = left.scale.max(right.scale);
        let sum = if left.negative == right.negative {
            Finite::new(left.negative, a.plus(b), scale)
        } else if a.compare(b) == Ordering::Less {
            Finite::new(right.negative, b.minus(a), scale)
        } else {
            Finite::new(left.negative, a.minus(b), scale)
        };
        sum.checked()
    }

    /// left - right.
    ///
    /// # Errors
    /// As [`Number::plus`].
    pub fn minus(&self, other: &Number) -> Result<Number, Diagnostic> {
        self.plus(&other.clone().negated())
    }

    /// left × right, with the scales' sum.
    ///
    /// # Errors
    /// 0A000 past the digits there may be, 22003 past PostgreSQL's own limit.
    pub fn times(&self, other: &Number) -> Result<Number, Diagnostic> {
        let (left, right) = match (self, other) {
            (Number::Finite(left), Number::Finite(right)) => (left, right),
            (Number::NaN, _) | (_, Number::NaN) => return Ok(Number::NaN),
            _ if self.is_zero() || other.is_zero() => return Ok(Number::NaN),
            _ => return Ok(Number::Infinity(self.is_negative() != other.is_negative())),
        };
        let magnitude = left.magnitude.times(&right.magnitude);
        let scale = left.scale + right.scale;
        let product = Finite::new(left.negative != right.negative, magnitude, scale);
        match scale <= SCALE_MAX {
            true => product.checked(),
            false => product.rounded(SCALE_MAX).checked(),
        }
    }

    /// left / right, with at least 16 significant digits.
    ///
    /// # Errors
    /// 22012, and as [`Number::times`].
    pub fn over(&self, other: &Number) -> Result<Number, Diagnostic> {
        let (left, right) = match (self, other) {
            (Number::NaN, _) | (_, Number::NaN) => return Ok(Number::NaN),
            (Number::Infinity(_), Number::Infinity(_)) => return Ok(Number::NaN),
            (_, divisor) if divisor.is_zero() => return Err(division_by_zero()),
            (Number::Infinity(_), _) => {
                return Ok(Number::Infinity(self.is_negative() != other.is_negative()));
            }
            (_, Number::Infinity(_)) => return Ok(Number::of_integer(0)),
            (Number::Finite(left), Number::Finite(right)) => (left, right),
        };
        let scale = quotient_scale(left, right);
        let magnitude = quotient(&left.magnitude, &right.magnitude, scale + GROUP)?;
        Finite::new(left.negative != right.negative, magnitude, scale + GROUP)
            .rounded(scale)
            .checked()
    }

    /// What is left of a division towards zero, with the larger of the scales.
    ///
    /// # Errors
    /// 22012, and as [`Number::times`].
    pub fn modulo(&self, other: &Number) -> Result<Number, Diagnostic> {
        let (left, right) = match (self, other) {
            (Number::NaN, _) | (_, Number::NaN) => return Ok(Number::NaN),
            (Number::Infinity(_), divisor) => {
                return match divisor.is_zero() {
                    true => Err(division_by_zero()),
                    false => Ok(Number::NaN),
                };
            }
            (_, divisor) if divisor.is_zero() => return Err(division_by_zero()),
            (_, Number::Infinity(_)) => return Ok(self.clone()),
            (Number::Finite(left), Number::Finite(right)) => (left, right),
        };
        let rest = remainder(&left.magnitude, &right.magnitude)?;
        Finite::new(left.negative, rest, left.scale.max(right.scale)).checked()
    }

    /// The whole part of left / right.
    ///
    /// # Errors
    /// 22012, and as [`Number::times`].
    pub fn whole_quotient(&self, other: &Number) -> Result<Number, Diagnostic> {
        match (self, other) {
            (Number::Finite(left), Number::Finite(right)) if !other.is_zero() => {
                let magnitude = quotient(&left.magnitude, &right.magnitude, 0)?;
                Finite::new(left.negative != right.negative, magnitude, 0).checked()
            }
            _ => self.over(other),
        }
    }
}

pub(super) fn division_by_zero() -> Diagnostic {
    Diagnostic::error(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// Decimals of a quotient: 16 significant digits at least, counted by the first digits of base
/// 10,000, and never fewer than an operand has.
fn quotient_scale(left: &Finite, right: &Finite) -> i32 {
    let leading = |finite: &Finite| {
        let first = finite.magnitude.digits().first().copied();
        (finite.magnitude.weight(), first.unwrap_or(0))
    };
    let ((left_weight, left_first), (right_weight, right_first)) = (leading(left), leading(right));
    let weight = left_weight - right_weight - i32::from(left_first <= right_first);
    (SIGNIFICANT_DIGITS_MIN - weight * GROUP)
        .max(left.scale)
        .max(right.scale)
        .clamp(0, RESULT_SCALE_MAX)
}
