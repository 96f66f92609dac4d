//! `UPDATE ONLY t`, `FROM ONLY (t)`: no table here has tables that inherit from it, so that ONLY asks for what is done anyway.

use super::token_edits::Edits;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// What stands before a table's name, and may have ONLY between.
const BEFORE: &[Keyword] = &[
    Keyword::UPDATE,
    Keyword::FROM,
    Keyword::JOIN,
    Keyword::TRUNCATE,
    Keyword::TABLE,
    Keyword::USING,
];

/// Takes each such ONLY away, and the parentheses around the name behind it.
pub fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut edits = Edits::default();
    let said: Vec<usize> = (0..tokens.len())
        .filter(|place| !matches!(tokens[*place].token, Token::Whitespace(_)))
        .collect();
    for (at, place) in said.iter().enumerate() {
        let token = |offset: usize| said.get(at + offset).map(|place| &tokens[*place].token);
        let before = at.checked_sub(1).map(|before| &tokens[said[before]].token);
        let is_only = matches!(token(0), Some(Token::Word(word))
            if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("only"));
        if !is_only || !before.is_some_and(|before| is(before, BEFORE)) {
            continue;
        }
        match (token(1), token(2), token(3)) {
            (Some(Token::LParen), Some(Token::Word(_)), Some(Token::RParen)) => {
                edits.replace(*place..said[at + 1] + 1, []);
                edits.replace(said[at + 3]..said[at + 3] + 1, []);
            }
            (Some(Token::Word(name)), ..) if !is_clause(name.keyword, name.quote_style) => {
                edits.replace(*place..*place + 1, []);
            }
            _ => {}
        }
    }
    edits.make(tokens);
}

fn is(token: &Token, keywords: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && keywords.contains(&word.keyword))
}

/// What follows a table that is itself called so: the word is reserved in PostgreSQL, so that none is.
fn is_clause(keyword: Keyword, quote: Option<char>) -> bool {
    quote.is_none() && matches!(keyword, Keyword::SET | Keyword::WHERE | Keyword::AS)
}

#[cfg(test)]
mod tests {
    use crate::sql::parse;

    fn read(text: &str) -> String {
        parse::parse_one(text).expect(text).to_string()
    }

    #[test]
    fn only_is_left_out_before_a_table() {
        assert_eq!(read("update only t set a = 1"), "UPDATE t SET a = 1");
        assert_eq!(
            read("delete from only s.t where a in (select b from only (u))"),
            "DELETE FROM s.t WHERE a IN (SELECT b FROM u)"
        );
        assert_eq!(
            read("select a from t fetch first rows only"),
            "SELECT a FROM t FETCH FIRST ROWS ONLY"
        );
    }
}
