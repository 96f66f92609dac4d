//! `INSERT … OVERRIDING { SYSTEM | USER } VALUE`, which sqlparser does not read.
//!
//! Before parsing, the words become a list of one name that no client can write: the PARTITION list
//! of another dialect behind a list of columns, the list of columns itself where there is none.

use super::token_edits::Edits;
use sqlparser::ast::{Expr, Ident, Insert, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Whose values an identity column takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    /// OVERRIDING SYSTEM VALUE: those of the statement, though GENERATED ALWAYS.
    System,
    /// OVERRIDING USER VALUE: those of its sequence, though the statement gives some.
    User,
}

const SYSTEM: &str = "\u{1}overriding system value";
const USER: &str = "\u{1}overriding user value";

/// Rewrites the clauses of a text.
pub fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut edits = Edits::default();
    let mut at = 0;
    while at < tokens.len() {
        if let Some((end, mark)) = clause(tokens, at) {
            let span = tokens[at].span;
            let behind_list = tokens[..at]
                .iter()
                .rev()
                .find(|token| !matches!(token.token, Token::Whitespace(_)))
                .is_some_and(|token| token.token == Token::RParen);
            let partition = behind_list.then(|| word("PARTITION", None, Keyword::PARTITION));
            let list = [
                Token::LParen,
                word(mark, Some('"'), Keyword::NoKeyword),
                Token::RParen,
            ];
            let replaced = partition.into_iter().chain(list);
            let replaced = replaced.map(|token| TokenWithSpan { token, span });
            edits.replace(at..end, replaced);
            at = end;
        } else {
            at += 1;
        }
    }
    edits.make(tokens);
}

/// The clause that begins here: where it ends, and its mark.
fn clause(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, &'static str)> {
    let is = |token: &Token, wanted: &str| {
        matches!(token, Token::Word(word)
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
    };
    if !is(&tokens[at].token, "OVERRIDING") {
        return None;
    }
    let mut next = (at + 1..tokens.len())
        .filter(|place| !matches!(tokens[*place].token, Token::Whitespace(_)));
    let (whose, value) = (next.next()?, next.next()?);
    let mark = match &tokens[whose].token {
        token if is(token, "SYSTEM") => SYSTEM,
        token if is(token, "USER") => USER,
        _ => return None,
    };
    is(&tokens[value].token, "VALUE").then_some((value + 1, mark))
}

fn word(value: &str, quote_style: Option<char>, keyword: Keyword) -> Token {
    Token::Word(Word {
        value: value.to_owned(),
        quote_style,
        keyword,
    })
}

/// The clause of an INSERT, and its list of columns.
pub fn of(insert: &Insert) -> (Option<Overriding>, &[ObjectName]) {
    let mark = |ident: &Ident| match ident.value.as_str() {
        SYSTEM => Some(Overriding::System),
        USER => Some(Overriding::User),
        _ => None,
    };
    if let [only] = &insert.columns[..]
        && let [part] = &only.0[..]
        && let Some(found) = part.as_ident().and_then(mark)
    {
        return (Some(found), &[]);
    }
    let found = match insert.partitioned.as_deref() {
        Some([Expr::Identifier(only)]) => mark(only),
        _ => None,
    };
    (found, &insert.columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;
    use sqlparser::ast::Statement;

    fn read(text: &str) -> (Option<Overriding>, usize) {
        match parse::parse_one(text).expect(text) {
            Statement::Insert(insert) => {
                let (overriding, columns) = of(&insert);
                (overriding, columns.len())
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_clause_is_read_behind_a_list_of_columns_and_without_one() {
        let system = Some(Overriding::System);
        assert_eq!(
            read("INSERT INTO t (a, b) OVERRIDING SYSTEM VALUE VALUES (1, 2)"),
            (system, 2)
        );
        assert_eq!(
            read("insert into t overriding user value select 1"),
            (Some(Overriding::User), 0)
        );
        assert_eq!(
            read("INSERT INTO t AS u OVERRIDING SYSTEM VALUE VALUES (1)"),
            (system, 0)
        );
        assert_eq!(read("INSERT INTO t (overriding) VALUES (1)"), (None, 1));
    }
}
