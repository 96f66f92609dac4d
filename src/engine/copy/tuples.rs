//! The binary format, however its bytes arrive: a header, rows, and what ends them.
//!
//! ```text
//! input   = signature "PGCOPY\n\xff\r\n\0", flags u32, length of the extension u32, extension,
//!           rows, end
//! row     = number of fields i16, fields
//! field   = length i32 (-1: NULL), the bytes of the type's send function
//! end     = -1 i16, or the end of the data
//! ```
//!
//! Source: PostgreSQL 15, COPY, "Binary Format".

use super::line::LINE_BYTES_MAX;
use crate::diagnostic::{Diagnostic, SqlState};
use std::ops::Range;

/// What the input begins with.
pub const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// In the flags: rows have an OID, which they have had no more since PostgreSQL 12.
const WITH_OIDS: u32 = 1 << 16;
/// In the flags: what a reader must know.
const CRITICAL: u32 = 0xFFFF_0000;

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// In the header's extension, so many bytes of which are to be passed over.
    Extension(usize),
    Rows,
    /// Behind the end.
    Ended,
}

/// Cuts rows out of what was pushed.
#[derive(Debug)]
pub struct Tuples {
    columns: usize,
    state: State,
    bytes: Vec<u8>,
    /// Where the next row begins.
    start: usize,
    number: u64,
}

/// Ranges of the bytes, one for each field; None is NULL.
pub type Fields = Vec<Option<Range<usize>>>;

fn bad_format(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::BAD_COPY_FILE_FORMAT, message)
}

impl Tuples {
    /// For rows of so many fields.
    pub fn new(columns: usize) -> Tuples {
        Tuples {
            columns,
            state: State::Header,
            bytes: Vec::new(),
            start: 0,
            number: 0,
        }
    }

