//! Roots, powers and logarithms: computed with more decimals than are told, then rounded to
//! PostgreSQL's scale for the result.

use super::divide::quotient;
use super::magnitude::Magnitude;
use super::{Finite, GROUP, Number, RESULT_SCALE_MAX, SIGNIFICANT_DIGITS_MIN, overflow};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::stop;

/// Decimals computed beyond those that are told.
const GUARD: i32 = 12;
/// log10(e)
const LOG10_E: f64 = std::f64::consts::LOG10_E;

type Result<T> = std::result::Result<T, Diagnostic>;

fn undefined(sqlstate: &'static str, message: &'static str) -> Diagnostic {
    Diagnostic::error(SqlState::new(sqlstate), message)
}

/// As many decimals as leave 16 significant digits in a result of about 10^`magnitude`.
fn significant(magnitude: i32, scales: &[i32]) -> i32 {
    let told = scales.iter().copied().max().unwrap_or(0);
    (SIGNIFICANT_DIGITS_MIN - magnitude)
        .max(told)
        .clamp(0, RESULT_SCALE_MAX)
}

impl Number {
    /// √
    ///
    /// # Errors
    /// 2201F of a negative number.
    pub fn square_root(&self) -> Result<Number> {
        let finite = match self {
            Number::Finite(finite) => finite,
            Number::NaN | Number::Infinity(false) => return Ok(self.clone()),
            Number::Infinity(true) => return Err(negative_root()),
        };
        if finite.negative {
            return Err(negative_root());
        }
        let weight = finite.magnitude.weight();
        let magnitude = match weight {
            0.. => weight * GROUP / 2 + 1,
            _ => 1 - (1 - weight * GROUP) / 2,
        };
        let scale = significant(magnitude, &[finite.scale]);
        self.square_root_to(scale)
    }

    /// √ with this scale, of a number that is not negative.
    ///
    /// # Errors
    /// 0A000 past the digits there may be.
    pub fn square_root_to(&self, scale: i32) -> Result<Number> {
        match self {
            Number::Finite(finite) => {
                root(&finite.magnitude, scale + GUARD).and_then(|root| of(root, scale))
            }
            _ => self.square_root(),
        }
    }

    /// e to this power.
    ///
    /// # Errors
    /// 22003 past the largest number.
    pub fn exponential(&self) -> Result<Number> {
        let finite = match self {
            Number::Finite(finite) => finite,
            Number::NaN | Number::Infinity(false) => return Ok(self.clone()),
            Number::Infinity(true) => return Ok(Number::of_integer(0)),
        };
        let digits = self.to_f64() * LOG10_E;
        if digits > super::DIGITS_MAX as f64 {
            // Known before it is worked out, which would take long.
            return Err(super::too_many_digits());
        }
        let bounded = digits.clamp(f64::from(-RESULT_SCALE_MAX), f64::from(RESULT_SCALE_MAX));
        let scale = significant(bounded as i32, &[finite.scale]);
        exponential(finite, digits, scale)?.checked()
    }

    /// The natural logarithm.
    ///
    /// # Errors
    /// 2201E of 0 and of negative numbers.
    pub fn natural_logarithm(&self) -> Result<Number> {
        let finite = match self.positive()? {
            Some(finite) => finite,
            None => return Ok(self.clone()),
        };
        let scale = significant(weight_of_logarithm(finite), &[finite.scale]);
        logarithm(finite, scale + GUARD)?.rounded(scale).checked()
    }

    /// The logarithm to a base.
    ///
    /// # Errors
    /// 2201E of 0 and of negative numbers, 22012 to the base 1.
    pub fn logarithm(&self, base: &Number) -> Result<Number> {
        let (Some(base), Some(finite)) = (base.positive()?, self.positive()?) else {
            return match (base, self) {
                (Number::NaN, _) | (_, Number::NaN) => Ok(Number::NaN),
                (Number::Infinity(_), Number::Infinity(_)) => Ok(Number::NaN),
                (Number::Infinity(_), _) => Ok(Number::of_integer(0)),
                _ => Ok(Number::Infinity(false)),
            };
        };
        let (of_base, of_number) = (weight_of_logarithm(base), weight_of_logarithm(finite));
        let scale = significant(of_number - of_base, &[base.scale, finite.scale]);
        let extra = scale + GUARD + of_base.abs() + of_number.abs();
        let (dividend, divisor) = (logarithm(finite, extra)?, logarithm(base, extra)?);
        if divisor.magnitude.is_zero() {
            return Err(super::arithmetic::division_by_zero());
        }
        let magnitude = quotient(&dividend.magnitude, &divisor.magnitude, scale + GUARD)?;
        Finite::new(
            dividend.negative != divisor.negative,
            magnitude,
            scale + GUARD,
        )
        .rounded(scale)
        .checked()
    }

