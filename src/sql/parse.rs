//! Text to statements: sqlparser with the PostgreSQL dialect, errors in PostgreSQL's words.
//!
//! Promises: each statement comes with the span of its own text; a syntax error is 42601 with a
//! 1-based position in characters; no text, however nested or long, overflows the stack here or
//! when its tree is dropped (`sql::depth`, DESIGN §6 "Depth"). The stack is grown when a text
//! needs it, so that a session core with an ordinary stack may call this; texts over 8 KiB belong
//! on the query pool all the same, because they take long.

use super::depth;
use super::dialect::NodeDialect;
use super::literal_rows;
use crate::diagnostic::{Diagnostic, SqlState};
use sqlparser::ast;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError};
use std::ops::Range;

/// How deep sqlparser may recurse; nested parentheses take up to three levels each.
const PARSER_RECURSION_MAX: usize = 3 * depth::NESTING_MAX + 64;

/// One statement and where it stands in the text.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The tree; its depth is at most [`depth::TREE_DEPTH_MAX`].
    pub ast: ast::Statement,
    /// In bytes of the text, without the semicolon and surrounding blanks.
    pub span: Range<usize>,
}

/// The text of a message, checked to be UTF-8 without NUL bytes.
///
/// # Errors
/// 22021, as PostgreSQL words it, naming the bytes.
pub fn text(bytes: &[u8]) -> Result<&str, Diagnostic> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.as_bytes().contains(&0) => Ok(text),
        Ok(_) => Err(invalid_bytes(&[0])),
        Err(error) => {
            let bad = &bytes[error.valid_up_to()..];
            let expected = match bad[0] {
                0xC2..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF4 => 4,
                _ => 1,
            };
            Err(invalid_bytes(&bad[..expected.min(bad.len())]))
        }
    }
}

fn invalid_bytes(bytes: &[u8]) -> Diagnostic {
    let listed: Vec<String> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
    Diagnostic::error(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!(
            "invalid byte sequence for encoding \"UTF8\": {}",
            listed.join(" ")
        ),
    )
}

/// All statements of a text; empty ones are left out. The rows of a long INSERT may have stayed text
/// ([`literal_rows`]).
///
/// # Errors
/// 42601 with a position; 54001 for a tree that is too deep.
pub fn parse(text: &str) -> Result<Vec<Statement>, Diagnostic> {
    match literal_rows::statement(text) {
        Some(statement) => Ok(vec![statement]),
        None => parse_whole(text),
    }
}

/// As [`parse`], and the tree has everything that is in the text.
pub(super) fn parse_whole(text: &str) -> Result<Vec<Statement>, Diagnostic> {
    let mut tokens = Vec::new();
    Tokenizer::new(&NodeDialect, text)
        .tokenize_with_location_into_buf(&mut tokens)
        .map_err(|error| tokenizer_error(text, &error))?;
    let needed = depth::stack_bytes_needed(&tokens)?;
    let misplaced = misplaced_keyword(text, &tokens);
    super::row_locks::rewrite(&mut tokens);
    super::overriding::rewrite(&mut tokens);
    super::conflict_target::rewrite(&mut tokens);
    super::table_command::rewrite(&mut tokens);
    super::drop_index::rewrite(&mut tokens);
    super::row_stars::rewrite(&mut tokens);
    super::frame_bounds::rewrite(&mut tokens);
    super::only::rewrite(&mut tokens);
    // Parsing, balancing and dropping what is refused all recurse on the unbalanced tree.
    let parsed = stacker::maybe_grow(needed, needed, || parse_tokens(text, tokens));
    match (parsed, misplaced) {
        (Err(error), Some(misplaced))
            if error.fields().position < misplaced.fields().position
                || error.sqlstate() != SqlState::SYNTAX_ERROR =>
        {
            Err(error)
        }
        (_, Some(misplaced)) => Err(misplaced),
        (parsed, None) => parsed,
    }
}

