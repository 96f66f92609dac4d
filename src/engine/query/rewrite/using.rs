//! JOIN … USING: the column that it makes of both sides' (PostgreSQL 15, §7.2.1.1).
//!
//! The planner takes the left side's, which is NULL where that has no row. So RIGHT and FULL JOIN get ON in the place of USING,
//! and the column's name alone means the right side's, or coalesce() of both. What this does not reach is refused behind it. Of
//! the other joins it is the left side's; there the planner does not find the name in conditions, and in a subquery takes it for
//! a column of the query around, so that the name gets the side's before it.

use super::from_items::name_of;
use super::labels::folded;
use super::syntax::call_of;
use sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, Ident, JoinConstraint, JoinOperator, ObjectName,
    OrderByExpr, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use std::ops::ControlFlow;

/// Rewrites those whose sides have names.
pub fn rewrite(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let order_by = query.order_by.as_mut().map(|order_by| &mut order_by.kind);
        match (&mut *query.body, order_by) {
            (SetExpr::Select(select), Some(OrderByKind::Expressions(items))) => {
                of_select(select, items);
            }
            (body, _) => of_body(body),
        }
        ControlFlow::Continue(())
    }
}

/// The SELECTs of a UNION and its like; queries in it are visited by themselves.
fn of_body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => of_select(select, &mut []),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left);
            of_body(right);
        }
        _ => {}
    }
}

fn of_select(select: &mut Select, order_by: &mut [OrderByExpr]) {
    if !select.from.iter().any(keeps_right) {
        of_left(select, order_by);
        return;
    }
    // As it was, where it cannot be done.
    let (mut changed, mut changed_order) = (select.clone(), order_by.to_vec());
    if changed_select(&mut changed, &mut changed_order).is_some() {
        *select = changed;
        order_by.clone_from_slice(&changed_order);
    }
}

/// Gives the names that USING has made one the side that they are of.
fn of_left(select: &mut Select, order_by: &mut [OrderByExpr]) {
    let mut joins = select.from.iter().flat_map(|item| &item.joins);
    if !joins.any(|join| {
        matches!(
            constraint(&join.join_operator),
            Some(JoinConstraint::Using(_))
        )
    }) {
        return;
    }
    // Where it is not known of which side a column is, it is left to the planner.
    let known = select
        .from
        .iter()
        .filter_map(|item| of_item(&mut item.clone()));
    let mut merged: Vec<_> = known.flat_map(|(merged, _)| merged).collect();
    let all: Vec<_> = merged.iter().map(|one| one.name.clone()).collect();
    merged.retain(|one| all.iter().filter(|name| **name == one.name).count() == 1);
    let mut names = OwnNames {
        merged: &merged,
        queries: 0,
    };
    for item in order_by {
        // A name alone is an output column's.
        if !matches!(item.expr, Expr::Identifier(_)) {
            let _ = item.expr.visit(&mut names);
        }
    }
    let mut from = std::mem::take(&mut select.from);
    let _ = VisitMut::visit(select, &mut names);
    for join in from.iter_mut().flat_map(|item| &mut item.joins) {
        let _ = join.join_operator.visit(&mut names);
    }
    select.from = from;
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// Whether a column of a join is not the left side's.
fn keeps_right(item: &TableWithJoins) -> bool {
    item.joins
        .iter()
        .any(|join| is_right_using(&join.join_operator))
}

/// RIGHT or FULL JOIN … USING.
pub fn is_right_using(operator: &JoinOperator) -> bool {
    matches!(
        operator,
        JoinOperator::Right(JoinConstraint::Using(_))
            | JoinOperator::RightOuter(JoinConstraint::Using(_))
            | JoinOperator::FullOuter(JoinConstraint::Using(_))
    )
}

/// A column that USING has made of several.
struct Merged {
    name: String,
    value: Expr,
    /// Whether the planner no longer knows that it is one.
    ours: bool,
}

fn changed_select(select: &mut Select, order_by: &mut [OrderByExpr]) -> Option<()> {
    let [item] = select.from.as_mut_slice() else {
        return None;
    };
    let (merged, relations) = of_item(item)?;
    let merged: Vec<_> = merged.into_iter().filter(|column| column.ours).collect();
    let mut names = Names {
        merged: &merged,
        queries: 0,
    };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(column)) = item
            && let Some(value) = names.value_of(column)
        {
            *item = SelectItem::ExprWithAlias {
                expr: value,
                alias: column.clone(),
            };
        }
    }
    let outputs: Vec<_> = select.projection.iter().filter_map(output).collect();
    let has_wildcard = select
        .projection
        .iter()
        .any(|item| matches!(item, SelectItem::Wildcard(_)));
    for item in order_by {
        let is_output = |column: &Ident| has_wildcard || outputs.contains(&folded(column));
        match &item.expr {
            Expr::Identifier(column) if is_output(column) => {}
            _ => item.expr.visit(&mut names).continue_value()?,
        }
    }
    // What is in FROM does not see the joined columns, but for conditions of joins.
    let mut from = std::mem::take(&mut select.from);
    VisitMut::visit(select, &mut names).continue_value()?;
    for join in from.iter_mut().flat_map(|item| &mut item.joins) {
        join.join_operator.visit(&mut names).continue_value()?;
    }
    select.from = from;
    let items = std::mem::take(&mut select.projection);
    select.projection = items
        .into_iter()
        .flat_map(|item| match item {
            SelectItem::Wildcard(_) => expanded(&merged, &relations),
            other => vec![other],
        })
        .collect();
    Some(())
}

