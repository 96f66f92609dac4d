//! uuid: 16 bytes, printed in five groups.

use super::input_error::invalid_syntax;
use crate::diagnostic::Diagnostic;
use bytes::BytesMut;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends the text of uuid_out.
pub fn write(bytes: &[u8], out: &mut BytesMut) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.extend_from_slice(b"-");
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// uuid_in: 32 digits, hyphens after any group of four, braces around.
///
/// # Errors
/// 22P02.
pub fn parse(text: &str) -> Result<[u8; 16], Diagnostic> {
    parse_digits(text.as_bytes()).ok_or_else(|| invalid_syntax("uuid", text))
}

fn parse_digits(text: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match text {
        [b'{', inner @ .., b'}'] => inner,
        [b'{', ..] => return None,
        all => all,
    };
    let mut value = [0; 16];
    for (index, byte) in value.iter_mut().enumerate() {
        let [high, low, after @ ..] = rest else {
            return None;
        };
        let digit = |digit: u8| (digit as char).to_digit(16);
        *byte = (digit(*high)? * 16 + digit(*low)?) as u8;
        rest = match after {
            [b'-', after @ ..] if index % 2 == 1 && index < 15 => after,
            after => after,
        };
    }
    rest.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_postgresql_reads_prints_the_same() {
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            let mut out = BytesMut::new();
            write(&parse(text).unwrap(), &mut out);
            assert_eq!(&out[..], b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        }
        for text in [
            "",
            "abc",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc999c0b4ef8bb6d6bb9bd380a1-1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
