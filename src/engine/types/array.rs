//! One-dimensional arrays: `{a,"b c",NULL}`.
//!
//! More dimensions and lower bounds other than 1 are 0A000.

use crate::diagnostic::{Diagnostic, SqlState};
use bytes::{BufMut, BytesMut};

/// The most elements of one array, as PostgreSQL's MaxArraySize for the smallest elements.
pub const ARRAY_ELEMENTS_MAX: usize = 134_217_727;

/// Quotes what was appended since `start` if an array's text needs it, as array_out.
pub fn quote_element(start: usize, out: &mut BytesMut) {
    let element = &out[start..];
    let plain = !element.is_empty()
        && !element.eq_ignore_ascii_case(b"null")
        && !element.iter().any(|byte| {
            matches!(
                byte,
                b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c
            )
        });
    if plain {
        return;
    }
    let element = out.split_off(start);
    out.reserve(element.len() + 2);
    out.put_u8(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(byte);
    }
    out.put_u8(b'"');
}

/// The elements of an array's text; None is NULL.
///
/// # Errors
/// 22P02 `malformed array literal`; 0A000 for more than one dimension.
pub fn split_elements(text: &str) -> Result<Vec<Option<String>>, Diagnostic> {
    let trimmed = text.trim_ascii();
    if trimmed.starts_with('[') {
        return Err(Diagnostic::unsupported("an array with explicit bounds"));
    }
    let Some(inner) = trimmed.strip_prefix('{') else {
        return Err(malformed(
            text,
            "Array value must start with \"{\" or dimension information.",
        ));
    };
    Elements {
        text,
        rest: inner,
        found: Vec::new(),
    }
    .read()
}

fn malformed(text: &str, detail: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("malformed array literal: \"{text}\""),
    )
    .with_detail(detail)
}

struct Elements<'a> {
    text: &'a str,
    rest: &'a str,
    found: Vec<Option<String>>,
}

impl Elements<'_> {
    fn read(mut self) -> Result<Vec<Option<String>>, Diagnostic> {
        self.rest = self.rest.trim_ascii_start();
        if let Some(after) = self.rest.strip_prefix('}') {
            self.rest = after;
            return self.end();
        }
        loop {
            self.element()?;
            let next = self.rest.chars().next();
            self.rest = self.rest.get(1..).unwrap_or("");
            match next {
                Some(',') => {}
                Some('}') => return self.end(),
                Some(_) => return Err(malformed(self.text, "Unexpected array element.")),
                None => return Err(malformed(self.text, "Unexpected end of input.")),
            }
        }
    }

    fn end(self) -> Result<Vec<Option<String>>, Diagnostic> {
        if self.rest.trim_ascii().is_empty() {
            Ok(self.found)
        } else {
            Err(malformed(self.text, "Junk after closing right brace."))
        }
    }

    /// One element, up to the comma or brace after it.
    fn element(&mut self) -> Result<(), Diagnostic> {
        self.rest = self.rest.trim_ascii_start();
        match self.rest.as_bytes().first() {
            Some(b'{') => return Err(Diagnostic::unsupported("a multidimensional array")),
            Some(b',') => return Err(malformed(self.text, "Unexpected \",\" character.")),
            Some(b'}') => return Err(malformed(self.text, "Unexpected \"}\" character.")),
            Some(b'"') => return self.quoted(),
            Some(_) => {}
            None => return Err(malformed(self.text, "Unexpected end of input.")),
        }
        let mut value = String::new();
        let mut escaped = false;
        // Trailing blanks do not count, unless escaped.
        let mut kept = 0;
        let mut characters = self.rest.char_indices();
        let end = loop {
            match characters.next() {
                None => return Err(malformed(self.text, "Unexpected end of input.")),
                Some((at, ',' | '}')) => break at,
                Some((_, '"' | '{')) => {
                    return Err(malformed(self.text, "Unexpected array element."));
                }
                Some((_, '\\')) => {
                    let (_, character) = characters
                        .next()
                        .ok_or_else(|| malformed(self.text, "Unexpected end of input."))?;
                    value.push(character);
                    kept = value.len();
                    escaped = true;
                }
                Some((_, character)) => {
                    value.push(character);
                    if !character.is_ascii_whitespace() {
                        kept = value.len();
                    }
                }
            }
        };
        value.truncate(kept);
        self.rest = &self.rest[end..];
        let null = !escaped && value.eq_ignore_ascii_case("null");
        self.found.push((!null).then_some(value));
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), Diagnostic> {
        let mut value = String::new();
        let mut characters = self.rest[1..].char_indices();
        let end = loop {
            match characters.next() {
                None => return Err(malformed(self.text, "Unexpected end of input.")),
                Some((at, '"')) => break at + 2,
                Some((_, '\\')) => match characters.next() {
                    Some((_, character)) => value.push(character),
                    None => return Err(malformed(self.text, "Unexpected end of input.")),
                },
                Some((_, character)) => value.push(character),
            }
        };
        self.rest = self.rest[end..].trim_ascii_start();
        self.found.push(Some(value));
        Ok(())
    }
}

