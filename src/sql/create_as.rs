//! CREATE TABLE, with the two things about AS that sqlparser does not read: names of columns without types,
//! and WITH [NO] DATA.
//!
//! The names are columns of no type; WITH NO DATA is the option [`NO_DATA_OPTION`].

use super::like;
use sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use sqlparser::ast::{
    ColumnDef, CreateTable, CreateTableOptions, DataType, Expr, Ident, OnCommit, SqlOption,
    Statement, Value,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The option that marks WITH NO DATA; no storage parameter has a name with blanks.
pub const NO_DATA_OPTION: &str = "with no data";

/// After CREATE [UNLOGGED] TABLE.
pub fn parse(parser: &mut Parser<'_>) -> Result<CreateTable, ParserError> {
    let made = match parser.maybe_parse(of_names)? {
        Some(table) => Some(table),
        None => parser.maybe_parse(like::create_table)?,
    };
    let mut table = match made {
        Some(table) => table,
        None => parser.parse_create_table(false, false, None, false)?,
    };
    if table.query.is_some() && parser.parse_keyword(Keyword::WITH) {
        let no_data = parser.parse_keyword(Keyword::NO);
        parser.expect_keyword(Keyword::DATA)?;
        if no_data {
            mark(&mut table, NO_DATA_OPTION);
        }
    }
    Ok(table)
}

/// As [`parse`], the whole statement.
pub fn statement(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    parse(parser).map(Statement::CreateTable)
}

/// Adds an option that says something else than storage.
pub fn mark(table: &mut CreateTable, option: &str) {
    let mark = SqlOption::KeyValue {
        key: Ident::with_quote('"', option),
        value: Expr::value(Value::Boolean(true)),
    };
    match &mut table.table_options {
        CreateTableOptions::With(options) => options.push(mark),
        options => *options = CreateTableOptions::With(vec![mark]),
    }
}

/// `[IF NOT EXISTS] t (a, b) [ON COMMIT …] AS query`
fn of_names(parser: &mut Parser<'_>) -> Result<CreateTable, ParserError> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    parser.expect_token(&Token::LParen)?;
    let names = parser.parse_comma_separated(Parser::parse_identifier)?;
    parser.expect_token(&Token::RParen)?;
    let on_commit = on_commit(parser)?;
    parser.expect_keyword(Keyword::AS)?;
    let query = parser.parse_query()?;
    let columns = names.into_iter().map(|name| ColumnDef {
        name,
        data_type: DataType::Unspecified,
        options: Vec::new(),
    });
    Ok(CreateTableBuilder::new(name)
        .if_not_exists(if_not_exists)
        .columns(columns.collect())
        .on_commit(on_commit)
        .query(Some(query))
        .build())
}

fn on_commit(parser: &mut Parser<'_>) -> Result<Option<OnCommit>, ParserError> {
    use Keyword::{COMMIT, DELETE, DROP, ON, PRESERVE, ROWS};
    if !parser.parse_keywords(&[ON, COMMIT]) {
        return Ok(None);
    }
    let what = match parser.expect_one_of_keywords(&[DELETE, PRESERVE, DROP])? {
        DROP => return Ok(Some(OnCommit::Drop)),
        DELETE => OnCommit::DeleteRows,
        _ => OnCommit::PreserveRows,
    };
    parser.expect_keyword(ROWS)?;
    Ok(Some(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    fn made(text: &str) -> CreateTable {
        match parse::parse_one(text).expect(text) {
            Statement::CreateTable(table) => table,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn names_of_columns_and_with_no_data_are_read() {
        let table = made("CREATE TABLE IF NOT EXISTS s.t (a, \"B\") AS SELECT 1, 2 WITH NO DATA");
        assert_eq!(table.columns.len(), 2);
        assert!(table.query.is_some() && table.if_not_exists);
        let CreateTableOptions::With(options) = &table.table_options else {
            panic!("no options");
        };
        assert!(
            matches!(&options[..], [SqlOption::KeyValue { key, .. }] if key.value == NO_DATA_OPTION)
        );
        let table = made("create unlogged table t as table u with data");
        assert!(table.query.is_some());
        let table = made("CREATE TABLE t (a int, b text DEFAULT 'x')");
        assert!(table.query.is_none() && table.columns.len() == 2);
        assert!(parse::parse("CREATE TABLE t AS SELECT 1 WITH NO").is_err());
    }
}
