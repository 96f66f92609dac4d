//! json is kept as it came; jsonb is kept as PostgreSQL prints it: keys by length then bytes, the
//! last of equal keys, numbers as numeric prints them, one blank after `:` and `,`.

use crate::diagnostic::{Diagnostic, SqlState};
use serde::de::IgnoredAny;

/// untranslatable_character
const UNTRANSLATABLE_CHARACTER: SqlState = SqlState::new("22P05");
/// Digits a number of jsonb may print; `1e1000000` is refused rather than written out.
const NUMBER_DIGITS_MAX: i64 = 131_072;
/// How deep jsonb nests: reading it recurses.
pub const JSONB_DEPTH_MAX: usize = 500;
/// How much of the text an error's context shows, in characters.
const CONTEXT_CHARACTERS_MAX: usize = 50;

/// json_in: whether the text is JSON.
///
/// # Errors
/// 22P02.
pub fn check(text: &str) -> Result<(), Diagnostic> {
    serde_json::from_str::<IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| invalid(text, &error))
}

/// jsonb_in: the text as jsonb_out prints it.
///
/// # Errors
/// 22P02; 22P05 for `\u0000`, which text cannot hold.
pub fn normalise(text: &str) -> Result<String, Diagnostic> {
    check(text)?;
    let mut out = String::with_capacity(text.len());
    let mut reader = Reader {
        rest: text.trim_ascii(),
        depth: 0,
    };
    reader.value(&mut out).map_err(|failure| match failure {
        Failure::Nul => Diagnostic::error(
            UNTRANSLATABLE_CHARACTER,
            "unsupported Unicode escape sequence",
        )
        .with_detail("\\u0000 cannot be converted to text."),
        Failure::Number => Diagnostic::error(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            "value overflows numeric format",
        ),
        Failure::Surrogate => Diagnostic::error(
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type json",
        )
        .with_detail("Unicode low surrogate must follow a high surrogate."),
        Failure::Depth => Diagnostic::error(
            SqlState::STATEMENT_TOO_COMPLEX,
            "stack depth limit exceeded",
        )
        .with_detail(format!("jsonb nests at most {JSONB_DEPTH_MAX} deep.")),
    })?;
    Ok(out)
}

fn invalid(text: &str, error: &serde_json::Error) -> Diagnostic {
    let line = text
        .lines()
        .nth(error.line().saturating_sub(1))
        .unwrap_or("");
    let shown: String = line.chars().take(CONTEXT_CHARACTERS_MAX).collect();
    let detail = if error.is_eof() {
        "The input string ended unexpectedly.".to_owned()
    } else {
        format!("Token \"{}\" is invalid.", token_at(line, error.column()))
    };
    Diagnostic::error(
        SqlState::INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type json",
    )
    .with_detail(detail)
    .with_context(format!("JSON data, line {}: {shown}", error.line().max(1)))
}

/// The word or sign at this 1-based byte of the line.
fn token_at(line: &str, column: usize) -> &str {
    let mut start = column.saturating_sub(1).min(line.len());
    while !line.is_char_boundary(start) {
        start -= 1;
    }
    // The parser may have read into the word it then refused.
    while let Some(before) = line[..start].chars().next_back() {
        if !before.is_alphanumeric() || !line[start..].starts_with(char::is_alphanumeric) {
            break;
        }
        start -= before.len_utf8();
    }
    let rest = &line[start..];
    let word = rest
        .find(|character: char| !character.is_alphanumeric())
        .unwrap_or(rest.len());
    match (word, rest.chars().next()) {
        (0, Some(sign)) => &rest[..sign.len_utf8()],
        _ => &rest[..word],
    }
}

enum Failure {
    Nul,
    Number,
    Surrogate,
    Depth,
}

/// Walks text that is JSON already, so that nothing it expects can be missing.
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn first(&self) -> u8 {
        self.rest.as_bytes().first().copied().unwrap_or(0)
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Passes one of `{}[]:,` and the blanks around it.
    fn sign(&mut self) {
        self.take(1);
        self.rest = self.rest.trim_ascii_start();
    }

    fn value(&mut self, out: &mut String) -> Result<(), Failure> {
        self.depth += 1;
        if self.depth > JSONB_DEPTH_MAX {
            return Err(Failure::Depth);
        }
        match self.first() {
            b'{' => self.object(out)?,
            b'[' => self.array(out)?,
            b'"' => write_string(&self.string()?, out)?,
            b'-' | b'0'..=b'9' => {
                let word = self.word();
                write_number(word, out)?;
            }
            // true, false, null.
            _ => out.push_str(self.word()),
        }
        self.rest = self.rest.trim_ascii_start();
        self.depth -= 1;
        Ok(())
    }

    fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|character: char| {
                character.is_ascii_whitespace() || matches!(character, ',' | ']' | '}')
            })
            .unwrap_or(self.rest.len());
        self.take(end)
    }

    fn string(&mut self) -> Result<String, Failure> {
        let bytes = self.rest.as_bytes();
        let mut end = 1;
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let quoted = self.take(end + 1);
        // The check before read over the digits of escapes.
        serde_json::from_str(quoted).map_err(|_| Failure::Surrogate)
    }

    fn object(&mut self, out: &mut String) -> Result<(), Failure> {
        let mut members: Vec<(String, String)> = Vec::new();
        self.sign();
        while self.first() != b'}' {
            let key = self.string()?;
            self.rest = self.rest.trim_ascii_start();
            self.sign();
            let mut value = String::new();
            self.value(&mut value)?;
            members.push((key, value));
            if self.first() == b',' {
                self.sign();
            }
        }
        self.take(1);
        write_members(members, out)
    }

    fn array(&mut self, out: &mut String) -> Result<(), Failure> {
        self.sign();
        out.push('[');
        while self.first() != b']' {
            self.value(out)?;
            if self.first() == b',' {
                self.sign();
                out.push_str(", ");
            }
        }
        self.take(1);
        out.push(']');
        Ok(())
    }
}

