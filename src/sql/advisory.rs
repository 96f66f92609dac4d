//! A statement that does nothing but lock: `SELECT pg_advisory_lock(7)`.
//!
//! It may wait long and for many, so that its session waits for it before it begins.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SelectItem, SetExpr, Statement,
    UnaryOperator, Value,
};

/// What a statement locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Whether others may hold it too.
    pub shared: bool,
    /// The one or two numbers of its key.
    pub key: [Option<&'a Expr>; 2],
}

/// One number of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// As written.
    Literal(i64),
    /// $n, counted from 0.
    Parameter(usize),
}

/// What a statement locks, if it does that and nothing else.
pub fn of(statement: &Statement) -> Option<Asked<'_>> {
    let Statement::Query(query) = statement else {
        return None;
    };
    let Query {
        with: None, body, ..
    } = &**query
    else {
        return None;
    };
    let SetExpr::Select(select) = &**body else {
        return None;
    };
    let (true, None, [item]) = (
        select.from.is_empty(),
        &select.selection,
        select.projection.as_slice(),
    ) else {
        return None;
    };
    let call = match item {
        SelectItem::UnnamedExpr(Expr::Function(call)) => call,
        SelectItem::ExprWithAlias {
            expr: Expr::Function(call),
            ..
        } => call,
        _ => return None,
    };
    let name = call.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
    let shared = match name.as_str() {
        "pg_advisory_lock" | "pg_advisory_xact_lock" => false,
        "pg_advisory_lock_shared" | "pg_advisory_xact_lock_shared" => true,
        _ => return None,
    };
    let FunctionArguments::List(arguments) = &call.args else {
        return None;
    };
    let mut given = arguments.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Some(argument),
        _ => None,
    });
    let key = match arguments.args.len() {
        1 => [Some(given.next()??), None],
        2 => [Some(given.next()??), Some(given.next()??)],
        _ => return None,
    };
    Some(Asked { shared, key })
}

/// The number that an argument is, where it can be told without evaluating it.
pub fn number(argument: &Expr) -> Option<Number> {
    match argument {
        Expr::Nested(inner) => number(inner),
        Expr::Cast { expr, .. } => number(expr),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match &**expr {
            Expr::Value(literal) => match &literal.value {
                Value::Number(digits, _) => {
                    let number = format!("-{digits}").parse().ok()?;
                    Some(Number::Literal(number))
                }
                _ => None,
            },
            _ => None,
        },
        Expr::Value(literal) => match &literal.value {
            Value::Number(digits, _) => digits.parse().ok().map(Number::Literal),
            Value::Placeholder(name) => {
                let place: usize = name.strip_prefix('$')?.parse().ok()?;
                Some(Number::Parameter(place.checked_sub(1)?))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse;

    fn told(text: &str) -> Option<(bool, Vec<Option<Number>>)> {
        let statement = parse::parse_one(text).expect(text);
        let asked = of(&statement)?;
        let key = asked.key.iter().flatten().map(|it| number(it));
        Some((asked.shared, key.collect()))
    }

    #[test]
    fn a_statement_that_only_locks_is_told_with_its_key() {
        use Number::{Literal, Parameter};
        for (text, shared, key) in [
            ("SELECT pg_advisory_lock(7)", false, vec![Some(Literal(7))]),
            (
                "select pg_catalog.pg_advisory_xact_lock_shared(-1, $2::int) as locked",
                true,
                vec![Some(Literal(-1)), Some(Parameter(1))],
            ),
            (
                "SELECT pg_advisory_xact_lock(hashtext('a'))",
                false,
                vec![None],
            ),
        ] {
            assert_eq!(told(text), Some((shared, key)), "{text}");
        }
        for text in [
            "SELECT 1",
            "SELECT pg_try_advisory_lock(1)",
            "SELECT pg_advisory_lock(id) FROM t",
            "SELECT pg_advisory_lock(1), pg_advisory_lock(2)",
            "SELECT pg_advisory_lock(1) WHERE false",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