/// The header of an array's binary form.
pub struct BinaryHeader<'a> {
    /// The elements' type.
    pub element_oid: u32,
    /// How many elements follow.
    pub count: usize,
    /// The bytes after the header.
    pub elements: &'a [u8],
}

/// array_recv's header; None for bytes that are no array.
pub fn read_header(bytes: &[u8]) -> Option<Result<BinaryHeader<'_>, Diagnostic>> {
    let word = |index: usize| {
        let at = bytes.get(index * 4..index * 4 + 4)?;
        Some(i32::from_be_bytes(at.try_into().ok()?))
    };
    let dimensions = word(0)?;
    let element_oid = word(2)? as u32;
    match dimensions {
        0 => Some(Ok(BinaryHeader {
            element_oid,
            count: 0,
            elements: bytes.get(12..)?,
        })),
        1 => {
            let count = usize::try_from(word(3)?).ok()?;
            if word(4)? != 1 {
                return Some(Err(Diagnostic::unsupported(
                    "an array with explicit bounds",
                )));
            }
            // Each element takes at least its length word.
            let elements = bytes.get(20..)?;
            (count <= elements.len() / 4).then_some(Ok(BinaryHeader {
                element_oid,
                count,
                elements,
            }))
        }
        2..=6 => Some(Err(Diagnostic::unsupported("a multidimensional array"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Vec<Option<String>> {
        split_elements(text).unwrap()
    }

    #[test]
    fn elements_are_split_as_array_in_does() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(elements("{}"), vec![]);
        assert_eq!(
            elements(" { a , \"b c\",NULL,\"NULL\" } "),
            vec![some("a"), some("b c"), None, some("NULL")]
        );
        assert_eq!(
            elements(r#"{"a\"b",c\,d,""}"#),
            vec![some("a\"b"), some("c,d"), some("")]
        );
    }

    #[test]
    fn malformed_literals_are_told_in_postgresqls_words() {
        for (text, detail) in [
            ("{1,2", "Unexpected end of input."),
            (
                "1,2}",
                "Array value must start with \"{\" or dimension information.",
            ),
            ("{1}x", "Junk after closing right brace."),
            ("{1,}", "Unexpected \"}\" character."),
            ("{,1}", "Unexpected \",\" character."),
        ] {
            let error = split_elements(text).unwrap_err();
            assert_eq!(
                error.message(),
                format!("malformed array literal: \"{text}\"")
            );
            assert_eq!(error.fields().detail.as_deref(), Some(detail), "{text}");
        }
        assert_eq!(
            split_elements("{{1}}").unwrap_err().sqlstate().as_str(),
            "0A000"
        );
    }

    proptest::proptest! {
        #[test]
        fn quoted_elements_read_back_the_same(values in proptest::collection::vec("[ -~é]{0,8}", 0..5)) {
            let mut out = BytesMut::from(&b"{"[..]);
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.put_u8(b',');
                }
                let start = out.len();
                out.extend_from_slice(value.as_bytes());
                quote_element(start, &mut out);
            }
            out.put_u8(b'}');
            let text = std::str::from_utf8(&out).unwrap();
            let expected: Vec<_> = values.into_iter().map(Some).collect();
            proptest::prop_assert_eq!(elements(text), expected);
        }
    }
}
