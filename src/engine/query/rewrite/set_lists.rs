//! A select list with sets (`unnest(tags), upper(name) AS name`) that the planner, which takes such lists apart, would not
//! understand: where a name hides a column that the list mentions it would not know which of the two is meant, and what the
//! rows are ordered by beside the list it would look for above the sets. The list gets names of its own below, with what
//! orders it, and the written ones above.

use super::labels::{folded, label};
use super::subqueries::{nothing, over_expression};
use super::syntax::{call_of, last_name};
use crate::engine::query::functions::set_returning;
use sqlparser::ast::{
    Distinct, Expr, Function, GroupByExpr, Ident, OrderByExpr, OrderByKind, OrderByOptions, Query,
    Select, SelectItem, SetExpr, TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor,
    VisitorMut, WindowSpec, WindowType,
};
use std::ops::ControlFlow;

/// Rewrites such lists, where nothing but their own columns is asked for behind them.
pub fn rewrite(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut none = Vec::new();
        let order_by = match &mut query.order_by {
            None => &mut none,
            Some(order_by) => match &mut order_by.kind {
                OrderByKind::Expressions(items) => items,
                OrderByKind::All(_) => return ControlFlow::Continue(()),
            },
        };
        of_body(&mut query.body, order_by);
        ControlFlow::Continue(())
    }
}

fn of_body(body: &mut SetExpr, order_by: &mut Vec<OrderByExpr>) {
    match body {
        SetExpr::Select(select) => {
            if let Some(named) = named(select, order_by) {
                **select = named;
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left, &mut Vec::new());
            of_body(right, &mut Vec::new());
        }
        _ => {}
    }
}

/// The list under names of its own, in a SELECT that gives it the written ones; the order is by what that has below.
fn named(select: &Select, order_by: &mut Vec<OrderByExpr>) -> Option<Select> {
    let items = select.projection.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some((expr.clone(), label(expr))),
        SelectItem::ExprWithAlias { expr, alias } => Some((expr.clone(), folded(alias))),
        _ => None,
    });
    let items = items.collect::<Option<Vec<_>>>()?;
    let is_output = |item: &OrderByExpr| match &item.expr {
        Expr::Identifier(name) => items.iter().any(|(_, alias)| *alias == folded(name)),
        Expr::Value(number) => matches!(number.value, Value::Number(..)),
        other => items.iter().any(|(expr, _)| expr == other),
    };
    let beside = !order_by.iter().all(is_output);
    let mentioned = Mentioned::of(&items, order_by);
    let sorted = !order_by.is_empty() && select.distinct.is_none();
    if !mentioned.sets || !(sorted || hides(&items, &mentioned)) {
        return None;
    }
    let on = matches!(select.distinct, Some(Distinct::On(_)));
    if on || beside && select.distinct.is_some() || groups_by_output(select, &items) {
        return None;
    }
    let quoted = |name: String| Ident::with_quote('"', name);
    let own = |place: usize| quoted(format!("\u{1}set{place}"));
    let below = |(place, expr): (usize, &Expr)| SelectItem::ExprWithAlias {
        expr: expr.clone(),
        alias: own(place),
    };
    let above = |(place, alias): (usize, &String)| SelectItem::ExprWithAlias {
        expr: Expr::Identifier(own(place)),
        alias: quoted(alias.clone()),
    };
    let mut listed: Vec<Expr> = items.iter().map(|(expr, _)| expr.clone()).collect();
    for item in order_by.iter_mut() {
        if matches!(item.expr, Expr::Value(_)) || is_output(item) && is_name(&item.expr) {
            continue;
        }
        let place = listed.iter().position(|expr| *expr == item.expr);
        let place = place.unwrap_or_else(|| {
            listed.push(item.expr.clone());
            listed.len() - 1
        });
        item.expr = Expr::Identifier(own(place));
    }
    let mut from = Select {
        projection: listed.iter().enumerate().map(below).collect(),
        distinct: None,
        ..select.clone()
    };
    if sorted {
        // The elements of a row stay in their order.
        let count = listed.len();
        let mut numbered = around(from)?;
        let columns = (0..count).map(|place| SelectItem::UnnamedExpr(Expr::Identifier(own(place))));
        numbered.projection = columns.collect();
        numbered.projection.push(SelectItem::ExprWithAlias {
            expr: as_they_come(),
            alias: own(count),
        });
        order_by.push(OrderByExpr {
            expr: Expr::Identifier(own(count)),
            options: OrderByOptions::default(),
            with_fill: None,
        });
        from = numbered;
    }
    let mut named = around(from)?;
    let aliases = items.iter().map(|(_, alias)| alias);
    named.projection = aliases.enumerate().map(above).collect();
    named.distinct = select.distinct.clone();
    Some(named)
}

