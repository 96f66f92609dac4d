//! `CREATE TABLE t (LIKE u INCLUDING …, a int)`: LIKE among the columns, with all its options.
//!
//! Each is a column of a name that no text can have; its type is the other table's name with the options
//! as the type's modifiers.

use super::utility::word;
use sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use sqlparser::ast::{
    ColumnDef, CreateTable, CreateTableOptions, DataType, Ident, ObjectName, TableConstraint,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The name of such a column: no text of a client has its last character.
const MARK: &str = "like\0";

/// What may be taken over; ALL is all of them.
const KINDS: &[&str] = &[
    "ALL",
    "COMMENTS",
    "COMPRESSION",
    "CONSTRAINTS",
    "DEFAULTS",
    "GENERATED",
    "IDENTITY",
    "INDEXES",
    "STATISTICS",
    "STORAGE",
];

/// One option: `INCLUDING INDEXES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<'a> {
    /// INCLUDING rather than EXCLUDING.
    pub including: bool,
    /// What, in capitals.
    pub kind: &'a str,
}

/// The table that the column stands for, and the options, if it is LIKE.
pub fn of(column: &ColumnDef) -> Option<(&ObjectName, Vec<Taken<'_>>)> {
    let DataType::Custom(table, words) = &column.data_type else {
        return None;
    };
    if column.name.value != MARK {
        return None;
    }
    let options = words.iter().map(|word| match word.strip_prefix('+') {
        Some(kind) => Taken {
            including: true,
            kind,
        },
        None => Taken {
            including: false,
            kind: word.trim_start_matches('-'),
        },
    });
    Some((table, options.collect()))
}

/// `[IF NOT EXISTS] t (…) [WITH (…)]` with a LIKE in it.
pub fn create_table(parser: &mut Parser<'_>) -> Result<CreateTable, ParserError> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    parser.expect_token(&Token::LParen)?;
    let mut columns: Vec<ColumnDef> = Vec::new();
    let mut constraints: Vec<TableConstraint> = Vec::new();
    loop {
        if parser.parse_keyword(Keyword::LIKE) {
            columns.push(like(parser)?);
        } else if let Some(constraint) = parser.parse_optional_table_constraint()? {
            constraints.push(constraint);
        } else {
            columns.push(parser.parse_column_def()?);
        }
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen)?;
    if !columns.iter().any(|column| of(column).is_some()) {
        return parser.expected_ref("LIKE", parser.peek_token_ref());
    }
    let options = parser.parse_options(Keyword::WITH)?;
    let mut table = CreateTableBuilder::new(name)
        .if_not_exists(if_not_exists)
        .columns(columns)
        .constraints(constraints);
    if !options.is_empty() {
        table = table.table_options(CreateTableOptions::With(options));
    }
    Ok(table.build())
}

fn like(parser: &mut Parser<'_>) -> Result<ColumnDef, ParserError> {
    let table = parser.parse_object_name(false)?;
    let mut options = Vec::new();
    loop {
        let sign = match word(parser, 0).as_deref() {
            Some("INCLUDING") => '+',
            Some("EXCLUDING") => '-',
            _ => break,
        };
        parser.next_token();
        match word(parser, 0).filter(|kind| KINDS.contains(&kind.as_str())) {
            Some(kind) => options.push(format!("{sign}{kind}")),
            None => return parser.expected_ref("what LIKE includes", parser.peek_token_ref()),
        }
        parser.next_token();
    }
    Ok(ColumnDef {
        name: Ident::with_quote('"', MARK),
        data_type: DataType::Custom(table, options),
        options: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;
    use sqlparser::ast::Statement;

    fn made(text: &str) -> CreateTable {
        match parse::parse_one(text).expect(text) {
            Statement::CreateTable(table) => table,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn like_stands_among_columns_and_constraints() {
        let table = made(
            "CREATE TABLE IF NOT EXISTS s.t (a int, LIKE u INCLUDING ALL EXCLUDING indexes,
             CHECK (a > 0), LIKE \"V\") WITH (fillfactor = 70)",
        );
        assert_eq!((table.columns.len(), table.constraints.len()), (3, 1));
        assert_eq!(of(&table.columns[0]), None);
        let (source, options) = of(&table.columns[1]).expect("a LIKE");
        assert_eq!(source.to_string(), "u");
        let option = |including, kind| Taken { including, kind };
        assert_eq!(options, [option(true, "ALL"), option(false, "INDEXES")]);
        let (source, options) = of(&table.columns[2]).expect("a LIKE");
        assert_eq!((source.to_string(), options.len()), ("\"V\"".to_owned(), 0));
        assert!(parse::parse("CREATE TABLE t (LIKE u INCLUDING nothing)").is_err());
    }
}
