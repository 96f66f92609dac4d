//! Functions of bytea, and the texts that encode() and decode() know.
//!
//! Source: PostgreSQL 15, §9.5 and `encode.c`.

use super::definition::{Argument, Call, Function, INT4, INT8, TEXT, of};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::failure;
use crate::engine::types::bytea;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

const BYTEA: Argument = of(TypeKind::Bytea);
/// Letters of a line of base64.
const BASE64_LINE: usize = 76;

/// Functions that only bytea has.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let of = SqlType::scalar;
    let (binary, text) = (of(TypeKind::Bytea), of(TypeKind::Text));
    let (int4, int8) = (of(TypeKind::Int4), of(TypeKind::Int8));
    vec![
        Function::immutable("encode", &[&[BYTEA, TEXT]], text, encode),
        Function::immutable("decode", &[&[TEXT, TEXT]], binary, decode),
        Function::immutable("get_byte", &[&[BYTEA, INT4]], int4, |call| {
            call.values::<Int32Type>(|row| {
                let Some((bytes, at)) = bytes(call, 0, row).zip(call.int4(1, row)) else {
                    return Ok(None);
                };
                Ok(Some(bytes[index(at.into(), bytes.len())?].into()))
            })
        }),
        Function::immutable("set_byte", &[&[BYTEA, INT4, INT4]], binary, |call| {
            binaries(call, |row| {
                let Some((given, at)) = bytes(call, 0, row).zip(call.int4(1, row)) else {
                    return Ok(None);
                };
                let Some(new) = call.int4(2, row) else {
                    return Ok(None);
                };
                let at = index(at.into(), given.len())?;
                let mut changed = given.to_vec();
                changed[at] = new as u8;
                Ok(Some(changed))
            })
        }),
        Function::immutable("get_bit", &[&[BYTEA, INT8]], int4, |call| {
            call.values::<Int32Type>(|row| {
                let Some((bytes, at)) = bytes(call, 0, row).zip(call.int8(1, row)) else {
                    return Ok(None);
                };
                let at = index(at, bytes.len() * 8)?;
                Ok(Some(i32::from(bytes[at / 8] >> (at % 8) & 1)))
            })
        }),
        Function::immutable("set_bit", &[&[BYTEA, INT8, INT4]], binary, set_bit),
        Function::immutable("bit_count", &[&[BYTEA]], int8, |call| {
            call.values::<Int64Type>(|row| {
                let count =
                    |bytes: &[u8]| bytes.iter().map(|byte| i64::from(byte.count_ones())).sum();
                Ok(bytes(call, 0, row).map(count))
            })
        }),
        Function::immutable("convert_from", &[&[BYTEA, TEXT]], text, convert_from),
        Function::immutable("convert_to", &[&[TEXT, TEXT]], binary, |call| {
            binaries(call, |row| {
                let Some((text, name)) = call.text(0, row).zip(call.text(1, row)) else {
                    return Ok(None);
                };
                demand_utf8(name)?;
                Ok(Some(text.as_bytes().to_vec()))
            })
        }),
        concatenation(),
    ]
}

/// `||`
pub fn concatenation() -> Arc<ScalarUDF> {
    let binary = SqlType::scalar(TypeKind::Bytea);
    Function::immutable("byteacat", &[&[BYTEA, BYTEA]], binary, |call| {
        binaries(call, |row| {
            let both = bytes(call, 0, row).zip(bytes(call, 1, row));
            Ok(both.map(|(left, right)| [left, right].concat()))
        })
    })
}

/// Functions that text has too: the library's by the same name is text's.
pub fn overloads() -> Vec<Arc<ScalarUDF>> {
    let of = SqlType::scalar;
    let (binary, int4) = (of(TypeKind::Bytea), of(TypeKind::Int4));
    vec![
        Function::immutable("length", &[&[BYTEA]], int4, |call| size(call, 1)),
        Function::immutable("octet_length", &[&[BYTEA]], int4, |call| size(call, 1)),
        Function::immutable("bit_length", &[&[BYTEA]], int4, |call| size(call, 8)),
        Function::immutable("substr", SUBSTRING, binary, substring),
        Function::immutable("substring", SUBSTRING, binary, substring),
        Function::immutable("strpos", &[&[BYTEA, BYTEA]], int4, position),
        Function::immutable("position", &[&[BYTEA, BYTEA]], int4, position),
        Function::immutable("btrim", &[&[BYTEA, BYTEA]], binary, |call| {
            trimmed(call, true, true)
        }),
        Function::immutable("trim", &[&[BYTEA, BYTEA]], binary, |call| {
            trimmed(call, true, true)
        }),
        Function::immutable("ltrim", &[&[BYTEA, BYTEA]], binary, |call| {
            trimmed(call, true, false)
        }),
        Function::immutable("rtrim", &[&[BYTEA, BYTEA]], binary, |call| {
            trimmed(call, false, true)
        }),
        Function::immutable("overlay", OVERLAY, binary, overlay),
    ]
}