/// A SELECT FROM the other one, without a list.
fn around(below: Select) -> Option<Select> {
    let mut list = Box::new(nothing());
    list.body = Box::new(SetExpr::Select(Box::new(below)));
    let SetExpr::Select(mut around) = *over_expression(list, Expr::value(Value::Null)).body else {
        return None;
    };
    if let Some(TableWithJoins {
        relation: TableFactor::Derived {
            alias: Some(alias), ..
        },
        ..
    }) = around.from.first_mut()
    {
        alias.columns = Vec::new();
    }
    Some(*around)
}

fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_))
}

/// Whether the groups are by what a computed item is called.
fn groups_by_output(select: &Select, items: &[(Expr, String)]) -> bool {
    let GroupByExpr::Expressions(groups, _) = &select.group_by else {
        return false;
    };
    let is_output = |name: &Ident| {
        let mut computed = items.iter().filter(|(expr, _)| !is_name(expr));
        computed.any(|(_, alias)| *alias == folded(name))
    };
    groups
        .iter()
        .any(|group| matches!(group, Expr::Identifier(name) if is_output(name)))
}

/// `row_number() OVER ()`
fn as_they_come() -> Expr {
    let Expr::Function(mut function) = call_of("row_number", Vec::new()) else {
        return Expr::value(Value::Null);
    };
    function.over = Some(WindowType::WindowSpec(WindowSpec {
        window_name: None,
        partition_by: Vec::new(),
        order_by: Vec::new(),
        window_frame: None,
    }));
    Expr::Function(function)
}

/// Whether a computed item is called as a column that the items mention.
fn hides(items: &[(Expr, String)], mentioned: &Mentioned) -> bool {
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let computed = items.iter().filter(|(expr, _)| !is_column(expr));
    let mut names = computed.map(|(_, alias)| alias);
    names.any(|name| mentioned.columns.contains(name))
}

/// What a list and its order mention.
#[derive(Default)]
struct Mentioned {
    queries: usize,
    sets: bool,
    /// Of the list alone.
    columns: Vec<String>,
}

impl Mentioned {
    fn of(items: &[(Expr, String)], order_by: &[OrderByExpr]) -> Mentioned {
        let mut mentioned = Mentioned::default();
        for (expr, _) in items {
            let _ = expr.visit(&mut mentioned);
        }
        let columns = std::mem::take(&mut mentioned.columns);
        for item in order_by {
            let _ = item.expr.visit(&mut mentioned);
        }
        Mentioned {
            columns,
            ..mentioned
        }
    }
}

impl Visitor for Mentioned {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.columns.push(folded(name)),
            Expr::CompoundIdentifier(parts) => self.columns.extend(parts.last().map(folded)),
            Expr::Function(function) if self.queries == 0 => self.sets |= gives_set(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a call gives a set of rows in a select list.
pub fn gives_set(function: &Function) -> bool {
    function.over.is_none()
        && last_name(&function.name)
            .is_some_and(|name| name == "unnest" || set_returning::is(&name))
}