/// A reserved word where an operand must stand, which sqlparser takes for a name: `SELECT a, FROM t`.
fn misplaced_keyword(text: &str, tokens: &[TokenWithSpan]) -> Option<Diagnostic> {
    let mut before = &Token::EOF;
    for TokenWithSpan { token, span } in tokens {
        if matches!(token, Token::Whitespace(_)) {
            continue;
        }
        let wants_more = matches!(before, Token::Comma | Token::Eq)
            || matches!(before, Token::Word(word) if matches!(
                word.keyword,
                Keyword::SET | Keyword::FROM | Keyword::WHERE | Keyword::HAVING
            ));
        if wants_more && is_reserved(token) {
            let start = Places::new(text).offset(span.start);
            return Some(near("syntax error", text, start, &token.to_string()));
        }
        before = token;
    }
    None
}

fn is_reserved(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && matches!(
        word.keyword,
        Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::ORDER
            | Keyword::HAVING
            | Keyword::UNION
            | Keyword::INTERSECT
            | Keyword::EXCEPT
            | Keyword::AND
            | Keyword::OR
            | Keyword::THEN
            | Keyword::WHEN
            | Keyword::ELSE
            | Keyword::INTO
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::RETURNING
    ))
}

/// The one statement of a text, such as a view's query kept in the catalog.
///
/// # Errors
/// As [`parse`]; 42601 for none or several.
pub fn parse_one(text: &str) -> Result<ast::Statement, Diagnostic> {
    let mut statements = parse_whole(text)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(only), true) => Ok(only.ast),
        (None, _) => Err(at_end_of_input(text)),
        (Some(_), false) => Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "cannot insert multiple commands into a prepared statement",
        )),
    }
}

/// One scalar expression, such as a DEFAULT or CHECK kept as text in the catalog.
///
/// # Errors
/// As [`parse`].
pub fn parse_expression(text: &str) -> Result<ast::Expr, Diagnostic> {
    let mut statements = parse_whole(&format!("SELECT {text}"))?;
    let single = (statements.len() == 1).then(|| statements.pop()).flatten();
    let Some(ast::Statement::Query(query)) = single.map(|statement| statement.ast) else {
        return Err(Diagnostic::error(SqlState::SYNTAX_ERROR, "syntax error"));
    };
    match *query.body {
        ast::SetExpr::Select(mut select) if select.projection.len() == 1 => {
            match select.projection.pop() {
                Some(ast::SelectItem::UnnamedExpr(expression)) => Ok(expression),
                _ => Err(Diagnostic::error(SqlState::SYNTAX_ERROR, "syntax error")),
            }
        }
        _ => Err(Diagnostic::error(SqlState::SYNTAX_ERROR, "syntax error")),
    }
}

fn parse_tokens(text: &str, tokens: Vec<TokenWithSpan>) -> Result<Vec<Statement>, Diagnostic> {
    let mut places = Places::new(text);
    let mut parser = Parser::new(&NodeDialect)
        .with_recursion_limit(PARSER_RECURSION_MAX)
        .with_tokens_with_locations(tokens);
    let mut statements = Vec::new();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        let first = parser.peek_token_ref();
        if first.token == Token::EOF {
            return Ok(statements);
        }
        let start = places.offset(first.span.start);
        let mut tree = parser.parse_statement().map_err(|error| {
            super::absent::command(&text[start..])
                .unwrap_or_else(|| parser_error(text, &parser, &error))
        })?;
        let next = parser.peek_token_ref();
        let end = match next.token {
            Token::EOF => text.len(),
            Token::SemiColon => places.offset(next.span.start),
            _ => {
                return Err(super::absent::command(&text[start..])
                    .unwrap_or_else(|| syntax_error_at(text, &parser, next.span.start)));
            }
        };
        depth::balance(&mut tree);
        depth::check(&tree)?;
        if let Some(behind) = super::joins::without_condition(&tree) {
            return Err(syntax_error_behind(text, &parser, behind));
        }
        statements.push(Statement {
            ast: tree,
            span: start..start + text[start..end].trim_end().len(),
        });
    }
}

