//! The input cut into lines, however its bytes arrive.
//!
//! A line of text ends at a newline that no backslash stands before; one of CSV at a newline
//! outside quotes. `\n` and `\r\n` are taken, whichever the first line ends with. `\.` on a line of
//! its own ends the input.

use super::options::{Format, Options};
use crate::diagnostic::{Diagnostic, SqlState};

/// The longest line, as long as PostgreSQL's.
pub const LINE_BYTES_MAX: usize = 0x3fff_ffff;

/// How the first line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Unknown,
    Newline,
    CarriageReturnNewline,
}

/// Cuts lines out of what was pushed.
#[derive(Debug)]
pub struct Lines {
    format: Format,
    quote: u8,
    escape: u8,
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// How far it has been looked at, and what that left.
    scanned: usize,
    in_quotes: bool,
    end: LineEnd,
    number: u64,
    ended: bool,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// These bytes of the buffer.
    Range(std::ops::Range<usize>),
    /// `\.`: nothing after it counts.
    End,
}

impl Lines {
    /// For this format.
    pub fn new(options: &Options) -> Lines {
        Lines {
            format: options.format,
            quote: options.quote,
            escape: options.escape,
            bytes: Vec::new(),
            start: 0,
            scanned: 0,
            in_quotes: false,
            end: LineEnd::Unknown,
            number: 0,
            ended: false,
        }
    }

    /// The number of the line given last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The bytes a line is a range of.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// More input. Ranges given before are not good any more.
    ///
    /// # Errors
    /// 54000 for a line past [`LINE_BYTES_MAX`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Diagnostic> {
        if self.ended {
            return Ok(());
        }
        self.bytes.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        if self.bytes.len() + bytes.len() > LINE_BYTES_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a line of COPY input exceeds {LINE_BYTES_MAX} bytes"),
            ));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole line; None until there is more input.
    ///
    /// # Errors
    /// 22P04 for a line that ends unlike the first.
    pub fn next_line(&mut self) -> Result<Option<Line>, Diagnostic> {
        if self.ended {
            return Ok(None);
        }
        let Some(newline) = self.find_newline() else {
            return Ok(None);
        };
        let start = self.start;
        self.start = newline + 1;
        self.scanned = self.start;
        self.number += 1;
        let end = self.settle_end(start, newline)?;
        Ok(Some(self.line(start..end)))
    }

    /// What is left when the input is over: a last line without an end.
    ///
    /// # Errors
    /// 22P04 inside quotes.
    pub fn last(&mut self) -> Result<Option<Line>, Diagnostic> {
        if self.ended || self.start == self.bytes.len() {
            return Ok(None);
        }
        self.number += 1;
        let range = self.start..self.bytes.len();
        self.start = self.bytes.len();
        self.scanned = self.start;
        Ok(Some(self.line(range)))
    }

    fn line(&mut self, range: std::ops::Range<usize>) -> Line {
        if &self.bytes[range.clone()] == b"\\." {
            self.ended = true;
            return Line::End;
        }
        Line::Range(range)
    }

    fn find_newline(&mut self) -> Option<usize> {
        match self.format {
            // `tuples` reads and `output` writes what is binary.
            Format::Text | Format::Binary => self.find_newline_of_text(),
            Format::Csv => self.find_newline_of_csv(),
        }
    }

    fn find_newline_of_text(&mut self) -> Option<usize> {
        let mut from = self.scanned;
        loop {
            let Some(found) = memchr::memchr(b'\n', &self.bytes[from..]) else {
                // A newline that comes later looks back at its backslashes itself.
                self.scanned = self.bytes.len();
                return None;
            };
            let newline = from + found;
            let backslashes = self.bytes[self.start..newline]
                .iter()
                .rev()
                .take_while(|byte| **byte == b'\\')
                .count();
            if backslashes % 2 == 0 {
                return Some(newline);
            }
            from = newline + 1;
        }
    }

    fn find_newline_of_csv(&mut self) -> Option<usize> {
        let mut at = self.scanned;
        while at < self.bytes.len() {
            let byte = self.bytes[at];
            if self.in_quotes && byte == self.escape && self.escape != self.quote {
                if at + 1 == self.bytes.len() {
                    // What is escaped has not arrived yet.
                    break;
                }
                at += 2;
                continue;
            }
            if byte == self.quote {
                self.in_quotes = !self.in_quotes;
            } else if byte == b'\n' && !self.in_quotes {
                return Some(at);
            }
            at += 1;
        }
        self.scanned = at.min(self.bytes.len());
        None
    }

    /// Where the line ends before its `\n` or `\r\n`.
    fn settle_end(&mut self, start: usize, newline: usize) -> Result<usize, Diagnostic> {
        let carriage_return = newline > start && self.bytes[newline - 1] == b'\r';
        if self.end == LineEnd::Unknown {
            self.end = match carriage_return {
                true => LineEnd::CarriageReturnNewline,
                false => LineEnd::Newline,
            };
        }
        match (self.end, carriage_return) {
            (LineEnd::CarriageReturnNewline, true) => Ok(newline - 1),
            (LineEnd::CarriageReturnNewline, false) => Err(self.unlike_first("newline", "\\n")),
            (_, true) if self.format == Format::Text => {
                Err(self.unlike_first("carriage return", "\\r"))
            }
            (_, true) => Err(unquoted("carriage return")),
            (_, false) => Ok(newline),
        }
    }

    fn unlike_first(&self, what: &str, escape: &str) -> Diagnostic {
        match self.format {
            Format::Csv => unquoted(what),
            // `tuples` reads and `output` writes what is binary.
            Format::Text | Format::Binary => Diagnostic::error(
                SqlState::BAD_COPY_FILE_FORMAT,
                format!("literal {what} found in data"),
            )
            .with_hint(format!("Use \"{escape}\" to represent {what}.")),
        }
    }
}

