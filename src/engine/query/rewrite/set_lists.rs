//! A select list with sets (`unnest(tags), upper(name) AS name`) whose names hide columns that it mentions: the planner, which
//! takes such lists apart, would not know which of the two is meant. The list gets names of its own below, and the
//! written ones above.

use super::labels::{folded, label};
use super::subqueries::{nothing, over_expression};
use super::syntax::last_name;
use crate::engine::query::functions::set_returning;
use sqlparser::ast::{
    Distinct, Expr, Function, Ident, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut,
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
        let order_by = match &query.order_by {
            None => &[],
            Some(order_by) => match &order_by.kind {
                OrderByKind::Expressions(items) => items.as_slice(),
                OrderByKind::All(_) => return ControlFlow::Continue(()),
            },
        };
        of_body(&mut query.body, order_by);
        ControlFlow::Continue(())
    }
}

fn of_body(body: &mut SetExpr, order_by: &[OrderByExpr]) {
    match body {
        SetExpr::Select(select) => {
            if let Some(named) = named(select, order_by) {
                **select = named;
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left, &[]);
            of_body(right, &[]);
        }
        _ => {}
    }
}

/// The list under names of its own, in a SELECT that gives it the written ones.
fn named(select: &Select, order_by: &[OrderByExpr]) -> Option<Select> {
    let items = select.projection.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some((expr.clone(), label(expr))),
        SelectItem::ExprWithAlias { expr, alias } => Some((expr.clone(), folded(alias))),
        _ => None,
    });
    let items = items.collect::<Option<Vec<_>>>()?;
    if !hides(&items) {
        return None;
    }
    let is_output = |item: &OrderByExpr| match &item.expr {
        Expr::Identifier(name) => items.iter().any(|(_, alias)| *alias == folded(name)),
        Expr::Value(number) => matches!(number.value, Value::Number(..)),
        _ => false,
    };
    if !order_by.iter().all(is_output) || matches!(select.distinct, Some(Distinct::On(_))) {
        return None;
    }
    let quoted = |name: String| Ident::with_quote('"', name);
    let own = |place: usize| quoted(format!("\u{1}set{place}"));
    let (mut below, mut above) = (Vec::new(), Vec::new());
    for (place, (expr, alias)) in items.into_iter().enumerate() {
        below.push(SelectItem::ExprWithAlias {
            expr,
            alias: own(place),
        });
        above.push(SelectItem::ExprWithAlias {
            expr: Expr::Identifier(own(place)),
            alias: quoted(alias),
        });
    }
    let mut list = Box::new(nothing());
    list.body = Box::new(SetExpr::Select(Box::new(Select {
        projection: below,
        distinct: None,
        ..select.clone()
    })));
    let SetExpr::Select(mut named) = *over_expression(list, Expr::value(Value::Null)).body else {
        return None;
    };
    if let Some(TableWithJoins {
        relation: TableFactor::Derived {
            alias: Some(alias), ..
        },
        ..
    }) = named.from.first_mut()
    {
        alias.columns = Vec::new();
    }
    named.projection = above;
    named.distinct = select.distinct.clone();
    Some(*named)
}

/// Whether there are sets among the items, and a computed one is called as a column that they mention.
fn hides(items: &[(Expr, String)]) -> bool {
    let mut mentioned = Mentioned::default();
    for (expr, _) in items {
        let _ = expr.visit(&mut mentioned);
    }
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let computed = items.iter().filter(|(expr, _)| !is_column(expr));
    let mut names = computed.map(|(_, alias)| alias);
    mentioned.sets && names.any(|name| mentioned.columns.contains(name))
}

#[derive(Default)]
struct Mentioned {
    queries: usize,
    sets: bool,
    columns: Vec<String>,
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
