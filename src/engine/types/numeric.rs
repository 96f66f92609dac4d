//! numeric(p,s) of at most 38 digits: an i128 whose scale is the type's.
//!
//! NaN, which PostgreSQL keeps in such a column, does not fit and is 0A000; every other numeric is
//! a `number::Number`.

use super::input_error::invalid_syntax;
use super::name::{NUMERIC_DIGITS_MAX, fixed_numeric, numeric_modifier_wide};
use super::number::Number;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use bytes::{BufMut, BytesMut};

/// A decimal number: `unscaled` × 10^-`scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// All digits as an integer.
    pub unscaled: i128,
    /// How many of them stand behind the point.
    pub scale: u8,
}

/// Exponents beyond this are refused before any digit is moved.
const EXPONENT_MAX: i32 = 1_000;

/// Sign words of the binary form, whose reader is `number::parse_binary`.
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// 10^n for n ≤ 38.
pub fn power_of_ten(exponent: u8) -> i128 {
    10i128.pow(u32::from(exponent))
}

/// Appends the text of numeric_out: exactly `scale` digits behind the point.
pub fn write(unscaled: i128, scale: i8, out: &mut BytesMut) {
    let mut buffer = itoa::Buffer::new();
    if scale <= 0 {
        out.extend_from_slice(buffer.format(unscaled).as_bytes());
        if unscaled != 0 {
            out.put_bytes(b'0', usize::from(scale.unsigned_abs()));
        }
        return;
    }
    let scale = usize::from(scale.unsigned_abs());
    if unscaled < 0 {
        out.extend_from_slice(b"-");
    }
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    if digits.len() <= scale {
        out.extend_from_slice(b"0.");
        out.put_bytes(b'0', scale - digits.len());
        out.extend_from_slice(digits);
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.extend_from_slice(b".");
        out.extend_from_slice(fraction);
    }
}

impl From<Decimal> for Number {
    fn from(decimal: Decimal) -> Number {
        Number::of_decimal(decimal.unscaled, decimal.scale as i8)
    }
}

impl Decimal {
    /// The number with another scale, rounded half away from zero; None past an i128.
    pub fn rescale(self, scale: u8) -> Option<Decimal> {
        let unscaled = if scale >= self.scale {
            let factor = 10i128.checked_pow(u32::from(scale - self.scale))?;
            self.unscaled.checked_mul(factor)?
        } else {
            divide_rounding(self.unscaled, self.scale - scale)
        };
        Some(Decimal { unscaled, scale })
    }

    /// The number as numeric(p,s) of this type keeps it; as it is where the type has no modifier.
    ///
    /// # Errors
    /// 22003 `numeric field overflow` as PostgreSQL tells it.
    pub fn fit(self, sql_type: SqlType) -> Result<Decimal, Diagnostic> {
        let Some((precision, scale)) = fixed_numeric(sql_type) else {
            return Ok(self);
        };
        let scale = scale.unsigned_abs();
        self.rescale(scale)
            .filter(|fitted| fitted.unscaled.unsigned_abs() < power_of_ten(precision) as u128)
            .ok_or_else(|| field_overflow(precision, scale))
    }

    /// The nearest integer, halves away from zero.
    pub fn round(self) -> i128 {
        divide_rounding(self.unscaled, self.scale)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        const EXACT: i128 = 1 << 53;
        if self.unscaled.abs() < EXACT && self.scale <= 22 {
            // Both are exact doubles, so one division rounds once.
            return self.unscaled as f64 / 10f64.powi(i32::from(self.scale));
        }
        let mut text = BytesMut::new();
        write(self.unscaled, self.scale as i8, &mut text);
        std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.parse().ok())
            .expect("numeric_out prints a number")
    }
}

/// Division by 10^digits, halves away from zero.
fn divide_rounding(value: i128, digits: u8) -> i128 {
    if digits > NUMERIC_DIGITS_MAX {
        return 0;
    }
    let divisor = power_of_ten(digits);
    let (quotient, rest) = (value / divisor, value % divisor);
    // `divisor / 2` is exact for every power of ten but 1, which leaves no rest.
    if rest != 0 && rest.abs() >= divisor / 2 {
        quotient + rest.signum()
    } else {
        quotient
    }
}

fn field_overflow(precision: u8, scale: u8) -> Diagnostic {
    let limit = match precision - scale {
        0 => "1".to_owned(),
        digits => format!("10^{digits}"),
    };
    Diagnostic::error(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(
        format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
        ),
    )
}

fn too_many_digits() -> Diagnostic {
    Diagnostic::unsupported(format!(
        "a numeric of more than {NUMERIC_DIGITS_MAX} digits"
    ))
}

