//! `DROP INDEX CONCURRENTLY`, which sqlparser does not read: the word is taken away. It has no effect here, as in CREATE
//! INDEX: nobody waits for an index that goes (PostgreSQL 15, DROP INDEX).

use super::token_edits::Edits;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

const WORDS: [Keyword; 3] = [Keyword::DROP, Keyword::INDEX, Keyword::CONCURRENTLY];

/// Rewrites such statements of a text.
pub fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut edits = Edits::default();
    // How many of the words have come, one behind the other, since a statement began.
    let mut matched = Some(0);
    for (at, TokenWithSpan { token, .. }) in tokens.iter().enumerate() {
        matched = match (token, matched) {
            (Token::Whitespace(_), matched) => matched,
            (Token::SemiColon, _) => Some(0),
            (Token::Word(word), Some(place))
                if word.quote_style.is_none() && WORDS.get(place) == Some(&word.keyword) =>
            {
                if place + 1 == WORDS.len() {
                    edits.replace(at..at + 1, []);
                }
                Some(place + 1)
            }
            _ => None,
        };
    }
    edits.make(tokens);
}

#[cfg(test)]
mod tests {
    use crate::sql::parse;

    #[test]
    fn an_index_may_be_dropped_concurrently() {
        for text in [
            "drop index concurrently if exists a.i",
            "select 1; DROP INDEX /* now */ CONCURRENTLY i",
        ] {
            let statements = parse::parse(text).expect(text);
            let last = statements.last().expect("one").ast.to_string();
            assert!(last.starts_with("DROP INDEX"), "{last}");
        }
        assert!(parse::parse("drop table concurrently i").is_err());
    }
}
