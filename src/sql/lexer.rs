//! A small lexer over statement texts, for lifting literals out of them (`sql::template`).
//!
//! It tells apart only what that needs: words, quoted names, numbers, strings and the rest. It
//! never fails: what it cannot make sense of is [`Kind::Unclear`], and the caller falls back to the
//! real parser. Rules: PostgreSQL 15 §4.1, with standard_conforming_strings on. No allocation.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or an unquoted name.
    Word,
    /// "a name"
    QuotedName,
    /// Digits only.
    Integer,
    /// Digits and one point.
    Decimal,
    /// 'a string', without prefix.
    String {
        /// Whether it holds doubled quotes, which stand for one.
        doubled: Doubled,
    },
    /// $1
    Parameter,
    /// ;
    Semicolon,
    /// A single character of an operator or a bracket.
    Symbol(u8),
    /// Prefixed and dollar-quoted strings, exponents, unterminated tokens.
    Unclear,
}

/// Whether a string literal holds doubled quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubled {
    /// It stands for itself.
    No,
    /// Each pair stands for one quote.
    Yes,
}

/// A token and its place, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// The tokens of a text, without blanks and comments.
#[derive(Clone, Debug)]
pub struct Lexer<'t> {
    bytes: &'t [u8],
    at: usize,
}

/// What a byte can be the beginning of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Blank,
    Letter,
    Digit,
    Other,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut table = [Class::Other; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        let character = byte as u8;
        table[byte] = match character {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0C | 0x0B => Class::Blank,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xFF => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            _ => Class::Other,
        };
        byte += 1;
    }
    table
}

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

impl<'t> Lexer<'t> {
    /// Over a whole text.
    pub fn new(text: &'t str) -> Self {
        Lexer {
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Blanks and comments; where a comment does not end, its beginning.
    fn skip_blanks(&mut self) -> Result<(), usize> {
        loop {
            match self.peek(0) {
                byte if class(byte) == Class::Blank => self.at += 1,
                b'-' if self.peek(1) == b'-' => {
                    let rest = &self.bytes[self.at..];
                    let length = rest.iter().position(|&b| b == b'\n');
                    self.at += length.unwrap_or(rest.len());
                }
                b'/' if self.peek(1) == b'*' => {
                    let start = self.at;
                    if !self.skip_block_comment() {
                        return Err(start);
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) -> bool {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return true;
                    }
                }
                _ => self.at += 1,
            }
        }
        false
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        while matches!(class(self.peek(0)), Class::Letter | Class::Digit) || self.peek(0) == b'$' {
            self.at += 1;
        }
        let prefix = self.at - start == 1
            && matches!(self.bytes[start] | 0x20, b'e' | b'b' | b'x' | b'n')
            && self.peek(0) == b'\'';
        let unicode = self.at - start == 1
            && self.bytes[start] | 0x20 == b'u'
            && self.peek(0) == b'&'
            && matches!(self.peek(1), b'\'' | b'"');
        if prefix || unicode {
            Kind::Unclear
        } else {
            Kind::Word
        }
    }

    fn number(&mut self) -> Kind {
        let mut points = 0;
        while class(self.peek(0)) == Class::Digit || (self.peek(0) == b'.' && points == 0) {
            points += usize::from(self.peek(0) == b'.');
            self.at += 1;
        }
        // An exponent, a second point, or junk such as 0x1F.
        if class(self.peek(0)) == Class::Letter || self.peek(0) == b'.' {
            return Kind::Unclear;
        }
        if points == 0 {
            Kind::Integer
        } else {
            Kind::Decimal
        }
    }

    /// Up to the closing quote; None where there is none.
    fn quoted(&mut self, quote: u8) -> Option<Doubled> {
        let mut doubled = Doubled::No;
        self.at += 1;
        loop {
            let rest = &self.bytes[self.at..];
            self.at += rest.iter().position(|&b| b == quote)? + 1;
            if self.peek(0) != quote {
                return Some(doubled);
            }
            doubled = Doubled::Yes;
            self.at += 1;
        }
    }

    fn dollar(&mut self) -> Kind {
        self.at += 1;
        if class(self.peek(0)) != Class::Digit {
            return Kind::Unclear;
        }
        while class(self.peek(0)) == Class::Digit {
            self.at += 1;
        }
        Kind::Parameter
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if let Err(start) = self.skip_blanks() {
            return Some(Token {
                kind: Kind::Unclear,
                start,
                end: self.bytes.len(),
            });
        }
        let start = self.at;
        let first = *self.bytes.get(start)?;
        let kind = match (class(first), first) {
            (Class::Letter, _) => self.word(),
            (Class::Digit, _) => self.number(),
            (_, b'.') if class(self.peek(1)) == Class::Digit => self.number(),
            (_, b'\'') => match self.quoted(b'\'') {
                Some(doubled) => Kind::String { doubled },
                None => Kind::Unclear,
            },
            (_, b'"') => match self.quoted(b'"') {
                Some(_) => Kind::QuotedName,
                None => Kind::Unclear,
            },
            (_, b'$') => self.dollar(),
            (_, b';') => {
                self.at += 1;
                Kind::Semicolon
            }
            _ => {
                self.at += 1;
                Kind::Symbol(first)
            }
        };
        Some(Token {
            kind,
            start,
            end: self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        Lexer::new(text)
            .map(|token| (token.kind, &text[token.start..token.end]))
            .collect()
    }

    const PLAIN: Kind = Kind::String {
        doubled: Doubled::No,
    };

    #[test]
    fn words_numbers_and_strings_are_told_apart() {
        assert_eq!(
            kinds("a1 = 12 AND b<'x''y' OR .5+1."),
            [
                (Kind::Word, "a1"),
                (Kind::Symbol(b'='), "="),
                (Kind::Integer, "12"),
                (Kind::Word, "AND"),
                (Kind::Word, "b"),
                (Kind::Symbol(b'<'), "<"),
                (
                    Kind::String {
                        doubled: Doubled::Yes
                    },
                    "'x''y'"
                ),
                (Kind::Word, "OR"),
                (Kind::Decimal, ".5"),
                (Kind::Symbol(b'+'), "+"),
                (Kind::Decimal, "1."),
            ]
        );
    }

    #[test]
    fn comments_and_quoted_names_hold_no_literals() {
        assert_eq!(
            kinds("/* '1 /* 2 */ */ \"3\" -- 4\n5"),
            [(Kind::QuotedName, "\"3\""), (Kind::Integer, "5")]
        );
    }

    #[test]
    fn what_needs_the_real_parser_is_unclear() {
        for text in [
            "E'a'", "U&'a'", "$$a$$", "$t$a$t$", "1e5", "0x1F", "'open", "\"open", "/* open",
            "1.2.3", "b'1'",
        ] {
            assert_eq!(kinds(text)[0].0, Kind::Unclear, "{text}");
        }
        assert_eq!(kinds("$12"), [(Kind::Parameter, "$12")]);
        assert_eq!(kinds("'é'"), [(PLAIN, "'é'")]);
    }

    proptest! {
        #[test]
        fn tokens_go_forwards_and_end_within_any_text(text in "\\PC{0,200}") {
            let mut at = 0;
            for token in Lexer::new(&text) {
                prop_assert!(token.start >= at && token.end > token.start && token.end <= text.len());
                at = token.end;
            }
        }
    }
}
