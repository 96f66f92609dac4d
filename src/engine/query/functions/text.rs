//! String functions that the library does not have, has unbounded, or has with another meaning.

use super::definition::{Call, Function, INT4, INT8, TEXT};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::failure;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// The longest text a function may make: PostgreSQL's limit of one value (1 GB) less its header,
/// here REFERENCE §6's 256 MiB. Functions' memory is outside the statement's pool.
pub const TEXT_BYTES_MAX: usize = 256 << 20;

/// Whether a text, a list of words with blanks between them, has a word: `CONTAINS` over a text.
pub fn has_word() -> Arc<ScalarUDF> {
    let bool = SqlType::scalar(TypeKind::Bool);
    Function::immutable("has_word", &[&[TEXT, TEXT]], bool, |call| {
        call.bools(|row| {
            let (Some(words), Some(wanted)) = (call.text(0, row), call.text(1, row)) else {
                return Ok(None);
            };
            Ok(Some(words.split_whitespace().any(|word| word == wanted)))
        })
    })
}

/// `^@` and starts_with().
pub fn starts_with() -> Arc<ScalarUDF> {
    let bool = SqlType::scalar(TypeKind::Bool);
    Function::immutable("starts_with", &[&[TEXT, TEXT]], bool, |call| {
        call.bools(|row| {
            let both = call.text(0, row).zip(call.text(1, row));
            Ok(both.map(|(text, beginning)| text.starts_with(beginning)))
        })
    })
}

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let text = SqlType::scalar(TypeKind::Text);
    vec![
        starts_with(),
        Function::immutable("repeat", &[&[TEXT, INT4]], text, repeat),
        Function::immutable("to_hex", &[&[INT4], &[INT8]], text, |call| {
            call.texts(|row| {
                Ok(match call.args[0].data_type() {
                    DataType::Int32 => call.int4(0, row).map(|value| format!("{value:x}")),
                    _ => call.int8(0, row).map(|value| format!("{value:x}")),
                })
            })
        }),
        Function::immutable("upper", &[&[TEXT]], text, |call| {
            call.texts(|row| Ok(call.text(0, row).map(str::to_ascii_uppercase)))
        }),
        Function::immutable("lower", &[&[TEXT]], text, |call| {
            call.texts(|row| Ok(call.text(0, row).map(str::to_ascii_lowercase)))
        }),
        Function::immutable("initcap", &[&[TEXT]], text, |call| {
            call.texts(|row| Ok(call.text(0, row).map(initcap)))
        }),
        Function::immutable("chr", &[&[INT4]], text, chr),
        Function::immutable("quote_ident", &[&[TEXT]], text, |call| {
            call.texts(|row| Ok(call.text(0, row).map(quote_ident)))
        }),
        Function::immutable("quote_literal", &[&[TEXT]], text, |call| {
            call.texts(|row| Ok(call.text(0, row).map(quote_literal)))
        }),
        Function::immutable("quote_nullable", &[&[TEXT]], text, |call| {
            call.texts(|row| {
                let quoted = call.text(0, row).map(quote_literal);
                Ok(Some(quoted.unwrap_or_else(|| "NULL".to_owned())))
            })
        }),
        Function::immutable("like_escape", &[&[TEXT, TEXT]], text, |call| {
            call.texts(|row| match (call.text(0, row), call.text(1, row)) {
                (Some(pattern), Some(escape)) => like_escape(pattern, escape).map(Some),
                _ => Ok(None),
            })
        }),
    ]
}

