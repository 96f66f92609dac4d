//! PostgreSQL's four row locks, `FOR NO KEY UPDATE OF a, b` and the like, of which sqlparser reads
//! two, with one table each, and after LIMIT alone.
//!
//! Before parsing, the words are rewritten to clauses that it reads: one for each table, the two
//! other strengths marked by a first part of the table's name that no client can write, and behind a LIMIT that follows them.

use super::token_edits::Edits;
use sqlparser::ast::{Ident, LockClause, LockType, NonBlock, ObjectName, ObjectNamePart};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use std::ops::Range;

/// Marks NO KEY UPDATE and KEY SHARE; a control character begins it.
const KEY_MARK: &str = "\u{1}key";

/// How strongly rows are locked, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// FOR KEY SHARE
    KeyShare,
    /// FOR SHARE
    Share,
    /// FOR NO KEY UPDATE
    NoKeyUpdate,
    /// FOR UPDATE
    Update,
}

impl Strength {
    /// As PostgreSQL's messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Strength::KeyShare => "FOR KEY SHARE",
            Strength::Share => "FOR SHARE",
            Strength::NoKeyUpdate => "FOR NO KEY UPDATE",
            Strength::Update => "FOR UPDATE",
        }
    }
}

/// What to do about a row that somebody else has locked; where clauses differ, the later counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Busy {
    /// Wait.
    Wait,
    /// SKIP LOCKED
    Skip,
    /// NOWAIT
    Fail,
}

/// One locking clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowLock {
    /// How strongly.
    pub strength: Strength,
    /// Of which FROM item; None: all.
    pub of: Option<ObjectName>,
    /// NOWAIT, SKIP LOCKED
    pub busy: Busy,
}

impl RowLock {
    /// What a clause of the tree says.
    pub fn of_clause(clause: &LockClause) -> RowLock {
        let mut parts = clause.of.as_ref().map_or(&[][..], |name| &name.0);
        let marked = matches!(parts.first(), Some(ObjectNamePart::Identifier(first))
            if first.value == KEY_MARK);
        if marked {
            parts = &parts[1..];
        }
        RowLock {
            strength: match (&clause.lock_type, marked) {
                (LockType::Update, false) => Strength::Update,
                (LockType::Update, true) => Strength::NoKeyUpdate,
                (LockType::Share, false) => Strength::Share,
                (LockType::Share, true) => Strength::KeyShare,
            },
            of: (!parts.is_empty()).then(|| ObjectName(parts.to_vec())),
            busy: match clause.nonblock {
                None => Busy::Wait,
                Some(NonBlock::SkipLocked) => Busy::Skip,
                Some(NonBlock::Nowait) => Busy::Fail,
            },
        }
    }
}

/// Rewrites the locking clauses of a text that need it.
pub fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut edits = Edits::default();
    let mut at = 0;
    while at < tokens.len() {
        let (mut end, mut clauses) = (at, Vec::new());
        while let Some((after, more)) = clause(tokens, end) {
            clauses.extend(more);
            end = after;
        }
        if clauses.is_empty() {
            at += 1;
            continue;
        }
        let limits = limits(tokens, end);
        let moved = tokens[limits.clone()].iter().cloned();
        edits.replace(at..limits.end, moved.chain(clauses));
        at = limits.end;
    }
    edits.make(tokens);
}

/// `LIMIT …`, `OFFSET …` and `FETCH …` that begin here, to the end of their query.
fn limits(tokens: &[TokenWithSpan], at: usize) -> Range<usize> {
    let mut reader = Reader { tokens, at };
    if reader
        .keyword(&[Keyword::LIMIT, Keyword::OFFSET, Keyword::FETCH])
        .is_none()
    {
        return at..at;
    }
    let mut depth = 0;
    let ends = |token: &TokenWithSpan| {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return true,
            Token::RParen => depth -= 1,
            Token::SemiColon => return depth == 0,
            _ => {}
        }
        false
    };
    let end = tokens[at..].iter().position(ends);
    at..end.map_or(tokens.len(), |length| at + length)
}

