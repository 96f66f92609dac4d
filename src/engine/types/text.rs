//! text, varchar(n), char(n), name and "char": lengths count characters.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use std::borrow::Cow;

/// PostgreSQL's NAMEDATALEN less its terminator.
pub const NAME_BYTES_MAX: usize = 63;

/// What to do with a text longer than varchar(n) or char(n) allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// 22001 unless only blanks are lost: input and assignment.
    Refuse,
    /// Cut: an explicit cast.
    Cut,
}

/// The text as a value of this text-like type: cut or refused by its length, and without the
/// trailing blanks of char(n).
///
/// # Errors
/// 22001.
pub fn fit(text: &str, sql_type: SqlType, too_long: TooLong) -> Result<Cow<'_, str>, Diagnostic> {
    let fitted = match sql_type.kind {
        TypeKind::Varchar if sql_type.typmod >= 4 => limit(text, sql_type, too_long)?,
        TypeKind::Bpchar if sql_type.typmod >= 4 => {
            limit(text, sql_type, too_long)?.trim_end_matches(' ')
        }
        TypeKind::Bpchar => text.trim_end_matches(' '),
        TypeKind::Name => &text[..floor_boundary(text, NAME_BYTES_MAX)],
        TypeKind::Char => &text[..floor_boundary(text, 1)],
        _ => text,
    };
    Ok(Cow::Borrowed(fitted))
}

fn limit(text: &str, sql_type: SqlType, too_long: TooLong) -> Result<&str, Diagnostic> {
    let characters_max = (sql_type.typmod - 4) as usize;
    // Fewer bytes than characters allowed cannot be too many characters.
    if text.len() <= characters_max {
        return Ok(text);
    }
    let Some((end, _)) = text.char_indices().nth(characters_max) else {
        return Ok(text);
    };
    let (kept, lost) = text.split_at(end);
    if too_long == TooLong::Refuse && lost.bytes().any(|byte| byte != b' ') {
        return Err(Diagnostic::error(
            SqlState::STRING_DATA_RIGHT_TRUNCATION,
            format!(
                "value too long for type {}",
                super::format_type(SqlType {
                    array: false,
                    ..sql_type
                })
            ),
        ));
    }
    Ok(kept)
}

fn floor_boundary(text: &str, bytes_max: usize) -> usize {
    if text.len() <= bytes_max {
        return text.len();
    }
    (0..=bytes_max)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0)
}

/// Text from a client's bytes.
///
/// # Errors
/// 22021 for what is not UTF-8, or holds a NUL byte.
pub fn from_bytes(bytes: &[u8]) -> Result<&str, Diagnostic> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let length = error.error_len().unwrap_or(bytes.len() - start).max(1);
        invalid_sequence(&bytes[start..(start + length).min(bytes.len())])
    })?;
    match memchr::memchr(0, bytes) {
        Some(_) => Err(invalid_sequence(&[0])),
        None => Ok(text),
    }
}

fn invalid_sequence(bytes: &[u8]) -> Diagnostic {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    Diagnostic::error(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!(
            "invalid byte sequence for encoding \"UTF8\": {}",
            hex.join(" ")
        ),
    )
}

/// How many blanks char(n) prints after this text.
pub fn padding(text: &str, sql_type: SqlType) -> usize {
    if sql_type.kind != TypeKind::Bpchar || sql_type.typmod < 4 {
        return 0;
    }
    let characters = if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    };
    ((sql_type.typmod - 4) as usize).saturating_sub(characters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: TypeKind, length: i32) -> SqlType {
        SqlType {
            kind,
            typmod: length + 4,
            array: false,
        }
    }

    #[test]
    fn only_blanks_may_be_lost_in_an_assignment() {
        let varchar = of(TypeKind::Varchar, 3);
        assert_eq!(fit("abc   ", varchar, TooLong::Refuse).unwrap(), "abc");
        assert_eq!(fit("äöü", varchar, TooLong::Refuse).unwrap(), "äöü");
        assert_eq!(fit("a ", varchar, TooLong::Refuse).unwrap(), "a ");
        let error = fit("abcd", varchar, TooLong::Refuse).unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "22001");
        assert_eq!(
            error.message(),
            "value too long for type character varying(3)"
        );
        assert_eq!(fit("abcd", varchar, TooLong::Cut).unwrap(), "abc");
    }

    #[test]
    fn char_keeps_no_trailing_blanks_and_pads_when_printed() {
        let char5 = of(TypeKind::Bpchar, 5);
        assert_eq!(fit("ab  ", char5, TooLong::Refuse).unwrap(), "ab");
        assert_eq!(padding("ab", char5), 3);
        assert_eq!(padding("äb", char5), 3);
        assert_eq!(
            fit("abcdef", char5, TooLong::Refuse).unwrap_err().message(),
            "value too long for type character(5)"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_named() {
        assert_eq!(
            from_bytes(b"a\xff").unwrap_err().message(),
            "invalid byte sequence for encoding \"UTF8\": 0xff"
        );
        assert_eq!(
            from_bytes(b"a\0").unwrap_err().message(),
            "invalid byte sequence for encoding \"UTF8\": 0x00"
        );
    }
}
