//! JOIN … USING: the column that it makes of both sides' (PostgreSQL 15, §7.2.1.1). NATURAL JOIN is that of the columns that both
//! sides have.
//!
//! The planner takes the left side's, which is NULL where that has no row. So RIGHT and FULL JOIN get ON in the place of USING,
//! and the column's name alone means the right side's, or coalesce() of both. What this does not reach is refused behind it. Of
//! the other joins it is the left side's; there the planner does not find the name in conditions, and in a subquery takes it for
//! a column of the query around, so that the name gets the side's before it. And `*` has these columns first.

use super::from_items::name_of;
use super::known_columns::{ColumnsOf, KnownColumns, constraint, single};
use super::labels::folded;
use super::syntax::call_of;
use sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, Ident, JoinConstraint, JoinOperator, ObjectName,
    OrderByExpr, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use std::ops::ControlFlow;

/// Rewrites those whose sides have names.
pub fn rewrite(query: &mut Query, columns_of: ColumnsOf<'_>) {
    let mut joins = Joins {
        known: KnownColumns::new(columns_of),
    };
    let _ = VisitMut::visit(query, &mut joins);
}

struct Joins<'a> {
    known: KnownColumns<'a>,
}

impl VisitorMut for Joins<'_> {
    type Break = ();

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.known.leave();
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let known = &mut self.known;
        known.enter(query);
        let order_by = query.order_by.as_mut().map(|order_by| &mut order_by.kind);
        match (&mut *query.body, order_by) {
            (SetExpr::Select(select), Some(OrderByKind::Expressions(items))) => {
                of_select(select, items, known);
            }
            (body, _) => of_body(body, known),
        }
        ControlFlow::Continue(())
    }
}

/// The SELECTs of a UNION and its like; queries in it are visited by themselves.
fn of_body(body: &mut SetExpr, known: &KnownColumns<'_>) {
    match body {
        SetExpr::Select(select) => of_select(select, &mut [], known),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left, known);
            of_body(right, known);
        }
        _ => {}
    }
}

fn of_select(select: &mut Select, order_by: &mut [OrderByExpr], known: &KnownColumns<'_>) {
    for item in &mut select.from {
        known.name_natural(item);
    }
    if !select.from.iter().any(keeps_right) {
        of_left(select, order_by, known);
        return;
    }
    // As it was, where it cannot be done.
    let (mut changed, mut changed_order) = (select.clone(), order_by.to_vec());
    if changed_select(&mut changed, &mut changed_order, known).is_some() {
        *select = changed;
        order_by.clone_from_slice(&changed_order);
    }
}

