//! Sequences, of which sqlparser reads less than PostgreSQL has: CREATE SEQUENCE and identity columns with
//! their options in any order, RESTART, a sequence's name and type among the options.
//!
//! They are given the tree nodes that sqlparser has. What it has no option for is a START of a tuple:
//! a mark, and what it is about ([`Extra`]).

use super::utility::word;
use sqlparser::ast::{
    CastKind, ColumnOption, DataType, Expr, GeneratedAs, Ident, ObjectName, ObjectNamePart,
    SequenceOptions, Statement, Value,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// An option of a sequence that sqlparser has no node for.
#[derive(Clone, Debug, PartialEq)]
pub enum Extra {
    /// SEQUENCE NAME, which pg_dump writes.
    Name(ObjectName),
    /// RESTART \[WITH value\]
    Restart(Option<Box<Expr>>),
    /// AS type
    Type(DataType),
    /// SET GENERATED and its like: the identity is there already.
    Altered,
    /// DROP IDENTITY, with IF EXISTS or without.
    Dropped {
        /// IF EXISTS
        if_exists: bool,
    },
}

const NAME: &str = "sequence name";
const RESTART: &str = "restart";
const TYPE: &str = "type";
const ALTERED: &str = "altered identity";
const DROPPED: &str = "dropped identity";

impl Extra {
    /// As an option that sqlparser has; no text is read as such a tuple.
    pub fn option(self) -> SequenceOptions {
        let (mark, about) = match self {
            Extra::Name(name) => (NAME, vec![Expr::CompoundIdentifier(identifiers(name))]),
            Extra::Restart(value) => (RESTART, value.map(|value| *value).into_iter().collect()),
            Extra::Type(data_type) => (
                TYPE,
                vec![Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(Expr::value(Value::Null)),
                    data_type,
                    array: false,
                    format: None,
                }],
            ),
            Extra::Altered => (ALTERED, Vec::new()),
            Extra::Dropped { if_exists } => (DROPPED, vec![Expr::value(Value::Boolean(if_exists))]),
        };
        let mut parts = vec![Expr::Identifier(Ident::with_quote('"', mark))];
        parts.extend(about);
        SequenceOptions::StartWith(Expr::Tuple(parts), true)
    }

    /// What the option says, if it is one of these.
    pub fn of(option: &SequenceOptions) -> Option<Extra> {
        let SequenceOptions::StartWith(Expr::Tuple(parts), true) = option else {
            return None;
        };
        let (Expr::Identifier(mark), about) = parts.split_first()? else {
            return None;
        };
        match (mark.value.as_str(), about) {
            (NAME, [Expr::CompoundIdentifier(name)]) => Some(Extra::Name(object_name(name))),
            (RESTART, value) => Some(Extra::Restart(value.first().cloned().map(Box::new))),
            (TYPE, [Expr::Cast { data_type, .. }]) => Some(Extra::Type(data_type.clone())),
            (ALTERED, []) => Some(Extra::Altered),
            (DROPPED, [Expr::Value(value)]) => Some(Extra::Dropped {
                if_exists: value.value == Value::Boolean(true),
            }),
            _ => None,
        }
    }
}

fn object_name(parts: &[Ident]) -> ObjectName {
    let parts = parts.iter().cloned();
    ObjectName(parts.map(ObjectNamePart::Identifier).collect())
}

/// The plain names of a name.
pub fn identifiers(name: ObjectName) -> Vec<Ident> {
    let parts = name.0.into_iter();
    parts.filter_map(|part| part.as_ident().cloned()).collect()
}

/// `GENERATED … AS IDENTITY [(options)]` of a column's definition; nothing is taken of anything else.
pub fn identity_column(parser: &mut Parser<'_>) -> Option<Result<ColumnOption, ParserError>> {
    let words: Vec<Option<String>> = (0..5).map(|ahead| word(parser, ahead)).collect();
    let words: Vec<&str> = words.iter().map_while(Option::as_deref).collect();
    let (generated_as, taken) = match words[..] {
        ["GENERATED", "ALWAYS", "AS", "IDENTITY", ..] => (GeneratedAs::Always, 4),
        ["GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"] => (GeneratedAs::ByDefault, 5),
        _ => return None,
    };
    for _ in 0..taken {
        parser.next_token();
    }
    Some(
        parenthesized_options(parser).map(|options| ColumnOption::Generated {
            generated_as,
            sequence_options: Some(options),
            generation_expr: None,
            generation_expr_mode: None,
            generated_keyword: true,
        }),
    )
}

/// `[(options)]`, in any order, as they stand behind AS IDENTITY.
pub fn parenthesized_options(parser: &mut Parser<'_>) -> Result<Vec<SequenceOptions>, ParserError> {
    let mut options = Vec::new();
    if parser.consume_token(&Token::LParen) {
        while let Some(option) = word(parser, 0) {
            parser.next_token();
            options.push(sequence_option(parser, &option)?);
        }
        parser.expect_token(&Token::RParen)?;
    }
    Ok(options)
}

