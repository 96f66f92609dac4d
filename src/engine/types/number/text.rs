//! numeric_in and numeric_out.

use super::magnitude::Magnitude;
use super::{DIGITS_MAX, Finite, GROUP, Number, SCALE_MAX, overflow, too_many_digits};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::types::input_error::invalid_syntax;
use crate::engine::types::numeric::Digits;
use bytes::{BufMut, BytesMut};

/// Exponents beyond this are out of range whatever stands before them, as in PostgreSQL.
const EXPONENT_MAX: i32 = i32::MAX / 4;

impl Number {
    /// Appends the text of numeric_out.
    pub fn write(&self, out: &mut BytesMut) {
        let finite = match self {
            Number::NaN => return out.extend_from_slice(b"NaN"),
            Number::Infinity(false) => return out.extend_from_slice(b"Infinity"),
            Number::Infinity(true) => return out.extend_from_slice(b"-Infinity"),
            Number::Finite(finite) => finite,
        };
        if finite.negative {
            out.put_u8(b'-');
        }
        let magnitude = &finite.magnitude;
        let mut buffer = itoa::Buffer::new();
        let top = magnitude.weight().max(0);
        out.extend_from_slice(buffer.format(magnitude.at(top)).as_bytes());
        for weight in (0..top).rev() {
            out.extend_from_slice(&four_digits(magnitude.at(weight)));
        }
        if finite.scale == 0 {
            return;
        }
        out.put_u8(b'.');
        let scale = finite.scale as usize;
        for group in 0..scale.div_ceil(GROUP as usize) {
            let left = scale - group * GROUP as usize;
            let digits = four_digits(magnitude.at(-1 - group as i32));
            out.extend_from_slice(&digits[..left.min(GROUP as usize)]);
        }
    }

    /// numeric_in; the type's modifier is applied.
    ///
    /// # Errors
    /// 22P02; 22003 past PostgreSQL's range and the modifier's; 0A000 for more digits than there
    /// may be.
    pub fn parse(text: &str, sql_type: SqlType) -> Result<Number, Diagnostic> {
        let number = text.trim_ascii();
        if let Some(special) = special(number) {
            return special.fit(sql_type);
        }
        let digits = Digits::read(number).ok_or_else(|| invalid_syntax("numeric", text))?;
        finite(&digits)?.fit(sql_type)
    }

    /// The nearest double.
    pub fn to_f64(&self) -> f64 {
        match self {
            Number::NaN => f64::NAN,
            Number::Infinity(false) => f64::INFINITY,
            Number::Infinity(true) => f64::NEG_INFINITY,
            Number::Finite(_) => {
                let mut text = BytesMut::new();
                self.write(&mut text);
                std::str::from_utf8(&text)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .expect("numeric_out prints a number")
            }
        }
    }

    /// float8 and float4 to numeric: 15 or 6 significant digits, as PostgreSQL's casts take.
    ///
    /// # Errors
    /// 22003 by the modifier.
    pub fn of_float(value: f64, digits: usize, sql_type: SqlType) -> Result<Number, Diagnostic> {
        if value.is_nan() {
            return Number::NaN.fit(sql_type);
        }
        if value.is_infinite() {
            return Number::Infinity(value < 0.0).fit(sql_type);
        }
        let text = format!("{:.*e}", digits - 1, value);
        // Trailing zeros of %g are not significant.
        let (mantissa, exponent) = text.split_once('e').expect("{:e} prints an exponent");
        let mantissa = match mantissa.contains('.') {
            true => mantissa.trim_end_matches('0').trim_end_matches('.'),
            false => mantissa,
        };
        Number::parse(&format!("{mantissa}e{exponent}"), sql_type)
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = BytesMut::new();
        self.write(&mut text);
        f.write_str(std::str::from_utf8(&text).expect("numeric_out prints ASCII"))
    }
}

fn four_digits(digit: u16) -> [u8; 4] {
    [1_000, 100, 10, 1].map(|unit| b'0' + (digit / unit % 10) as u8)
}

fn special(word: &str) -> Option<Number> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if is("nan") {
        return Some(Number::NaN);
    }
    let (negative, word) = match word.as_bytes().first() {
        Some(b'-') => (true, &word[1..]),
        Some(b'+') => (false, &word[1..]),
        _ => (false, word),
    };
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    (is("inf") || is("infinity")).then_some(Number::Infinity(negative))
}

fn finite(digits: &Digits<'_>) -> Result<Number, Diagnostic> {
    if digits.exponent.abs() > EXPONENT_MAX {
        return Err(overflow());
    }
    let all = || digits.whole.iter().chain(digits.fraction);
    let zeros = all().take_while(|digit| **digit == b'0').count();
    let significant = digits.whole.len() + digits.fraction.len() - zeros;
    let scale = (digits.fraction.len() as i64 - i64::from(digits.exponent)).max(0);
    // Where the first digit that counts stands, from the point.
    let top = digits.whole.len() as i64 + i64::from(digits.exponent) - zeros as i64;
    if scale > i64::from(SCALE_MAX) || significant > 0 && top > 131_072 {
        return Err(overflow());
    }
    if significant > DIGITS_MAX {
        return Err(too_many_digits());
    }
    let scale = scale as i32;
    if significant == 0 {
        return Ok(Number::Finite(Finite::new(
            false,
            Magnitude::default(),
            scale,
        )));
    }
    // The first group is filled up with zeros, so that the point falls between groups.
    let top = top as i32;
    let weight = (top - 1).div_euclid(GROUP);
    let mut place = (weight + 1) * GROUP - top;
    let mut groups = Vec::with_capacity(significant / GROUP as usize + 2);
    let mut group = 0;
    for digit in all().skip(zeros) {
        group = group * 10 + u16::from(digit - b'0');
        place += 1;
        if place == GROUP {
            groups.push(group);
            (group, place) = (0, 0);
        }
    }
    if place > 0 {
        groups.push(group * 10u16.pow((GROUP - place) as u32));
    }
    Finite::new(digits.negative, Magnitude::new(weight, groups), scale).checked()
}
