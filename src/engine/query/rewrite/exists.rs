//! EXISTS and IN (subquery) as values, and comparisons with ANY and ALL of a subquery.
//!
//! The planner knows EXISTS and IN as conditions only; in a select list and in ORDER BY they are aggregates of
//! the subquery here. `= ANY` is IN and `<> ALL` is NOT IN; the other comparisons are aggregates
//! everywhere.

use super::subqueries::{VALUE, over_expression};
use sqlparser::ast::{
    BinaryOperator, Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, Value, VisitMut,
    VisitorMut,
};
use std::ops::ControlFlow;

/// Rewrites the select lists and the orders of a query.
pub fn rewrite(query: &mut Query) {
    let _ = query.visit(&mut Comparisons);
    let _ = query.visit(&mut Lists);
}

struct Comparisons;

impl VisitorMut for Comparisons {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(replacement) = compared(expr) {
            *expr = replacement;
        }
        ControlFlow::Continue(())
    }
}

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
    let subquery = std::mem::replace(subquery, Box::new(super::subqueries::nothing()));
    let needle = std::mem::replace(&mut **left, Expr::value(Value::Null));
    match (&*op, all) {
        (BinaryOperator::Eq, false) | (BinaryOperator::NotEq, true) => Some(Expr::InSubquery {
            expr: Box::new(needle),
            subquery,
            negated: all,
        }),
        _ => Some(quantified(needle, op.clone(), subquery, all)),
    }
}

/// A comparison with every row: one that decides, else NULL if one is NULL, else the other answer.
fn quantified(needle: Expr, op: BinaryOperator, subquery: Box<Query>, all: bool) -> Expr {
    let template = if all {
        "CASE WHEN bool_or(NOT (needle = value)) THEN false \
         WHEN bool_or((needle = value) IS NULL) THEN NULL ELSE true END"
    } else {
        "CASE WHEN bool_or(needle = value) THEN true \
         WHEN bool_or((needle = value) IS NULL) THEN NULL ELSE false END"
    };
    let mut body = parsed(template);
    let _ = body.visit(&mut Fill {
        needle: &needle,
        op: &op,
    });
    Expr::Subquery(Box::new(over_expression(subquery, body)))
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let order = query.order_by.as_mut().map(|order| &mut order.kind);
        if let Some(OrderByKind::Expressions(items)) = order {
            for item in items {
                let _ = item.expr.visit(&mut Values { depth: 0 });
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                let _ = expr.visit(&mut Values { depth: 0 });
            }
        }
        ControlFlow::Continue(())
    }
}

/// Looks at one select list's own expressions, not into the queries inside them.
struct Values {
    depth: usize,
}

impl VisitorMut for Values {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Some(value) = as_value(expr)
        {
            *expr = value;
        }
        ControlFlow::Continue(())
    }
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

fn as_value(expr: &mut Expr) -> Option<Expr> {
    let taken =
        |query: &mut Box<Query>| std::mem::replace(query, Box::new(super::subqueries::nothing()));
    match expr {
        Expr::Exists { subquery, negated } => {
            let negated = *negated;
            name_a_column(subquery);
            let found = over_expression(taken(subquery), parsed("count(*) > 0"));
            Some(not_if(negated, Expr::Subquery(Box::new(found))))
        }
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => {
            let negated = *negated;
            let needle = std::mem::replace(&mut **expr, Expr::value(Value::Null));
            Some(not_if(
                negated,
                quantified(needle, BinaryOperator::Eq, taken(subquery), false),
            ))
        }
        _ => None,
    }
}

struct Fill<'a> {
    needle: &'a Expr,
    op: &'a BinaryOperator,
}

impl VisitorMut for Fill<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr {
            match name.value.as_str() {
                "needle" => *expr = Expr::Nested(Box::new(self.needle.clone())),
                "value" => *expr = Expr::Identifier(Ident::with_quote('"', VALUE)),
                _ => {}
            }
        }
        if let Expr::BinaryOp { op, .. } = expr
            && *op == BinaryOperator::Eq
        {
            *op = self.op.clone();
        }
        ControlFlow::Continue(())
    }
}

fn not_if(negated: bool, expr: Expr) -> Expr {
    if negated {
        Expr::UnaryOp {
            op: sqlparser::ast::UnaryOperator::Not,
            expr: Box::new(expr),
        }
    } else {
        expr
    }
}

/// An expression of ours from its text.
fn parsed(text: &str) -> Expr {
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    sqlparser::parser::Parser::new(&dialect)
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_expr())
        .expect("a constant text of ours parses")
}
