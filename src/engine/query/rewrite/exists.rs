//! EXISTS, and comparisons with ANY and ALL of a subquery.
//!
//! `= ANY` is IN and `<> ALL` is NOT IN, of which the planner makes joins. The other comparisons are with the array of the
//! subquery's rows, which is made once where the subquery is the same for all rows.

use super::rows;
use super::subqueries::{VALUE, nothing, over_expression};
use super::syntax::{array_of, last_name};
use crate::engine::query::functions::quantified::Comparison;
use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArguments, Ident, Query, Select, SelectItem, SetExpr, Value,
    VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Rewrites them all over a query.
pub fn rewrite(query: &mut Query) {
    let _ = query.visit(&mut Subqueries);
}

struct Subqueries;

impl VisitorMut for Subqueries {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let Some(condition) = &mut select.selection {
            of_rows(condition);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Exists { subquery, .. } = expr {
            name_a_column(subquery);
        }
        if let Some(membership) = compared(expr) {
            *expr = membership;
        }
        ControlFlow::Continue(())
    }
}

/// A condition with ANY or ALL of ARRAY(subquery) is one of the subquery's rows.
fn of_rows(condition: &mut Expr) {
    match condition {
        Expr::Nested(inner) => of_rows(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            of_rows(left);
            of_rows(right);
        }
        Expr::AnyOp {
            compare_op: BinaryOperator::Eq,
            right,
            ..
        }
        | Expr::AllOp {
            compare_op: BinaryOperator::NotEq,
            right,
            ..
        } => {
            if let Expr::Function(function) = &mut **right
                && let FunctionArguments::Subquery(subquery) = &mut function.args
                && last_name(&function.name).as_deref() == Some("array")
            {
                **right = Expr::Subquery(std::mem::replace(subquery, Box::new(nothing())));
            }
        }
        _ => {}
    }
}

/// The membership that a comparison is; of another one, the subquery becomes an array.
fn compared(expr: &mut Expr) -> Option<Expr> {
    let (left, op, right, all) = match expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op, right, false),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op, right, true),
        _ => return None,
    };
    let Expr::Subquery(subquery) = &mut **right else {
        return None;
    };
    let is_member = matches!(
        (&*op, all),
        (BinaryOperator::Eq, false) | (BinaryOperator::NotEq, true)
    );
    if !is_member && (Comparison::of(op).is_none() || rows::is(left)) {
        return None;
    }
    let subquery = std::mem::replace(subquery, Box::new(nothing()));
    if is_member {
        let expr = std::mem::replace(left, Box::new(Expr::value(Value::Null)));
        return Some(Expr::InSubquery {
            expr,
            subquery,
            negated: all,
        });
    }
    // Without the order that the subquery may have for its LIMIT.
    let column = Expr::Identifier(Ident::with_quote('"', VALUE));
    let values = over_expression(subquery, column);
    **right = array_of(values);
    None
}

/// `EXISTS (SELECT FROM t)` has no column to name.
fn name_a_column(subquery: &mut Query) {
    if let SetExpr::Select(select) = &mut *subquery.body
        && select.projection.is_empty()
    {
        let row = Expr::value(Value::Boolean(true));
        select.projection.push(SelectItem::UnnamedExpr(row));
    }
}
