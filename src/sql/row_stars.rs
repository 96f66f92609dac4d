//! `(row).*` in a list is `row.*`: sqlparser knows the star of a name alone.

use super::token_edits::Edits;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Takes the parentheses around such names away.
pub fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut edits = Edits::default();
    let mut from = 0;
    while let Some(open) = next(tokens, from) {
        edits.replace(open..open + 1, []);
        edits.replace(open + 2..open + 3, []);
        from = open + 3;
    }
    edits.make(tokens);
}

/// Where the next one begins, in a list.
fn next(tokens: &[TokenWithSpan], from: usize) -> Option<usize> {
    let of_row = |window: &[TokenWithSpan]| {
        window[0].token == Token::LParen
            && window[4].token == Token::Mul
            && window[3].token == Token::Period
            && window[2].token == Token::RParen
            && matches!(window[1].token, Token::Word(_))
    };
    let in_list = |open: usize| {
        let before = tokens[..open].iter().rev().map(|it| &it.token);
        let mut before = before.skip_while(|token| matches!(token, Token::Whitespace(_)));
        match before.next() {
            Some(Token::Comma) => true,
            Some(Token::Word(word)) => matches!(
                word.keyword,
                Keyword::SELECT | Keyword::RETURNING | Keyword::DISTINCT | Keyword::ALL
            ),
            _ => false,
        }
    };
    let mut windows = tokens.windows(5).enumerate().skip(from);
    let found = windows.find(|(open, window)| of_row(window) && in_list(*open));
    found.map(|(open, _)| open)
}
