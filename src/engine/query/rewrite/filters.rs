//! `sum(value::numeric) FILTER (WHERE kind = 'number')`: what FILTER leaves out is not computed (PostgreSQL §4.2.7: "only the
//! input rows for which the filter_clause evaluates to true are fed to the aggregate function").
//!
//! The planner computes the arguments of all rows; where that may fail they become `CASE WHEN condition THEN argument END`.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Query, VisitMut, VisitorMut, helpers::attached_token::AttachedToken,
    visit_expressions,
};
use std::ops::ControlFlow;

/// Guards the arguments of every aggregate with a FILTER.
pub fn rewrite(query: &mut Query) {
    let _ = query.visit(&mut Filters);
}

/// Of an aggregate.
const ARGUMENTS_MAX: usize = 2;

struct Filters;

impl VisitorMut for Filters {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            guard(function);
        }
        ControlFlow::Continue(())
    }
}

fn guard(function: &mut Function) {
    let (Some(condition), FunctionArguments::List(list)) = (&function.filter, &mut function.args)
    else {
        return;
    };
    // ORDER BY of distinct values must be one of them, word for word.
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    // Neither is an aggregate, and the condition would be copied again for each of them.
    let is_call = list.args.len() > ARGUMENTS_MAX || holds(condition, has_filter);
    if distinct || is_call || holds(condition, has_subquery) {
        return;
    }
    for argument in &mut list.args {
        let (FunctionArg::Unnamed(FunctionArgExpr::Expr(value))
        | FunctionArg::Named {
            arg: FunctionArgExpr::Expr(value),
            ..
        }) = argument
        else {
            continue;
        };
        if !holds(value, may_fail) || !holds(value, is_column) {
            continue;
        }
        let result = std::mem::replace(value, Expr::value(sqlparser::ast::Value::Null));
        *value = Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen {
                condition: (**condition).clone(),
                result,
            }],
            else_result: None,
        };
    }
}

fn holds(expr: &Expr, wanted: fn(&Expr) -> bool) -> bool {
    let search = visit_expressions(expr, |expr| match wanted(expr) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    search.is_break()
}

/// A constant is one for all rows, and some aggregates ask for it.
fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

fn has_filter(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if function.filter.is_some())
}

fn has_subquery(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }
    )
}

/// Casts and divisions: what a condition is there to keep from bad values.
fn may_fail(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Cast { .. }
            | Expr::BinaryOp {
                op: BinaryOperator::Divide | BinaryOperator::Modulo,
                ..
            }
    )
}