const SUBSTRING: &[&[Argument]] = &[&[BYTEA, INT4], &[BYTEA, INT4, INT4]];
const OVERLAY: &[&[Argument]] = &[&[BYTEA, BYTEA, INT4], &[BYTEA, BYTEA, INT4, INT4]];

fn bytes<'c>(call: &'c Call<'_>, argument: usize, row: usize) -> Option<&'c [u8]> {
    let array: &BinaryArray = call.args[argument].as_binary();
    array.is_valid(row).then(|| array.value(row))
}

fn binaries(
    call: &Call<'_>,
    one: impl FnMut(usize) -> Result<Option<Vec<u8>>>,
) -> Result<ArrayRef> {
    let values = (0..call.rows).map(one).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(values.into_iter().collect::<BinaryArray>()))
}

fn invalid(message: String) -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The place, where there is one.
fn index(at: i64, length: usize) -> Result<usize> {
    let valid = usize::try_from(at).ok().filter(|at| *at < length);
    valid.ok_or_else(|| {
        failure::error(
            SqlState::new("2202E"),
            format!("index {at} out of valid range, 0..{}", length as i64 - 1),
        )
    })
}

fn set_bit(call: &Call<'_>) -> Result<ArrayRef> {
    binaries(call, |row| {
        let Some((given, at)) = bytes(call, 0, row).zip(call.int8(1, row)) else {
            return Ok(None);
        };
        let Some(new) = call.int4(2, row) else {
            return Ok(None);
        };
        let at = index(at, given.len() * 8)?;
        if !matches!(new, 0 | 1) {
            return Err(failure::external(invalid(
                "new bit must be 0 or 1".to_owned(),
            )));
        }
        let mut changed = given.to_vec();
        let mask = 1 << (at % 8);
        match new {
            0 => changed[at / 8] &= !mask,
            _ => changed[at / 8] |= mask,
        }
        Ok(Some(changed))
    })
}

fn size(call: &Call<'_>, unit: i32) -> Result<ArrayRef> {
    call.values::<Int32Type>(|row| Ok(bytes(call, 0, row).map(|bytes| bytes.len() as i32 * unit)))
}

/// Counted from 1; what lies before the beginning or past the end is left out.
fn substring(call: &Call<'_>) -> Result<ArrayRef> {
    binaries(call, |row| {
        let Some((bytes, from)) = bytes(call, 0, row).zip(call.int4(1, row)) else {
            return Ok(None);
        };
        let start = i64::from(from) - 1;
        let end = match call.args.len() {
            3 => {
                let Some(length) = call.int4(2, row) else {
                    return Ok(None);
                };
                if length < 0 {
                    return Err(negative_length());
                }
                start + i64::from(length)
            }
            _ => i64::MAX,
        };
        let clamp = |at: i64| at.clamp(0, bytes.len() as i64) as usize;
        let (start, end) = (clamp(start), clamp(end));
        Ok(Some(bytes[start..end.max(start)].to_vec()))
    })
}

/// 22011 of a substring.
pub fn negative_length() -> datafusion::error::DataFusionError {
    failure::error(
        SqlState::new("22011"),
        "negative substring length not allowed",
    )
}

fn position(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Int32Type>(|row| {
        let Some((text, wanted)) = bytes(call, 0, row).zip(bytes(call, 1, row)) else {
            return Ok(None);
        };
        if wanted.is_empty() {
            return Ok(Some(1));
        }
        let found = text.windows(wanted.len()).position(|part| part == wanted);
        Ok(Some(found.map_or(0, |at| at as i32 + 1)))
    })
}

fn trimmed(call: &Call<'_>, begin: bool, end: bool) -> Result<ArrayRef> {
    binaries(call, |row| {
        let Some((mut rest, set)) = bytes(call, 0, row).zip(bytes(call, 1, row)) else {
            return Ok(None);
        };
        while let Some((first, after)) = rest.split_first().filter(|_| begin) {
            if !set.contains(first) {
                break;
            }
            rest = after;
        }
        while let Some((last, before)) = rest.split_last().filter(|_| end) {
            if !set.contains(last) {
                break;
            }
            rest = before;
        }
        Ok(Some(rest.to_vec()))
    })
}

fn overlay(call: &Call<'_>) -> Result<ArrayRef> {
    binaries(call, |row| {
        let Some((given, new)) = bytes(call, 0, row).zip(bytes(call, 1, row)) else {
            return Ok(None);
        };
        let count = match call.args.len() {
            4 => call.int4(3, row),
            _ => Some(new.len() as i32),
        };
        let Some((from, count)) = call.int4(2, row).zip(count) else {
            return Ok(None);
        };
        if from <= 0 {
            return Err(negative_length());
        }
        let start = (from as usize - 1).min(given.len());
        let end = (i64::from(from) - 1 + i64::from(count)).clamp(0, given.len() as i64) as usize;
        Ok(Some([&given[..start], new, &given[end..]].concat()))
    })
}