/// A LIKE pattern with another escape character as one with the backslash.
/// Source: PostgreSQL 15 §9.7.1; its own function of this name.
fn like_escape(pattern: &str, escape: &str) -> Result<String> {
    let mut letters = escape.chars();
    let (escape, more) = (letters.next(), letters.next());
    if more.is_some() {
        return Err(failure::external(
            Diagnostic::error(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .with_hint("Escape string must be empty or one character."),
        ));
    }
    if escape == Some('\\') {
        return Ok(pattern.to_owned());
    }
    let mut rewritten = String::with_capacity(pattern.len());
    let mut escaped = false;
    for letter in pattern.chars() {
        if Some(letter) == escape && !escaped {
            rewritten.push('\\');
            escaped = true;
            continue;
        }
        if letter == '\\' && !escaped {
            rewritten.push('\\');
        }
        rewritten.push(letter);
        escaped = false;
    }
    Ok(rewritten)
}

/// Words begin after what is no letter or digit; in the C collation only ASCII has cases.
fn initcap(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|letter| {
            let cased = if inside {
                letter.to_ascii_lowercase()
            } else {
                letter.to_ascii_uppercase()
            };
            inside = letter.is_ascii_alphanumeric();
            cased
        })
        .collect()
}

fn repeat(call: &Call<'_>) -> Result<ArrayRef> {
    let mut total = 0usize;
    call.texts(|row| {
        let (Some(text), Some(times)) = (call.text(0, row), call.int4(1, row)) else {
            return Ok(None);
        };
        let times = usize::try_from(times).unwrap_or(0);
        total = text
            .len()
            .checked_mul(times)
            .and_then(|bytes| bytes.checked_add(total))
            .filter(|bytes| *bytes <= TEXT_BYTES_MAX)
            .ok_or_else(|| {
                failure::error(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "requested length too large",
                )
            })?;
        Ok(Some(text.repeat(times)))
    })
}

fn chr(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let Some(code) = call.int4(0, row) else {
            return Ok(None);
        };
        if code == 0 {
            return Err(failure::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "null character not permitted",
            ));
        }
        let character = u32::try_from(code).ok().and_then(char::from_u32);
        match character {
            Some(character) => Ok(Some(character.to_string())),
            None => Err(failure::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("requested character not valid for encoding: {code}"),
            )),
        }
    })
}

/// Quoted where it is no plain lower-case word, or is one that SQL reserves.
pub fn quote_ident(name: &str) -> String {
    let mut letters = name.chars();
    let plain = letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !is_reserved(name) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Keywords of PostgreSQL's that are no plain names (`quote_identifier` quotes all but the
/// unreserved ones).
fn is_reserved(name: &str) -> bool {
    const RESERVED: &str = " all analyse analyze and any array as asc asymmetric authorization \
        between bigint binary bit boolean both case cast char character check coalesce collate \
        collation column concurrently constraint create cross current_catalog current_date \
        current_role current_schema current_time current_timestamp current_user dec decimal \
        default deferrable desc distinct do else end except exists extract false fetch float for \
        foreign freeze from full grant greatest group grouping having ilike in initially inner \
        inout int integer intersect interval into is isnull join lateral leading least left like \
        limit localtime localtimestamp national natural nchar none normalize not notnull null \
        nullif numeric offset on only or order out outer overlaps overlay placing position \
        precision primary real references returning right row select session_user setof similar \
        smallint some substring symmetric table tablesample then time timestamp to trailing treat \
        trim true union unique user using values varchar variadic verbose when where window with \
        xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi \
        xmlroot xmlserialize xmltable ";
    RESERVED.split_ascii_whitespace().any(|word| word == name)
}

/// In single quotes; with backslashes as an escape string.
pub fn quote_literal(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if escaped.contains('\\') {
        format!("E'{}'", escaped.replace('\\', "\\\\"))
    } else {
        format!("'{escaped}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_only_where_they_must_be() {
        for (name, quoted) in [
            ("plain_1", "plain_1"),
            ("Upper", "\"Upper\""),
            ("select", "\"select\""),
            ("name", "name"),
            ("a\"b", "\"a\"\"b\""),
            ("", "\"\""),
            ("1a", "\"1a\""),
        ] {
            assert_eq!(quote_ident(name), quoted);
        }
    }

    #[test]
    fn literals_double_their_quotes_and_backslashes() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "E'a\\\\b'");
    }
}
