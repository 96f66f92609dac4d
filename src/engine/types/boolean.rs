//! bool: `t` and `f`; input takes every unambiguous beginning of true, false, yes, no, on, off.

use super::input_error::invalid_syntax;
use crate::diagnostic::Diagnostic;

/// The text of boolout.
pub fn text(value: bool) -> &'static [u8] {
    if value { b"t" } else { b"f" }
}

/// boolin.
///
/// # Errors
/// 22P02.
pub fn parse(text: &str) -> Result<bool, Diagnostic> {
    let word = text.trim_ascii();
    let begins = |full: &str| {
        !word.is_empty()
            && full.len() >= word.len()
            && full[..word.len()].eq_ignore_ascii_case(word)
    };
    if !word.is_ascii() {
        return Err(invalid_syntax("boolean", text));
    }
    // `o` alone begins both on and off.
    if begins("true") || begins("yes") || word.eq_ignore_ascii_case("on") || word == "1" {
        Ok(true)
    } else if begins("false") || begins("no") || (word.len() > 1 && begins("off")) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unambiguous_beginnings_are_taken_and_others_refused() {
        for text in ["t", "TRUE", " tr ", "yes", "y", "on", "1"] {
            assert_eq!(parse(text), Ok(true), "{text}");
        }
        for text in ["f", "False", "n", "no", "of", "off", "0"] {
            assert_eq!(parse(text), Ok(false), "{text}");
        }
        for text in ["", "o", "x", "truee", "10", "é"] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                error.message(),
                format!("invalid input syntax for type boolean: \"{text}\"")
            );
        }
    }
}
