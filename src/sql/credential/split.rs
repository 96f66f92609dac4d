//! A message's text to its statements: at the semicolons outside quotes and comments.

use super::token::{Token, Tokens, character_position};
use crate::diagnostic::Diagnostic;

/// One statement of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Its text, without the semicolon.
    pub text: &'a str,
    /// The characters of the message before it: what error positions are moved by.
    pub characters_before: u32,
}

/// The statements of a message, empty ones left out. Linear; reads no grammar.
///
/// # Errors
/// 42601 for a quote or a comment without an end.
pub fn split(text: &str) -> Result<Vec<Piece<'_>>, Diagnostic> {
    let mut pieces = Vec::new();
    let mut tokens = Tokens::new(text);
    let mut before = 0;
    let mut counted = 0;
    loop {
        let start = tokens.next_offset()?;
        let end = statement_end(&mut tokens)?;
        if end > start {
            before += character_position(&text[counted..], start - counted) - 1;
            counted = start;
            pieces.push(Piece {
                text: &text[start..end],
                characters_before: before,
            });
        }
        if tokens.offset() >= text.len() {
            return Ok(pieces);
        }
    }
}

/// Reads past the next semicolon; gives the offset before it.
fn statement_end(tokens: &mut Tokens<'_>) -> Result<usize, Diagnostic> {
    loop {
        let before = tokens.next_offset()?;
        match tokens.next()? {
            Token::End | Token::Symbol(';') => return Ok(before),
            Token::Word(_)
            | Token::Quoted(_)
            | Token::Literal(_)
            | Token::Number(_)
            | Token::Symbol(_) => {}
        }
    }
}