/// Turns sqlparser's line and column into byte offsets, going forwards only.
struct Places<'t> {
    text: &'t str,
    offset: usize,
    at: Location,
}

impl<'t> Places<'t> {
    fn new(text: &'t str) -> Self {
        Places {
            text,
            offset: 0,
            at: Location { line: 1, column: 1 },
        }
    }

    /// The byte offset of a place; the end of the text for a place past it.
    fn offset(&mut self, wanted: Location) -> usize {
        if wanted < self.at {
            *self = Places::new(self.text);
        }
        for character in self.text[self.offset..].chars() {
            if self.at >= wanted {
                break;
            }
            if character == '\n' {
                self.at.line += 1;
                self.at.column = 1;
            } else {
                self.at.column += 1;
            }
            self.offset += character.len_utf8();
        }
        self.offset
    }
}

fn parser_error(text: &str, parser: &Parser<'_>, error: &ParserError) -> Diagnostic {
    match error {
        ParserError::RecursionLimitExceeded => depth::too_deep(),
        ParserError::ParserError(message) if message.ends_with(" is not supported") => {
            Diagnostic::error(SqlState::FEATURE_NOT_SUPPORTED, message)
        }
        ParserError::ParserError(message) if message.contains(", found: EOF") => {
            at_end_of_input(text)
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            match location_in(message) {
                Some(location) => syntax_error_at(text, parser, location),
                // Without a place, the token that was reached is the best one can name.
                None => syntax_error_at(text, parser, parser.get_current_token().span.start),
            }
        }
    }
}

/// The place at the end of sqlparser's messages: ` at Line: 1, Column: 8`.
fn location_in(message: &str) -> Option<Location> {
    let (_, tail) = message.rsplit_once(" at Line: ")?;
    let (line, column) = tail.split_once(", Column: ")?;
    Some(Location {
        line: line.parse().ok()?,
        column: column.trim_end().parse().ok()?,
    })
}

/// `syntax error at or near "x"`, or `at end of input` past the last token.
fn syntax_error_at(text: &str, parser: &Parser<'_>, location: Location) -> Diagnostic {
    let found = (0..)
        .map(|index| parser.token_at(index))
        .take_while(|token| token.token != Token::EOF)
        .find(|token| token.span.start == location);
    match found {
        Some(token) if !matches!(token.token, Token::Whitespace(_)) && location.line > 0 => {
            let mut places = Places::new(text);
            let start = places.offset(token.span.start);
            let end = places.offset(token.span.end).max(start);
            near("syntax error", text, start, &text[start..end])
        }
        _ => at_end_of_input(text),
    }
}

/// As [`syntax_error_at`], of the next token behind a place.
fn syntax_error_behind(text: &str, parser: &Parser<'_>, place: Location) -> Diagnostic {
    let next = (0..)
        .map(|index| parser.token_at(index))
        .take_while(|token| token.token != Token::EOF)
        .find(|token| token.span.start >= place && !matches!(token.token, Token::Whitespace(_)));
    match next {
        Some(token) => syntax_error_at(text, parser, token.span.start),
        None => at_end_of_input(text),
    }
}

fn at_end_of_input(text: &str) -> Diagnostic {
    Diagnostic::error(SqlState::SYNTAX_ERROR, "syntax error at end of input")
        .with_position(position(text, text.len()))
}

fn near(what: &str, text: &str, start: usize, token: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        format!("{what} at or near \"{token}\""),
    )
    .with_position(position(text, start))
}

/// PostgreSQL's position: 1-based, in characters.
fn position(text: &str, offset: usize) -> u32 {
    u32::try_from(text[..offset].chars().count() + 1).unwrap_or(u32::MAX)
}

