//! The tokens of credential statements, read one at a time from the text.
//!
//! The lexical rules are PostgreSQL's (§4.1 of its manual): identifiers fold ASCII letters,
//! `"quoted"` and `'literals'` double their quotes, E'' and dollar quoting, `--` and nested
//! `/* */` comments. Literals are zeroed on drop: any of them may be a password.

use crate::diagnostic::{Diagnostic, SqlState};
use zeroize::Zeroizing;

/// One token.
#[derive(PartialEq, Eq)]
pub enum Token<'a> {
    /// A bare identifier or keyword, as written.
    Word(&'a str),
    /// "quoted", quotes removed.
    Quoted(String),
    /// 'literal', E'literal' or $$literal$$, decoded.
    Literal(Zeroizing<String>),
    /// Digits.
    Number(&'a str),
    /// Any other character.
    Symbol(char),
    /// The end of the text.
    End,
}

/// Reads tokens. Cloning it is a look ahead.
#[derive(Clone)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// From the beginning of a text.
    pub fn new(text: &'a str) -> Tokens<'a> {
        Tokens { text, at: 0 }
    }

    /// The byte offset behind the last token.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The byte offset of the next token.
    pub fn next_offset(&mut self) -> Result<usize, Diagnostic> {
        self.skip_blanks()?;
        Ok(self.at)
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Passes over all of it.
    pub fn skip_rest(&mut self) {
        self.at = self.text.len();
    }

    /// The next token.
    ///
    /// # Errors
    /// 42601 for a quote or a comment without an end.
    pub fn next(&mut self) -> Result<Token<'a>, Diagnostic> {
        self.skip_blanks()?;
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        match first {
            '\'' => self.literal(1, Escapes::Doubled),
            'e' | 'E' if rest[1..].starts_with('\'') => self.literal(2, Escapes::Backslash),
            '"' => self.quoted(),
            '$' => self.dollar_quoted(),
            _ if is_word_start(first) => Ok(Token::Word(self.take_while(is_word_part))),
            '0'..='9' => Ok(Token::Number(self.take_while(|c| c.is_ascii_digit()))),
            _ => {
                self.at += first.len_utf8();
                Ok(Token::Symbol(first))
            }
        }
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn skip_blanks(&mut self) -> Result<(), Diagnostic> {
        loop {
            self.take_while(|c| c.is_ascii_whitespace() || c == '\u{b}');
            let rest = &self.text[self.at..];
            if rest.starts_with("--") {
                self.take_while(|c| c != '\n' && c != '\r');
            } else if rest.starts_with("/*") {
                self.skip_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    /// A comment that may hold others.
    fn skip_comment(&mut self) -> Result<(), Diagnostic> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        while self.at < bytes.len() {
            match &bytes[self.at..] {
                [b'/', b'*', ..] => (depth, self.at) = (depth + 1, self.at + 2),
                [b'*', b'/', ..] => (depth, self.at) = (depth - 1, self.at + 2),
                _ => self.at += 1,
            }
            if depth == 0 {
                return Ok(());
            }
        }
        Err(self.unterminated("/* comment", start))
    }

    /// A literal whose first quote is the last of the `prefix` bytes.
    fn literal(&mut self, prefix: usize, escapes: Escapes) -> Result<Token<'a>, Diagnostic> {
        let start = self.at;
        let body = &self.text[start + prefix..];
        // As long as the body at most, so that it never moves and leaves a copy behind.
        let mut value =
            Zeroizing::new(String::with_capacity(body.len().min(LITERAL_RESERVE_BYTES)));
        let mut characters = body.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            match c {
                '\'' if characters.peek().is_some_and(|(_, next)| *next == '\'') => {
                    characters.next();
                    value.push('\'');
                }
                '\'' => {
                    self.at = start + prefix + at + 1;
                    return Ok(Token::Literal(value));
                }
                '\\' if escapes == Escapes::Backslash => match characters.next() {
                    Some((_, escaped)) => value.push(unescape(escaped).ok_or_else(|| {
                        self.error_at(start, "this escape is not taken in a string literal here")
                    })?),
                    None => break,
                },
                '\0' => return Err(self.error_at(start, "a string literal holds a zero byte")),
                _ => value.push(c),
            }
        }
        Err(self.unterminated("quoted string", start))
    }

    fn quoted(&mut self) -> Result<Token<'a>, Diagnostic> {
        let start = self.at;
        let body = &self.text[start + 1..];
        let mut value = String::new();
        let mut characters = body.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                    characters.next();
                    value.push('"');
                }
                '"' if value.is_empty() => {
                    return Err(self.error_at(start, "zero-length delimited identifier"));
                }
                '"' => {
                    self.at = start + 1 + at + 1;
                    return Ok(Token::Quoted(value));
                }
                _ => value.push(c),
            }
        }
        Err(self.unterminated("quoted identifier", start))
    }

    /// `$tag$ … $tag$`; a lone dollar is a symbol.
    fn dollar_quoted(&mut self) -> Result<Token<'a>, Diagnostic> {
        let start = self.at;
        let rest = &self.text[start..];
        let tag_length = rest[1..].find(|c| !is_word_part(c) || c == '$');
        let Some(tag_length) = tag_length.filter(|length| rest[1 + length..].starts_with('$'))
        else {
            self.at += 1;
            return Ok(Token::Symbol('$'));
        };
        let delimiter = &rest[..tag_length + 2];
        let body = &rest[delimiter.len()..];
        let Some(length) = body.find(delimiter) else {
            return Err(self.unterminated("dollar-quoted string", start));
        };
        self.at = start + delimiter.len() + length + delimiter.len();
        Ok(Token::Literal(Zeroizing::new(body[..length].to_owned())))
    }

    /// PostgreSQL's words; what stands there is left out, it may be a password.
    fn unterminated(&self, what: &str, offset: usize) -> Diagnostic {
        self.error_at(offset, format!("unterminated {what}"))
    }

    /// 42601 at a byte offset.
    pub fn error_at(&self, offset: usize, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(SqlState::SYNTAX_ERROR, message)
            .with_position(character_position(self.text, offset))
    }
}

/// Literals longer than this may move while they grow; no password is that long.
const LITERAL_RESERVE_BYTES: usize = 8 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    /// '' alone.
    Doubled,
    /// '' and backslashes: E''.
    Backslash,
}

fn unescape(escaped: char) -> Option<char> {
    match escaped {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        // Numeric escapes: nobody needs them here, and a wrong guess would be a wrong password.
        'x' | 'u' | 'U' | '0'..='7' => None,
        other => Some(other),
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_word_part(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit() || c == '$'
}

/// The 1-based position in characters of a byte offset.
pub fn character_position(text: &str, offset: usize) -> u32 {
    let characters = text[..offset].chars().count();
    u32::try_from(characters + 1).unwrap_or(u32::MAX)
}
