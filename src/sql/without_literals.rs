//! A text of statements as it may be recorded: without its literals, which are what clients know and nobody else
//! should, and without comments; a credential statement by its first words only.

use super::credential;
use super::lexer::{Kind, Lexer};

/// The longest text; the rest is cut off.
pub const TEXT_CHARS_MAX: usize = 400;

/// The text without them. Texts that the lexer cannot make sense of end there with `…`. Costs as much as
/// telling the statements of the text apart; only where statements are recorded.
pub fn of_text(text: &str) -> String {
    match credential::split(text) {
        Ok(pieces) => {
            let shapes: Vec<String> = pieces.iter().map(|piece| of_piece(piece.text)).collect();
            cut(&shapes.join("; "))
        }
        Err(_) => cut(&shape(text, usize::MAX)),
    }
}

fn of_piece(text: &str) -> String {
    match credential::parse(text) {
        // Whether it is a good one or not: a password may stand anywhere in a bad one.
        Some(_) => shape(text, 2),
        None => shape(text, usize::MAX),
    }
}

/// The first tokens, with `?` for each literal.
fn shape(text: &str, tokens_max: usize) -> String {
    let mut shape = String::new();
    let mut end_before = None;
    for (index, token) in Lexer::new(text).enumerate() {
        let gap = end_before.is_some_and(|end| end < token.start);
        if gap {
            shape.push(' ');
        }
        end_before = Some(token.end);
        if index >= tokens_max || shape.len() > 4 * TEXT_CHARS_MAX {
            shape.push('…');
            break;
        }
        match token.kind {
            Kind::Integer | Kind::Decimal | Kind::String { .. } => shape.push('?'),
            Kind::Unclear => {
                shape.push('…');
                break;
            }
            Kind::Word | Kind::QuotedName | Kind::Parameter | Kind::Semicolon | Kind::Symbol(_) => {
                shape.push_str(&text[token.start..token.end])
            }
        }
    }
    shape
}

fn cut(shape: &str) -> String {
    match shape.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &shape[..end]),
        None => shape.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_left_out_and_names_stay() {
        for (text, shown) in [
            (
                "SELECT \"Name\" FROM t WHERE ssn = '078-05-1120' AND n<1.5 -- it's me",
                "SELECT \"Name\" FROM t WHERE ssn = ? AND n<?",
            ),
            (
                "INSERT INTO t VALUES (1,'it''s',$1)",
                "INSERT INTO t VALUES (?,?,$1)",
            ),
            ("SELECT E'\\'secret'", "SELECT …"),
            ("SELECT $$secret$$, 1", "SELECT …"),
            ("SELECT 1; SELECT /* secret */ 2", "SELECT ?; SELECT ?"),
            ("", ""),
        ] {
            assert_eq!(of_text(text), shown, "{text}");
        }
    }

    #[test]
    fn of_a_credential_statement_the_first_words_are_all_there_is() {
        for text in [
            "CREATE USER alice WITH PASSWORD 'secret'",
            "CREATE USER alice PASSWORD secret",
            "create user \"secret\" password $x$secret$x$",
            "ALTER USER alice PASSWORD E'secret'",
            "EXPLAIN AUTHENTICATION TOKEN 'secret'",
            "SELECT 1; CREATE USER alice WITH PASSWORD 'secret'",
        ] {
            let shown = of_text(text);
            assert!(!shown.contains("secret"), "{shown}");
            assert!(shown.ends_with('…'), "{shown}");
        }
        assert_eq!(of_text("CREATE USER alice PASSWORD 'x'"), "CREATE USER …");
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = format!("SELECT {}", "column_name, ".repeat(10_000));
        assert_eq!(of_text(&text).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