fn tokenizer_error(text: &str, error: &TokenizerError) -> Diagnostic {
    let start = Places::new(text).offset(error.location);
    let unterminated = [
        ("Unterminated string literal", "unterminated quoted string"),
        (
            "Unterminated encoded string literal",
            "unterminated quoted string",
        ),
        (
            "Unterminated dollar-quoted",
            "unterminated dollar-quoted string",
        ),
        ("Expected close delimiter", "unterminated quoted identifier"),
        (
            "Unexpected EOF while in a multi-line comment",
            "unterminated /* comment",
        ),
    ];
    for (theirs, ours) in unterminated {
        if error.message.starts_with(theirs) {
            let start = unterminated_start(text, start, ours);
            return near(ours, text, start, &text[start..]);
        }
    }
    let token = text[start..].chars().next().map(String::from);
    match token {
        Some(token) => near("syntax error", text, start, &token),
        None => at_end_of_input(text),
    }
}

/// sqlparser points at the end of an unterminated comment; PostgreSQL at its beginning.
fn unterminated_start(text: &str, reported: usize, what: &str) -> usize {
    match what {
        "unterminated /* comment" => text.rfind("/*").unwrap_or(reported),
        "unterminated dollar-quoted string" => text.find('$').unwrap_or(reported),
        _ => reported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> (String, Option<u32>) {
        let error = parse(text).expect_err("the text is wrong");
        assert_eq!(error.sqlstate(), SqlState::SYNTAX_ERROR, "{text}");
        (error.message().to_owned(), error.fields().position)
    }

    #[test]
    fn statements_come_with_the_spans_of_their_text() {
        let text = " SELECT 1 ; \n UPDATE t SET a = 'é' ;; DELETE FROM t";
        let spans: Vec<&str> = parse(text)
            .expect("parses")
            .into_iter()
            .map(|statement| &text[statement.span])
            .collect();
        assert_eq!(spans, ["SELECT 1", "UPDATE t SET a = 'é'", "DELETE FROM t"]);
    }

    #[test]
    fn empty_texts_are_no_statements() {
        for text in ["", " ", ";", " ; -- nothing\n;", "/* */"] {
            assert!(parse(text).expect("parses").is_empty(), "{text:?}");
        }
    }

    #[test]
    fn syntax_errors_name_the_token_and_its_position() {
        let near = |token: &str| format!("syntax error at or near \"{token}\"");
        assert_eq!(failure("SELEC 1"), (near("SELEC"), Some(1)));
        assert_eq!(
            failure("SELECT 1 FROM"),
            ("syntax error at end of input".into(), Some(14))
        );
        assert_eq!(
            failure("SELECT 'é', FROM t WHERE"),
            (near("FROM"), Some(13))
        );
        assert_eq!(failure("SELECT 1; SELECT 2 )"), (near(")"), Some(20)));
        assert_eq!(
            failure("UPDATE t SET\nWHERE a = 1"),
            (near("WHERE"), Some(14))
        );
    }

    #[test]
    fn unterminated_tokens_are_worded_as_postgresql_words_them() {
        assert_eq!(
            failure("SELECT 'abc"),
            (
                "unterminated quoted string at or near \"'abc\"".into(),
                Some(8)
            )
        );
        assert_eq!(
            failure("SELECT \"abc"),
            (
                "unterminated quoted identifier at or near \"\"abc\"".into(),
                Some(8)
            )
        );
        assert_eq!(
            failure("SELECT 1 /* abc"),
            (
                "unterminated /* comment at or near \"/* abc\"".into(),
                Some(10)
            )
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_22021() {
        let error = text(b"SELECT '\xe4bc'").expect_err("not UTF-8");
        assert_eq!(error.sqlstate(), SqlState::CHARACTER_NOT_IN_REPERTOIRE);
        assert_eq!(
            error.message(),
            "invalid byte sequence for encoding \"UTF8\": 0xe4 0x62 0x63"
        );
        assert!(text(b"SELECT '\0'").is_err());
        assert!(text("SELECT 'é'".as_bytes()).is_ok());
    }

    #[test]
    fn adjacent_literals_across_a_newline_are_one() {
        let statements = parse("SELECT 'a'\n'b'").expect("parses");
        assert_eq!(statements[0].ast.to_string(), "SELECT 'ab'");
    }
}
