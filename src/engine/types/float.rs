//! float4 and float8: the shortest digits that read back the same, laid out as PostgreSQL does.
//!
//! PostgreSQL never prints a decimal that lies exactly between two floats, even where rounding to
//! even would read it back right (its Ryu has `acceptBounds` off), so `1e23` prints as
//! `9.999999999999999e+22`. Below extra_float_digits 1 it prints with `%.*g`.

use super::input_error::invalid_syntax;
use crate::diagnostic::{Diagnostic, SqlState};
use bytes::BytesMut;

/// What differs between the two widths.
trait Width: Copy {
    /// Digits that survive text → float → text (C's FLT_DIG, DBL_DIG).
    const DIGITS: i32;
    /// Bits of the mantissa, the hidden one too.
    const MANTISSA_BITS: u32;
    fn shortest(self, buffer: &mut ryu::Buffer) -> &str;
    fn with_digits(self, digits: i32) -> String;
    fn is_read_from(self, text: &str) -> bool;
}

impl Width for f64 {
    const DIGITS: i32 = 15;
    const MANTISSA_BITS: u32 = 53;
    fn shortest(self, buffer: &mut ryu::Buffer) -> &str {
        buffer.format_finite(self)
    }
    fn with_digits(self, digits: i32) -> String {
        format!("{:.*e}", (digits - 1) as usize, self)
    }
    fn is_read_from(self, text: &str) -> bool {
        text.parse() == Ok(self)
    }
}

impl Width for f32 {
    const DIGITS: i32 = 6;
    const MANTISSA_BITS: u32 = 24;
    fn shortest(self, buffer: &mut ryu::Buffer) -> &str {
        buffer.format_finite(self)
    }
    fn with_digits(self, digits: i32) -> String {
        format!("{:.*e}", (digits - 1) as usize, self)
    }
    fn is_read_from(self, text: &str) -> bool {
        text.parse() == Ok(self)
    }
}

/// Appends the text of float8out.
pub fn write_f64(value: f64, extra_float_digits: i32, out: &mut BytesMut) {
    if value.is_finite() {
        write(
            value,
            value.is_sign_negative(),
            value == 0.0,
            extra_float_digits,
            out,
        );
    } else {
        write_special(value.is_nan(), value.is_sign_negative(), out);
    }
}

/// Appends the text of float4out.
pub fn write_f32(value: f32, extra_float_digits: i32, out: &mut BytesMut) {
    if value.is_finite() {
        write(
            value,
            value.is_sign_negative(),
            value == 0.0,
            extra_float_digits,
            out,
        );
    } else {
        write_special(value.is_nan(), value.is_sign_negative(), out);
    }
}

fn write_special(nan: bool, negative: bool, out: &mut BytesMut) {
    out.extend_from_slice(match (nan, negative) {
        (true, _) => b"NaN",
        (false, true) => b"-Infinity",
        (false, false) => b"Infinity",
    });
}

/// Decimal digits and the exponent of the first: 1.25e3 is ("125", 3).
struct Decimal {
    digits: [u8; 24],
    length: usize,
    exponent: i32,
}

