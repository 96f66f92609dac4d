//! GROUPING SETS, ROLLUP and CUBE over values that are compared by keys (`keys`).
//!
//! PostgreSQL 15, §7.2.4.

use super::failure;
use super::functions::label;
use super::keys::{Class, no_order, value_name};
use crate::catalog::sql_type::TypeKind;
use crate::engine::types;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{Case, GroupingSet};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use std::sync::Arc;

/// Which expressions a group is not of.
const GROUPING: &str = "grouping";

/// Computes what the sets are of below the aggregate, and groups by those columns: an expression inside a set
/// has no name of its own that would stay when the expression is rewritten.
///
/// # Errors
/// What building a projection gives.
pub fn of_columns(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let sets = match &node {
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.as_slice() {
            [Expr::GroupingSet(sets)] => sets,
            _ => return Ok(Transformed::no(node)),
        },
        _ => return Ok(Transformed::no(node)),
    };
    let grouped = sets.distinct_expr().into_iter();
    let computed: Vec<Expr> = grouped
        .filter(|expr| !matches!(expr, Expr::Column(_)))
        .cloned()
        .collect();
    let (LogicalPlan::Aggregate(aggregate), false) = (&node, computed.is_empty()) else {
        return Ok(Transformed::no(node));
    };
    let as_column = |expr: Expr| match computed.contains(&expr) {
        true => {
            let (qualifier, name) = expr.qualified_name();
            Transformed::yes(Expr::Column(Column::new(qualifier, name)))
        }
        false => Transformed::no(expr),
    };
    let group = aggregate.group_expr.iter().cloned().map(|sets| {
        // From the top: what is inside of one is not another.
        sets.transform_down(|expr| {
            let mut found = as_column(expr);
            if found.transformed {
                found.tnr = TreeNodeRecursion::Jump;
            }
            Ok(found)
        })
        .data()
    });
    let group = group.collect::<Result<Vec<_>>>()?;
    let asked = aggregate.aggr_expr.iter().cloned().map(|expr| {
        of_groups(expr, |args| {
            args.into_iter().map(|arg| as_column(arg).data).collect()
        })
    });
    let asked = asked.collect::<Result<Vec<_>>>()?;
    let input = aggregate.input.schema().columns().into_iter();
    let columns = input.map(Expr::Column).chain(computed.iter().cloned());
    let input = Projection::try_new(columns.collect(), aggregate.input.clone())?;
    let input = Arc::new(LogicalPlan::Projection(input));
    let of_columns = Aggregate::try_new(input, group, asked)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(of_columns)))
}

/// The expression with what GROUPING asks for in another form: it asks by what is grouped by.
fn of_groups(expr: Expr, form: impl Fn(Vec<Expr>) -> Vec<Expr>) -> Result<Expr> {
    expr.transform_up(|expr| match expr {
        Expr::AggregateFunction(mut call) if call.func.name() == GROUPING => {
            call.params.args = form(std::mem::take(&mut call.params.args));
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// Groups by keys, and shows the first value of each group: where a set does not have an expression its key
/// is NULL, and then no value is shown.
///
/// # Errors
/// 42883 of json, which has no equality.
pub fn by_keys(aggregate: Aggregate, sets: &GroupingSet) -> Result<LogicalPlan> {
    let input_schema = aggregate.input.schema();
    let grouped: Vec<Expr> = sets.distinct_expr().into_iter().cloned().collect();
    let classes = grouped
        .iter()
        .map(|expr| Class::of_expr(expr, input_schema))
        .collect::<Result<Vec<_>>>()?;
    if classes.contains(&Class::Json) {
        return Err(no_order("equality"));
    }
    if classes.iter().all(|class| *class == Class::Plain) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let key_of = |expr: &Expr| {
        let place = grouped.iter().position(|known| known == expr);
        let class = place.map_or(Class::Plain, |place| classes[place]);
        match class {
            Class::Plain => expr.clone(),
            class => class.key(expr.clone().unalias()),
        }
    };
    let keys = |exprs: &[Expr]| exprs.iter().map(key_of).collect::<Vec<_>>();
    let keyed = match sets {
        GroupingSet::Rollup(exprs) => GroupingSet::Rollup(keys(exprs)),
        GroupingSet::Cube(exprs) => GroupingSet::Cube(keys(exprs)),
        GroupingSet::GroupingSets(sets) => {
            GroupingSet::GroupingSets(sets.iter().map(|exprs| keys(exprs)).collect())
        }
    };
    let schema = aggregate.schema.clone();
    let asked = aggregate.aggr_expr.into_iter();
    let asked = asked.map(|expr| of_groups(expr, |args| keys(&args)));
    let mut aggregates = asked.collect::<Result<Vec<_>>>()?;
    for (place, expr) in grouped.iter().enumerate() {
        if classes[place] != Class::Plain {
            let shown = first_value_udaf().call(vec![expr.clone().unalias()]);
            aggregates.push(shown.alias(value_name(place)));
        }
    }
    let sets = vec![Expr::GroupingSet(keyed)];
    let inner = Aggregate::try_new(aggregate.input.clone(), sets, aggregates)?;
    let inner_columns = inner.schema.columns();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (place, (qualifier, field)) in schema.iter().enumerate() {
        // The number of the set, which nothing but GROUPING asks for.
        if place == grouped.len() {
            continue;
        }
        let column = Expr::Column(inner_columns[place].clone());
        let shown = match classes.get(place) {
            Some(class) if *class != Class::Plain => {
                let value = Expr::Column(Column::new_unqualified(value_name(place)));
                let there = Expr::IsNotNull(Box::new(column));
                let shown = vec![(Box::new(there), Box::new(value))];
                let shown = Expr::Case(Case::new(None, shown, None));
                let sql_type = types::sql_type(field).map_err(failure::external)?;
                match sql_type.kind {
                    TypeKind::Jsonb if !sql_type.array => label::as_type(shown, sql_type),
                    _ => shown,
                }
            }
            _ => column,
        };
        columns.push(shown.alias_qualified(qualifier.cloned(), field.name()));
    }
    let inner = LogicalPlan::Aggregate(inner);
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns,
        Arc::new(inner),
    )?))
}
