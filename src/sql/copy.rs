//! COPY, read here because sqlparser takes neither `(FREEZE ON)` nor COPY FROM STDIN without the
//! data behind it in the same text.
//!
//! Both syntaxes of PostgreSQL 15 give one tree: the options of the old one become those of the new.
//! `FORCE_QUOTE *` is the one column [`ALL_COLUMNS`].

use sqlparser::ast::{CopyOption, CopySource, CopyTarget, Ident, ObjectName, Statement};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// Stands for `*` in FORCE_QUOTE.
pub const ALL_COLUMNS: &str = "*";

fn error(message: impl Into<String>) -> ParserError {
    ParserError::ParserError(message.into())
}

/// The next token as an upper-case word, if it is an unquoted one.
fn peek_word(parser: &Parser<'_>) -> Option<String> {
    match &parser.peek_token_ref().token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

fn take_word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    let found = peek_word(parser).as_deref() == Some(wanted);
    if found {
        parser.next_token();
    }
    found
}

/// COPY, after the word.
///
/// # Errors
/// A syntax error.
pub fn parse(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    let mut options = Vec::new();
    if take_word(parser, "BINARY") {
        options.push(CopyOption::Format(Ident::new("binary")));
    }
    let source = source(parser)?;
    let to = match peek_word(parser).as_deref() {
        Some("TO") => true,
        Some("FROM") if matches!(source, CopySource::Table { .. }) => false,
        _ => return parser.expected_ref("FROM or TO", parser.peek_token_ref()),
    };
    parser.next_token();
    let target = target(parser)?;
    if take_word(parser, "WITH") && parser.peek_token_ref().token != Token::LParen {
        old_options(parser, &mut options)?;
    } else if parser.consume_token(&Token::LParen) {
        options.extend(parser.parse_comma_separated(option)?);
        parser.expect_token(&Token::RParen)?;
    } else {
        old_options(parser, &mut options)?;
    }
    if peek_word(parser).as_deref() == Some("WHERE") {
        return Err(error("COPY FROM … WHERE is not supported"));
    }
    Ok(Statement::Copy {
        source,
        to,
        target,
        options,
        legacy_options: Vec::new(),
        values: Vec::new(),
    })
}

fn source(parser: &mut Parser<'_>) -> Result<CopySource, ParserError> {
    if parser.consume_token(&Token::LParen) {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        return Ok(CopySource::Query(query));
    }
    let table_name: ObjectName = parser.parse_object_name(false)?;
    let mut columns = Vec::new();
    if parser.consume_token(&Token::LParen) {
        columns = parser.parse_comma_separated(Parser::parse_identifier)?;
        parser.expect_token(&Token::RParen)?;
    }
    Ok(CopySource::Table {
        table_name,
        columns,
    })
}

fn target(parser: &mut Parser<'_>) -> Result<CopyTarget, ParserError> {
    match peek_word(parser).as_deref() {
        Some("STDIN") => {
            parser.next_token();
            Ok(CopyTarget::Stdin)
        }
        Some("STDOUT") => {
            parser.next_token();
            Ok(CopyTarget::Stdout)
        }
        Some("PROGRAM") => {
            parser.next_token();
            Ok(CopyTarget::Program {
                command: parser.parse_literal_string()?,
            })
        }
        _ => Ok(CopyTarget::File {
            filename: parser.parse_literal_string()?,
        }),
    }
}

fn character(parser: &mut Parser<'_>, what: &str) -> Result<char, ParserError> {
    let text = parser.parse_literal_string()?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(error(format!(
            "COPY {what} must be a single one-byte character"
        ))),
    }
}

/// An option's boolean, in any of PostgreSQL's spellings; true where there is none.
fn boolean(parser: &mut Parser<'_>, name: &str) -> Result<bool, ParserError> {
    let value = match &parser.peek_token_ref().token {
        Token::Comma | Token::RParen => return Ok(true),
        Token::Word(word) => word.value.to_lowercase(),
        Token::Number(number, _) => number.clone(),
        Token::SingleQuotedString(text) => text.to_lowercase(),
        _ => String::new(),
    };
    parser.next_token();
    match value.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(error(format!("{name} requires a Boolean value"))),
    }
}

fn columns(parser: &mut Parser<'_>) -> Result<Vec<Ident>, ParserError> {
    if parser.consume_token(&Token::Mul) {
        return Ok(vec![Ident::new(ALL_COLUMNS)]);
    }
    parser.expect_token(&Token::LParen)?;
    let columns = parser.parse_comma_separated(Parser::parse_identifier)?;
    parser.expect_token(&Token::RParen)?;
    Ok(columns)
}

