//! A line cut into fields, and fields put into a line.

use super::options::{Format, Options};
use crate::diagnostic::{Diagnostic, SqlState};
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;

/// One field: where its value is.
pub enum Field<'l> {
    /// NULL
    Null,
    /// Its value, escapes and quotes undone.
    Value(Cow<'l, [u8]>),
}

/// Cuts the fields of one line, from left to right.
pub struct Fields<'l, 'o> {
    options: &'o Options,
    rest: Option<&'l [u8]>,
}

/// What a CSV column is told apart by: FORCE_NOT_NULL and FORCE_NULL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forced {
    /// An unquoted null string is a value.
    pub not_null: bool,
    /// A quoted null string is NULL.
    pub null: bool,
}

impl<'l, 'o> Fields<'l, 'o> {
    /// Of this line, without its end.
    pub fn new(line: &'l [u8], options: &'o Options) -> Fields<'l, 'o> {
        Fields {
            options,
            rest: Some(line),
        }
    }

    /// Whether there are more.
    pub fn is_done(&self) -> bool {
        self.rest.is_none()
    }

    /// The next field; None where the line has no more.
    ///
    /// # Errors
    /// 22P04 for a quoted field that does not end.
    #[inline]
    pub fn next(&mut self, forced: Forced) -> Result<Option<Field<'l>>, Diagnostic> {
        let Some(rest) = self.rest else {
            return Ok(None);
        };
        match self.options.format {
            // `tuples` reads and `output` writes what is binary.
            Format::Text | Format::Binary => Ok(Some(self.next_of_text(rest))),
            Format::Csv => self.next_of_csv(rest, forced).map(Some),
        }
    }

    #[inline]
    fn next_of_text(&mut self, rest: &'l [u8]) -> Field<'l> {
        let delimiter = self.options.delimiter;
        let mut escaped = false;
        let mut at = 0;
        while at < rest.len() {
            let byte = rest[at];
            if byte == delimiter {
                break;
            }
            if byte == b'\\' {
                escaped = true;
                at += 1;
            }
            at += 1;
        }
        let end = at.min(rest.len());
        self.rest = match end < rest.len() {
            true => Some(&rest[end + 1..]),
            false => None,
        };
        let raw = &rest[..end];
        // The null string is compared before escapes are undone.
        if raw == self.options.null.as_bytes() {
            Field::Null
        } else if escaped {
            Field::Value(Cow::Owned(unescape(raw)))
        } else {
            Field::Value(Cow::Borrowed(raw))
        }
    }

    fn next_of_csv(&mut self, rest: &'l [u8], forced: Forced) -> Result<Field<'l>, Diagnostic> {
        let Options {
            delimiter,
            quote,
            escape,
            null,
            ..
        } = self.options;
        let mut value = Vec::new();
        let (mut quoted, mut in_quotes) = (false, false);
        let mut at = 0;
        while at < rest.len() {
            let byte = rest[at];
            if in_quotes {
                let next = rest.get(at + 1);
                if byte == *escape && next.is_some_and(|next| next == escape || next == quote) {
                    value.push(rest[at + 1]);
                    at += 1;
                } else if byte == *quote {
                    in_quotes = false;
                } else {
                    value.push(byte);
                }
            } else if byte == *delimiter {
                break;
            } else if byte == *quote {
                (quoted, in_quotes) = (true, true);
            } else {
                value.push(byte);
            }
            at += 1;
        }
        if in_quotes {
            return Err(Diagnostic::error(
                SqlState::BAD_COPY_FILE_FORMAT,
                "unterminated CSV quoted field",
            ));
        }
        self.rest = match at < rest.len() {
            true => Some(&rest[at + 1..]),
            false => None,
        };
        let is_null_text = value == null.as_bytes();
        let null = is_null_text
            && if quoted {
                forced.null
            } else {
                !forced.not_null
            };
        Ok(match null {
            true => Field::Null,
            false => Field::Value(Cow::Owned(value)),
        })
    }
}

/// Undoes the backslashes of the text format: `\b \f \n \r \t \v`, octal, hexadecimal, and any
/// other character for itself.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            value.push(*byte);
            continue;
        }
        let [escape, after @ ..] = rest else {
            value.push(b'\\');
            break;
        };
        rest = after;
        match escape {
            b'b' => value.push(8),
            b'f' => value.push(12),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'v' => value.push(11),
            b'0'..=b'7' => {
                let (code, after) = number(escape - b'0', rest, 8, 2);
                value.push(code);
                rest = after;
            }
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                let (code, after) = number(0, rest, 16, 2);
                value.push(code);
                rest = after;
            }
            other => value.push(*other),
        }
    }
    value
}

fn number(first: u8, bytes: &[u8], radix: u32, digits_max: usize) -> (u8, &[u8]) {
    let mut code = u32::from(first);
    let mut taken = 0;
    while taken < digits_max
        && let Some(digit) = bytes
            .get(taken)
            .and_then(|byte| char::from(*byte).to_digit(radix))
    {
        code = code * radix + digit;
        taken += 1;
    }
    (code as u8, &bytes[taken..])
}