fn unquoted(what: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::BAD_COPY_FILE_FORMAT,
        format!("unquoted {what} found in data"),
    )
    .with_hint(format!("Use quoted CSV field to represent {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::ast::{CopyOption, Ident};

    fn options(csv: bool) -> Options {
        let format = CopyOption::Format(Ident::new(if csv { "csv" } else { "text" }));
        Options::new(&[format]).unwrap()
    }

    fn cut(options: &Options, pieces: &[&[u8]]) -> Result<Vec<String>, Diagnostic> {
        let mut lines = Lines::new(options);
        let mut found = Vec::new();
        let mut note = |lines: &Lines, line: Line| match line {
            Line::Range(range) => {
                found.push(String::from_utf8_lossy(&lines.bytes()[range]).into_owned());
            }
            Line::End => found.push("END".to_owned()),
        };
        for piece in pieces {
            lines.push(piece)?;
            while let Some(line) = lines.next_line()? {
                note(&lines, line);
            }
        }
        if let Some(line) = lines.last()? {
            note(&lines, line);
        }
        Ok(found)
    }

    #[test]
    fn lines_end_where_postgresql_ends_them() {
        let text = options(false);
        assert_eq!(
            cut(&text, &[b"a\nb\\\nc\n\nd"]).unwrap(),
            ["a", "b\\\nc", "", "d"]
        );
        assert_eq!(
            cut(&text, &[b"a\\\\\nb\r\n"]).unwrap_err().message(),
            "literal carriage return found in data"
        );
        assert_eq!(cut(&text, &[b"a\r\nb\r\n"]).unwrap(), ["a", "b"]);
        assert_eq!(cut(&text, &[b"a\n\\.\nrest\n"]).unwrap(), ["a", "END"]);
        let csv = options(true);
        assert_eq!(
            cut(&csv, &[b"\"a\nb\",c\nd\n"]).unwrap(),
            ["\"a\nb\",c", "d"]
        );
        assert_eq!(cut(&csv, &[b"\"a\"\"\nb\"\n"]).unwrap(), ["\"a\"\"\nb\""]);
    }

    proptest::proptest! {
        #[test]
        fn any_split_of_the_input_gives_the_same_lines(
            input in "[ab\"\\\\\\n\\r.,]{0,40}",
            splits in proptest::collection::vec(0usize..40, 0..6),
            csv: bool,
        ) {
            let options = options(csv);
            let bytes = input.as_bytes();
            let mut at: Vec<usize> = splits.into_iter().map(|at| at.min(bytes.len())).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            let whole = cut(&options, &[bytes]).map_err(|error| error.message().to_owned());
            let split = cut(&options, &pieces).map_err(|error| error.message().to_owned());
            proptest::prop_assert_eq!(whole, split);
        }
    }
}
