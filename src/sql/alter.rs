//! ALTER of tables, views, indexes and sequences, of which sqlparser reads less than PostgreSQL has.
//!
//! All are `AlterTable`, as PostgreSQL takes ALTER TABLE of any relation. What the statement was written
//! for, and what sqlparser has no operation for, are options of a name that no storage parameter has.

use super::constraint_timing;
use super::sequence::{self, Extra, identifiers};
use super::utility::word;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ConstraintCharacteristics, Expr,
    GeneratedAs, Ident, SequenceOptions, SqlOption, Statement,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// What is altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ALTER TABLE
    Table,
    /// ALTER VIEW
    View,
    /// ALTER INDEX
    Index,
    /// ALTER SEQUENCE
    Sequence,
}

/// What only one kind of relation has, or sqlparser does not know.
#[derive(Clone, Debug, PartialEq)]
pub enum Special {
    /// The first operation, unless it is ALTER TABLE.
    Kind(Kind),
    /// SET SCHEMA
    SetSchema(Ident),
    /// OWNED BY, its parts.
    OwnedBy(Vec<Ident>),
    /// The options of ALTER SEQUENCE.
    Sequence(Vec<SequenceOptions>),
    /// ALTER CONSTRAINT
    Constraint {
        /// Its name.
        name: Ident,
        /// When it is checked.
        characteristics: ConstraintCharacteristics,
    },
}

const KIND: &str = "altered kind";
const SET_SCHEMA: &str = "set schema";
const OWNED_BY: &str = "owned by";
const SEQUENCE: &str = "sequence options";
const CONSTRAINT: &str = "alter constraint";

impl Special {
    fn operation(self) -> AlterTableOperation {
        let (key, value) = match self {
            Special::Kind(kind) => {
                let name = match kind {
                    Kind::Table => "table",
                    Kind::View => "view",
                    Kind::Index => "index",
                    Kind::Sequence => "sequence",
                };
                (KIND, Expr::Identifier(Ident::new(name)))
            }
            Special::SetSchema(schema) => (SET_SCHEMA, Expr::Identifier(schema)),
            Special::OwnedBy(parts) => (OWNED_BY, Expr::CompoundIdentifier(parts)),
            Special::Constraint {
                name,
                characteristics,
            } => {
                let mut parts = vec![name];
                parts.extend(constraint_timing::words(Some(&characteristics)));
                (CONSTRAINT, Expr::CompoundIdentifier(parts))
            }
            Special::Sequence(options) => {
                return AlterTableOperation::AlterColumn {
                    column_name: Ident::with_quote('"', SEQUENCE),
                    op: AlterColumnOperation::AddGenerated {
                        generated_as: None,
                        sequence_options: Some(options),
                    },
                };
            }
        };
        let key = Ident::with_quote('"', key);
        AlterTableOperation::SetOptionsParens {
            options: vec![SqlOption::KeyValue { key, value }],
        }
    }

    /// What the operation is, if it is one of these.
    pub fn of(operation: &AlterTableOperation) -> Option<Special> {
        let options = match operation {
            AlterTableOperation::SetOptionsParens { options } => options,
            AlterTableOperation::AlterColumn {
                column_name,
                op:
                    AlterColumnOperation::AddGenerated {
                        generated_as: None,
                        sequence_options: Some(options),
                    },
            } if column_name.value == SEQUENCE => {
                return Some(Special::Sequence(options.clone()));
            }
            _ => return None,
        };
        let [SqlOption::KeyValue { key, value }] = options.as_slice() else {
            return None;
        };
        match (key.value.as_str(), value) {
            (KIND, Expr::Identifier(kind)) => Some(Special::Kind(match kind.value.as_str() {
                "view" => Kind::View,
                "index" => Kind::Index,
                "sequence" => Kind::Sequence,
                _ => Kind::Table,
            })),
            (SET_SCHEMA, Expr::Identifier(schema)) => Some(Special::SetSchema(schema.clone())),
            (OWNED_BY, Expr::CompoundIdentifier(parts)) => Some(Special::OwnedBy(parts.clone())),
            (CONSTRAINT, Expr::CompoundIdentifier(parts)) => {
                let (name, words) = parts.split_first()?;
                Some(Special::Constraint {
                    name: name.clone(),
                    characteristics: constraint_timing::characteristics(words),
                })
            }
            _ => None,
        }
    }
}