/// numeric_in; the type's modifier is applied.
///
/// # Errors
/// 22P02, 22003, and 0A000 for what 38 digits cannot hold.
pub fn parse(text: &str, sql_type: SqlType) -> Result<Decimal, Diagnostic> {
    let number = text.trim_ascii();
    let Some(digits) = Digits::read(number) else {
        // Infinity does not fit whatever the precision.
        return match Number::parse(text, sql_type)? {
            Number::NaN => Err(unsupported_special("NaN")),
            _ => Err(invalid_syntax("numeric", text)),
        };
    };
    digits.decimal(sql_type)
}

/// 0A000: PostgreSQL keeps NaN in a column of any precision.
pub fn unsupported_special(name: &str) -> Diagnostic {
    Diagnostic::unsupported(format!(
        "numeric {name} in a type of up to {NUMERIC_DIGITS_MAX} digits"
    ))
    .with_hint("numeric without a precision holds it.")
}

/// The parts of a number's text.
pub(super) struct Digits<'a> {
    pub(super) negative: bool,
    pub(super) whole: &'a [u8],
    pub(super) fraction: &'a [u8],
    pub(super) exponent: i32,
}

impl<'a> Digits<'a> {
    pub(super) fn read(number: &'a str) -> Option<Digits<'a>> {
        let bytes = number.as_bytes();
        let (negative, rest) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        };
        let (mantissa, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&rest[..at], read_exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &mantissa[..0]),
        };
        let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        let valid = whole.len() + fraction.len() > 0 && all_digits(whole) && all_digits(fraction);
        valid.then_some(Digits {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn decimal(&self, sql_type: SqlType) -> Result<Decimal, Diagnostic> {
        let overflow = || {
            Diagnostic::error(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "value overflows numeric format",
            )
        };
        if self.exponent.abs() > EXPONENT_MAX {
            return Err(overflow());
        }
        // The scale PostgreSQL keeps: the fraction's digits, moved by the exponent, never negative.
        let natural_scale = (self.fraction.len() as i64 - i64::from(self.exponent)).max(0);
        let wanted_scale = if sql_type.typmod >= 4 {
            i64::from(numeric_modifier_wide(sql_type.typmod).1)
        } else {
            natural_scale
        };
        if wanted_scale > i64::from(NUMERIC_DIGITS_MAX) {
            return Err(too_many_digits());
        }
        let magnitude = self.scaled_magnitude(wanted_scale);
        let too_large = || {
            if sql_type.typmod >= 4 {
                let (precision, scale) = numeric_modifier_wide(sql_type.typmod);
                field_overflow(precision as u8, scale.unsigned_abs() as u8)
            } else {
                too_many_digits()
            }
        };
        let magnitude = magnitude.ok_or_else(too_large)?;
        let limit = power_of_ten(NUMERIC_DIGITS_MAX) as u128;
        if magnitude >= limit {
            return Err(too_large());
        }
        let unscaled = magnitude as i128;
        Decimal {
            unscaled: if self.negative { -unscaled } else { unscaled },
            scale: wanted_scale as u8,
        }
        .fit(sql_type)
    }

    /// |number| × 10^scale, rounded half up; None past a u128.
    fn scaled_magnitude(&self, scale: i64) -> Option<u128> {
        // Digits behind this place are dropped, and the first of them rounds.
        let kept = self.whole.len() as i64 + i64::from(self.exponent) + scale;
        let mut magnitude: u128 = 0;
        let all = self.whole.iter().chain(self.fraction);
        let mut round_up = false;
        let mut read = 0;
        for digit in all {
            if read >= kept {
                round_up = read == kept && *digit >= b'5';
                break;
            }
            magnitude = magnitude
                .checked_mul(10)?
                .checked_add(u128::from(digit - b'0'))?;
            read += 1;
        }
        for _ in read..kept {
            if magnitude == 0 {
                break;
            }
            magnitude = magnitude.checked_mul(10)?;
        }
        magnitude.checked_add(u128::from(round_up))
    }
}

fn read_exponent(bytes: &[u8]) -> Option<i32> {
    let digits = match bytes {
        [b'+' | b'-', digits @ ..] => digits,
        digits => digits,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'))
    });
    Some(if bytes[0] == b'-' {
        -magnitude
    } else {
        magnitude
    })
}

/// Appends the binary form: groups of four decimal digits.
pub fn write_binary(unscaled: i128, scale: i8, out: &mut BytesMut) {
    let (mut magnitude, scale) = match scale {
        0.. => (unscaled.unsigned_abs(), scale.unsigned_abs()),
        _ => (
            unscaled
                .unsigned_abs()
                .saturating_mul(power_of_ten(scale.unsigned_abs().min(38)) as u128),
            0,
        ),
    };
    // Groups from the right; the rightmost is filled up so that the point falls between groups.
    let mut groups = [0u16; 12];
    let mut count = 0;
    let fill = (4 - scale % 4) % 4;
    let mut weight = -i32::from(scale.div_ceil(4));
    if fill > 0 && magnitude > 0 {
        let split = 10u128.pow(u32::from(4 - fill));
        groups[count] = ((magnitude % split) * 10u128.pow(u32::from(fill))) as u16;
        magnitude /= split;
        count += 1;
    }
    while magnitude > 0 {
        groups[count] = (magnitude % 10_000) as u16;
        magnitude /= 10_000;
        count += 1;
    }
    weight += count as i32 - 1;
    let zeros = groups[..count]
        .iter()
        .take_while(|group| **group == 0)
        .count();
    out.put_u16((count - zeros) as u16);
    out.put_i16(if count == zeros { 0 } else { weight as i16 });
    out.put_u16(if unscaled < 0 { NEGATIVE } else { POSITIVE });
    out.put_u16(u16::from(scale));
    for group in groups[zeros..count].iter().rev() {
        out.put_u16(*group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::sql_type::TypeKind;
    use crate::engine::types::name::numeric_type;

    const ANY: SqlType = SqlType::scalar(TypeKind::Numeric);

    fn text(decimal: Decimal) -> String {
        let mut out = BytesMut::new();
        write(decimal.unscaled, decimal.scale as i8, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_numeric_keeps_its_scale() {
        for (input, printed) in [
            ("1.50", "1.50"),
            ("-0.001", "-0.001"),
            ("1e3", "1000"),
            ("1.5e1", "15"),
            ("1.5e-3", "0.0015"),
            (".5", "0.5"),
            ("5.", "5"),
            (" 7 ", "7"),
            ("-0", "0"),
            ("0.00", "0.00"),
        ] {
            assert_eq!(text(parse(input, ANY).unwrap()), printed, "{input}");
        }
        for input in ["", ".", "e1", "1e", "1.2.3", "x", "1 2"] {
            assert!(parse(input, ANY).is_err(), "{input}");
        }
    }

    #[test]
    fn a_modifier_rounds_half_away_from_zero_and_refuses_overflow() {
        let n52 = numeric_type(5, 2);
        assert_eq!(text(parse("1.005", n52).unwrap()), "1.01");
        assert_eq!(text(parse("-1.005", n52).unwrap()), "-1.01");
        assert_eq!(text(parse("999.994", n52).unwrap()), "999.99");
        let error = parse("999.995", n52).unwrap_err();
        assert_eq!(error.message(), "numeric field overflow");
        assert_eq!(
            error.fields().detail.as_deref(),
            Some(
                "A field with precision 5, scale 2 must round to an absolute value less than 10^3."
            )
        );
        assert_eq!(
            parse("1e500", n52).unwrap_err().message(),
            "numeric field overflow"
        );
    }

    #[test]
    fn more_than_38_digits_is_refused_and_named() {
        let long = "9".repeat(39);
        assert_eq!(parse(&long, ANY).unwrap_err().sqlstate().as_str(), "0A000");
        assert!(parse(&"9".repeat(38), ANY).is_ok());
        assert_eq!(
            parse("NaN", numeric_type(5, 2)).unwrap_err().message(),
            "numeric NaN in a type of up to 38 digits is not supported"
        );
        assert_eq!(
            parse("Infinity", numeric_type(5, 2)).unwrap_err().message(),
            "numeric field overflow"
        );
    }

    #[test]
    fn the_binary_form_of_known_values() {
        // From numeric_send of PostgreSQL 15.
        for (input, bytes) in [
            ("0", &[0u8, 0, 0, 0, 0, 0, 0, 0][..]),
            ("1.5", &[0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88]),
            (
                "-12345.678",
                &[0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c],
            ),
            ("10000", &[0, 1, 0, 1, 0, 0, 0, 0, 0, 1]),
        ] {
            let decimal = parse(input, ANY).unwrap();
            let mut out = BytesMut::new();
            write_binary(decimal.unscaled, decimal.scale as i8, &mut out);
            assert_eq!(&out[..], bytes, "{input}");
        }
    }

    proptest::proptest! {
        #[test]
        fn text_and_binary_read_back_the_same(unscaled in -10i128.pow(37)..10i128.pow(37), scale in 0u8..=20) {
            let decimal = Decimal { unscaled, scale };
            proptest::prop_assert_eq!(parse(&text(decimal), ANY).unwrap(), decimal);
            let mut out = BytesMut::new();
            write_binary(unscaled, scale as i8, &mut out);
            let read = super::super::number::parse_binary(&out, ANY).unwrap().unwrap();
            proptest::prop_assert_eq!(read.to_decimal(), Some(decimal));
        }
    }
}
