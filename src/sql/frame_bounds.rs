//! `RANGE '1 day'::interval PRECEDING` is `RANGE INTERVAL '1 day' PRECEDING`: after a quoted text sqlparser waits for the
//! PRECEDING alone.

use super::token_edits::Edits;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Takes the casts away.
pub fn rewrite(tokens: &mut Vec<TokenWithSpan>) {
    let mut edits = Edits::default();
    for (place, token) in tokens.iter().enumerate() {
        if is(&token.token, &[Keyword::PRECEDING, Keyword::FOLLOWING])
            && let Some((text, cast)) = cast_before(tokens, place)
        {
            let moved = [tokens[cast].clone(), tokens[text].clone()];
            edits.replace(text..cast + 1, moved);
        }
    }
    edits.make(tokens);
}

fn is(token: &Token, keywords: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && keywords.contains(&word.keyword))
}

/// Where the text and the type of a cast are that ends before the token.
fn cast_before(tokens: &[TokenWithSpan], place: usize) -> Option<(usize, usize)> {
    let said = tokens[..place].iter().enumerate().rev();
    let mut said = said.filter(|(_, it)| !matches!(it.token, Token::Whitespace(_)));
    let (cast, interval) = said.next()?;
    let (_, colons) = said.next()?;
    let (text, quoted) = said.next()?;
    let found = is(&interval.token, &[Keyword::INTERVAL])
        && colons.token == Token::DoubleColon
        && matches!(quoted.token, Token::SingleQuotedString(_));
    found.then_some((text, cast))
}

#[cfg(test)]
mod tests {
    use crate::sql::parse;

    #[test]
    fn an_offset_may_be_a_text_that_is_cast() {
        let parsed = parse::parse_one(
            "select sum(a) over (order by b range between '1 day'::interval preceding and '2 h' :: interval following)",
        );
        assert_eq!(
            parsed.expect("parses").to_string(),
            "SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '2 h' FOLLOWING)"
        );
    }
}
