//! int2, int4, int8 and oid.

use super::input_error::{invalid_syntax, out_of_range};
use crate::diagnostic::Diagnostic;
use bytes::BytesMut;

/// Appends the decimal digits, without allocating.
#[inline]
pub fn write(value: impl itoa::Integer, out: &mut BytesMut) {
    let mut digits = itoa::Buffer::new();
    out.extend_from_slice(digits.format(value).as_bytes());
}

/// An integer type that input can read.
pub trait ParseInteger: Sized {
    /// The name in errors.
    const NAME: &'static str;
    /// The value, if it is in range.
    fn narrow(value: i128) -> Option<Self>;
}

impl ParseInteger for i16 {
    const NAME: &'static str = "smallint";
    fn narrow(value: i128) -> Option<i16> {
        value.try_into().ok()
    }
}

impl ParseInteger for i32 {
    const NAME: &'static str = "integer";
    fn narrow(value: i128) -> Option<i32> {
        value.try_into().ok()
    }
}

impl ParseInteger for i64 {
    const NAME: &'static str = "bigint";
    fn narrow(value: i128) -> Option<i64> {
        value.try_into().ok()
    }
}

impl ParseInteger for u32 {
    const NAME: &'static str = "oid";
    fn narrow(value: i128) -> Option<u32> {
        // oidin takes negative int4 values as the same bits, as PostgreSQL has always done.
        value
            .try_into()
            .ok()
            .or_else(|| i32::try_from(value).ok().map(|signed| signed as u32))
    }
}

/// So many digits always fit an i64.
const SHORT_DIGITS: usize = 18;
/// Digits past this many cannot change that the value is out of range.
const SIGNIFICANT_DIGITS_MAX: u32 = 30;

/// int2in, int4in, int8in, oidin: blanks around, a sign, decimal digits.
///
/// # Errors
/// 22P02, or 22003 past the range.
#[inline]
pub fn parse<T: ParseInteger>(text: &str) -> Result<T, Diagnostic> {
    let bytes = text.trim_ascii().as_bytes();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() {
        return Err(invalid_syntax(T::NAME, text));
    }
    let value = if digits.len() <= SHORT_DIGITS {
        short(digits).map(i128::from)
    } else {
        long(digits)
    };
    let value = value.ok_or_else(|| invalid_syntax(T::NAME, text))?;
    T::narrow(if negative { -value } else { value }).ok_or_else(|| out_of_range(T::NAME, text))
}

fn short(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value: i64, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| value * 10 + i64::from(digit))
    })
}

fn long(digits: &[u8]) -> Option<i128> {
    let mut value: i128 = 0;
    let mut significant = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        if significant < SIGNIFICANT_DIGITS_MAX {
            value = value * 10 + i128::from(digit);
            significant += u32::from(value != 0);
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_blanks_and_signs_and_nothing_else() {
        assert_eq!(parse::<i32>(" +12 "), Ok(12));
        assert_eq!(parse::<i32>("-2147483648"), Ok(i32::MIN));
        assert_eq!(parse::<i64>("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse::<u32>("4294967295"), Ok(u32::MAX));
        for text in ["", " ", "x", "1.5", "1 2", "+", "0x10", "1_000", "١"] {
            let error = parse::<i32>(text).unwrap_err();
            assert_eq!(
                error.message(),
                format!("invalid input syntax for type integer: \"{text}\"")
            );
        }
    }

    #[test]
    fn a_value_past_the_range_is_22003() {
        let error = parse::<i32>("2147483648").unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "22003");
        assert_eq!(
            error.message(),
            "value \"2147483648\" is out of range for type integer"
        );
        let long = "9".repeat(500);
        assert_eq!(
            parse::<i64>(&long).unwrap_err().sqlstate().as_str(),
            "22003"
        );
        assert_eq!(parse::<i64>(&format!("{}7", "0".repeat(500))), Ok(7));
    }
}
