//! Sequences, of which sqlparser reads less than pg_dump writes: CREATE SEQUENCE with its options in any
//! order, ALTER SEQUENCE … OWNED BY and OWNER TO, and identity columns whose sequence has a name.
//!
//! They are given the tree nodes that sqlparser has. ALTER SEQUENCE is `AlterTable`, as PostgreSQL takes
//! ALTER TABLE of a sequence; its first operation is the option [`ALTER_OPTION`]. SEQUENCE NAME is a START
//! of the name, marked by [`NAME_OPTION`].

use super::utility::word;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, Expr, GeneratedAs, Ident, ObjectName,
    ObjectNamePart, SequenceOptions, SqlOption, Statement, Value,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The option that marks ALTER SEQUENCE; its value is the column of OWNED BY, or true. No storage
/// parameter has a name with a blank.
pub const ALTER_OPTION: &str = "alter sequence";

/// What the name of SEQUENCE NAME begins with; no column has a table with a blank by itself.
const NAME_OPTION: &str = "sequence name";

/// ALTER SEQUENCE, or ALTER TABLE with SEQUENCE NAME in it; None: another statement.
pub fn alter(parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
    match word(parser, 1).as_deref() {
        Some("SEQUENCE") => {
            parser.next_token();
            parser.next_token();
            Some(alter_sequence(parser))
        }
        Some("TABLE") if names_sequence(parser) => {
            parser.next_token();
            parser.next_token();
            Some(add_identity(parser))
        }
        _ => None,
    }
}

/// The sequence's name in an identity column's options, if this one says it.
pub fn name_of(option: &SequenceOptions) -> Option<ObjectName> {
    let SequenceOptions::StartWith(Expr::CompoundIdentifier(parts), _) = option else {
        return None;
    };
    let (mark, name) = parts.split_first()?;
    (mark.quote_style == Some('"') && mark.value == NAME_OPTION).then(|| {
        ObjectName(
            name.iter()
                .cloned()
                .map(ObjectNamePart::Identifier)
                .collect(),
        )
    })
}

fn alter_sequence(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    let mark = |value| AlterTableOperation::SetOptionsParens {
        options: vec![SqlOption::KeyValue {
            key: Ident::with_quote('"', ALTER_OPTION),
            value,
        }],
    };
    let operations = if parser.parse_keywords(&[Keyword::OWNER, Keyword::TO]) {
        let new_owner = parser.parse_owner()?;
        let of_sequence = mark(Expr::value(Value::Boolean(true)));
        vec![of_sequence, AlterTableOperation::OwnerTo { new_owner }]
    } else {
        parser.expect_keyword(Keyword::OWNED)?;
        parser.expect_keyword(Keyword::BY)?;
        let column = identifiers(parser.parse_object_name(false)?);
        vec![mark(Expr::CompoundIdentifier(column))]
    };
    Ok(statement(name, if_exists, operations))
}

fn identifiers(name: ObjectName) -> Vec<Ident> {
    let parts = name.0.into_iter();
    parts.filter_map(|part| part.as_ident().cloned()).collect()
}

/// Whether SEQUENCE NAME comes before the statement's end.
fn names_sequence(parser: &Parser<'_>) -> bool {
    for ahead in 0.. {
        match &parser.peek_nth_token_ref(ahead).token {
            Token::EOF | Token::SemiColon => return false,
            Token::Word(_) => {
                let next = || word(parser, ahead + 1);
                if word(parser, ahead).as_deref() == Some("SEQUENCE")
                    && next().as_deref() == Some("NAME")
                {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// After ALTER TABLE: `[IF EXISTS] [ONLY] t ALTER [COLUMN] c ADD GENERATED … AS IDENTITY (options)`.
fn add_identity(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let _ = parser.parse_keyword(Keyword::ONLY);
    let name = parser.parse_object_name(false)?;
    parser.expect_keyword(Keyword::ALTER)?;
    let _ = parser.parse_keyword(Keyword::COLUMN);
    let column_name = parser.parse_identifier()?;
    parser.expect_keywords(&[Keyword::ADD, Keyword::GENERATED])?;
    let generated_as = match parser.parse_keyword(Keyword::ALWAYS) {
        true => GeneratedAs::Always,
        false => {
            parser.expect_keywords(&[Keyword::BY, Keyword::DEFAULT])?;
            GeneratedAs::ByDefault
        }
    };
    parser.expect_keywords(&[Keyword::AS, Keyword::IDENTITY])?;
    parser.expect_token(&Token::LParen)?;
    let mut options = Vec::new();
    while let Some(option) = word(parser, 0) {
        parser.next_token();
        options.push(match option.as_str() {
            "SEQUENCE" => sequence_name(parser)?,
            other => sequence_option(parser, other)?,
        });
    }
    parser.expect_token(&Token::RParen)?;
    let op = AlterColumnOperation::AddGenerated {
        generated_as: Some(generated_as),
        sequence_options: Some(options),
    };
    let operation = AlterTableOperation::AlterColumn { column_name, op };
    Ok(statement(name, if_exists, vec![operation]))
}

fn sequence_name(parser: &mut Parser<'_>) -> Result<SequenceOptions, ParserError> {
    if word(parser, 0).as_deref() != Some("NAME") {
        return parser.expected_ref("NAME", parser.peek_token_ref());
    }
    parser.next_token();
    let mut parts = vec![Ident::with_quote('"', NAME_OPTION)];
    parts.extend(identifiers(parser.parse_object_name(false)?));
    Ok(SequenceOptions::StartWith(
        Expr::CompoundIdentifier(parts),
        true,
    ))
}

fn statement(name: ObjectName, if_exists: bool, operations: Vec<AlterTableOperation>) -> Statement {
    Statement::AlterTable(AlterTable {
        name,
        if_exists,
        only: false,
        operations,
        location: None,
        on_cluster: None,
        table_type: None,
        end_token: AttachedToken::empty(),
    })
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

fn sequence_option(parser: &mut Parser<'_>, option: &str) -> Result<SequenceOptions, ParserError> {
    Ok(match option {
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
    fn an_identity_columns_sequence_may_have_a_name() {
        let text = "ALTER TABLE ONLY public.t ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
            SEQUENCE NAME public.\"S\" START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1)";
        let Statement::AlterTable(table) = one(text) else {
            panic!("no table");
        };
        let [AlterTableOperation::AlterColumn { op, .. }] = table.operations.as_slice() else {
            panic!("no column");
        };
        let AlterColumnOperation::AddGenerated {
            sequence_options: Some(options),
            ..
        } = op
        else {
            panic!("no options");
        };
        assert_eq!(options.len(), 6);
        let names: Vec<_> = options.iter().filter_map(name_of).collect();
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].to_string(), "public.\"S\"");
        assert!(parse::parse("ALTER TABLE t ADD COLUMN c int; SELECT 1").is_ok());
    }

    #[test]
    fn alter_sequence_is_read_as_far_as_it_goes_and_named_beyond() {
        for text in [
            "alter sequence s owned by t.c",
            "ALTER SEQUENCE IF EXISTS public.s OWNED BY NONE",
            "ALTER SEQUENCE s OWNER TO alice",
        ] {
            let Statement::AlterTable(table) = one(text) else {
                panic!("{text}");
            };
            assert!(matches!(
                table.operations.first(),
                Some(AlterTableOperation::SetOptionsParens { .. })
            ));
        }
        let refused = parse::parse("ALTER SEQUENCE s RESTART").unwrap_err();
        assert_eq!(refused.message(), "ALTER SEQUENCE is not supported");
    }
}