/// What the statement was written for.
pub fn kind(statement: &AlterTable) -> Kind {
    match statement.operations.first().and_then(Special::of) {
        Some(Special::Kind(kind)) => kind,
        _ => Kind::Table,
    }
}

/// ALTER TABLE, VIEW, INDEX or SEQUENCE; None: another statement.
pub fn parse(parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
    let kind = match word(parser, 1)?.as_str() {
        "TABLE" => Kind::Table,
        "VIEW" => Kind::View,
        "INDEX" => Kind::Index,
        "SEQUENCE" => Kind::Sequence,
        _ => return None,
    };
    parser.next_token();
    parser.next_token();
    Some(relation(parser, kind))
}

fn relation(parser: &mut Parser<'_>, kind: Kind) -> Result<Statement, ParserError> {
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let only = kind == Kind::Table && parser.parse_keyword(Keyword::ONLY);
    let name = parser.parse_object_name(false)?;
    if kind == Kind::Table {
        // Descendants too, which no table has.
        let _ = parser.consume_token(&Token::Mul);
    }
    let mut operations = Vec::new();
    if kind != Kind::Table {
        operations.push(Special::Kind(kind).operation());
    }
    loop {
        operations.push(operation(parser, kind)?);
        let renames = matches!(
            operations.last(),
            Some(
                AlterTableOperation::RenameTable { .. }
                    | AlterTableOperation::RenameColumn { .. }
                    | AlterTableOperation::RenameConstraint { .. }
            )
        );
        let many = kind == Kind::Table && !renames;
        if !many || !parser.consume_token(&Token::Comma) {
            break;
        }
        let at = parser.peek_token_ref();
        if word(parser, 0).as_deref() == Some("RENAME") {
            return parser.expected_ref("an action that stands beside others", at);
        }
    }
    Ok(Statement::AlterTable(AlterTable {
        name,
        if_exists,
        only,
        operations,
        location: None,
        on_cluster: None,
        table_type: None,
        end_token: AttachedToken::empty(),
    }))
}

fn operation(parser: &mut Parser<'_>, kind: Kind) -> Result<AlterTableOperation, ParserError> {
    let first = word(parser, 0);
    let second = word(parser, 1);
    match (first.as_deref(), second.as_deref()) {
        (Some("SET"), Some("SCHEMA")) => {
            parser.next_token();
            parser.next_token();
            Ok(Special::SetSchema(parser.parse_identifier()?).operation())
        }
        (Some("RENAME" | "OWNER"), _) => parser.parse_alter_table_operation(),
        (Some("ALTER"), Some("CONSTRAINT")) if kind == Kind::Table => {
            parser.next_token();
            parser.next_token();
            let name = parser.parse_identifier()?;
            let given = parser.parse_constraint_characteristics()?;
            let characteristics = given.unwrap_or_default();
            Ok(Special::Constraint {
                name,
                characteristics,
            }
            .operation())
        }
        (Some("ALTER"), _) if matches!(kind, Kind::Table | Kind::View) => alter_column(parser),
        _ if kind == Kind::Table => parser.parse_alter_table_operation(),
        (Some("OWNED"), Some("BY")) if kind == Kind::Sequence => {
            parser.next_token();
            parser.next_token();
            let column = identifiers(parser.parse_object_name(false)?);
            Ok(Special::OwnedBy(column).operation())
        }
        (Some(_), _) if kind == Kind::Sequence => {
            let mut options = Vec::new();
            while let Some(option) = word(parser, 0) {
                parser.next_token();
                options.push(sequence::sequence_option(parser, &option)?);
            }
            Ok(Special::Sequence(options).operation())
        }
        _ => parser.expected_ref("what is to be altered", parser.peek_token_ref()),
    }
}