/// An object as jsonb prints it: keys in order, the last of equal ones, values as they are.
pub fn object(members: Vec<(String, String)>) -> String {
    let mut out = String::from("{");
    let mut first = true;
    for (key, value) in in_order(members) {
        if !first {
            out.push_str(", ");
        }
        first = false;
        write_quoted(&key, &mut out);
        out.push_str(": ");
        out.push_str(&value);
    }
    out.push('}');
    out
}

/// jsonb's order of keys: by length, then by bytes. Of equal ones the last is kept.
fn in_order(mut members: Vec<(String, String)>) -> Vec<(String, String)> {
    // Stable, so that of equal keys the last in the text is the last here.
    members.sort_by(|(left, _), (right, _)| (left.len(), left).cmp(&(right.len(), right)));
    let mut kept: Vec<(String, String)> = Vec::with_capacity(members.len());
    for member in members {
        match kept.last_mut() {
            Some(last) if last.0 == member.0 => *last = member,
            _ => kept.push(member),
        }
    }
    kept
}

fn write_members(members: Vec<(String, String)>, out: &mut String) -> Result<(), Failure> {
    match members.iter().any(|(key, _)| key.contains('\0')) {
        true => Err(Failure::Nul),
        false => {
            out.push_str(&object(members));
            Ok(())
        }
    }
}

fn write_string(string: &str, out: &mut String) -> Result<(), Failure> {
    if string.contains('\0') {
        return Err(Failure::Nul);
    }
    write_quoted(string, out);
    Ok(())
}

/// Appends a JSON string of these characters.
pub fn write_quoted(string: &str, out: &mut String) {
    out.push('"');
    for character in string.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A JSON number without its exponent, as numeric prints it.
fn write_number(text: &str, out: &mut String) -> Result<(), Failure> {
    let (negative, number) = match text.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, text),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
        None => (number, Some(0)),
    };
    let exponent = exponent
        .filter(|exponent| exponent.abs() <= NUMBER_DIGITS_MAX)
        .ok_or(Failure::Number)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    // Where the point stands among the digits.
    let point = whole.len() as i64 + exponent;
    let whole: String = (0..point.max(0))
        .map(|at| digits.chars().nth(at as usize).unwrap_or('0'))
        .collect();
    let fraction: String = (point..digits.len() as i64)
        .map(|at| {
            if at < 0 {
                '0'
            } else {
                digits.as_bytes()[at as usize] as char
            }
        })
        .collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    if negative && digits.bytes().any(|digit| digit != b'0') {
        out.push('-');
    }
    out.push_str(whole);
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(&fraction);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonb_prints_as_postgresql_15_prints_it() {
        for (text, printed) in [
            (
                r#"{"a":1e3,"bb":[1.50,"\u00e9\n",null,true],"a":-0.0e1, "c":{}}"#,
                r#"{"a": 0, "c": {}, "bb": [1.50, "é\n", null, true]}"#,
            ),
            (" 1 ", "1"),
            ("1.5e1", "15"),
            ("-1.5e-3", "-0.0015"),
            ("0.10", "0.10"),
            (r#""a\/b\u0001""#, r#""a/b\u0001""#),
            ("[]", "[]"),
        ] {
            assert_eq!(normalise(text).unwrap(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_22p02_with_its_place() {
        let error = check("x").unwrap_err();
        assert_eq!(error.message(), "invalid input syntax for type json");
        assert_eq!(
            error.fields().detail.as_deref(),
            Some("Token \"x\" is invalid.")
        );
        assert_eq!(
            error.fields().context.as_deref(),
            Some("JSON data, line 1: x")
        );
        assert!(check("{\"a\":").is_err());
        assert!(check("1 2").is_err());
        assert!(check("").is_err());
        assert!(normalise(&"[".repeat(10_000)).is_err());
        assert_eq!(
            normalise("\"\\ud800\"").unwrap_err().sqlstate().as_str(),
            "22P02"
        );
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(normalise(&nested(JSONB_DEPTH_MAX)).is_ok());
        let error = normalise(&nested(JSONB_DEPTH_MAX + 1)).unwrap_err();
        assert_eq!(error.sqlstate().as_str(), "54001");
        assert!(check(&nested(100_000)).is_ok());
        assert_eq!(
            normalise("\"\\u0000\"").unwrap_err().sqlstate().as_str(),
            "22P05"
        );
        assert_eq!(
            normalise("1e999999999").unwrap_err().sqlstate().as_str(),
            "22003"
        );
    }

    proptest::proptest! {
        #[test]
        fn normal_form_is_its_own_normal_form(text in r#"[\[\]{}",:0-9a-e.\\ -]{0,20}"#) {
            if let Ok(normal) = normalise(&text) {
                proptest::prop_assert_eq!(normalise(&normal).unwrap(), normal);
            }
        }
    }
}
