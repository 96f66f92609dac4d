//! `ON CONFLICT (lower(a), b) WHERE c DO …`: expressions, collations, classes and the predicate of a partial
//! index, of which sqlparser reads only columns.
//!
//! Before parsing, such a target becomes a list of one name that no client can write, and that holds its
//! text; [`of`] reads it as CREATE INDEX reads the like.

use super::parse;
use super::token_edits::Edits;
use crate::diagnostic::Diagnostic;
use sqlparser::ast::{ConflictTarget, CreateIndex, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use std::ops::Range;

const MARK: &str = "\u{1}conflict target ";

/// Rewrites the targets of a text.
pub fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut edits = Edits::default();
    let mut at = 0;
    while at < tokens.len() {
        if let Some(range) = target(tokens, at) {
            let text: String = tokens[range.clone()]
                .iter()
                .map(|token| token.token.to_string())
                .collect();
            let span = tokens[range.start].span;
            let name = Token::Word(Word {
                value: format!("{MARK}{}", text.trim()),
                quote_style: Some('"'),
                keyword: Keyword::NoKeyword,
            });
            let blank = Token::Whitespace(sqlparser::tokenizer::Whitespace::Space);
            let list = [Token::LParen, name, Token::RParen, blank];
            let list = list.map(|token| TokenWithSpan { token, span });
            at = range.end;
            edits.replace(range, list);
        } else {
            at += 1;
        }
    }
    edits.make(tokens);
}

/// The target of the ON CONFLICT that begins here, if it is more than names of columns.
fn target(tokens: &[TokenWithSpan], at: usize) -> Option<Range<usize>> {
    if !is(tokens, at, Keyword::ON) {
        return None;
    }
    let conflict = next(tokens, at)?;
    let open = next(tokens, conflict)?;
    if !is(tokens, conflict, Keyword::CONFLICT) || tokens[open].token != Token::LParen {
        return None;
    }
    let close = closing(tokens, open)?;
    let after = next(tokens, close)?;
    let names = tokens[open + 1..close].iter().all(|token| {
        matches!(
            token.token,
            Token::Word(_) | Token::Comma | Token::Whitespace(_)
        )
    });
    if names && !is(tokens, after, Keyword::WHERE) && is_list(&tokens[open + 1..close]) {
        return None;
    }
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(after) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.checked_sub(1)?,
            Token::SemiColon => return None,
            // Another one: a text of many is looked through once.
            _ if depth == 0 && is(tokens, place, Keyword::ON) => return None,
            _ if depth == 0 && is(tokens, place, Keyword::DO) => return Some(open..place),
            _ => {}
        }
    }
    None
}

/// Names with commas between: `a COLLATE "C"` is more.
fn is_list(tokens: &[TokenWithSpan]) -> bool {
    let shown = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)));
    shown
        .enumerate()
        .all(|(place, token)| (token.token == Token::Comma) == (place % 2 == 1))
}

fn next(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    (at + 1..tokens.len()).find(|place| !matches!(tokens[*place].token, Token::Whitespace(_)))
}

fn is(tokens: &[TokenWithSpan], at: usize, keyword: Keyword) -> bool {
    matches!(&tokens[at].token, Token::Word(word)
        if word.quote_style.is_none() && word.keyword == keyword)
}

fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(place);
        }
    }
    None
}

/// What the target names, as an index over it; None: columns alone, or a constraint.
///
/// # Errors
/// 42601 for what no index can be over.
pub fn of(target: &ConflictTarget) -> Result<Option<CreateIndex>, Diagnostic> {
    let ConflictTarget::Columns(columns) = target else {
        return Ok(None);
    };
    let [only] = &columns[..] else {
        return Ok(None);
    };
    let Some(text) = only.value.strip_prefix(MARK) else {
        return Ok(None);
    };
    match parse::parse_one(&format!("CREATE INDEX ON t {text}"))
        .map_err(Diagnostic::without_position)?
    {
        Statement::CreateIndex(index) => Ok(Some(index)),
        other => Err(Diagnostic::internal(format!("not an index: {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::ast::{OnConflict, OnInsert};

    fn read(text: &str) -> Option<CreateIndex> {
        let Statement::Insert(insert) = parse::parse_one(text).expect(text) else {
            panic!("{text}");
        };
        let Some(OnInsert::OnConflict(OnConflict {
            conflict_target: Some(target),
            ..
        })) = insert.on
        else {
            panic!("{text}");
        };
        of(&target).expect(text)
    }

    #[test]
    fn expressions_and_a_predicate_are_read_as_an_index_has_them() {
        let index = read(
            "INSERT INTO t VALUES ('it''s') ON CONFLICT (lower(a), (b + 1), c) WHERE d = 'x' AND (e IS NULL)
             DO UPDATE SET a = excluded.a WHERE t.b > 1 RETURNING a",
        );
        let index = index.expect("more than columns");
        assert_eq!(index.columns.len(), 3);
        let predicate = index.predicate.map(|predicate| predicate.to_string());
        assert_eq!(predicate.as_deref(), Some("d = 'x' AND (e IS NULL)"));
        let index = read("insert into t values (1) on conflict (a collate \"C\") do nothing");
        assert_eq!(index.expect("more than columns").columns.len(), 1);
        let index = read("INSERT INTO t VALUES (1) ON CONFLICT (a) WHERE b DO NOTHING");
        assert!(index.expect("a predicate").predicate.is_some());
    }

    #[test]
    fn columns_alone_stay_as_they_are() {
        assert_eq!(
            read("INSERT INTO t VALUES (1) ON CONFLICT (a, \"B\") DO NOTHING"),
            None
        );
        for text in [
            "INSERT INTO t VALUES (1) ON CONFLICT (lower(a) DO NOTHING",
            "INSERT INTO t VALUES (1) ON CONFLICT (lower(a)) WHERE",
            "INSERT INTO t VALUES (1) ON CONFLICT () DO NOTHING",
        ] {
            assert!(parse::parse(text).is_err(), "{text}");
        }
    }
}
