//! COMMENT ON CONSTRAINT, which sqlparser does not read.
//!
//! It is a comment on a table whose name has a part more than a name can have: a mark before it, the
//! constraint behind it.

use super::utility::word;
use sqlparser::ast::{CommentObject, Ident, ObjectName, ObjectNamePart, Statement};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

/// No text of a client has such a character, so that no name is the mark.
const MARK: &str = "constraint\0";

/// The statement; None: another one.
pub fn parse(parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
    if word(parser, 1)? != "ON" || word(parser, 2)? != "CONSTRAINT" {
        return None;
    }
    for _ in 0..3 {
        parser.next_token();
    }
    Some(on_constraint(parser))
}

fn on_constraint(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    let constraint = parser.parse_identifier()?;
    parser.expect_keyword(Keyword::ON)?;
    let table = parser.parse_object_name(false)?;
    parser.expect_keyword(Keyword::IS)?;
    let comment = match parser.parse_keyword(Keyword::NULL) {
        true => None,
        false => Some(parser.parse_literal_string()?),
    };
    let mut parts = vec![ObjectNamePart::Identifier(Ident::new(MARK))];
    parts.extend(table.0);
    parts.push(ObjectNamePart::Identifier(constraint));
    Ok(Statement::Comment {
        object_type: CommentObject::Table,
        object_name: ObjectName(parts),
        comment,
        if_exists: false,
    })
}

/// The table and its constraint, if the comment is on one.
pub fn constraint_of(name: &ObjectName) -> Option<(ObjectName, Ident)> {
    let (mark, rest) = name.0.split_first()?;
    let (constraint, table) = rest.split_last()?;
    if mark.as_ident()?.value != MARK {
        return None;
    }
    Some((ObjectName(table.to_vec()), constraint.as_ident()?.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    #[test]
    fn a_constraint_is_told_from_a_table() {
        for (text, expected) in [
            (
                "COMMENT ON CONSTRAINT \"C\" ON public.t IS 'x'",
                Some(("public.t", "C", Some("x"))),
            ),
            (
                "comment on constraint c on t is null",
                Some(("t", "c", None)),
            ),
            ("COMMENT ON TABLE t IS 'x'", None),
        ] {
            let Statement::Comment {
                object_name,
                comment,
                ..
            } = parse::parse_one(text).expect(text)
            else {
                panic!("{text}");
            };
            let found = constraint_of(&object_name);
            let found = found
                .as_ref()
                .map(|(table, name)| (table.to_string(), &*name.value));
            let found = found
                .as_ref()
                .map(|(table, name)| (&**table, *name, comment.as_deref()));
            assert_eq!(found, expected, "{text}");
        }
        assert!(parse::parse("COMMENT ON CONSTRAINT c IS 'x'").is_err());
    }
}
