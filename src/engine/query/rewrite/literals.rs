//! Integer literals are int4 when they fit, int8 when that fits, numeric beyond, as in PostgreSQL.
//!
//! The planner makes every integer int8 (and those beyond an unsigned type); a cast written into
//! the tree makes the type right from the start. Places that are not values are left alone: LIMIT
//! and OFFSET, and the column numbers of ORDER BY and GROUP BY.

use super::casts;
use crate::catalog::sql_type::{SqlType, TypeKind};
use sqlparser::ast::{
    Expr, Fetch, GroupByExpr, LimitClause, NamedWindowDefinition, NamedWindowExpr, OrderByKind,
    Query, Select, SelectItem, Value, VisitMut, VisitorMut, WindowFrameBound, WindowSpec,
    WindowType,
};
use std::ops::ControlFlow;

/// Casts the integer literals of a tree to their types.
pub fn rewrite(tree: &mut impl VisitMut) {
    let _ = tree.visit(&mut Literals);
}

struct Literals;

impl VisitorMut for Literals {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(order_by) = &mut query.order_by
            && let OrderByKind::Expressions(items) = &mut order_by.kind
        {
            items.iter_mut().for_each(|item| keep(&mut item.expr));
        }
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter_mut().for_each(keep_count);
                offset
                    .iter_mut()
                    .for_each(|offset| keep_count(&mut offset.value));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                keep_count(offset);
                keep_count(limit);
            }
            None => {}
        }
        if let Some(fetch) = query.fetch.take() {
            fetch_as_limit(query, fetch);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(items, _) = &mut select.group_by {
            items.iter_mut().for_each(keep);
        }
        mark_named_windows(select, true);
        if let Some(sqlparser::ast::Distinct::On(items)) = &mut select.distinct {
            for item in items {
                match output_of(item, &select.projection) {
                    Some(output) => *item = output,
                    None => keep(item),
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(window)) = &mut function.over
        {
            mark_frame(window, true);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        mark_named_windows(select, false);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(window)) = &mut function.over
        {
            mark_frame(window, false);
        }
        let Expr::Value(value) = expr else {
            return ControlFlow::Continue(());
        };
        let Value::Number(digits, kept) = &value.value else {
            return ControlFlow::Continue(());
        };
        // Exponents are read as numeric, by our own reader: the planner's keeps no digits after it.
        let short = digits.len() <= usize::from(crate::engine::types::name::NUMERIC_DIGITS_MAX);
        if *kept || digits.contains(['.', 'x', '_']) && !digits.contains(['e', 'E']) && short {
            return ControlFlow::Continue(());
        }
        let kind = if digits.parse::<i32>().is_ok() {
            TypeKind::Int4
        } else if digits.parse::<i64>().is_ok() {
            return ControlFlow::Continue(());
        } else {
            TypeKind::Numeric
        };
        // Beyond int8 the digits go as text: the planner's own integers end there.
        let literal = match kind {
            TypeKind::Numeric => Expr::value(Value::SingleQuotedString(digits.clone())),
            _ => expr.clone(),
        };
        *expr = casts::call(literal, SqlType::scalar(kind));
        ControlFlow::Continue(())
    }
}

/// FETCH FIRST n ROWS ONLY is LIMIT n; without a number it is 1.
fn fetch_as_limit(query: &mut Query, fetch: Fetch) {
    let mut quantity = fetch
        .quantity
        .unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    keep_count(&mut quantity);
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(quantity),
        other => {
            *other = Some(LimitClause::LimitOffset {
                limit: Some(quantity),
                offset: None,
                limit_by: Vec::new(),
            });
        }
    }
}

/// The output column that a number in DISTINCT ON stands for, if its expression is written down.
fn output_of(item: &Expr, outputs: &[SelectItem]) -> Option<Expr> {
    let Expr::Value(value) = item else {
        return None;
    };
    let Value::Number(digits, _) = &value.value else {
        return None;
    };
    let place: usize = digits.parse().ok()?;
    match outputs.get(place.checked_sub(1)?)? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            Some(expr.clone())
        }
        _ => None,
    }
}

fn mark_named_windows(select: &mut Select, kept: bool) {
    for NamedWindowDefinition(_, window) in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(window) = window {
            mark_frame(window, kept);
        }
    }
}

/// The bounds of a window's frame are row counts, not values. The planner prints them, so that the
/// mark must be gone again afterwards.
fn mark_frame(window: &mut WindowSpec, mark: bool) {
    let Some(frame) = &mut window.window_frame else {
        return;
    };
    let bounds = std::iter::once(&mut frame.start_bound).chain(&mut frame.end_bound);
    for bound in bounds {
        if let WindowFrameBound::Preceding(Some(rows)) | WindowFrameBound::Following(Some(rows)) =
            bound
            && let Expr::Value(value) = &mut **rows
            && let Value::Number(_, kept) = &mut value.value
        {
            *kept = mark;
        }
    }
}

/// A number of rows: a parameter there is int8.
fn keep_count(expr: &mut Expr) {
    keep(expr);
    let parameter = matches!(
        &*expr,
        Expr::Value(value) if matches!(value.value, Value::Placeholder(_))
    );
    if parameter {
        let inner = std::mem::replace(expr, Expr::value(Value::Null));
        *expr = casts::call(inner, SqlType::scalar(TypeKind::Int8));
    }
}

/// Marks a number as one that is not a value (the flag is sqlparser's "long" suffix, which
/// PostgreSQL does not have and the planner ignores).
fn keep(expr: &mut Expr) {
    if let Expr::Value(value) = expr
        && let Value::Number(_, kept) = &mut value.value
    {
        *kept = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    fn rewritten(sql: &str) -> String {
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("parses");
        rewrite(&mut statements);
        statements[0].to_string()
    }

    #[test]
    fn integers_get_the_smallest_type_that_postgresql_gives_them() {
        assert_eq!(
            rewritten("SELECT 1, 2147483648, 9223372036854775808, 1.5"),
            "SELECT cast_to(1, 'int4:-1'), 2147483648, \
             cast_to('9223372036854775808', 'numeric:-1'), 1.5"
        );
    }

    #[test]
    fn column_numbers_and_limits_are_no_values() {
        assert_eq!(
            rewritten("SELECT a FROM t GROUP BY 1 ORDER BY 1 LIMIT 5 OFFSET 2"),
            "SELECT a FROM t GROUP BY 1L ORDER BY 1L LIMIT 5L OFFSET 2L"
        );
    }
}