/// The clause that begins here, as clauses that sqlparser reads.
fn clause(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, Vec<TokenWithSpan>)> {
    let mut reader = Reader { tokens, at };
    let first = reader.keyword(&[Keyword::FOR])?;
    let no = reader.keyword(&[Keyword::NO]);
    let key = reader.keyword(&[Keyword::KEY]);
    let wanted: &[Keyword] = match (&no, &key) {
        (Some(_), Some(_)) => &[Keyword::UPDATE],
        (None, Some(_)) => &[Keyword::SHARE],
        (None, None) => &[Keyword::UPDATE, Keyword::SHARE],
        (Some(_), None) => return None,
    };
    let strength = reader.keyword(wanted)?;
    let mut names = Vec::new();
    if let Some(of) = reader.keyword(&[Keyword::OF]) {
        names.push((of.clone(), reader.name()?));
        while reader.comma() {
            names.push((of.clone(), reader.name()?));
        }
    }
    let mut tail: Vec<TokenWithSpan> = Vec::new();
    if let Some(nowait) = reader.keyword(&[Keyword::NOWAIT]) {
        tail.push(nowait);
    } else if let Some(skip) = reader.keyword(&[Keyword::SKIP]) {
        tail.push(skip);
        tail.push(reader.keyword(&[Keyword::LOCKED])?);
    }
    let mark = key.as_ref().map(|_| {
        let word = Word {
            value: KEY_MARK.to_owned(),
            quote_style: Some('"'),
            keyword: Keyword::NoKeyword,
        };
        with(&strength, Token::Word(word))
    });
    let mut clauses = Vec::new();
    let mut add = |of: Option<TokenWithSpan>, name: &[TokenWithSpan]| {
        clauses.extend([first.clone(), strength.clone()]);
        clauses.extend(of);
        clauses.extend(mark.clone());
        if mark.is_some() && !name.is_empty() {
            clauses.push(with(&strength, Token::Period));
        }
        clauses.extend_from_slice(name);
        clauses.extend_from_slice(&tail);
    };
    for (of, name) in &names {
        add(Some(of.clone()), name);
    }
    if names.is_empty() && key.is_none() {
        add(None, &[]);
    } else if names.is_empty() {
        let of = Word {
            value: "OF".to_owned(),
            quote_style: None,
            keyword: Keyword::OF,
        };
        add(Some(with(&strength, Token::Word(of))), &[]);
    }
    Some((reader.at, clauses))
}

/// Another token at the same place.
fn with(place: &TokenWithSpan, token: Token) -> TokenWithSpan {
    TokenWithSpan {
        token,
        span: place.span,
    }
}

struct Reader<'t> {
    tokens: &'t [TokenWithSpan],
    at: usize,
}

impl Reader<'_> {
    fn next(&self) -> Option<(usize, &TokenWithSpan)> {
        let mut rest = self.tokens.iter().enumerate().skip(self.at);
        rest.find(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
    }

    fn keyword(&mut self, wanted: &[Keyword]) -> Option<TokenWithSpan> {
        let (place, token) = self.next()?;
        let found = matches!(&token.token, Token::Word(word)
            if word.quote_style.is_none() && wanted.contains(&word.keyword));
        let token = token.clone();
        found.then(|| {
            self.at = place + 1;
            token
        })
    }

    fn comma(&mut self) -> bool {
        match self.next() {
            Some((place, token)) if token.token == Token::Comma => {
                self.at = place + 1;
                true
            }
            _ => false,
        }
    }

    /// A table's name, with dots in it or not.
    fn name(&mut self) -> Option<Vec<TokenWithSpan>> {
        let mut name = Vec::new();
        loop {
            let (place, token) = self.next()?;
            if !matches!(token.token, Token::Word(_)) {
                return None;
            }
            name.push(token.clone());
            self.at = place + 1;
            match self.next() {
                Some((place, dot)) if dot.token == Token::Period => {
                    name.push(dot.clone());
                    self.at = place + 1;
                }
                _ => return Some(name),
            }
        }
    }
}

/// The name of the one FROM item that a clause is of; None for a qualified one, which PostgreSQL
/// does not take.
pub fn unqualified(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [only] => only.as_ident(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;
    use sqlparser::ast::Statement;

    fn locks(text: &str) -> Vec<(Strength, Option<String>, Busy)> {
        let Statement::Query(query) = parse::parse_one(text).expect(text) else {
            panic!("no query");
        };
        let locks = query.locks.iter().map(RowLock::of_clause);
        locks
            .map(|lock| {
                (
                    lock.strength,
                    lock.of.map(|name| name.to_string()),
                    lock.busy,
                )
            })
            .collect()
    }

    #[test]
    fn all_four_strengths_and_lists_of_tables_are_read() {
        let of = |name: &str| Some(name.to_owned());
        assert_eq!(
            locks("select * from a for no key update"),
            [(Strength::NoKeyUpdate, None, Busy::Wait)]
        );
        assert_eq!(
            locks("select * from a, b for key share of a, b skip locked for update of b nowait"),
            [
                (Strength::KeyShare, of("a"), Busy::Skip),
                (Strength::KeyShare, of("b"), Busy::Skip),
                (Strength::Update, of("b"), Busy::Fail),
            ]
        );
        assert_eq!(
            locks("select * from a for share of s.a"),
            [(Strength::Share, of("s.a"), Busy::Wait)]
        );
        assert_eq!(
            locks("select * from a for update skip locked limit (1 + 1) offset 2;"),
            [(Strength::Update, None, Busy::Skip)]
        );
        assert_eq!(
            parse::parse_one(
                "select (select b from c for share limit 1) from a for update limit 2"
            )
            .expect("parses")
            .to_string(),
            "SELECT (SELECT b FROM c LIMIT 1 FOR SHARE) FROM a LIMIT 2 FOR UPDATE"
        );
        assert!(parse::parse("select * from a for no update").is_err());
        assert_eq!(
            parse::parse_one("select substring(a for 2) from t")
                .expect("parses")
                .to_string(),
            "SELECT SUBSTRING(a FOR 2) FROM t"
        );
    }
}
