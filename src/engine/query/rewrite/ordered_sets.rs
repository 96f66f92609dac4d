//! `percentile_cont(0.5) WITHIN GROUP (ORDER BY x)` is a function of `array_agg(x ORDER BY x)`.

use super::syntax::{call_of, last_name};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::ordered_sets::OF_ARRAYS;
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
};

/// The function of the group's values in their order; None for what is no such aggregate.
///
/// # Errors
/// 42883 without WITHIN GROUP; 0A000 for OVER, and for other aggregates with WITHIN GROUP.
pub fn of_array(function: &mut Function) -> Result<Option<Expr>, Diagnostic> {
    let name = last_name(&function.name).unwrap_or_default();
    let known = OF_ARRAYS.iter().find(|(aggregate, _)| *aggregate == name);
    let Some((_, of_array)) = known else {
        return match function.within_group.is_empty() {
            true => Ok(None),
            false => Err(Diagnostic::unsupported(format!("{name}() WITHIN GROUP"))),
        };
    };
    let [order] = function.within_group.as_slice() else {
        return Err(Diagnostic::error(
            SqlState::UNDEFINED_FUNCTION,
            format!(
                "{name} is an ordered-set aggregate: it takes WITHIN GROUP (ORDER BY one expression)"
            ),
        ));
    };
    if function.over.is_some() {
        return Err(Diagnostic::unsupported(format!(
            "OVER for ordered-set aggregate {name}"
        )));
    }
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(None);
    };
    let mut values = call_of("array_agg", vec![order.expr.clone()]);
    if let Expr::Function(values) = &mut values {
        if let FunctionArguments::List(list) = &mut values.args {
            let order = FunctionArgumentClause::OrderBy(vec![order.clone()]);
            list.clauses.push(order);
        }
        values.filter = function.filter.take();
    }
    let mut args = vec![values];
    for argument in list.args.drain(..) {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => args.push(argument),
            _ => {
                return Err(Diagnostic::unsupported(format!(
                    "this argument of {name}()"
                )));
            }
        }
    }
    Ok(Some(call_of(of_array, args)))
}
