//! Long division of magnitudes.

use super::magnitude::Magnitude;
use super::{BASE, DIGITS_MAX, GROUP, too_many_digits};
use crate::diagnostic::Diagnostic;
use std::cmp::Ordering;

/// Digits of a quotient at most before it is cut to its scale.
const QUOTIENT_DIGITS_MAX: i32 = DIGITS_MAX as i32;

/// The quotient with at least `scale` decimals, cut off behind them (at a digit of base 10,000).
/// The divisor is not 0.
///
/// # Errors
/// 0A000 where it would have too many digits.
pub fn quotient(
    dividend: &Magnitude,
    divisor: &Magnitude,
    scale: i32,
) -> Result<Magnitude, Diagnostic> {
    if dividend.is_zero() {
        return Ok(Magnitude::default());
    }
    let places = scale.div_euclid(GROUP) + i32::from(scale.rem_euclid(GROUP) != 0);
    let weight = dividend.weight() - divisor.weight();
    let count = weight + places + 1;
    if count > QUOTIENT_DIGITS_MAX {
        return Err(too_many_digits());
    }
    if count <= 0 {
        return Ok(Magnitude::default());
    }
    let (digits, _) = divide(dividend, divisor, count as usize);
    Ok(Magnitude::new(weight, digits))
}

/// What whole divisions leave. The divisor is not 0.
///
/// # Errors
/// 0A000 where the quotient would have too many digits.
pub fn remainder(dividend: &Magnitude, divisor: &Magnitude) -> Result<Magnitude, Diagnostic> {
    if dividend.compare(divisor) == Ordering::Less {
        return Ok(dividend.clone());
    }
    let whole = quotient(dividend, divisor, 0)?;
    Ok(dividend.minus(&whole.times(divisor)))
}

/// The first `count` digits of the quotient of the two taken as fractions with the same point, and
/// whether anything is left.
///
/// Knuth's algorithm D (The Art of Computer Programming 2, 4.3.1): the divisor is brought to a
/// first digit of at least half the base, so that a guess from two digits is at most two too large.
fn divide(dividend: &Magnitude, divisor: &Magnitude, count: usize) -> (Vec<u16>, bool) {
    let factor = BASE / (u32::from(divisor.digits()[0]) + 1);
    let scaled = |digits: &[u16]| {
        let mut out = vec![0u32; digits.len() + 1];
        let mut carry = 0;
        for (index, digit) in digits.iter().enumerate().rev() {
            let product = u32::from(*digit) * factor + carry;
            out[index + 1] = product % BASE;
            carry = product / BASE;
        }
        out[0] = carry;
        out
    };
    let divisor = scaled(divisor.digits());
    let divisor = &divisor[1..];
    let width = divisor.len();
    let mut rest = scaled(dividend.digits());
    rest.resize(rest.len().max(count + width), 0);
    let mut digits = Vec::with_capacity(count);
    for at in 0..count {
        let top = rest[at] * BASE + rest[at + 1];
        let mut guess = (top / divisor[0]).min(BASE - 1);
        if let Some(second) = divisor.get(1) {
            let next = rest.get(at + 2).copied().unwrap_or(0);
            while u64::from(guess) * u64::from(*second)
                > u64::from(top - guess * divisor[0]) * u64::from(BASE) + u64::from(next)
            {
                guess -= 1;
            }
        }
        if !take(&mut rest[at..=at + width], divisor, guess) {
            guess -= 1;
            give_back(&mut rest[at..=at + width], divisor);
        }
        digits.push(guess as u16);
    }
    let left = rest.iter().any(|digit| *digit != 0);
    (digits, left)
}

/// Takes `times` the divisor away; false where that was once too often.
fn take(rest: &mut [u32], divisor: &[u32], times: u32) -> bool {
    let mut borrow: i64 = 0;
    for (index, digit) in divisor.iter().enumerate().rev() {
        let at = &mut rest[index + 1];
        let value = i64::from(*at) - i64::from(*digit) * i64::from(times) - borrow;
        *at = value.rem_euclid(i64::from(BASE)) as u32;
        borrow = -value.div_euclid(i64::from(BASE));
    }
    let value = i64::from(rest[0]) - borrow;
    rest[0] = value.rem_euclid(i64::from(BASE)) as u32;
    value >= 0
}

fn give_back(rest: &mut [u32], divisor: &[u32]) {
    let mut carry = 0;
    for (index, digit) in divisor.iter().enumerate().rev() {
        let sum = rest[index + 1] + digit + carry;
        rest[index + 1] = sum % BASE;
        carry = sum / BASE;
    }
    rest[0] = (rest[0] + carry) % BASE;
}
