//! Statements of PostgreSQL's that sqlparser reads otherwise or not at all: VACUUM, ANALYZE,
//! CREATE UNLOGGED TABLE, COPY, CREATE SEQUENCE, ALTER of relations.
//!
//! They are given the tree nodes that sqlparser has: `Vacuum` and `Analyze` of one table, and
//! `CreateTable` with the option [`UNLOGGED_OPTION`].

use super::create_as;
use super::fetch::{self, Verb};
use super::sequence;
use sqlparser::ast::{
    Analyze, Ident, ObjectName, Reset, ResetStatement, Statement, VacuumStatement,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The option that marks an unlogged table; no storage parameter has a name with a blank.
pub const UNLOGGED_OPTION: &str = "unlogged table";

/// Options in the old syntax and in parentheses.
const OPTIONS: &[&str] = &[
    "FULL",
    "FREEZE",
    "VERBOSE",
    "ANALYZE",
    "ANALYSE",
    "DISABLE_PAGE_SKIPPING",
    "SKIP_LOCKED",
    "INDEX_CLEANUP",
    "PROCESS_TOAST",
    "TRUNCATE",
    "PARALLEL",
];

/// The statement, if it is one of these.
pub fn parse_statement(parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
    let first = word(parser, 0)?;
    match first.as_str() {
        "VACUUM" => {
            parser.next_token();
            Some(vacuum(parser))
        }
        "ANALYZE" | "ANALYSE" => {
            parser.next_token();
            Some(analyze(parser))
        }
        "FETCH" | "MOVE" => {
            parser.next_token();
            let verb = if first == "MOVE" {
                Verb::Move
            } else {
                Verb::Fetch
            };
            Some(fetch::parse(parser, verb))
        }
        "DO" => super::code_block::statement(parser),
        "RESET" => reset(parser),
        "COMMENT" => super::comment::parse(parser),
        "SET" => super::constraint_timing::parse(parser),
        "ABORT" => {
            parser.next_token();
            Some(parser.parse_rollback())
        }
        "COPY" => {
            parser.next_token();
            Some(super::copy::parse(parser))
        }
        "CREATE" if word(parser, 1).as_deref() == Some("SEQUENCE") => {
            parser.next_token();
            parser.next_token();
            Some(sequence::create(parser))
        }
        "ALTER" => super::alter::parse(parser).or_else(|| super::user_type::parse(parser)),
        "CREATE" if word(parser, 1).as_deref() == Some("TABLE") => {
            parser.next_token();
            parser.next_token();
            Some(create_as::statement(parser))
        }
        "CREATE" if temporary_words(parser) > 0 => {
            for _ in 0..temporary_words(parser) {
                parser.next_token();
            }
            Some(temporary_table(parser))
        }
        "CREATE"
            if word(parser, 1).as_deref() == Some("UNLOGGED")
                && word(parser, 2).as_deref() == Some("TABLE") =>
        {
            parser.next_token();
            parser.next_token();
            Some(unlogged_table(parser))
        }
        _ => None,
    }
}

/// RESET SESSION AUTHORIZATION and RESET TIME ZONE, of which sqlparser reads one word.
fn reset(parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
    let (words, setting) = match word(parser, 1)?.as_str() {
        "SESSION" if word(parser, 2)? == "AUTHORIZATION" => (3, "session_authorization"),
        "TIME" if word(parser, 2)? == "ZONE" => (3, "timezone"),
        _ => return None,
    };
    for _ in 0..words {
        parser.next_token();
    }
    let name = ObjectName::from(vec![Ident::new(setting)]);
    Some(Ok(Statement::Reset(ResetStatement {
        reset: Reset::ConfigurationParameter(name),
    })))
}

/// The unquoted word that comes after so many tokens, in capitals.
pub fn word(parser: &Parser<'_>, ahead: usize) -> Option<String> {
    match &parser.peek_nth_token_ref(ahead).token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

fn skip_options(parser: &mut Parser<'_>) -> Result<(), ParserError> {
    if parser.consume_token(&Token::LParen) {
        loop {
            let option = parser.parse_identifier()?;
            if !OPTIONS.contains(&option.value.to_uppercase().as_str()) {
                return Err(ParserError::ParserError(format!(
                    "unrecognized VACUUM option \"{}\"",
                    option.value.to_lowercase()
                )));
            }
            if !matches!(parser.peek_token_ref().token, Token::Comma | Token::RParen) {
                parser.next_token();
            }
            if !parser.consume_token(&Token::Comma) {
                return parser.expect_token(&Token::RParen).map(|_| ());
            }
        }
    }
    while let Some(option) = word(parser, 0) {
        if !OPTIONS[..5].contains(&option.as_str()) {
            break;
        }
        parser.next_token();
    }
    Ok(())
}

/// The one table, its columns passed over; several are not there.
fn table(parser: &mut Parser<'_>, command: &str) -> Result<Option<ObjectName>, ParserError> {
    if matches!(parser.peek_token_ref().token, Token::EOF | Token::SemiColon) {
        return Ok(None);
    }
    let name = parser.parse_object_name(false)?;
    if parser.consume_token(&Token::LParen) {
        parser.parse_comma_separated(Parser::parse_identifier)?;
        parser.expect_token(&Token::RParen)?;
    }
    if parser.peek_token_ref().token == Token::Comma {
        return Err(ParserError::ParserError(format!(
            "{command} of several tables is not supported"
        )));
    }
    Ok(Some(name))
}

fn vacuum(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    skip_options(parser)?;
    Ok(Statement::Vacuum(VacuumStatement {
        full: false,
        sort_only: false,
        delete_only: false,
        reindex: false,
        recluster: false,
        table_name: table(parser, "VACUUM")?,
        threshold: None,
        boost: false,
    }))
}

fn analyze(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    skip_options(parser)?;
    Ok(Statement::Analyze(Analyze {
        table_name: table(parser, "ANALYZE")?,
        partitions: None,
        for_columns: false,
        columns: Vec::new(),
        cache_metadata: false,
        noscan: false,
        compute_statistics: false,
        has_table_keyword: false,
    }))
}

/// How many words CREATE [LOCAL | GLOBAL] {TEMPORARY | TEMP} TABLE has here; 0: another statement.
fn temporary_words(parser: &Parser<'_>) -> usize {
    let is = |at: usize, words: &[&str]| {
        let found = word(parser, at);
        found.is_some_and(|found| words.contains(&found.as_str()))
    };
    let first = 1 + usize::from(is(1, &["LOCAL", "GLOBAL"]));
    match is(first, &["TEMPORARY", "TEMP"]) && is(first + 1, &["TABLE"]) {
        true => first + 2,
        false => 0,
    }
}

fn temporary_table(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    let mut table = create_as::parse(parser)?;
    table.temporary = true;
    Ok(Statement::CreateTable(table))
}

fn unlogged_table(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    parser.expect_keyword(Keyword::TABLE)?;
    let mut table = create_as::parse(parser)?;
    create_as::mark(&mut table, UNLOGGED_OPTION);
    Ok(Statement::CreateTable(table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;
    use sqlparser::ast::CreateTableOptions;

    fn one(text: &str) -> Statement {
        parse::parse_one(text).expect(text)
    }

    #[test]
    fn vacuum_and_analyze_are_read_as_postgresql_writes_them() {
        for (text, named) in [
            ("vacuum analyze pgbench_branches", Some("pgbench_branches")),
            (
                "VACUUM (FULL, VERBOSE false, ANALYZE) s.t (a, b)",
                Some("s.t"),
            ),
            ("VACUUM FULL FREEZE VERBOSE t", Some("t")),
            ("VACUUM", None),
        ] {
            let Statement::Vacuum(vacuum) = one(text) else {
                panic!("{text}");
            };
            let found = vacuum.table_name.map(|name| name.to_string());
            assert_eq!(found.as_deref(), named, "{text}");
        }
        assert!(matches!(one("ANALYZE VERBOSE t"), Statement::Analyze(_)));
        assert!(parse::parse("VACUUM (NOTHING) t").is_err());
    }

    #[test]
    fn temporary_tables_are_told_whatever_the_words() {
        for (text, on_commit) in [
            ("CREATE TEMP TABLE t (a int) ON COMMIT DROP", true),
            (
                "create local temporary table t (a, b) as select 1, 2",
                false,
            ),
            (
                "CREATE GLOBAL TEMP TABLE t ON COMMIT DELETE ROWS AS SELECT 1",
                true,
            ),
            ("CREATE TEMPORARY TABLE IF NOT EXISTS t (LIKE u)", false),
        ] {
            let Statement::CreateTable(table) = one(text) else {
                panic!("{text}");
            };
            assert!(table.temporary, "{text}");
            assert_eq!(table.on_commit.is_some(), on_commit, "{text}");
        }
    }

    #[test]
    fn an_unlogged_table_is_marked() {
        let Statement::CreateTable(table) =
            one("create unlogged table t(a int) with (fillfactor=100)")
        else {
            panic!("no table");
        };
        let CreateTableOptions::With(options) = table.table_options else {
            panic!("no options");
        };
        assert_eq!(options.len(), 2);
    }
}