impl Decimal {
    /// From text such as `-1.25e3`, `0.001` or `125.0`; zeros at both ends are dropped.
    fn read(text: &str) -> Decimal {
        let mut decimal = Decimal {
            digits: [0; 24],
            length: 0,
            exponent: 0,
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut point = None;
        let mut places = 0;
        for byte in mantissa.bytes() {
            match byte {
                b'.' => point = Some(places),
                b'0' if decimal.length == 0 && point.is_none() => {}
                b'0'..=b'9' => {
                    if byte != b'0' || decimal.length > 0 {
                        decimal.digits[decimal.length] = byte;
                        decimal.length += 1;
                    }
                    places += 1;
                }
                _ => {}
            }
        }
        // `places` counts from the first digit that is not a leading zero of the integer part.
        let before_point = point.unwrap_or(places);
        let leading_zeros = places - decimal.length as i32;
        let exponent: i32 = exponent.parse().expect("ryu and {:e} print an integer");
        decimal.exponent = exponent + before_point - leading_zeros - 1;
        while decimal.length > 1 && decimal.digits[decimal.length - 1] == b'0' {
            decimal.length -= 1;
        }
        decimal
    }

    /// Whether it lies exactly between two neighbouring floats of this mantissa.
    fn is_midpoint(&self, mantissa_bits: u32) -> bool {
        let power = self.exponent + 1 - self.length as i32;
        if !(-24..=24).contains(&power) || self.length > 17 {
            return false;
        }
        let value = self.digits[..self.length]
            .iter()
            .fold(0u128, |value, digit| value * 10 + u128::from(digit - b'0'));
        let five = 5u128.pow(power.unsigned_abs());
        let odd = match power >= 0 {
            true => value * five,
            false if value % five == 0 => value / five,
            false => return false,
        };
        odd != 0 && 128 - (odd >> odd.trailing_zeros()).leading_zeros() == mantissa_bits + 1
    }
}

fn write<F: Width>(value: F, negative: bool, zero: bool, extra_digits: i32, out: &mut BytesMut) {
    if negative {
        out.extend_from_slice(b"-");
    }
    if zero {
        out.extend_from_slice(b"0");
        return;
    }
    let decimal = if extra_digits < 1 {
        Decimal::read(&value.with_digits((F::DIGITS + extra_digits).max(1)))
    } else {
        let mut buffer = ryu::Buffer::new();
        let shortest = Decimal::read(value.shortest(&mut buffer));
        if shortest.is_midpoint(F::MANTISSA_BITS) {
            shortest_between(value)
        } else {
            shortest
        }
    };
    // %g's rule with the precision asked for; the shortest form goes by DIGITS.
    let plain_below = if extra_digits < 1 {
        (F::DIGITS + extra_digits).max(1)
    } else {
        F::DIGITS
    };
    lay_out(&decimal, plain_below, out);
}

/// The shortest decimal that is strictly closer to this float than to its neighbours.
fn shortest_between<F: Width>(value: F) -> Decimal {
    for digits in F::DIGITS..=17 {
        let text = value.with_digits(digits);
        if value.is_read_from(&text) {
            let decimal = Decimal::read(&text);
            if !decimal.is_midpoint(F::MANTISSA_BITS) {
                return decimal;
            }
        }
    }
    Decimal::read(&value.with_digits(17))
}

fn lay_out(decimal: &Decimal, plain_below: i32, out: &mut BytesMut) {
    let digits = &decimal.digits[..decimal.length];
    let exponent = decimal.exponent;
    if !(-4..plain_below).contains(&exponent) {
        out.extend_from_slice(&digits[..1]);
        if digits.len() > 1 {
            out.extend_from_slice(b".");
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        let magnitude = exponent.unsigned_abs();
        if magnitude < 10 {
            out.extend_from_slice(b"0");
        }
        super::integer::write(magnitude, out);
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend_from_slice(&b"000"[..(-1 - exponent) as usize]);
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.extend_from_slice(b".");
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

/// float8in.
///
/// # Errors
/// 22P02, or 22003 where it overflows or underflows.
pub fn parse_f64(text: &str) -> Result<f64, Diagnostic> {
    let number = text.trim_ascii();
    match number.parse::<f64>() {
        Ok(value) if lost_range(value.is_infinite(), value == 0.0, number) => {
            Err(past_range("double precision", text))
        }
        Ok(value) => Ok(with_one_nan_f64(value)),
        Err(_) => Err(invalid_syntax("double precision", text)),
    }
}

/// float4in.
///
/// # Errors
/// As [`parse_f64`].
pub fn parse_f32(text: &str) -> Result<f32, Diagnostic> {
    let number = text.trim_ascii();
    match number.parse::<f32>() {
        Ok(value) if lost_range(value.is_infinite(), value == 0.0, number) => {
            Err(past_range("real", text))
        }
        Ok(value) => Ok(with_one_nan_f32(value)),
        Err(_) => Err(invalid_syntax("real", text)),
    }
}

/// The value, NaN being the one that comparisons by bits put above infinity.
pub fn with_one_nan_f64(value: f64) -> f64 {
    match value.is_nan() {
        true => f64::NAN.abs(),
        false => value,
    }
}

/// As [`with_one_nan_f64`].
pub fn with_one_nan_f32(value: f32) -> f32 {
    match value.is_nan() {
        true => f32::NAN.abs(),
        false => value,
    }
}

/// The one of all floats equal to it (-0 is 0, and each NaN the other) that comparisons by bits put in its place.
pub fn key_f64(value: f64) -> f64 {
    // Adding 0 makes -0 positive.
    with_one_nan_f64(value) + 0.0
}

/// As [`key_f64`].
pub fn key_f32(value: f32) -> f32 {
    with_one_nan_f32(value) + 0.0
}

/// Whether digits became infinity, or digits other than zero became zero.
fn lost_range(infinite: bool, zero: bool, number: &str) -> bool {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    (infinite && number.bytes().any(|byte| byte.is_ascii_digit()))
        || (zero && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9')))
}

fn past_range(type_name: &str, text: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!(
            "\"{}\" is out of range for type {type_name}",
            text.trim_ascii()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f64_text(value: f64) -> String {
        let mut out = BytesMut::new();
        write_f64(value, 1, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn f32_text(value: f32) -> String {
        let mut out = BytesMut::new();
        write_f32(value, 1, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn doubles_print_as_postgresql_15_prints_them() {
        // Printed by PostgreSQL 15.
        for (value, text) in [
            (1e23, "9.999999999999999e+22"),
            (9007199254740993.0, "9.007199254740992e+15"),
            (5e-324, "5e-324"),
            (1e15, "1e+15"),
            (1e14, "100000000000000"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (1234.5, "1234.5"),
            (100.0, "100"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(f64_text(value), text);
        }
    }

    #[test]
    fn reals_print_as_postgresql_15_prints_them() {
        for (value, text) in [
            (1e6, "1e+06"),
            (1e5, "100000"),
            (8.589973e9, "8.589974e+09"),
            (33554430.0, "3.355443e+07"),
            (0.1, "0.1"),
        ] {
            assert_eq!(f32_text(value), text);
        }
    }

    #[test]
    fn overflow_and_underflow_are_22003() {
        assert_eq!(
            parse_f64("1e400").unwrap_err().message(),
            "\"1e400\" is out of range for type double precision"
        );
        assert!(parse_f64("1e-400").is_err());
        assert_eq!(parse_f64("0e-400"), Ok(0.0));
        assert_eq!(parse_f64("-inf"), Ok(f64::NEG_INFINITY));
        assert!(parse_f64(" Infinity ").is_ok());
        assert!(parse_f32("1e39").is_err());
        assert_eq!(
            parse_f64("").unwrap_err().message(),
            "invalid input syntax for type double precision: \"\""
        );
    }

    proptest::proptest! {
        #[test]
        fn every_double_reads_back_the_same(bits: u64) {
            let value = f64::from_bits(bits);
            proptest::prop_assume!(!value.is_nan());
            let text = f64_text(value);
            proptest::prop_assert_eq!(parse_f64(&text).unwrap().to_bits(), bits);
        }
    }
}
