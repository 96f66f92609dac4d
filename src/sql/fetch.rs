//! FETCH and MOVE, whose words PostgreSQL lets be left out more freely than sqlparser does:
//! `FETCH c`, `FETCH NEXT c`, `FETCH FORWARD 10 IN c`.
//!
//! Both become sqlparser's node of FETCH; MOVE is marked by an INTO that no client can write.

use sqlparser::ast::{FetchDirection, FetchPosition, Ident, ObjectName, Statement, Value};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Marks MOVE; a control character begins it.
const MOVE_MARK: &str = "\u{1}move";

/// Whether it is only to go on, not to give rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// FETCH
    Fetch,
    /// MOVE
    Move,
}

/// Reads what follows the word.
///
/// # Errors
/// Where no cursor is named.
pub fn parse(parser: &mut Parser<'_>, verb: Verb) -> Result<Statement, ParserError> {
    let direction = direction(parser)?;
    let position = match parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::IN]) {
        Some(Keyword::IN) => FetchPosition::In,
        _ => FetchPosition::From,
    };
    let name = parser.parse_identifier()?;
    Ok(Statement::Fetch {
        name,
        direction,
        position,
        into: (verb == Verb::Move).then(|| ObjectName::from(vec![Ident::new(MOVE_MARK)])),
    })
}

/// Which of the two a statement is.
pub fn verb(into: Option<&ObjectName>) -> Verb {
    match into {
        Some(_) => Verb::Move,
        None => Verb::Fetch,
    }
}

fn direction(parser: &mut Parser<'_>) -> Result<FetchDirection, ParserError> {
    let count = |parser: &mut Parser<'_>| {
        matches!(
            parser.peek_token_ref().token,
            Token::Number(..) | Token::Minus | Token::Plus
        )
        .then(|| parser.parse_signed())
        .transpose()
    };
    if let Some(limit) = count(parser)? {
        return Ok(FetchDirection::Count { limit });
    }
    // A word that is followed by nothing is the cursor's name.
    if matches!(
        parser.peek_nth_token_ref(1).token,
        Token::EOF | Token::SemiColon
    ) {
        return Ok(FetchDirection::Next);
    }
    let all = |parser: &mut Parser<'_>| parser.parse_keyword(Keyword::ALL);
    let directions = [
        Keyword::NEXT,
        Keyword::PRIOR,
        Keyword::FIRST,
        Keyword::LAST,
        Keyword::ABSOLUTE,
        Keyword::RELATIVE,
        Keyword::ALL,
        Keyword::FORWARD,
        Keyword::BACKWARD,
    ];
    Ok(match parser.parse_one_of_keywords(&directions) {
        Some(Keyword::PRIOR) => FetchDirection::Prior,
        Some(Keyword::FIRST) => FetchDirection::First,
        Some(Keyword::LAST) => FetchDirection::Last,
        Some(Keyword::ABSOLUTE) => FetchDirection::Absolute {
            limit: parser.parse_signed()?,
        },
        Some(Keyword::RELATIVE) => FetchDirection::Relative {
            limit: parser.parse_signed()?,
        },
        Some(Keyword::ALL) => FetchDirection::All,
        Some(Keyword::FORWARD) if all(parser) => FetchDirection::ForwardAll,
        Some(Keyword::FORWARD) => FetchDirection::Forward {
            limit: count(parser)?,
        },
        Some(Keyword::BACKWARD) if all(parser) => FetchDirection::BackwardAll,
        Some(Keyword::BACKWARD) => FetchDirection::Backward {
            limit: count(parser)?,
        },
        _ => FetchDirection::Next,
    })
}

trait Signed {
    fn parse_signed(&mut self) -> Result<sqlparser::ast::ValueWithSpan, ParserError>;
}

impl Signed for Parser<'_> {
    fn parse_signed(&mut self) -> Result<sqlparser::ast::ValueWithSpan, ParserError> {
        let minus = self.consume_token(&Token::Minus);
        if !minus {
            let _ = self.consume_token(&Token::Plus);
        }
        let mut value = self.parse_number_value()?;
        if let (true, Value::Number(digits, _)) = (minus, &mut value.value) {
            *digits = format!("-{digits}");
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::parse;
    use sqlparser::ast::Statement;

    #[test]
    fn words_may_be_left_out_as_in_postgresql() {
        for (text, printed) in [
            ("fetch c", "NEXT c"),
            ("fetch next c", "NEXT c"),
            ("fetch from c", "NEXT c"),
            ("fetch 10 from c", "10 c"),
            ("fetch 10 c", "10 c"),
            ("fetch all in c", "ALL c"),
            ("fetch forward 3 from c", "FORWARD 3 c"),
            ("fetch forward all c", "FORWARD ALL c"),
            ("move -2 from c", "-2 c"),
            ("move absolute 0 c", "ABSOLUTE 0 c"),
            ("fetch next", "NEXT next"),
        ] {
            let Statement::Fetch {
                name, direction, ..
            } = parse::parse_one(text).expect(text)
            else {
                panic!("{text}");
            };
            assert_eq!(format!("{direction} {name}"), printed, "{text}");
        }
        assert!(parse::parse("fetch").is_err());
    }
}
