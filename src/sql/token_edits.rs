//! Tokens put in the place of others, before a text is parsed: what sqlparser does not read becomes what it reads.

use sqlparser::tokenizer::TokenWithSpan;
use std::ops::Range;

/// Replacements in the order of the text, none of which overlap.
#[derive(Default)]
pub struct Edits(Vec<(Range<usize>, Vec<TokenWithSpan>)>);

impl Edits {
    /// Notes that the tokens of `range` are to become others.
    pub fn replace(&mut self, range: Range<usize>, by: impl IntoIterator<Item = TokenWithSpan>) {
        debug_assert!(
            self.0
                .last()
                .is_none_or(|(before, _)| before.end <= range.start),
            "edits are in the order of the text"
        );
        self.0.push((range, by.into_iter().collect()));
    }

    /// Makes them all. Linear in the tokens, however many edits there are.
    pub fn make(self, tokens: &mut Vec<TokenWithSpan>) {
        if self.0.is_empty() {
            return;
        }
        let mut edited = Vec::with_capacity(tokens.len());
        let mut rest = std::mem::take(tokens).into_iter();
        let mut place = 0;
        for (range, by) in self.0 {
            edited.extend(rest.by_ref().take(range.start - place));
            rest.by_ref().take(range.len()).for_each(drop);
            edited.extend(by);
            place = range.end;
        }
        edited.extend(rest);
        *tokens = edited;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::tokenizer::Token;

    fn numbers(given: &[u32]) -> Vec<TokenWithSpan> {
        let tokens = given.iter().map(|n| Token::Number(n.to_string(), false));
        tokens.map(TokenWithSpan::wrap).collect()
    }

    #[test]
    fn ranges_are_replaced_taken_away_and_filled() {
        let mut tokens = numbers(&[0, 1, 2, 3, 4, 5]);
        let mut edits = Edits::default();
        edits.replace(0..1, numbers(&[10, 11]));
        edits.replace(2..4, []);
        edits.replace(5..5, numbers(&[12]));
        edits.make(&mut tokens);
        assert_eq!(tokens, numbers(&[10, 11, 1, 4, 12, 5]));
    }
}