/// After CREATE SEQUENCE: options in any order.
pub fn create(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    let mut data_type = None;
    let mut owned_by = None;
    let mut sequence_options = Vec::new();
    while let Some(option) = word(parser, 0) {
        parser.next_token();
        match option.as_str() {
            "AS" => data_type = Some(parser.parse_data_type()?),
            "OWNED" => {
                parser.expect_keyword(Keyword::BY)?;
                owned_by = Some(parser.parse_object_name(false)?);
            }
            other => sequence_options.push(sequence_option(parser, other)?),
        }
    }
    Ok(Statement::CreateSequence {
        temporary: false,
        if_not_exists,
        name,
        data_type,
        sequence_options,
        owned_by,
    })
}

/// The option that this word, which is taken already, begins.
pub fn sequence_option(
    parser: &mut Parser<'_>,
    option: &str,
) -> Result<SequenceOptions, ParserError> {
    Ok(match option {
        "AS" => Extra::Type(parser.parse_data_type()?).option(),
        "SEQUENCE" if word(parser, 0).as_deref() == Some("NAME") => {
            parser.next_token();
            Extra::Name(parser.parse_object_name(false)?).option()
        }
        "RESTART" => {
            let with = parser.parse_keyword(Keyword::WITH);
            let signed =
                |token: &Token| matches!(token, Token::Number(..) | Token::Minus | Token::Plus);
            let value = match with || signed(&parser.peek_token_ref().token) {
                true => Some(Box::new(parser.parse_expr()?)),
                false => None,
            };
            Extra::Restart(value).option()
        }
        "INCREMENT" => {
            let by = parser.parse_keyword(Keyword::BY);
            SequenceOptions::IncrementBy(parser.parse_expr()?, by)
        }
        "START" => {
            let with = parser.parse_keyword(Keyword::WITH);
            SequenceOptions::StartWith(parser.parse_expr()?, with)
        }
        "MINVALUE" => SequenceOptions::MinValue(Some(parser.parse_expr()?)),
        "MAXVALUE" => SequenceOptions::MaxValue(Some(parser.parse_expr()?)),
        "CACHE" => SequenceOptions::Cache(parser.parse_expr()?),
        // sqlparser's flag is of NO CYCLE.
        "CYCLE" => SequenceOptions::Cycle(false),
        "NO" => match word(parser, 0).as_deref() {
            Some("MINVALUE") => {
                parser.next_token();
                SequenceOptions::MinValue(None)
            }
            Some("MAXVALUE") => {
                parser.next_token();
                SequenceOptions::MaxValue(None)
            }
            _ => {
                parser.expect_keyword(Keyword::CYCLE)?;
                SequenceOptions::Cycle(true)
            }
        },
        _ => {
            parser.prev_token();
            return parser.expected_ref("an option of a sequence", parser.peek_token_ref());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    fn one(text: &str) -> Statement {
        parse::parse_one(text).expect(text)
    }

    #[test]
    fn a_sequences_options_stand_in_any_order() {
        let text = "create sequence s no cycle start 5 cache 3 increment -2 maxvalue 9 as int";
        let Statement::CreateSequence {
            sequence_options,
            data_type,
            ..
        } = one(text)
        else {
            panic!("no sequence");
        };
        assert_eq!(sequence_options.len(), 5);
        assert!(data_type.is_some());
        assert!(parse::parse("create sequence s backwards").is_err());
    }

    #[test]
    fn an_identity_columns_options_stand_in_any_order() {
        let text = "create table t (a int generated by default as identity (start 5 increment 2) primary key,
            b int generated always as identity, c int generated always as (a + 1) stored)";
        let Statement::CreateTable(table) = one(text) else {
            panic!("no table");
        };
        let counts: Vec<Option<usize>> = table
            .columns
            .iter()
            .map(|column| match &column.options[0].option {
                ColumnOption::Generated {
                    sequence_options, ..
                } => sequence_options.as_ref().map(Vec::len),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(counts, [Some(2), Some(0), None]);
    }

    #[test]
    fn what_sqlparser_has_no_option_for_comes_back_from_the_tree() {
        for extra in [
            Extra::Name(object_name(&[Ident::new("s"), Ident::with_quote('"', "S")])),
            Extra::Restart(None),
            Extra::Restart(Some(Box::new(Expr::value(Value::Number(
                "5".to_owned(),
                false,
            ))))),
            Extra::Type(DataType::SmallInt(None)),
            Extra::Altered,
            Extra::Dropped { if_exists: true },
        ] {
            assert_eq!(Extra::of(&extra.clone().option()), Some(extra));
        }
        let start = Expr::value(Value::Number("5".to_owned(), false));
        assert_eq!(Extra::of(&SequenceOptions::StartWith(start, true)), None);
    }
}
