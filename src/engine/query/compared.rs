//! Columns of a subquery that are compared with outer ones, under names of their own.
//!
//! Where the optimizer makes a join of a subquery it puts those columns beside what is selected and knows them all by the subquery's
//! name: one that is called as another is taken for it (`(SELECT max(x.n) … WHERE x.id = a.n AND y.id = a.m)` compared x.id twice), or
//! ambiguous (`(SELECT z.m AS n FROM z WHERE z.n = a.n)`).

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder};
use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What the columns are called, and a number.
const COMPARED: &str = "\u{1}compared";

/// How many columns of a plan have been named so: a subquery's may be beside those of the one around it.
pub type Named = Cell<usize>;

/// How many have been in this one, which may have been seen to before.
///
/// # Errors
/// The library's.
pub fn named_in(plan: &LogicalPlan) -> Result<Named> {
    let mut most = 0;
    plan.apply_with_subqueries(|node| {
        for name in node.schema().fields().iter().map(|field| field.name()) {
            let number = name.strip_prefix(COMPARED).and_then(|it| it.parse().ok());
            most = most.max(number.unwrap_or(0));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(Named::new(most))
}

/// The subquery whose compared columns have names of their own; None where they have already.
///
/// # Errors
/// The library's.
pub fn apart(subquery: &Subquery, named: &Named) -> Result<Option<Subquery>> {
    let (compared, mut names) = compared(&subquery.subquery)?;
    let selected = subquery.subquery.schema().fields().iter();
    names.extend(selected.map(|field| field.name().clone()));
    let mut compared = compared.into_iter();
    if compared.all(|column| is_named(&column) || names.insert(column.name)) {
        return Ok(None);
    }
    let plan = subquery.subquery.as_ref().clone();
    let plan = plan.transform_up(|node| match node {
        LogicalPlan::Filter(filter) => renamed(filter, named).map(Transformed::yes),
        other => other.recompute_schema().map(Transformed::yes),
    })?;
    Ok(Some(subquery.with_plan(Arc::new(plan.data))))
}

fn is_named(column: &Column) -> bool {
    column.name.starts_with(COMPARED)
}

/// The conditions with outer columns in a filter.
fn correlated(filter: &Filter) -> impl Iterator<Item = &Expr> {
    let conditions = split_conjunction(&filter.predicate).into_iter();
    conditions.filter(|one| one.contains_outer())
}

/// A subquery's own columns in conditions with outer ones, and the names that it gives to others.
fn compared(plan: &LogicalPlan) -> Result<(HashSet<Column>, HashSet<String>)> {
    let (mut columns, mut names) = (HashSet::new(), HashSet::new());
    plan.apply(|node| {
        match node {
            LogicalPlan::Filter(filter) => {
                let own = correlated(filter).flat_map(Expr::column_refs);
                columns.extend(own.cloned());
            }
            LogicalPlan::Projection(projection) => {
                let given = projection.expr.iter().filter_map(|expr| match expr {
                    Expr::Alias(alias) => Some(alias.name.clone()),
                    _ => None,
                });
                names.extend(given);
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((columns, names))
}

/// The filter over a projection that names its compared columns once more.
fn renamed(filter: Filter, named: &Named) -> Result<LogicalPlan> {
    let mut names: BTreeMap<Column, String> = BTreeMap::new();
    let columns = correlated(&filter).flat_map(Expr::column_refs);
    for column in columns.filter(|column| !is_named(column)) {
        names.entry(column.clone()).or_insert_with(|| {
            named.set(named.get() + 1);
            format!("{COMPARED}{}", named.get())
        });
    }
    if names.is_empty() {
        return Ok(LogicalPlan::Filter(filter));
    }
    let columns = filter.input.schema().columns().into_iter();
    let apart = names.iter();
    let apart = apart.map(|(column, name)| Expr::Column(column.clone()).alias(name));
    let columns: Vec<Expr> = columns.map(Expr::Column).chain(apart).collect();
    let conditions = split_conjunction_owned(filter.predicate).into_iter();
    let conditions = conditions.map(|condition| {
        if !condition.contains_outer() {
            return Ok(condition);
        }
        let renamed = condition.transform_up(|expr| {
            let name = match &expr {
                Expr::Column(column) => names.get(column),
                _ => None,
            };
            Ok(match name {
                Some(name) => Transformed::yes(Expr::Column(Column::new_unqualified(name))),
                None => Transformed::no(expr),
            })
        })?;
        Ok(renamed.data)
    });
    let condition = conjunction(conditions.collect::<Result<Vec<_>>>()?);
    let input = LogicalPlanBuilder::from(filter.input).project(columns)?;
    match condition {
        Some(condition) => input.filter(condition)?.build(),
        None => input.build(),
    }
}
