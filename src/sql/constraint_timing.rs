//! When constraints are checked: SET CONSTRAINTS and ALTER TABLE … ALTER CONSTRAINT, which sqlparser does not read.
//!
//! SET CONSTRAINTS is SET of a variable whose name no setting has; its values are the constraints, none
//! for ALL.

use super::utility::word;
use sqlparser::ast::{
    ConstraintCharacteristics, DeferrableInitial, Expr, Ident, ObjectName, Set, Statement,
};
use sqlparser::parser::{Parser, ParserError};

const DEFERRED: &str = "set constraints deferred";
const IMMEDIATE: &str = "set constraints immediate";

/// SET CONSTRAINTS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetConstraints {
    /// The constraints, each in its parts; None: all.
    pub names: Option<Vec<Vec<Ident>>>,
    /// DEFERRED rather than IMMEDIATE.
    pub deferred: bool,
}

impl SetConstraints {
    /// What the SET is, if it is one of these.
    pub fn of(set: &Set) -> Option<SetConstraints> {
        let Set::SingleAssignment {
            variable, values, ..
        } = set
        else {
            return None;
        };
        let [part] = variable.0.as_slice() else {
            return None;
        };
        let deferred = match part.as_ident()?.value.as_str() {
            DEFERRED => true,
            IMMEDIATE => false,
            _ => return None,
        };
        let names: Vec<Vec<Ident>> = values
            .iter()
            .filter_map(|value| match value {
                Expr::CompoundIdentifier(parts) => Some(parts.clone()),
                _ => None,
            })
            .collect();
        Some(SetConstraints {
            names: (!names.is_empty()).then_some(names),
            deferred,
        })
    }
}

/// SET CONSTRAINTS; None: another SET.
pub fn parse(parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
    if word(parser, 1)? != "CONSTRAINTS" {
        return None;
    }
    parser.next_token();
    parser.next_token();
    Some(set_constraints(parser))
}

fn set_constraints(parser: &mut Parser<'_>) -> Result<Statement, ParserError> {
    let mut names = Vec::new();
    if word(parser, 0).as_deref() == Some("ALL") {
        parser.next_token();
    } else {
        names = parser.parse_comma_separated(|parser| parser.parse_object_name(false))?;
    }
    let variable = match word(parser, 0).as_deref() {
        Some("DEFERRED") => DEFERRED,
        Some("IMMEDIATE") => IMMEDIATE,
        _ => return parser.expected_ref("DEFERRED or IMMEDIATE", parser.peek_token_ref()),
    };
    parser.next_token();
    let name = |name: ObjectName| Expr::CompoundIdentifier(super::sequence::identifiers(name));
    Ok(Statement::Set(Set::SingleAssignment {
        scope: None,
        hivevar: false,
        variable: ObjectName::from(vec![Ident::with_quote('"', variable)]),
        values: names.into_iter().map(name).collect(),
    }))
}

/// What ALTER CONSTRAINT says, as words that stand for it in the tree.
pub(super) fn words(given: Option<&ConstraintCharacteristics>) -> Vec<Ident> {
    let Some(given) = given else {
        return Vec::new();
    };
    let deferrable = given.deferrable.map(|yes| match yes {
        true => "deferrable",
        false => "not deferrable",
    });
    let initially = given.initially.as_ref().map(|initially| match initially {
        DeferrableInitial::Deferred => "deferred",
        DeferrableInitial::Immediate => "immediate",
    });
    let enforced = given.enforced.map(|yes| match yes {
        true => "enforced",
        false => "not enforced",
    });
    let words = [deferrable, initially, enforced];
    words.into_iter().flatten().map(Ident::new).collect()
}

/// What such words stand for.
pub(super) fn characteristics(words: &[Ident]) -> ConstraintCharacteristics {
    let mut given = ConstraintCharacteristics::default();
    for word in words {
        match word.value.as_str() {
            "deferrable" => given.deferrable = Some(true),
            "not deferrable" => given.deferrable = Some(false),
            "deferred" => given.initially = Some(DeferrableInitial::Deferred),
            "immediate" => given.initially = Some(DeferrableInitial::Immediate),
            "enforced" => given.enforced = Some(true),
            _ => given.enforced = Some(false),
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    fn set(text: &str) -> SetConstraints {
        match parse::parse_one(text).expect(text) {
            Statement::Set(set) => SetConstraints::of(&set).expect(text),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn set_constraints_names_all_or_some() {
        let all = set("set constraints ALL immediate");
        assert_eq!((all.names, all.deferred), (None, false));
        let some = set("SET CONSTRAINTS a, public.\"B\" DEFERRED");
        let names = vec![
            vec![Ident::new("a")],
            vec![Ident::new("public"), Ident::with_quote('"', "B")],
        ];
        assert_eq!((some.names, some.deferred), (Some(names), true));
    }

    #[test]
    fn other_settings_are_none_of_these() {
        for text in ["SET a = b", "SET \"constraints\" TO x"] {
            let Statement::Set(set) = parse::parse_one(text).expect(text) else {
                panic!("{text}");
            };
            assert_eq!(SetConstraints::of(&set), None, "{text}");
        }
        for text in [
            "SET CONSTRAINTS ALL",
            "SET CONSTRAINTS a b DEFERRED",
            "SET CONSTRAINTS DEFERRED",
        ] {
            assert!(parse::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_alter_constraint_says_comes_back_from_its_words() {
        let given = ConstraintCharacteristics {
            deferrable: Some(true),
            initially: Some(DeferrableInitial::Immediate),
            enforced: Some(false),
        };
        assert_eq!(characteristics(&words(Some(&given))), given);
        assert!(words(None).is_empty());
    }
}
