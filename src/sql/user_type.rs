//! ALTER TYPE … OWNER TO and SET SCHEMA, which sqlparser does not read.
//!
//! They are renames to a name that has a mark before it, which no text of a client has. Source: PostgreSQL
//! 15, ALTER TYPE.

use super::utility::word;
use sqlparser::ast::{AlterType, AlterTypeOperation, AlterTypeRename, Ident, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

const OWNER: &str = "owner\0";
const SCHEMA: &str = "schema\0";

/// What a rename stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Special {
    /// OWNER TO
    Owner(Ident),
    /// SET SCHEMA
    Schema(Ident),
}

/// The statement; None: another one.
pub fn parse(parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
    if word(parser, 1)? != "TYPE" {
        return None;
    }
    parser.maybe_parse(altered).transpose()
}

fn altered(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    parser.expect_keywords(&[Keyword::ALTER, Keyword::TYPE])?;
    let name = parser.parse_object_name(false)?;
    let mark = match parser.parse_keywords(&[Keyword::SET, Keyword::SCHEMA]) {
        true => SCHEMA,
        false => {
            parser.expect_keywords(&[Keyword::OWNER, Keyword::TO])?;
            OWNER
        }
    };
    let mut new_name = parser.parse_identifier()?;
    new_name.value.insert_str(0, mark);
    Ok(Statement::AlterType(AlterType {
        name,
        operation: AlterTypeOperation::Rename(AlterTypeRename { new_name }),
    }))
}

impl Special {
    /// What the rename stands for, if not for itself.
    pub fn of(rename: &AlterTypeRename) -> Option<Special> {
        let named = |value: &str| Ident {
            value: value.to_owned(),
            ..rename.new_name.clone()
        };
        let given = &rename.new_name.value;
        match given.strip_prefix(OWNER) {
            Some(owner) => Some(Special::Owner(named(owner))),
            None => Some(Special::Schema(named(given.strip_prefix(SCHEMA)?))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    #[test]
    fn a_new_owner_and_a_new_schema_are_told_from_a_new_name() {
        for (text, expected) in [
            (
                "ALTER TYPE public.mood OWNER TO postgres",
                Some(Special::Owner(Ident::new("postgres"))),
            ),
            (
                "alter type mood set schema \"S\"",
                Some(Special::Schema(Ident::with_quote('"', "S"))),
            ),
            ("ALTER TYPE mood RENAME TO owner", None),
        ] {
            let Statement::AlterType(AlterType {
                operation: AlterTypeOperation::Rename(rename),
                ..
            }) = parse::parse_one(text).expect(text)
            else {
                panic!("{text}");
            };
            assert_eq!(Special::of(&rename), expected, "{text}");
        }
        assert!(parse::parse("ALTER TYPE mood OWNER postgres").is_err());
    }
}