fn demand_utf8(name: &str) -> Result<()> {
    let plain: String = name
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric())
        .collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(failure::unsupported(format!("encoding \"{name}\""))),
    }
}

fn convert_from(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let Some((bytes, name)) = bytes(call, 0, row).zip(call.text(1, row)) else {
            return Ok(None);
        };
        demand_utf8(name)?;
        let text = crate::engine::types::text::from_bytes(bytes).map_err(failure::external)?;
        Ok(Some(text.to_owned()))
    })
}

/// A way to write bytes as text.
enum Encoding {
    Hex,
    Base64,
    Escape,
}

impl Encoding {
    fn named(name: &str) -> std::result::Result<Encoding, Diagnostic> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "hex" => Encoding::Hex,
            "base64" => Encoding::Base64,
            "escape" => Encoding::Escape,
            _ => return Err(invalid(format!("unrecognized encoding: \"{name}\""))),
        })
    }

    fn encode(&self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Encoding::Base64 => to_base64(bytes),
            Encoding::Escape => {
                let letter = |byte: &u8| match byte {
                    0 | 0x80.. => format!("\\{byte:03o}"),
                    b'\\' => "\\\\".to_owned(),
                    plain => char::from(*plain).to_string(),
                };
                bytes.iter().map(letter).collect()
            }
        }
    }

    fn decode(&self, text: &str) -> std::result::Result<Vec<u8>, Diagnostic> {
        match self {
            Encoding::Hex => from_hex(text),
            Encoding::Base64 => from_base64(text),
            // What begins as hexadecimal does to bytea is none here.
            Encoding::Escape if text.starts_with("\\x") => Err(Diagnostic::error(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "invalid input syntax for type bytea",
            )),
            Encoding::Escape => bytea::parse(text),
        }
    }
}

fn encode(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let Some((bytes, name)) = bytes(call, 0, row).zip(call.text(1, row)) else {
            return Ok(None);
        };
        let encoding = Encoding::named(name).map_err(failure::external)?;
        Ok(Some(encoding.encode(bytes)))
    })
}

fn decode(call: &Call<'_>) -> Result<ArrayRef> {
    binaries(call, |row| {
        let Some((text, name)) = call.text(0, row).zip(call.text(1, row)) else {
            return Ok(None);
        };
        let decoded = Encoding::named(name).and_then(|encoding| encoding.decode(text));
        decoded.map(Some).map_err(failure::external)
    })
}

fn from_hex(text: &str) -> std::result::Result<Vec<u8>, Diagnostic> {
    let mut digits = Vec::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !letter.is_ascii_whitespace()) {
        let digit = letter
            .to_digit(16)
            .ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{letter}\"")))?;
        digits.push(digit as u8);
    }
    if digits.len() % 2 != 0 {
        return Err(invalid(
            "invalid hexadecimal data: odd number of digits".to_owned(),
        ));
    }
    Ok(digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// In lines, as MIME has it.
fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 4);
    let mut line = 0;
    for group in bytes.chunks(3) {
        if line == BASE64_LINE {
            out.push('\n');
            line = 0;
        }
        let word = group
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = BASE64[(word >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= group.len() {
                letter as char
            } else {
                '='
            });
        }
        line += 4;
    }
    out
}

fn from_base64(text: &str) -> std::result::Result<Vec<u8>, Diagnostic> {
    let unexpected = || invalid("unexpected \"=\" while decoding base64 sequence".to_owned());
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut count, mut padding) = (0u32, 0, 0);
    for letter in text.chars().filter(|letter| !letter.is_ascii_whitespace()) {
        let value = if letter == '=' {
            padding += 1;
            if count < 2 || padding > 2 {
                return Err(unexpected());
            }
            0
        } else {
            if padding > 0 {
                return Err(unexpected());
            }
            let found = u8::try_from(letter)
                .ok()
                .and_then(|letter| BASE64.iter().position(|known| *known == letter));
            found.ok_or_else(|| {
                invalid(format!(
                    "invalid symbol \"{letter}\" found while decoding base64 sequence"
                ))
            })? as u32
        };
        word = word << 6 | value;
        count += 1;
        if count == 4 {
            let bytes = word.to_be_bytes();
            out.extend_from_slice(&bytes[1..4 - padding]);
            (word, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(invalid("invalid base64 end sequence".to_owned())
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_reads_back_what_it_wrote_and_breaks_lines() {
        for length in [0usize, 1, 2, 3, 57, 58, 200] {
            let bytes: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let text = to_base64(&bytes);
            assert_eq!(from_base64(&text), Ok(bytes), "{length}");
            assert!(text.lines().all(|line| line.len() <= BASE64_LINE));
        }
        for wrong in ["A", "AQ=", "=AAA", "A===", "AQ==AQ==", "A!=="] {
            assert!(from_base64(wrong).is_err(), "{wrong}");
        }
    }
}
