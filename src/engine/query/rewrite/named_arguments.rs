//! Arguments by name: `make_interval(days => 5)` is `make_interval(0, 0, 0, 5)`.
//!
//! Source: PostgreSQL 15, §4.3.2 and §4.3.3; the names are those of its catalog.

use super::syntax::last_name;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::postgresql;
use crate::sql::parse;
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArguments, Value,
};

/// What a function calls its arguments, and what those are that may be left out.
struct Named {
    function: &'static str,
    arguments: &'static [&'static str],
    /// Of the last arguments.
    defaults: &'static [&'static str],
}

const NAMED: &[Named] = &[
    Named {
        function: "make_interval",
        arguments: &["years", "months", "weeks", "days", "hours", "mins", "secs"],
        defaults: &["0", "0", "0", "0", "0", "0", "0.0"],
    },
    Named {
        function: "make_date",
        arguments: &["year", "month", "day"],
        defaults: &[],
    },
    Named {
        function: "make_time",
        arguments: &["hour", "min", "sec"],
        defaults: &[],
    },
    Named {
        function: "make_timestamp",
        arguments: &["year", "month", "mday", "hour", "min", "sec"],
        defaults: &[],
    },
    Named {
        function: "make_timestamptz",
        arguments: &["year", "month", "mday", "hour", "min", "sec", "timezone"],
        defaults: &[],
    },
    Named {
        function: "jsonb_set",
        arguments: &["jsonb_in", "path", "replacement", "create_if_missing"],
        defaults: &["true"],
    },
    Named {
        function: "jsonb_insert",
        arguments: &["jsonb_in", "path", "replacement", "insert_after"],
        defaults: &["false"],
    },
    Named {
        function: "pg_terminate_backend",
        arguments: &["pid", "timeout"],
        defaults: &["0"],
    },
];

/// Puts the arguments of a call into the order of the function's.
///
/// # Errors
/// 42601 for a positional argument behind a named one and for a name that comes twice; 42883 for a name
/// that the function does not have.
pub fn into_order(function: &mut Function) -> Result<(), Diagnostic> {
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(());
    };
    for arg in &mut list.args {
        assigned(arg);
    }
    let by_name = |arg: &FunctionArg| !matches!(arg, FunctionArg::Unnamed(_));
    let Some(first) = list.args.iter().position(by_name) else {
        return Ok(());
    };
    let name = last_name(&function.name).unwrap_or_default();
    let known = NAMED.iter().find(|known| known.function == name);
    let mut given: Vec<(String, FunctionArg)> = Vec::new();
    for arg in list.args.drain(first..) {
        let (label, value) = match arg {
            FunctionArg::Named { name, arg, .. } => (super::labels::folded(&name), arg),
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg,
                ..
            } => (super::labels::folded(&name), arg),
            FunctionArg::ExprNamed { .. } => {
                return Err(Diagnostic::unsupported("this name of an argument"));
            }
            FunctionArg::Unnamed(_) => {
                return Err(Diagnostic::error(
                    SqlState::SYNTAX_ERROR,
                    "positional argument cannot follow named argument",
                ));
            }
        };
        if given.iter().any(|(other, _)| *other == label) {
            return Err(Diagnostic::error(
                SqlState::SYNTAX_ERROR,
                format!("argument name \"{label}\" used more than once"),
            ));
        }
        given.push((label, FunctionArg::Unnamed(value)));
    }
    let Some(known) = known else {
        return Err(match postgresql::has(&name) {
            true => Diagnostic::unsupported(format!("{name}() with arguments by name")),
            false => no_such(&name, &given[0].0),
        });
    };
    place(known, given, &mut list.args)
}

/// `name := value`, which the parser takes for an operator.
fn assigned(arg: &mut FunctionArg) {
    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp { left, op, right })) = arg
        && *op == BinaryOperator::Assignment
        && let Expr::Identifier(name) = &**left
    {
        let value = std::mem::replace(&mut **right, Expr::value(Value::Null));
        *arg = FunctionArg::Named {
            name: name.clone(),
            arg: FunctionArgExpr::Expr(value),
            operator: FunctionArgOperator::Assignment,
        };
    }
}

/// Puts the named arguments behind those that have been given by position.
fn place(
    known: &Named,
    mut given: Vec<(String, FunctionArg)>,
    args: &mut Vec<FunctionArg>,
) -> Result<(), Diagnostic> {
    let optional = known.arguments.len() - known.defaults.len();
    for (place, label) in known.arguments.iter().enumerate().skip(args.len()) {
        if given.is_empty() {
            break;
        }
        if let Some(found) = given.iter().position(|(given, _)| given == label) {
            args.push(given.remove(found).1);
            continue;
        }
        let default = place
            .checked_sub(optional)
            .and_then(|place| known.defaults.get(place));
        let Some(default) = default else {
            return Err(no_such(known.function, &given[0].0));
        };
        let default = parse::parse_expression(default)?;
        args.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(default)));
    }
    match given.first() {
        None => Ok(()),
        Some((label, _)) => Err(no_such(known.function, label)),
    }
}

fn no_such(function: &str, label: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::UNDEFINED_FUNCTION,
        format!("function {function}({label} => …) does not exist"),
    )
    .with_hint(
        "No function matches the given name and argument types. You might need to add explicit \
         type casts.",
    )
}