/// Gives the names that USING has made one the side that they are of.
fn of_left(select: &mut Select, order_by: &mut [OrderByExpr], known: &KnownColumns<'_>) {
    let is_using = |join: &JoinOperator| matches!(constraint(join), Some(JoinConstraint::Using(_)));
    let mut joins = select.from.iter().flat_map(|item| &item.joins);
    if !joins.any(|join| is_using(&join.join_operator)) {
        return;
    }
    // Where it is not known of which side a column is, it is left to the planner.
    let items = select.from.iter();
    let items: Vec<_> = items
        .map(|item| of_item(&mut item.clone(), known))
        .collect();
    let of_all = items.iter().flatten().flat_map(|item| &item.merged);
    let alone = |one: &&Merged| {
        let same = items.iter().flatten().flat_map(|item| &item.merged);
        same.filter(|other| other.name == one.name).count() == 1
    };
    let merged: Vec<Merged> = of_all.filter(alone).cloned().collect();
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
    if let Some(all) = items
        .iter()
        .map(|item| item.as_ref()?.star())
        .collect::<Option<Vec<_>>>()
    {
        let all: Vec<SelectItem> = all.into_iter().flatten().collect();
        let outputs = std::mem::take(&mut select.projection).into_iter();
        let outputs = outputs.flat_map(|output| match output {
            SelectItem::Wildcard(_) => all.clone(),
            other => vec![other],
        });
        select.projection = outputs.collect();
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

/// An item of FROM.
struct Item {
    /// The columns that USING has made of several, as `*` has them.
    merged: Vec<Merged>,
    relations: Vec<Relation>,
    /// Whether it is known of each such column whose it was.
    complete: bool,
}

struct Relation {
    name: String,
    columns: Option<Vec<String>>,
}

impl Item {
    /// `*` of the item, where all columns are known: the merged ones, and those that are left of each relation.
    fn star(&self) -> Option<Vec<SelectItem>> {
        if !self.complete {
            return None;
        }
        let mut outputs: Vec<SelectItem> = self.merged.iter().map(Merged::output).collect();
        for (place, relation) in self.relations.iter().enumerate() {
            let is_merged = |name: &str| {
                let mut merged = self.merged.iter();
                merged.any(|one| one.name == name && one.of.contains(&place))
            };
            let rest = relation.columns.as_ref()?.iter();
            let rest = rest.filter(|name| !is_merged(name));
            outputs.extend(rest.map(|name| {
                SelectItem::UnnamedExpr(column(&relation.name, &Ident::with_quote('"', name)))
            }));
        }
        Some(outputs)
    }

    /// The one of the relations that has the column.
    fn owner(&self, name: &str) -> Option<usize> {
        if self.relations.len() == 1 {
            return Some(0);
        }
        let mut owners = Vec::new();
        for (place, relation) in self.relations.iter().enumerate() {
            if relation
                .columns
                .as_ref()?
                .iter()
                .any(|column| column == name)
            {
                owners.push(place);
            }
        }
        match owners.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

/// A column that USING has made of several.
#[derive(Clone)]
struct Merged {
    name: String,
    value: Expr,
    /// The relations that it is of, by their places.
    of: Vec<usize>,
    /// Whether the planner no longer knows that it is one.
    ours: bool,
}

impl Merged {
    fn output(&self) -> SelectItem {
        match &self.value {
            Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(self.value.clone()),
            _ => SelectItem::ExprWithAlias {
                expr: self.value.clone(),
                alias: Ident::with_quote('"', &self.name),
            },
        }
    }
}

fn changed_select(
    select: &mut Select,
    order_by: &mut [OrderByExpr],
    known: &KnownColumns<'_>,
) -> Option<()> {
    let [item] = select.from.as_mut_slice() else {
        return None;
    };
    let item = of_item(item, known)?;
    let star = item.star();
    let relations: Vec<_> = item.relations.into_iter().map(|it| it.name).collect();
    let merged: Vec<_> = item
        .merged
        .into_iter()
        .filter(|column| column.ours)
        .collect();
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
            SelectItem::Wildcard(_) => star
                .clone()
                .unwrap_or_else(|| expanded(&merged, &relations)),
            other => vec![other],
        })
        .collect();
    Some(())
}

/// Puts ON in the place of a RIGHT or FULL JOIN's USING, and says what the item has.
fn of_item(item: &mut TableWithJoins, known: &KnownColumns<'_>) -> Option<Item> {
    let relation = |factor: &TableFactor| {
        Some(Relation {
            name: name_of(factor)?,
            columns: known.columns(factor),
        })
    };
    let mut found = Item {
        merged: Vec::new(),
        relations: vec![relation(&item.relation)?],
        complete: true,
    };
    for join in &mut item.joins {
        let right = relation(&join.relation)?;
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
                found.relations.push(right);
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
        let own_place = found.relations.len();
        for name in &names {
            let merged = &mut found.merged;
            let place = merged.iter().position(|it| it.name == folded(name));
            let before = place.map(|place| merged.remove(place));
            let owner = found.owner(&folded(name));
            let own = column(&right.name, name);
            let (left, mut of) = match (&before, owner) {
                (Some(before), _) => (before.value.clone(), before.of.clone()),
                (None, Some(place)) => (column(&found.relations[place].name, name), vec![place]),
                // Which of them has it is not known; of an inner join either side will do.
                (None, None) if is_inner => {
                    found.complete = false;
                    (own.clone(), Vec::new())
                }
                (None, None) if kept == Kept::Left => {
                    found.complete = false;
                    continue;
                }
                (None, None) => return None,
            };
            of.push(own_place);
            conditions.push(Expr::BinaryOp {
                left: Box::new(left.clone()),
                op: BinaryOperator::Eq,
                right: Box::new(own.clone()),
            });
            found.merged.push(Merged {
                name: folded(name),
                value: match kept {
                    Kept::Left => left,
                    Kept::Right => own,
                    Kept::Either => call_of("coalesce", vec![left, own]),
                },
                of,
                ours: before.is_some_and(|before| before.ours) || kept != Kept::Left,
            });
        }
        // `*` has those of the last join first.
        found.merged.rotate_right(conditions.len());
        let ours = |name: &Ident| {
            let one = found.merged.iter().find(|it| it.name == folded(name));
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
        found.relations.push(right);
    }
    Some(found)
}

/// Of which side a merged column is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Left,
    Right,
    Either,
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