/// `ALTER [COLUMN] c …`: what an identity or a generated column is altered by, which sqlparser does not read, or what it reads.
fn alter_column(parser: &mut Parser<'_>) -> Result<AlterTableOperation, ParserError> {
    let column_word = word(parser, 1).as_deref() == Some("COLUMN");
    let named = 1 + usize::from(column_word);
    let identity = |first: &str, second: Option<&str>| {
        matches!(
            (first, second),
            ("ADD", Some("GENERATED"))
                | ("DROP", Some("IDENTITY" | "EXPRESSION"))
                | (
                    "SET",
                    Some(
                        "GENERATED"
                            | "INCREMENT"
                            | "START"
                            | "MINVALUE"
                            | "MAXVALUE"
                            | "CACHE"
                            | "CYCLE"
                            | "NO"
                            | "RESTART",
                    )
                )
                | ("RESTART", _)
        )
    };
    let is_identity = word(parser, named + 1)
        .is_some_and(|first| identity(&first, word(parser, named + 2).as_deref()));
    if !is_identity {
        return parser.parse_alter_table_operation();
    }
    for _ in 0..named {
        parser.next_token();
    }
    let column_name = parser.parse_identifier()?;
    let (generated_as, options) = match word(parser, 0).as_deref() {
        Some("ADD") => {
            parser.next_token();
            parser.next_token();
            let how = generated(parser)?;
            parser.expect_keywords(&[Keyword::AS, Keyword::IDENTITY])?;
            (Some(how), sequence::parenthesized_options(parser)?)
        }
        Some("DROP") => {
            parser.next_token();
            let generated_as = match word(parser, 0).as_deref() {
                Some("EXPRESSION") => Some(GeneratedAs::ExpStored),
                _ => None,
            };
            parser.next_token();
            let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
            (generated_as, vec![Extra::Dropped { if_exists }.option()])
        }
        _ => altered_identity(parser)?,
    };
    Ok(AlterTableOperation::AlterColumn {
        column_name,
        op: AlterColumnOperation::AddGenerated {
            generated_as,
            sequence_options: Some(options),
        },
    })
}

fn generated(parser: &mut Parser<'_>) -> Result<GeneratedAs, ParserError> {
    if parser.parse_keyword(Keyword::ALWAYS) {
        return Ok(GeneratedAs::Always);
    }
    parser.expect_keywords(&[Keyword::BY, Keyword::DEFAULT])?;
    Ok(GeneratedAs::ByDefault)
}

