//! `lag(price, 1, price)`: a default that is a value of the row (PostgreSQL §9.22). The planner takes constants alone, so that
//! whether there is a row that far away is asked of another call.

use super::syntax::last_name;
use sqlparser::ast::{
    CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Value, Visit,
    VisitMut, VisitorMut, helpers::attached_token::AttachedToken, visit_expressions,
};
use std::ops::ControlFlow;

/// `CASE WHEN lag(TRUE, n) OVER w THEN lag(value, n) OVER w ELSE default END`
pub fn rewrite(query: &mut Query) {
    let _ = query.visit(&mut Defaults);
}

struct Defaults;

impl VisitorMut for Defaults {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(replacement) = told_apart(function)
        {
            *expr = replacement;
        }
        ControlFlow::Continue(())
    }
}

fn told_apart(function: &mut Function) -> Option<Expr> {
    let name = last_name(&function.name)?;
    if !matches!(name.as_str(), "lag" | "lead") || function.over.is_none() {
        return None;
    }
    let FunctionArguments::List(list) = &mut function.args else {
        return None;
    };
    let [
        _,
        offset,
        FunctionArg::Unnamed(FunctionArgExpr::Expr(default)),
    ] = list.args.as_slice()
    else {
        return None;
    };
    // What is written twice may have no window function in it, which would be written twice again.
    if !is_of_row(default) || has_window(offset) || has_window(&function.over) {
        return None;
    }
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(default))) = list.args.pop() else {
        return None;
    };
    let mut there = function.clone();
    if let FunctionArguments::List(list) = &mut there.args
        && let Some(value) = list.args.first_mut()
    {
        let row = Expr::value(Value::Boolean(true));
        *value = FunctionArg::Unnamed(FunctionArgExpr::Expr(row));
    }
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: Expr::Function(there),
            result: Expr::Function(function.clone()),
        }],
        else_result: Some(Box::new(default)),
    })
}

fn has_window(part: &impl Visit) -> bool {
    let search = visit_expressions(part, |expr| match expr {
        Expr::Function(function) if function.over.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    search.is_break()
}

/// Of the row, or of a type that the value's may not hold.
fn is_of_row(expr: &Expr) -> bool {
    let search = visit_expressions(expr, |expr| match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => {
            ControlFlow::Break(())
        }
        Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if is_wide(digits)) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    search.is_break()
}

fn is_wide(digits: &str) -> bool {
    digits.parse::<i16>().is_err()
}