    /// This number to a power.
    ///
    /// # Errors
    /// 2201F where it is not defined among real numbers; 22003 past the largest number.
    pub fn to_the_power(&self, exponent: &Number) -> Result<Number> {
        let one = Number::of_integer(1);
        if exponent.is_zero() && !matches!(self, Number::Finite(_))
            || *self == one && exponent.is_nan()
        {
            return Ok(one);
        }
        let (base, power) = match (self, exponent) {
            (Number::NaN, _) | (_, Number::NaN) => return Ok(Number::NaN),
            (Number::Finite(base), Number::Finite(power)) => (base, power),
            // Only the size of what an infinity is raised to, or raises, is left to say.
            _ => {
                let size = self.to_f64().powf(exponent.to_f64());
                return Number::of_float(size, 15, crate::engine::types::name::ANY_NUMERIC);
            }
        };
        if self.is_zero() && exponent.is_negative() {
            return Err(undefined(
                "2201F",
                "zero raised to a negative power is undefined",
            ));
        }
        let whole = power.magnitude.is_zero() || power.magnitude.lowest() >= 0;
        if let Some(times) = exponent
            .to_integer()
            .filter(|_| whole)
            .and_then(|times| i32::try_from(times).ok())
        {
            let scale = SIGNIFICANT_DIGITS_MIN.max(base.scale).min(RESULT_SCALE_MAX);
            return repeated(base, times, scale);
        }
        if base.negative {
            return Err(undefined(
                "2201F",
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if self.is_zero() {
            return of(Magnitude::default(), SIGNIFICANT_DIGITS_MIN);
        }
        let digits = self.to_f64().ln() * exponent.to_f64() * LOG10_E;
        let bounded = digits.clamp(f64::from(-RESULT_SCALE_MAX), f64::from(RESULT_SCALE_MAX));
        let scale = significant(bounded as i32, &[base.scale, power.scale]);
        let extra = scale + GUARD + bounded.abs() as i32;
        let logarithm = logarithm(base, extra + power.magnitude.weight().max(0) * GROUP)?;
        let product = Finite::new(
            logarithm.negative != power.negative,
            logarithm.magnitude.times(&power.magnitude),
            extra,
        );
        exponential(&product, digits, scale)?.checked()
    }

    /// The number where it is finite and has a logarithm; None of NaN and Infinity.
    fn positive(&self) -> Result<Option<&Finite>> {
        if self.is_negative() {
            return Err(undefined(
                "2201E",
                "cannot take logarithm of a negative number",
            ));
        }
        if self.is_zero() {
            return Err(undefined("2201E", "cannot take logarithm of zero"));
        }
        Ok(match self {
            Number::Finite(finite) => Some(finite),
            _ => None,
        })
    }
}

fn negative_root() -> Diagnostic {
    undefined("2201F", "cannot take square root of a negative number")
}

fn of(magnitude: Magnitude, scale: i32) -> Result<Number> {
    Finite::new(false, magnitude, scale + GUARD)
        .rounded(scale)
        .checked()
}

/// Cut behind `scale` decimals.
fn cut(magnitude: Magnitude, scale: i32) -> Magnitude {
    Finite::new(false, magnitude, scale + 1)
        .rescaled(scale, super::Way::TowardsZero)
        .magnitude
}

fn small(value: u16) -> Magnitude {
    Magnitude::new(0, vec![value])
}

/// By Newton's iteration from a double's root, whose digits each step doubles.
fn root(of: &Magnitude, scale: i32) -> Result<Magnitude> {
    if of.is_zero() {
        return Ok(Magnitude::default());
    }
    // The root of the first digits, moved back by half of what they were moved.
    let even = of.weight() - of.weight().rem_euclid(2);
    let leading = (0..5).fold(0.0, |sum, index| {
        let weight = of.weight() - index;
        sum + f64::from(of.at(weight)) * 10_000f64.powi(weight - even)
    });
    let start = (leading.sqrt() * 1e8) as u128;
    let mut guess = Magnitude::of(start, 8 - even / 2 * GROUP);
    let two = small(2);
    let mut decimals = 4;
    while decimals < scale + even.abs() * GROUP + GUARD {
        stop::check()?;
        decimals *= 2;
        let other = quotient(of, &guess, scale)?;
        guess = quotient(&guess.plus(&other), &two, scale)?;
    }
    Ok(guess)
}

/// e to a power of about `digits` decimal digits, with `scale` decimals.
fn exponential(power: &Finite, digits: f64, scale: i32) -> Result<Finite> {
    const DIGITS_BEFORE_POINT_MAX: f64 = 131_072.0;
    if digits > DIGITS_BEFORE_POINT_MAX {
        return Err(overflow());
    }
    if digits < f64::from(-RESULT_SCALE_MAX - 1) {
        return Ok(Finite::new(false, Magnitude::default(), scale));
    }
    // e^x = (e^(x / 2^n))^(2^n), and for a small power the series is short.
    let halvings = (power.magnitude.weight().max(-1) + 2) as u32 * 14 + 6;
    let precision = scale + GUARD + digits.max(0.0) as i32 + halvings as i32;
    let mut divisor = small(1);
    for _ in 0..halvings {
        divisor = divisor.plus(&divisor);
    }
    let small_power = quotient(&power.magnitude, &divisor, precision)?;
    let mut term = small(1);
    let mut sum = small(1);
    for count in 1..u16::MAX {
        stop::check()?;
        let product = cut(term.times(&small_power), precision);
        term = quotient(&product, &small(count.min(9_999)), precision)?;
        if term.is_zero() {
            break;
        }
        sum = sum.plus(&term);
    }
    for _ in 0..halvings {
        stop::check()?;
        sum = cut(sum.times(&sum), precision);
    }
    if power.negative {
        sum = quotient(&small(1), &sum, scale + GUARD)?;
    }
    Ok(Finite::new(false, sum, scale + GUARD).rounded(scale))
}

/// ln, with `scale` decimals that are not yet rounded.
fn logarithm(of: &Finite, scale: i32) -> Result<Finite> {
    let one = small(1);
    let (low, high) = (Magnitude::of(9, 1), Magnitude::of(11, 1));
    let mut number = of.magnitude.clone();
    let mut doublings = 0;
    // ln x = 2^n ln x^(1 / 2^n), and near 1 the series is short.
    let precision = scale + GUARD + 24 + of.magnitude.weight().max(0);
    while number.compare(&low).is_lt() || number.compare(&high).is_gt() {
        number = root(&number, precision + of.magnitude.weight().abs() * GROUP)?;
        doublings += 1;
    }
    let negative = number.compare(&one).is_lt();
    let difference = match negative {
        true => one.minus(&number),
        false => number.minus(&one),
    };
    // ln x = 2 (z + z³/3 + z⁵/5 + …) with z = (x - 1) / (x + 1).
    let z = quotient(&difference, &number.plus(&one), precision)?;
    let square = cut(z.times(&z), precision);
    let mut power = z.clone();
    let mut sum = z;
    for count in (3..9_999).step_by(2) {
        stop::check()?;
        power = cut(power.times(&square), precision);
        if power.is_zero() {
            break;
        }
        sum = sum.plus(&quotient(&power, &small(count), precision)?);
    }
    for _ in 0..=doublings {
        sum = sum.plus(&sum);
    }
    Ok(Finite::new(negative, cut(sum, scale), scale))
}

/// The decimal weight of a number's logarithm, as PostgreSQL estimates it for its scale.
fn weight_of_logarithm(finite: &Finite) -> i32 {
    let (one, magnitude) = (small(1), &finite.magnitude);
    let near = magnitude.compare(&Magnitude::of(9, 1)).is_ge()
        && magnitude.compare(&Magnitude::of(11, 1)).is_le();
    if near {
        let difference = match magnitude.compare(&one).is_lt() {
            true => one.minus(magnitude),
            false => magnitude.minus(&one),
        };
        return match difference.digits().first() {
            Some(first) => difference.weight() * GROUP + f64::from(*first).log10() as i32,
            None => 0,
        };
    }
    let first = f64::from(magnitude.at(magnitude.weight()));
    let second = f64::from(magnitude.at(magnitude.weight() - 1));
    let leading = first + second / 10_000.0;
    let logarithm = leading.ln() + f64::from(magnitude.weight() * GROUP) * std::f64::consts::LN_10;
    logarithm.abs().log10() as i32
}

/// A whole power, by squaring.
fn repeated(base: &Finite, times: i32, scale: i32) -> Result<Number> {
    let digits = Number::Finite(base.clone()).to_f64().abs().log10() * f64::from(times);
    if digits > f64::from(super::DIGITS_MAX as i32) * 4.0 {
        return Err(overflow());
    }
    let negative = base.negative && times % 2 != 0;
    if base.magnitude.is_zero() || digits < f64::from(-RESULT_SCALE_MAX - 1) {
        let zero = if times == 0 {
            small(1)
        } else {
            Magnitude::default()
        };
        return Finite::new(false, zero, scale).checked();
    }
    // A negative power is one of the reciprocal; all are cut to what the result can show.
    let log2 = 32 - times.unsigned_abs().leading_zeros() as i32;
    let precision = scale + GUARD + log2 + (digits.abs() as i32).min(RESULT_SCALE_MAX * 4);
    let mut square = base.magnitude.clone();
    let mut product = small(1);
    let mut left = times.unsigned_abs();
    while left > 0 {
        stop::check()?;
        if left & 1 == 1 {
            product = cut(product.times(&square), precision * 2);
        }
        left >>= 1;
        if left > 0 {
            square = cut(square.times(&square), precision * 2);
        }
        if product.len().max(square.len()) > super::DIGITS_MAX {
            return Err(super::too_many_digits());
        }
    }
    if times < 0 {
        if product.is_zero() {
            return Err(overflow());
        }
        product = quotient(&small(1), &product, precision)?;
    }
    Finite::new(negative, product, precision)
        .rounded(scale)
        .checked()
}