/// Puts ON in the place of USING; gives the columns that USING merges, and the relations.
fn of_item(item: &mut TableWithJoins) -> Option<(Vec<Merged>, Vec<String>)> {
    let mut merged: Vec<Merged> = Vec::new();
    let mut relations = vec![name_of(&item.relation)?];
    for join in &mut item.joins {
        let right = name_of(&join.relation)?;
        let operator = &mut join.join_operator;
        let is_inner = matches!(operator, JoinOperator::Join(_) | JoinOperator::Inner(_));
        let (constraint, kept) = match operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
                (constraint, Kept::Left)
            }
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (constraint, Kept::Left)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (constraint, Kept::Right)
            }
            JoinOperator::FullOuter(constraint) => (constraint, Kept::Either),
            JoinOperator::CrossJoin(JoinConstraint::None) => {
                relations.push(right);
                continue;
            }
            _ => return None,
        };
        let names = match constraint {
            JoinConstraint::Using(names) => {
                names.iter().map(single).collect::<Option<Vec<Ident>>>()?
            }
            JoinConstraint::On(_) => Vec::new(),
            JoinConstraint::Natural | JoinConstraint::None => return None,
        };
        let mut conditions = Vec::new();
        for name in &names {
            let place = merged.iter().position(|it| it.name == folded(name));
            let left = match (place, relations.as_slice()) {
                (Some(place), _) => merged[place].value.clone(),
                (None, [only]) => column(only, name),
                // Which of them has it is not known here; of an inner join either side will do.
                (None, _) if kept == Kept::Left && is_inner => column(&right, name),
                (None, _) => return None,
            };
            let was_ours = place.is_some_and(|place| merged[place].ours);
            let own = column(&right, name);
            conditions.push(Expr::BinaryOp {
                left: Box::new(left.clone()),
                op: BinaryOperator::Eq,
                right: Box::new(own.clone()),
            });
            let one = Merged {
                name: folded(name),
                value: match kept {
                    Kept::Left => left,
                    Kept::Right => own,
                    Kept::Either => call_of("coalesce", vec![left, own]),
                },
                ours: was_ours || kept != Kept::Left,
            };
            match place {
                Some(place) => merged[place] = one,
                None => merged.push(one),
            }
        }
        let ours = |name: &Ident| {
            let one = merged.iter().find(|it| it.name == folded(name));
            one.is_some_and(|it| it.ours)
        };
        match names.iter().filter(|name| ours(name)).count() {
            0 => {}
            count if count == names.len() => {
                let all = conditions.into_iter().reduce(|left, right| Expr::BinaryOp {
                    left: Box::new(left),
                    op: BinaryOperator::And,
                    right: Box::new(right),
                });
                *constraint = JoinConstraint::On(all?);
            }
            _ => return None,
        }
        relations.push(right);
    }
    Some((merged, relations))
}

/// Of which side a merged column is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Left,
    Right,
    Either,
}

fn single(name: &ObjectName) -> Option<Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident().cloned(),
        _ => None,
    }
}

fn column(relation: &str, name: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![Ident::with_quote('"', relation), name.clone()])
}

fn output(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(column)) => Some(folded(column)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(folded),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    }
}

/// `*`: the merged columns first, then what else the relations have.
fn expanded(merged: &[Merged], relations: &[String]) -> Vec<SelectItem> {
    let quoted = |name: &str| Ident::with_quote('"', name);
    let first = merged.iter().map(|column| SelectItem::ExprWithAlias {
        expr: column.value.clone(),
        alias: quoted(&column.name),
    });
    let rest = relations.iter().map(|relation| {
        let names = merged
            .iter()
            .map(|column| ObjectName::from(vec![quoted(&column.name)]));
        let options = WildcardAdditionalOptions {
            opt_exclude: Some(ExcludeSelectItem::Multiple(names.collect())),
            ..Default::default()
        };
        let relation = ObjectName::from(vec![quoted(relation)]);
        SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(relation),
            options,
        )
    });
    first.chain(rest).collect()
}

/// Puts a merged column's value in the place of its name alone.
struct Names<'m> {
    merged: &'m [Merged],
    queries: usize,
}

impl Names<'_> {
    fn value_of(&self, name: &Ident) -> Option<Expr> {
        let name = folded(name);
        let found = self.merged.iter().find(|column| column.name == name);
        found.map(|column| column.value.clone())
    }
}

impl VisitorMut for Names<'_> {
    /// A query inside has the name, and it is not known whose it is.
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Identifier(name) = &*expr else {
            return ControlFlow::Continue(());
        };
        match self.value_of(name) {
            Some(_) if self.queries > 0 => ControlFlow::Break(()),
            Some(value) => {
                *expr = value;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Continue(()),
        }
    }
}

/// The same in a condition itself, and not in the queries inside it, whose names may be their own.
struct OwnNames<'m> {
    merged: &'m [Merged],
    queries: usize,
}

impl VisitorMut for OwnNames<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.queries == 0
            && let Expr::Identifier(name) = &*expr
            && let Some(one) = self.merged.iter().find(|one| one.name == folded(name))
        {
            *expr = one.value.clone();
        }
        ControlFlow::Continue(())
    }
}