/// One option in parentheses.
fn option(parser: &mut Parser<'_>) -> Result<CopyOption, ParserError> {
    let name = parser.parse_identifier()?.value.to_lowercase();
    Ok(match name.as_str() {
        "format" => match &parser.peek_token_ref().token {
            Token::SingleQuotedString(_) => {
                CopyOption::Format(Ident::new(parser.parse_literal_string()?))
            }
            _ => CopyOption::Format(parser.parse_identifier()?),
        },
        "freeze" => CopyOption::Freeze(boolean(parser, "freeze")?),
        "delimiter" => CopyOption::Delimiter(character(parser, "delimiter")?),
        "null" => CopyOption::Null(parser.parse_literal_string()?),
        "header" => CopyOption::Header(boolean(parser, "header")?),
        "quote" => CopyOption::Quote(character(parser, "quote")?),
        "escape" => CopyOption::Escape(character(parser, "escape")?),
        "force_quote" => CopyOption::ForceQuote(columns(parser)?),
        "force_not_null" => CopyOption::ForceNotNull(columns(parser)?),
        "force_null" => CopyOption::ForceNull(columns(parser)?),
        "encoding" => CopyOption::Encoding(parser.parse_literal_string()?),
        _ => return Err(error(format!("option \"{name}\" not recognized"))),
    })
}

/// The options as they were written before PostgreSQL 9.0.
fn old_options(parser: &mut Parser<'_>, options: &mut Vec<CopyOption>) -> Result<(), ParserError> {
    while let Some(word) = peek_word(parser) {
        if word == "WHERE" {
            return Ok(());
        }
        parser.next_token();
        let option = match word.as_str() {
            "BINARY" => CopyOption::Format(Ident::new("binary")),
            "CSV" => CopyOption::Format(Ident::new("csv")),
            "FREEZE" => CopyOption::Freeze(true),
            "HEADER" => CopyOption::Header(true),
            "DELIMITER" | "DELIMITERS" => {
                take_word(parser, "AS");
                CopyOption::Delimiter(character(parser, "delimiter")?)
            }
            "NULL" => {
                take_word(parser, "AS");
                CopyOption::Null(parser.parse_literal_string()?)
            }
            "QUOTE" => {
                take_word(parser, "AS");
                CopyOption::Quote(character(parser, "quote")?)
            }
            "ESCAPE" => {
                take_word(parser, "AS");
                CopyOption::Escape(character(parser, "escape")?)
            }
            "ENCODING" => CopyOption::Encoding(parser.parse_literal_string()?),
            "FORCE" => forced(parser)?,
            _ => {
                return Err(error(format!(
                    "option \"{}\" not recognized",
                    word.to_lowercase()
                )));
            }
        };
        options.push(option);
    }
    Ok(())
}

/// FORCE QUOTE, FORCE NOT NULL, FORCE NULL, with columns that have no parentheses.
fn forced(parser: &mut Parser<'_>) -> Result<CopyOption, ParserError> {
    let make: fn(Vec<Ident>) -> CopyOption = if take_word(parser, "QUOTE") {
        CopyOption::ForceQuote
    } else if take_word(parser, "NOT") && take_word(parser, "NULL") {
        CopyOption::ForceNotNull
    } else if take_word(parser, "NULL") {
        CopyOption::ForceNull
    } else {
        return parser.expected_ref("QUOTE, NOT NULL or NULL", parser.peek_token_ref());
    };
    if parser.consume_token(&Token::Mul) {
        return Ok(make(vec![Ident::new(ALL_COLUMNS)]));
    }
    Ok(make(
        parser.parse_comma_separated(Parser::parse_identifier)?,
    ))
}

#[cfg(test)]
mod tests {
    use crate::sql::parse;

    fn printed(text: &str) -> String {
        let statements = parse::parse(text).unwrap();
        assert_eq!(statements.len(), 1, "{text}");
        statements[0].ast.to_string()
    }

    #[test]
    fn both_syntaxes_give_one_tree() {
        assert_eq!(
            printed("copy pgbench_accounts from stdin with (freeze on)"),
            "COPY pgbench_accounts FROM STDIN (FREEZE)"
        );
        for (old, new) in [
            (
                "COPY t (a, b) TO STDOUT WITH CSV HEADER QUOTE AS '\"' FORCE QUOTE a, b",
                "COPY t (a, b) TO STDOUT (FORMAT csv, HEADER, QUOTE '\"', FORCE_QUOTE (a, b))",
            ),
            (
                "COPY t FROM STDIN DELIMITER '|' NULL ''",
                "COPY t FROM STDIN (DELIMITER '|', NULL '')",
            ),
            (
                "COPY (SELECT 1) TO STDOUT CSV",
                "COPY (SELECT 1) TO STDOUT (FORMAT csv)",
            ),
        ] {
            assert_eq!(printed(old), printed(new));
        }
    }

    #[test]
    fn what_is_no_option_is_a_syntax_error() {
        for text in [
            "COPY t FROM STDIN WITH (foo)",
            "COPY t FROM STDIN WITH (DELIMITER 'ab')",
            "COPY t FROM STDIN WITH (HEADER maybe)",
            "COPY (SELECT 1) FROM STDIN",
            "COPY t SIDEWAYS STDIN",
        ] {
            assert_eq!(
                parse::parse(text).unwrap_err().sqlstate().as_str(),
                "42601",
                "{text}"
            );
        }
    }
}