    /// The number of the row given last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The bytes that fields are ranges of.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// More input. Ranges given before are not good any more.
    ///
    /// # Errors
    /// 54000 for a row past [`LINE_BYTES_MAX`]; 22P04 for data behind the end.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Diagnostic> {
        if self.state == State::Ended && !bytes.is_empty() {
            return Err(bad_format("received copy data after EOF marker"));
        }
        self.bytes.drain(..self.start);
        self.start = 0;
        if self.bytes.len() + bytes.len() > LINE_BYTES_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a row of COPY input exceeds {LINE_BYTES_MAX} bytes"),
            ));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole row; None until there is more input.
    ///
    /// # Errors
    /// 22P04 for what is no row of so many fields.
    pub fn next_row(&mut self) -> Result<Option<Fields>, Diagnostic> {
        if !self.begun()? {
            return Ok(None);
        }
        let mut at = self.start;
        let Some(count) = self.take::<2>(&mut at).map(i16::from_be_bytes) else {
            return Ok(None);
        };
        if count == -1 {
            self.state = State::Ended;
            self.start = at;
            if self.start < self.bytes.len() {
                return Err(bad_format("received copy data after EOF marker"));
            }
            return Ok(None);
        }
        if usize::try_from(count) != Ok(self.columns) {
            self.number += 1;
            return Err(bad_format(format!(
                "row field count is {count}, expected {}",
                self.columns
            )));
        }
        let mut fields = Vec::with_capacity(self.columns);
        for _ in 0..self.columns {
            let Some(length) = self.take::<4>(&mut at).map(i32::from_be_bytes) else {
                return Ok(None);
            };
            let length = match length {
                -1 => {
                    fields.push(None);
                    continue;
                }
                length => usize::try_from(length).map_err(|_| {
                    self.number += 1;
                    bad_format("invalid field size")
                })?,
            };
            if length > LINE_BYTES_MAX || self.bytes.len() - at < length {
                return Ok(None);
            }
            fields.push(Some(at..at + length));
            at += length;
        }
        self.start = at;
        self.number += 1;
        Ok(Some(fields))
    }

    /// The end of the input.
    ///
    /// # Errors
    /// 22P04 within the header or a row.
    pub fn finish(&mut self) -> Result<(), Diagnostic> {
        match self.state {
            State::Header if self.bytes.len() < SIGNATURE.len() => {
                Err(bad_format("COPY file signature not recognized"))
            }
            State::Header => Err(bad_format("invalid COPY file header (missing flags)")),
            State::Extension(_) => Err(bad_format("invalid COPY file header (wrong length)")),
            State::Rows if self.start < self.bytes.len() => {
                self.number += 1;
                Err(bad_format("unexpected EOF in COPY data"))
            }
            State::Rows | State::Ended => Ok(()),
        }
    }

    /// Whether the header is behind us.
    fn begun(&mut self) -> Result<bool, Diagnostic> {
        if self.state == State::Header {
            let given = &self.bytes[..self.bytes.len().min(SIGNATURE.len())];
            if !SIGNATURE.starts_with(given) {
                return Err(bad_format("COPY file signature not recognized"));
            }
            let mut at = SIGNATURE.len();
            let words = self.take::<4>(&mut at).zip(self.take::<4>(&mut at));
            let Some((flags, extension)) = words else {
                return Ok(false);
            };
            let flags = u32::from_be_bytes(flags);
            if flags & WITH_OIDS != 0 {
                return Err(bad_format("invalid COPY file header (WITH OIDS)"));
            }
            if flags & CRITICAL != 0 {
                return Err(bad_format(
                    "unrecognized critical flags in COPY file header",
                ));
            }
            let extension = usize::try_from(i32::from_be_bytes(extension))
                .map_err(|_| bad_format("invalid COPY file header (missing length)"))?;
            self.start = at;
            self.state = State::Extension(extension);
        }
        if let State::Extension(left) = self.state {
            let passed = left.min(self.bytes.len() - self.start);
            self.start += passed;
            self.state = match left - passed {
                0 => State::Rows,
                left => State::Extension(left),
            };
        }
        Ok(self.state == State::Rows)
    }

    fn take<const N: usize>(&self, at: &mut usize) -> Option<[u8; N]> {
        let taken = self.bytes.get(*at..*at + N)?.try_into().ok()?;
        *at += N;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Vec<u8> {
        [&SIGNATURE[..], &[0; 8]].concat()
    }

    fn rows(input: &[u8], columns: usize) -> Result<Vec<Vec<Option<Vec<u8>>>>, String> {
        let mut tuples = Tuples::new(columns);
        let mut found = Vec::new();
        let tell = |error: Diagnostic| error.message().to_owned();
        // One byte at a time: nothing may depend on where the data are cut.
        for byte in input {
            tuples.push(&[*byte]).map_err(tell)?;
            while let Some(fields) = tuples.next_row().map_err(tell)? {
                let bytes =
                    |field: Option<Range<usize>>| field.map(|at| tuples.bytes()[at].to_vec());
                found.push(fields.into_iter().map(bytes).collect());
            }
        }
        tuples.finish().map_err(tell)?;
        Ok(found)
    }

    #[test]
    fn rows_are_found_however_they_are_cut() {
        let mut input = header();
        input.extend([0, 2, 0, 0, 0, 1, b'a', 0xff, 0xff, 0xff, 0xff]);
        input.extend([0, 2, 0, 0, 0, 0, 0, 0, 0, 1, b'b']);
        let expected = vec![
            vec![Some(b"a".to_vec()), None],
            vec![Some(Vec::new()), Some(b"b".to_vec())],
        ];
        assert_eq!(rows(&input, 2), Ok(expected.clone()), "without a trailer");
        input.extend([0xff, 0xff]);
        assert_eq!(rows(&input, 2), Ok(expected), "with a trailer");
    }

    #[test]
    fn what_is_no_such_input_is_told_in_postgresqls_words() {
        let with = |more: &[u8]| [&header()[..], more].concat();
        let flags = |flags: u8| [&SIGNATURE[..], &[0, flags, 0, 0, 0, 0, 0, 0]].concat();
        for (input, message) in [
            (b"PGCOPX".to_vec(), "COPY file signature not recognized"),
            (
                SIGNATURE.to_vec(),
                "invalid COPY file header (missing flags)",
            ),
            (flags(1), "invalid COPY file header (WITH OIDS)"),
            (flags(2), "unrecognized critical flags in COPY file header"),
            (with(&[0, 3]), "row field count is 3, expected 2"),
            (with(&[0, 2, 0xff, 0xff, 0xff, 0xfe]), "invalid field size"),
            (with(&[0, 2, 0, 0, 0, 9, 1]), "unexpected EOF in COPY data"),
            (
                with(&[0xff, 0xff, 0]),
                "received copy data after EOF marker",
            ),
        ] {
            assert_eq!(rows(&input, 2), Err(message.to_owned()), "{input:?}");
        }
    }
}
