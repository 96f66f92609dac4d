//! The parser's view of the tokens: keywords, names, literals, and where an error stands.

use super::grant::LIST_NAMES_MAX;
use super::token::{Token, Tokens};
use crate::auth::secret::Password;
use crate::catalog::request::{IfExists, TenantRef};
use crate::catalog::{KeyId, TenantId};
use crate::diagnostic::{Diagnostic, SqlState};
use zeroize::Zeroizing;

/// Reads a statement. Cloning it is a look ahead.
#[derive(Clone)]
pub struct Cursor<'a> {
    tokens: Tokens<'a>,
}

type Result<T> = std::result::Result<T, Diagnostic>;

impl<'a> Cursor<'a> {
    /// At the beginning of a statement.
    pub fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            tokens: Tokens::new(text),
        }
    }

    fn peek(&self) -> Result<Token<'a>> {
        self.tokens.clone().next()
    }

    /// Whether the next token is this keyword; an unreadable one is none.
    pub fn at(&self, keyword: &str) -> bool {
        matches!(self.peek(), Ok(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    /// Whether the statement ends here.
    pub fn at_end(&self) -> bool {
        matches!(self.peek(), Ok(Token::End | Token::Symbol(';')))
    }

    /// Takes these keywords if all of them follow.
    pub fn take(&mut self, keywords: &[&str]) -> bool {
        let mut ahead = self.clone();
        for keyword in keywords {
            if !ahead.at(keyword) || ahead.tokens.next().is_err() {
                return false;
            }
        }
        *self = ahead;
        true
    }

    /// Takes these keywords.
    pub fn expect(&mut self, keywords: &[&str]) -> Result<()> {
        for keyword in keywords {
            if !self.take(&[keyword]) {
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    /// Takes a symbol if it follows.
    pub fn take_symbol(&mut self, symbol: char) -> bool {
        let found = matches!(self.peek(), Ok(Token::Symbol(next)) if next == symbol);
        if found {
            // It was read a moment ago.
            let _ = self.tokens.next();
        }
        found
    }

    /// Takes a symbol.
    pub fn expect_symbol(&mut self, symbol: char) -> Result<()> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// The next bare word, in lower case, if one follows. Takes nothing.
    pub fn word(&self) -> Option<String> {
        match self.peek() {
            Ok(Token::Word(word)) => Some(word.to_ascii_lowercase()),
            Ok(_) | Err(_) => None,
        }
    }

    /// A name: bare and folded, "quoted" or 'literal' (REFERENCE §1).
    pub fn name(&mut self) -> Result<String> {
        let mut ahead = self.tokens.clone();
        let name = match ahead.next()? {
            Token::Word(word) => {
                let folded = word.to_ascii_lowercase();
                if RESERVED_WORDS.binary_search(&folded.as_str()).is_ok() {
                    return Err(self.unexpected());
                }
                folded
            }
            Token::Quoted(name) => name,
            Token::Literal(name) => (*name).clone(),
            Token::Number(_) | Token::Symbol(_) | Token::End => return Err(self.unexpected()),
        };
        if name.is_empty() {
            return Err(self.error(SqlState::INVALID_NAME, "a name must not be empty"));
        }
        self.tokens = ahead;
        Ok(name)
    }

    /// `(item, …)`: at least one, at most [`LIST_NAMES_MAX`].
    pub fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_symbol('(')?;
        let mut items = vec![item(self)?];
        while self.take_symbol(',') {
            if items.len() == LIST_NAMES_MAX {
                return Err(self.error(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "too many names in one list",
                ));
            }
            items.push(item(self)?);
        }
        self.expect_symbol(')')?;
        Ok(items)
    }

    /// An API key's id, bare in its own case and with its hyphens, or a name.
    pub fn key_id(&mut self) -> Result<String> {
        let rest = self.tokens.rest().trim();
        let bare = rest.trim_end_matches(|last: char| last == ';' || last.is_ascii_whitespace());
        if bare.parse::<KeyId>().is_ok() {
            let bare = bare.to_owned();
            self.tokens.skip_rest();
            return Ok(bare);
        }
        self.name()
    }

    /// A whole number.
    pub fn number(&mut self) -> Result<u32> {
        let mut ahead = self.tokens.clone();
        match ahead.next()? {
            Token::Number(digits) => {
                let number = digits.parse().map_err(|_| {
                    self.error(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "the number is out of range",
                    )
                })?;
                self.tokens = ahead;
                Ok(number)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A string literal.
    pub fn literal(&mut self) -> Result<Zeroizing<String>> {
        let mut ahead = self.tokens.clone();
        match ahead.next()? {
            Token::Literal(value) => {
                self.tokens = ahead;
                Ok(value)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A string literal that is a password, or NULL.
    pub fn password(&mut self) -> Result<Option<Password>> {
        if self.take(&["null"]) {
            return Ok(None);
        }
        let mut literal = self.literal()?;
        Ok(Some(Password::new(std::mem::take(&mut *literal))))
    }

    /// A tenant by number or name.
    pub fn tenant(&mut self) -> Result<TenantRef> {
        let mut ahead = self.tokens.clone();
        match ahead.next()? {
            Token::Number(digits) => {
                let id = digits.parse().map_err(|_| {
                    self.error(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "a tenant's number is out of range",
                    )
                })?;
                self.tokens = ahead;
                Ok(TenantRef::Id(TenantId(id)))
            }
            _ => Ok(TenantRef::Name(self.name()?)),
        }
    }

    /// IF EXISTS, or nothing.
    pub fn if_exists(&mut self) -> IfExists {
        if self.take(&["if", "exists"]) {
            IfExists::Skip
        } else {
            IfExists::Fail
        }
    }

    /// What stands between a parenthesis and its own end.
    pub fn parenthesized(&mut self) -> Result<&'a str> {
        self.expect_symbol('(')?;
        let rest = self.tokens.rest();
        let start = self.tokens.offset();
        let mut depth = 1_usize;
        loop {
            let before = self.tokens.offset();
            match self.tokens.next()? {
                Token::End => return Err(self.unexpected()),
                Token::Symbol('(') => depth += 1,
                Token::Symbol(')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(rest[..before - start].trim());
            }
        }
    }

    /// IF NOT EXISTS, or nothing.
    pub fn if_not_exists(&mut self) -> IfExists {
        if self.take(&["if", "not", "exists"]) {
            IfExists::Skip
        } else {
            IfExists::Fail
        }
    }

    /// The end of the statement, a semicolon before it or not.
    pub fn end(&mut self) -> Result<()> {
        while self.take_symbol(';') {}
        match self.peek()? {
            Token::End => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    /// 42601 at the next token, in PostgreSQL's words. A literal is not repeated: it may be a
    /// password.
    pub fn unexpected(&self) -> Diagnostic {
        let mut tokens = self.tokens.clone();
        let offset = match tokens.next_offset() {
            Ok(offset) => offset,
            Err(error) => return error,
        };
        let near = match tokens.next() {
            Err(error) => return error,
            Ok(Token::End) => return tokens.error_at(offset, "syntax error at end of input"),
            Ok(Token::Word(word) | Token::Number(word)) => word.to_owned(),
            Ok(Token::Quoted(name)) => format!("\"{name}\""),
            Ok(Token::Literal(_)) => "'…'".to_owned(),
            Ok(Token::Symbol(symbol)) => symbol.to_string(),
        };
        tokens.error_at(offset, format!("syntax error at or near \"{near}\""))
    }

    /// An error at the next token.
    pub fn error(&self, sqlstate: SqlState, message: &str) -> Diagnostic {
        let mut tokens = self.tokens.clone();
        let position = tokens
            .next_offset()
            .map(|offset| tokens.error_at(offset, message));
        match position.map(|error| error.fields().position) {
            Ok(Some(position)) => Diagnostic::error(sqlstate, message).with_position(position),
            Ok(None) | Err(_) => Diagnostic::error(sqlstate, message),
        }
    }

    /// 0A000 for the word that follows, as an option of the statement.
    pub fn unsupported_option(&self, statement: &str) -> Diagnostic {
        match self.word() {
            Some(word) => {
                Diagnostic::unsupported(format!("{statement} with {}", word.to_ascii_uppercase()))
            }
            None => self.unexpected(),
        }
    }
}

/// PostgreSQL's reserved words that could begin or stand for a name here; sorted.
const RESERVED_WORDS: [&str; 50] = [
    "all",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "default",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "into",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "primary",
    "references",
    "select",
    "table",
    "then",
    "to",
    "true",
    "union",
    "unique",
    "user",
    "where",
    "with",
];