/// What is done to a column's values in CSV output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Where a reader needs it.
    Needed,
    /// FORCE_QUOTE: every value but NULL.
    Always,
}

/// Rewrites what was appended since `start` as a field of the format.
pub fn finish_field(
    start: usize,
    options: &Options,
    quoting: Quoting,
    only_column: bool,
    out: &mut BytesMut,
) {
    match options.format {
        // `tuples` reads and `output` writes what is binary.
        Format::Text | Format::Binary => escape_text(start, options.delimiter, out),
        Format::Csv => quote_csv(start, options, quoting, only_column, out),
    }
}

fn escape_of(byte: u8, delimiter: u8) -> Option<u8> {
    match byte {
        8 => Some(b'b'),
        12 => Some(b'f'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        11 => Some(b'v'),
        b'\\' => Some(b'\\'),
        byte if byte == delimiter => Some(byte),
        _ => None,
    }
}

fn escape_text(start: usize, delimiter: u8, out: &mut BytesMut) {
    if !out[start..]
        .iter()
        .any(|byte| escape_of(*byte, delimiter).is_some())
    {
        return;
    }
    let value = out.split_off(start);
    for byte in value {
        match escape_of(byte, delimiter) {
            Some(escape) => out.put_slice(&[b'\\', escape]),
            None => out.put_u8(byte),
        }
    }
}

fn quote_csv(
    start: usize,
    options: &Options,
    quoting: Quoting,
    only_column: bool,
    out: &mut BytesMut,
) {
    let value = &out[start..];
    let needed = quoting == Quoting::Always
        || value == options.null.as_bytes()
        // Alone on a line it would end the input.
        || (only_column && value == b"\\.")
        || value.iter().any(|byte| {
            *byte == options.delimiter || *byte == options.quote || matches!(byte, b'\n' | b'\r')
        });
    if !needed {
        return;
    }
    let value = out.split_off(start);
    out.put_u8(options.quote);
    for byte in value {
        if byte == options.quote || byte == options.escape {
            out.put_u8(options.escape);
        }
        out.put_u8(byte);
    }
    out.put_u8(options.quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::ast::{CopyOption, Ident};

    fn options(csv: bool) -> Options {
        let format = CopyOption::Format(Ident::new(if csv { "csv" } else { "text" }));
        Options::new(&[format]).unwrap()
    }

    fn cut(line: &[u8], options: &Options) -> Vec<Option<Vec<u8>>> {
        let mut fields = Fields::new(line, options);
        let mut found = Vec::new();
        while let Some(field) = fields.next(Forced::default()).unwrap() {
            found.push(match field {
                Field::Null => None,
                Field::Value(value) => Some(value.into_owned()),
            });
        }
        found
    }

    #[test]
    fn text_fields_are_read_as_postgresql_reads_them() {
        let text = options(false);
        let some = |value: &[u8]| Some(value.to_vec());
        assert_eq!(cut(b"1\t\\N\t", &text), [some(b"1"), None, some(b"")]);
        assert_eq!(
            cut(b"a\\tb\\\\\t\\x41\\101\\q\\\tc", &text),
            [some(b"a\tb\\"), some(b"AAq\tc")]
        );
        assert_eq!(cut(b"", &text), [some(b"")]);
    }

    #[test]
    fn csv_fields_are_read_as_postgresql_reads_them() {
        let csv = options(true);
        let some = |value: &[u8]| Some(value.to_vec());
        assert_eq!(
            cut(b"1,\"\",,\"a\"\"b\",c\"d,e\"f", &csv),
            [some(b"1"), some(b""), None, some(b"a\"b"), some(b"cd,ef")]
        );
        let mut open = Fields::new(b"\"a", &csv);
        let error = open.next(Forced::default()).err().unwrap();
        assert_eq!(error.message(), "unterminated CSV quoted field");
    }

    #[test]
    fn forced_columns_turn_null_strings_round() {
        let csv = options(true);
        let first = |line: &'static [u8], forced| {
            matches!(
                Fields::new(line, &csv).next(forced).unwrap(),
                Some(Field::Null)
            )
        };
        assert!(!first(
            b"",
            Forced {
                not_null: true,
                null: false
            }
        ));
        assert!(first(
            b"\"\"",
            Forced {
                not_null: false,
                null: true
            }
        ));
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(
            values in proptest::collection::vec("[a-c,\"\\\\\\t\\n\\r.]{0,6}", 1..4),
            csv: bool,
        ) {
            let options = options(csv);
            let mut out = BytesMut::new();
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.put_u8(options.delimiter);
                }
                let start = out.len();
                out.extend_from_slice(value.as_bytes());
                finish_field(start, &options, Quoting::Needed, values.len() == 1, &mut out);
            }
            let expected: Vec<_> = values.into_iter().map(|value| Some(value.into_bytes())).collect();
            proptest::prop_assert_eq!(cut(&out, &options), expected);
        }
    }
}
