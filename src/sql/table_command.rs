//! `TABLE name` is `SELECT * FROM name`; sqlparser reads it seldom, and forgets whether the name was
//! quoted. Source: PostgreSQL 15, SELECT, "TABLE Command".

use super::token_edits::Edits;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Rewrites the command wherever a query may begin.
pub fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut edits = Edits::default();
    let mut begins = true;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at].token;
        if matches!(token, Token::Whitespace(_)) {
            at += 1;
            continue;
        }
        if begins && is(token, Keyword::TABLE) && names_follow(&tokens[at + 1..]) {
            let span = tokens[at].span;
            let blank = || Token::Whitespace(sqlparser::tokenizer::Whitespace::Space);
            let replaced = [
                word("SELECT", Keyword::SELECT),
                blank(),
                Token::Mul,
                blank(),
                word("FROM", Keyword::FROM),
            ];
            let replaced = replaced.map(|token| TokenWithSpan { token, span });
            edits.replace(at..at + 1, replaced);
            at += 1;
            begins = false;
            continue;
        }
        begins = match token {
            Token::SemiColon | Token::LParen => true,
            Token::Word(word) if word.quote_style.is_none() => matches!(
                word.keyword,
                Keyword::UNION
                    | Keyword::INTERSECT
                    | Keyword::EXCEPT
                    | Keyword::ALL
                    | Keyword::DISTINCT
                    | Keyword::EXPLAIN
            ),
            _ => false,
        };
        at += 1;
    }
    edits.make(tokens);
}

fn is(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
}

fn names_follow(tokens: &[TokenWithSpan]) -> bool {
    let next = tokens
        .iter()
        .find(|token| !matches!(token.token, Token::Whitespace(_)));
    next.is_some_and(|token| matches!(token.token, Token::Word(_)))
}

fn word(value: &str, keyword: Keyword) -> Token {
    Token::Word(Word {
        value: value.to_owned(),
        quote_style: None,
        keyword,
    })
}

#[cfg(test)]
mod tests {
    use crate::sql::parse;

    #[test]
    fn the_command_is_a_query_wherever_one_may_begin() {
        for (text, expected) in [
            ("TABLE t", "SELECT * FROM t"),
            (
                "table \"T\" order by a limit 1",
                "SELECT * FROM \"T\" ORDER BY a LIMIT 1",
            ),
            (
                "SELECT 1 UNION ALL TABLE t",
                "SELECT 1 UNION ALL SELECT * FROM t",
            ),
            (
                "SELECT * FROM (TABLE s.t) x",
                "SELECT * FROM (SELECT * FROM s.t) AS x",
            ),
        ] {
            let tree = parse::parse_one(text).expect(text);
            let tree = tree.to_string().replace(") x", ") AS x");
            assert_eq!(tree, expected);
        }
        assert!(parse::parse_one("CREATE TABLE t (a int)").is_ok());
    }
}
