//! bytea: hex or escape, both ways.

use crate::diagnostic::{Diagnostic, SqlState};
use bytes::BytesMut;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends the text of byteaout.
pub fn write(bytes: &[u8], escape: bool, out: &mut BytesMut) {
    if escape {
        return write_escaped(bytes, out);
    }
    out.reserve(2 + 2 * bytes.len());
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn write_escaped(bytes: &[u8], out: &mut BytesMut) {
    for byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.extend_from_slice(&[*byte]),
            _ => out.extend_from_slice(&[
                b'\\',
                b'0' + (byte >> 6),
                b'0' + ((byte >> 3) & 7),
                b'0' + (byte & 7),
            ]),
        }
    }
}

/// byteain.
///
/// # Errors
/// 22P02, and 22023 for bad hexadecimal digits.
pub fn parse(text: &str) -> Result<Vec<u8>, Diagnostic> {
    match text.strip_prefix("\\x") {
        Some(digits) => parse_hex(digits),
        None => parse_escaped(text.as_bytes()),
    }
}

fn parse_hex(digits: &str) -> Result<Vec<u8>, Diagnostic> {
    let invalid = |message: String| Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut characters = digits
        .chars()
        .filter(|character| !matches!(character, ' ' | '\n' | '\t' | '\r'));
    let value = |character: char| {
        character
            .to_digit(16)
            .ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{character}\"")))
    };
    while let Some(high) = characters.next() {
        let high = value(high)?;
        let low = characters
            .next()
            .ok_or_else(|| invalid("invalid hexadecimal data: odd number of digits".to_owned()))?;
        bytes.push((high * 16 + value(low)?) as u8);
    }
    Ok(bytes)
}

fn parse_escaped(mut rest: &[u8]) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = Vec::with_capacity(rest.len());
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', after @ ..] => {
                bytes.push(b'\\');
                after
            }
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                after
            }
            [b'\\', ..] => {
                return Err(Diagnostic::error(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
            [byte, after @ ..] => {
                bytes.push(*byte);
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_read_back_every_byte() {
        let all: Vec<u8> = (0..=255).collect();
        for escape in [false, true] {
            let mut out = BytesMut::new();
            write(&all, escape, &mut out);
            assert_eq!(parse(std::str::from_utf8(&out).unwrap()).unwrap(), all);
        }
        assert_eq!(parse("\\x 41 42").unwrap(), b"AB");
    }

    #[test]
    fn bad_digits_are_named() {
        for (text, message) in [
            ("\\xzz", "invalid hexadecimal digit: \"z\""),
            ("\\xa", "invalid hexadecimal data: odd number of digits"),
            ("\\a", "invalid input syntax for type bytea"),
        ] {
            assert_eq!(parse(text).unwrap_err().message(), message);
        }
    }
}
