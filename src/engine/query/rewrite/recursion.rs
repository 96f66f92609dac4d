//! Parts of WITH RECURSIVE: what PostgreSQL demands of their form (§7.8.2), and their first rows told as such.
//!
//! The planner takes whatever UNION it finds there, drops ORDER BY and LIMIT behind it, and types the columns
//! by Arrow; a recursion that asks for what it has not got yet would run for ever. The types are
//! `semantics::recursion`'s.

use super::labels::{self, folded};
use super::refusals::calls_itself;
use super::subqueries::{is_aggregate, nothing, over_expression};
use super::syntax::call_of;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::functions::recursion::{SEED, STEP};
use sqlparser::ast::{
    Cte, Expr, Ident, JoinOperator, Query, Select, SelectItem, SetExpr, SetOperator, TableFactor,
    TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut, visit_relations,
};
use std::ops::ControlFlow;

/// Checks each such part and marks the columns that it begins with.
///
/// # Errors
/// 42P19 for a recursion that PostgreSQL does not take; 0A000 for what belongs to its rows as a whole.
pub fn rewrite(query: &mut Query) -> Result<(), Diagnostic> {
    match VisitMut::visit(query, &mut Parts) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Parts;

impl VisitorMut for Parts {
    type Break = Diagnostic;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Diagnostic> {
        let parts = match &mut query.with {
            Some(with) if with.recursive => with.cte_tables.as_mut_slice(),
            _ => &mut [],
        };
        for part in parts {
            if let Err(error) = of_part(part) {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }
}

fn of_part(part: &mut Cte) -> Result<(), Diagnostic> {
    let name = folded(&part.alias.name);
    if !names(&part.query, &name) {
        // What is no recursion must not look like one, or the planner takes its UNION apart.
        if let SetExpr::SetOperation { .. } = &*part.query.body {
            let union = std::mem::replace(&mut part.query, Box::new(nothing()));
            *part.query = of_all(union, vec![SelectItem::Wildcard(Default::default())]);
        }
        return Ok(());
    }
    let whole = [
        (part.query.with.is_some(), "WITH"),
        (part.query.order_by.is_some(), "ORDER BY"),
        (part.query.limit_clause.is_some(), "LIMIT"),
        (part.query.fetch.is_some(), "FETCH"),
    ];
    if let Some((_, clause)) = whole.into_iter().find(|(is_there, _)| *is_there) {
        return Err(Diagnostic::unsupported(format!(
            "{clause} in a recursive query"
        )));
    }
    let SetExpr::SetOperation {
        op: SetOperator::Union,
        left,
        right,
        ..
    } = &mut *part.query.body
    else {
        return Err(invalid(format!(
            "recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term"
        )));
    };
    if names(left, &name) {
        return Err(misplaced(&name, "appear within its non-recursive term"));
    }
    let mut places = Places { name: &name };
    if let ControlFlow::Break(error) = Visit::visit(&**right, &mut places) {
        return Err(error);
    }
    if references(right, &name) > 1 {
        return Err(misplaced(&name, "appear more than once"));
    }
    mark(left, SEED);
    mark(right, STEP);
    Ok(())
}

/// `SELECT items FROM (query) AS query`
fn of_all(query: Box<Query>, items: Vec<SelectItem>) -> Query {
    let mut all = over_expression(query, Expr::value(Value::Null));
    if let SetExpr::Select(select) = &mut *all.body {
        select.projection = items;
        if let Some(TableWithJoins {
            relation: TableFactor::Derived {
                alias: Some(alias), ..
            },
            ..
        }) = select.from.first_mut()
        {
            alias.columns = Vec::new();
        }
    }
    all
}

fn invalid(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SqlState::INVALID_RECURSION, message)
}

fn misplaced(name: &str, what: &str) -> Diagnostic {
    invalid(format!(
        "recursive reference to query \"{name}\" must not {what}"
    ))
}

fn references(tree: &impl Visit, name: &str) -> usize {
    let mut found = 0;
    let _ = visit_relations(tree, |relation| {
        let one = relation.0.as_slice();
        let is =
            matches!(one, [part] if part.as_ident().is_some_and(|ident| folded(ident) == name));
        found += usize::from(is);
        ControlFlow::<()>::Continue(())
    });
    found
}

fn names(tree: &impl Visit, name: &str) -> bool {
    references(tree, name) > 0
}

/// Where a recursive term must not ask for the rows that it makes.
struct Places<'n> {
    name: &'n str,
}

impl Places<'_> {
    fn demand(&self, absent_from: &impl Visit, place: &str) -> ControlFlow<Diagnostic> {
        match names(absent_from, self.name) {
            true => ControlFlow::Break(misplaced(self.name, &format!("appear within {place}"))),
            false => ControlFlow::Continue(()),
        }
    }

    fn joins(&self, item: &TableWithJoins) -> ControlFlow<Diagnostic> {
        use JoinOperator::{FullOuter, Left, LeftOuter, Right, RightOuter};
        for (place, join) in item.joins.iter().enumerate() {
            let (before, behind) = match &join.join_operator {
                Left(_) | LeftOuter(_) => (false, true),
                Right(_) | RightOuter(_) => (true, false),
                FullOuter(_) => (true, true),
                _ => continue,
            };
            if behind {
                self.demand(&join.relation, "an outer join")?;
            }
            if before {
                self.demand(&item.relation, "an outer join")?;
                for earlier in &item.joins[..place] {
                    self.demand(&earlier.relation, "an outer join")?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether it is an item of FROM itself, and not in a query there.
    fn is_item(&self, item: &TableWithJoins) -> bool {
        let mut relations =
            std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation));
        relations.any(|relation| {
            matches!(relation, TableFactor::Table { .. }) && names(relation, self.name)
        })
    }
}

impl Visitor for Places<'_> {
    type Break = Diagnostic;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Diagnostic> {
        match expr {
            Expr::Subquery(query)
            | Expr::Exists {
                subquery: query, ..
            }
            | Expr::InSubquery {
                subquery: query, ..
            } => self.demand(query, "a subquery"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Diagnostic> {
        if let SetExpr::SetOperation {
            op, left, right, ..
        } = &*query.body
        {
            match op {
                SetOperator::Intersect => {
                    self.demand(left, "INTERSECT")?;
                    self.demand(right, "INTERSECT")?;
                }
                SetOperator::Except | SetOperator::Minus => self.demand(right, "EXCEPT")?,
                SetOperator::Union => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Diagnostic> {
        for item in &select.from {
            self.joins(item)?;
        }
        let is_aggregated = || {
            let mut given = select.projection.iter().flat_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr)
                }
                _ => None,
            });
            given.any(|expr| calls_itself(expr, is_aggregate))
                || select
                    .having
                    .iter()
                    .any(|expr| calls_itself(expr, is_aggregate))
        };
        if select.from.iter().any(|item| self.is_item(item)) && is_aggregated() {
            return ControlFlow::Break(invalid(
                "aggregate functions are not allowed in a recursive query's recursive term",
            ));
        }
        ControlFlow::Continue(())
    }
}

/// Puts the function around what a term gives: each column has the type that PostgreSQL gives it by itself.
fn mark(term: &mut SetExpr, function: &str) {
    match term {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) = item {
                    let alias = Ident::with_quote('"', labels::label(expr));
                    let expr = taken(expr);
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
                if let SelectItem::ExprWithAlias { expr, .. } = item {
                    *expr = call_of(function, vec![taken(expr)]);
                }
            }
        }
        // Their columns are typed by all of their rows.
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            let columns = (1..=width).map(|place| {
                let name = Ident::new(format!("column{place}"));
                let expr = call_of(function, vec![Expr::Identifier(name.clone())]);
                SelectItem::ExprWithAlias { expr, alias: name }
            });
            let mut rows = Box::new(nothing());
            std::mem::swap(&mut *rows.body, term);
            *term = *of_all(rows, columns.collect()).body;
        }
        SetExpr::Query(query) => mark(&mut query.body, function),
        // Its rows are compared, or typed by one another.
        SetExpr::SetOperation { left, right, .. } => {
            mark(left, SEED);
            mark(right, SEED);
        }
        _ => {}
    }
}

fn taken(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::value(Value::Null))
}