/// `SET GENERATED … | SET option | RESTART …`, one after the other.
fn altered_identity(
    parser: &mut Parser<'_>,
) -> Result<(Option<GeneratedAs>, Vec<SequenceOptions>), ParserError> {
    let mut how = None;
    let mut options = vec![Extra::Altered.option()];
    loop {
        match word(parser, 0).as_deref() {
            Some("SET") => {
                parser.next_token();
                let Some(option) = word(parser, 0) else {
                    return parser.expected_ref("an option", parser.peek_token_ref());
                };
                parser.next_token();
                if option == "GENERATED" {
                    how = Some(generated(parser)?);
                } else {
                    options.push(sequence::sequence_option(parser, &option)?);
                }
            }
            Some("RESTART") => {
                parser.next_token();
                options.push(sequence::sequence_option(parser, "RESTART")?);
            }
            _ => return Ok((how, options)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    fn altered(text: &str) -> AlterTable {
        match parse::parse_one(text).expect(text) {
            Statement::AlterTable(table) => table,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_kind_of_relation_is_told_from_the_others() {
        for (text, expected) in [
            (
                "ALTER TABLE IF EXISTS ONLY t * ADD a int, DROP b",
                Kind::Table,
            ),
            ("alter view v rename to w", Kind::View),
            ("ALTER INDEX IF EXISTS i RENAME TO j", Kind::Index),
            ("alter sequence s.t owner to alice", Kind::Sequence),
        ] {
            assert_eq!(kind(&altered(text)), expected, "{text}");
        }
        assert!(parse::parse("ALTER VIEW v ADD COLUMN a int").is_err());
        assert!(parse::parse("ALTER TABLE t RENAME a TO b, ADD c int").is_err());
        assert!(parse::parse("ALTER TABLE t ADD c int, RENAME a TO b").is_err());
    }

    #[test]
    fn alter_sequence_is_read_with_its_options_in_any_order() {
        let table = altered("ALTER SEQUENCE s RESTART WITH 5 NO MAXVALUE AS smallint INCREMENT -1");
        let Some(Special::Sequence(options)) = Special::of(&table.operations[1]) else {
            panic!("no options");
        };
        assert_eq!(options.len(), 4);
        assert!(matches!(
            Extra::of(&options[0]),
            Some(Extra::Restart(Some(_)))
        ));
        for (text, parts) in [
            ("alter sequence s owned by t.c", 2),
            ("ALTER SEQUENCE IF EXISTS public.s OWNED BY NONE", 1),
        ] {
            let Some(Special::OwnedBy(column)) = Special::of(&altered(text).operations[1]) else {
                panic!("{text}");
            };
            assert_eq!(column.len(), parts, "{text}");
        }
        assert!(parse::parse("ALTER SEQUENCE s BACKWARDS").is_err());
    }

    #[test]
    fn an_identity_columns_sequence_may_have_a_name_and_be_altered() {
        let options = |text: &str| match altered(text).operations.pop() {
            Some(AlterTableOperation::AlterColumn {
                op:
                    AlterColumnOperation::AddGenerated {
                        sequence_options: Some(options),
                        ..
                    },
                ..
            }) => options,
            _ => panic!("{text}"),
        };
        let dumped = options(
            "ALTER TABLE ONLY public.t ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
            SEQUENCE NAME public.\"S\" START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1)",
        );
        assert_eq!(dumped.len(), 6);
        assert!(matches!(Extra::of(&dumped[0]), Some(Extra::Name(_))));
        let dropped = options("ALTER TABLE t ALTER id DROP IDENTITY IF EXISTS");
        assert_eq!(
            Extra::of(&dropped[0]),
            Some(Extra::Dropped { if_exists: true })
        );
        let generated = altered("ALTER TABLE t ALTER COLUMN g DROP EXPRESSION");
        assert!(matches!(
            &generated.operations[0],
            AlterTableOperation::AlterColumn {
                op: AlterColumnOperation::AddGenerated {
                    generated_as: Some(GeneratedAs::ExpStored),
                    ..
                },
                ..
            }
        ));
        let set = options("ALTER TABLE t ALTER id SET GENERATED ALWAYS SET START 5 RESTART");
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn when_a_constraint_is_checked_comes_back_from_the_tree() {
        let table = altered("ALTER TABLE t ALTER CONSTRAINT \"C\" DEFERRABLE INITIALLY DEFERRED");
        let Some(Special::Constraint {
            name,
            characteristics,
        }) = Special::of(&table.operations[0])
        else {
            panic!("another operation");
        };
        assert_eq!(name, Ident::with_quote('"', "C"));
        assert_eq!(characteristics.to_string(), "DEFERRABLE INITIALLY DEFERRED");
    }

    #[test]
    fn the_schema_and_the_kind_come_back_from_the_tree() {
        let table = altered("ALTER TABLE t SET SCHEMA \"S\"");
        assert_eq!(
            Special::of(&table.operations[0]),
            Some(Special::SetSchema(Ident::with_quote('"', "S")))
        );
        // A storage parameter is none of these.
        assert_eq!(
            Special::of(&altered("ALTER TABLE t SET (fillfactor = 70)").operations[0]),
            None
        );
    }
}
