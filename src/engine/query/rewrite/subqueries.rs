//! Subqueries in expressions: a scalar one gives at most one row, ARRAY(…) collects all.
//!
//! The planner turns a correlated scalar subquery into a join and for that wants an aggregate in
//! it; `single_value` is one that fails with 21000 on a second row, so the meaning stays.

use super::syntax::call_of;
use crate::diagnostic::Diagnostic;
use sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, Ident, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, VisitMut, Visitor, VisitorMut,
};
use std::ops::ControlFlow;

/// The aggregate of one value at most.
pub const SINGLE_VALUE: &str = "single_value";

/// Puts `single_value` into scalar subqueries that are not aggregates already.
pub fn rewrite(tree: &mut impl VisitMut) {
    let _ = tree.visit(&mut Subqueries);
}

struct Subqueries;

impl VisitorMut for Subqueries {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Subquery(query) = expr {
            let taken = std::mem::replace(query, Box::new(nothing()));
            **query = aggregated(taken);
        }
        ControlFlow::Continue(())
    }
}

/// The query with one row at most.
fn aggregated(mut query: Box<Query>) -> Query {
    if let Some(select) = plain_select(&mut query) {
        if select.from.is_empty() && select.selection.is_none() {
            return *query;
        }
        if let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_mut_slice()
        {
            if has_window(item) {
                return over(query, SINGLE_VALUE);
            }
            if !has_aggregate(item) {
                let inner = std::mem::replace(item, Expr::value(sqlparser::ast::Value::Null));
                *item = call_of(SINGLE_VALUE, vec![inner]);
            }
            return *query;
        }
    }
    over(query, SINGLE_VALUE)
}

/// ARRAY(query)'s aggregate, in the order of the query.
///
/// # Errors
/// 0A000 where that order is by more than the value itself and cannot go into the aggregate.
pub fn array_aggregate(mut query: Box<Query>) -> Result<Query, Diagnostic> {
    const AGGREGATE: &str = "array_agg";
    let Some(order_by) = query.order_by.take() else {
        return Ok(over(query, AGGREGATE));
    };
    let OrderByKind::Expressions(mut items) = order_by.kind.clone() else {
        return Err(Diagnostic::unsupported("this ORDER BY in ARRAY(subquery)"));
    };
    let value = match &*query.body {
        SetExpr::Select(select) => match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] => {
                Some(item.clone())
            }
            _ => None,
        },
        _ => None,
    };
    let name = value.as_ref().map(super::labels::label);
    let by_value = |item: &OrderByExpr| match &item.expr {
        Expr::Value(number) => {
            matches!(&number.value, sqlparser::ast::Value::Number(one, _) if one == "1")
        }
        Expr::Identifier(ident) => Some(super::labels::folded(ident)) == name,
        other => Some(other) == value.as_ref(),
    };
    if let (Some(select), Some(value)) = (plain_select(&mut query), &value)
        && !has_aggregate(value)
        && !has_window(value)
        && !calls(value, super::set_lists::gives_set)
    {
        for item in &mut items {
            if by_value(item) {
                item.expr = value.clone();
            }
        }
        let mut aggregate = call_of(AGGREGATE, vec![value.clone()]);
        order(&mut aggregate, items);
        select.projection = vec![SelectItem::ExprWithAlias {
            expr: aggregate,
            alias: Ident::with_quote('"', VALUE),
        }];
        return Ok(*query);
    }
    if !items.iter().all(by_value) {
        return Err(Diagnostic::unsupported(
            "ORDER BY another column in this form of ARRAY(subquery)",
        ));
    }
    let column = Expr::Identifier(Ident::with_quote('"', VALUE));
    let mut aggregate = call_of(AGGREGATE, vec![column.clone()]);
    for item in &mut items {
        item.expr = column.clone();
    }
    order(&mut aggregate, items);
    // The query keeps its own order: its LIMIT may need it.
    query.order_by = Some(order_by);
    Ok(over_expression(query, aggregate))
}

/// Gives an aggregate's call its ORDER BY.
fn order(call: &mut Expr, items: Vec<OrderByExpr>) {
    if let Expr::Function(function) = call
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.clauses.push(FunctionArgumentClause::OrderBy(items));
    }
}

/// The only column of the query inside: no client can write its name, or a column of a query around would be hidden by it.
pub const VALUE: &str = "\u{1}value";
/// The query inside, likewise.
const QUERY: &str = "\u{1}query";

/// `SELECT aggregate(value) FROM (query) AS query (value)`
fn over(query: Box<Query>, aggregate: &str) -> Query {
    let column = Expr::Identifier(Ident::with_quote('"', VALUE));
    over_expression(query, call_of(aggregate, vec![column]))
}

/// `SELECT expr FROM (query) AS query (value)`
pub fn over_expression(query: Box<Query>, expr: Expr) -> Query {
    let column = Ident::with_quote('"', VALUE);
    let mut outer = nothing();
    if let SetExpr::Select(select) = &mut *outer.body {
        select.projection = vec![SelectItem::ExprWithAlias {
            expr,
            alias: column.clone(),
        }];
        select.from = vec![TableWithJoins {
            relation: TableFactor::Derived {
                lateral: false,
                subquery: query,
                alias: Some(TableAlias {
                    explicit: true,
                    name: Ident::with_quote('"', QUERY),
                    columns: vec![TableAliasColumnDef {
                        name: column,
                        data_type: None,
                    }],
                    at: None,
                }),
                sample: None,
            },
            joins: Vec::new(),
        }];
    }
    outer
}

/// A query that is one SELECT without anything that shapes its rows afterwards.
fn plain_select(query: &mut Query) -> Option<&mut Select> {
    let shaped = query.with.is_some()
        || query.order_by.is_some()
        || query.limit_clause.is_some()
        || query.fetch.is_some();
    let SetExpr::Select(select) = &mut *query.body else {
        return None;
    };
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(items, _) => !items.is_empty(),
    };
    let plain = !shaped && !grouped && select.distinct.is_none() && select.having.is_none();
    plain.then_some(&mut **select)
}

/// `SELECT` of nothing, to be filled.
pub fn nothing() -> Query {
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    let mut statements = sqlparser::parser::Parser::parse_sql(&dialect, "SELECT 1")
        .expect("a constant text of ours parses");
    match statements.pop() {
        Some(sqlparser::ast::Statement::Query(query)) => *query,
        _ => unreachable!("a SELECT is a query"),
    }
}

/// Whether it calls such a function, below its own subqueries or not.
fn calls(expr: &Expr, wanted: fn(&Function) -> bool) -> bool {
    struct Calls(fn(&Function) -> bool);
    impl Visitor for Calls {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) if (self.0)(function) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    sqlparser::ast::Visit::visit(expr, &mut Calls(wanted)).is_break()
}

fn has_aggregate(expr: &Expr) -> bool {
    calls(expr, is_aggregate)
}

fn has_window(expr: &Expr) -> bool {
    calls(expr, |function| function.over.is_some())
}

/// Whether a call is one of an aggregate, without OVER.
pub fn is_aggregate(function: &Function) -> bool {
    function.over.is_none()
        && super::syntax::last_name(&function.name).is_some_and(|name| {
            crate::engine::query::functions::AGGREGATES.contains(&name.as_str())
        })
}
