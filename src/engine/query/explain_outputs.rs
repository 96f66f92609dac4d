//! What each operator of a plan gives, for EXPLAIN (VERBOSE): columns by the names of their tables, other
//! things as the expressions that they are. Drivers read from it which columns an outer join may leave NULL.
//! Source: PostgreSQL 15, EXPLAIN, option VERBOSE.

use super::functions::{float, numeric};
use super::leaf;
use super::measure::MeasuredExec;
use super::rewrite::labels;
use crate::engine::types::number::Number;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, ScalarValue};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::displayable;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

/// What the planner calls the elements of an array.
const UNNESTED: &str = "__unnest_placeholder";

/// What the tables of a plan are called in it.
pub struct Tables {
    qualified: bool,
    seen: HashMap<String, usize>,
}

impl Tables {
    /// Of a plan: with one table its columns need no qualifier.
    pub fn of(plan: &dyn ExecutionPlan) -> Tables {
        Tables {
            qualified: leaves(plan) > 1,
            seen: HashMap::new(),
        }
    }

    /// The columns of the next leaf; a table that comes again is told by a number.
    fn columns(&mut self, plan: &dyn ExecutionPlan) -> Vec<String> {
        let title = displayable(plan).one_line().to_string();
        let table = title.split_once(" on ").map(|(_, table)| table.trim_end());
        let Some(table) = table.filter(|_| self.qualified) else {
            return fields(plan);
        };
        let table = table.lines().next().unwrap_or(table).to_owned();
        let times = self.seen.entry(table.clone()).or_default();
        *times += 1;
        let qualifier = match *times {
            1 => table,
            again => format!("{table}_{}", again - 1),
        };
        let qualified = |name: String| format!("{qualifier}.{name}");
        fields(plan).into_iter().map(qualified).collect()
    }
}

fn leaves(plan: &dyn ExecutionPlan) -> usize {
    let below: usize = plan.children().iter().map(|child| leaves(&***child)).sum();
    below + usize::from(plan.name() == leaf::NAME)
}

fn fields(plan: &dyn ExecutionPlan) -> Vec<String> {
    let schema = plan.schema();
    let names = schema.fields().iter().map(|field| field.name());
    let shown = |name: &String| match name.strip_prefix(UNNESTED) {
        Some(_) => "unnest".to_owned(),
        None => labels::visible(name).to_owned(),
    };
    names.map(shown).collect()
}

/// The join that an operator is.
pub fn join_type(plan: &dyn ExecutionPlan) -> Option<JoinType> {
    let any: &dyn Any = plan;
    if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        return Some(*join.join_type());
    }
    if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() {
        return Some(*join.join_type());
    }
    if let Some(join) = any.downcast_ref::<SortMergeJoinExec>() {
        return Some(join.join_type());
    }
    any.is::<CrossJoinExec>().then_some(JoinType::Inner)
}

/// What the operator gives over what those below it give.
pub fn outputs(
    plan: &dyn ExecutionPlan,
    below: &[Vec<String>],
    tables: &mut Tables,
) -> Vec<String> {
    let any: &dyn Any = plan;
    if let Some(measured) = any.downcast_ref::<MeasuredExec>() {
        return outputs(measured.inner().as_ref(), below, tables);
    }
    let given = match below {
        [] => tables.columns(plan),
        [only] => over_one(plan, only),
        [left, right] => match join_type(plan) {
            Some(join) => joined(join, left, right),
            None => fields(plan),
        },
        _ => fields(plan),
    };
    let given = match projection(plan) {
        Some(columns) => columns
            .iter()
            .filter_map(|column| given.get(*column).cloned())
            .collect(),
        None => given,
    };
    match given.len() == plan.schema().fields().len() {
        true => given,
        false => fields(plan),
    }
}

fn over_one(plan: &dyn ExecutionPlan, below: &[String]) -> Vec<String> {
    let any: &dyn Any = plan;
    if let Some(projection) = any.downcast_ref::<ProjectionExec>() {
        let exprs = projection.expr().iter();
        return exprs.map(|one| printed(&one.expr, below)).collect();
    }
    if let Some(aggregate) = any.downcast_ref::<AggregateExec>() {
        return aggregated(aggregate, below);
    }
    if any.is::<FilterExec>() {
        return below.to_vec();
    }
    let mut given = fields(plan);
    if any.is::<WindowAggExec>() || any.is::<BoundedWindowAggExec>() {
        for call in given.iter_mut().skip(below.len()) {
            let name = call.split('(').next().unwrap_or_default();
            *call = format!("{name}(…) OVER (?)");
        }
    }
    // Windows add columns behind those they are given; the others pass them on.
    if below.len() <= given.len() && !any.is::<UnnestExec>() {
        given[..below.len()].clone_from_slice(below);
    }
    given
}

/// Groups, then aggregates; where several threads work, each gives what it has of an aggregate first.
fn aggregated(aggregate: &AggregateExec, below: &[String]) -> Vec<String> {
    let groups = aggregate.group_expr().expr().iter();
    let mut given: Vec<String> = groups.map(|(group, _)| printed(group, below)).collect();
    let parts_below = !matches!(
        aggregate.mode(),
        AggregateMode::Partial | AggregateMode::Single | AggregateMode::SinglePartitioned
    );
    let mut place = given.len();
    for call in aggregate.aggr_expr() {
        let parts = call.state_fields().map_or(1, |fields| fields.len());
        let text = match below.get(place).filter(|_| parts_below) {
            Some(text) => text.clone(),
            None => {
                let arguments = call.expressions();
                let arguments = arguments.iter().map(|argument| printed(argument, below));
                let arguments: Vec<String> = arguments.collect();
                let all = call.fun().name() == "count" && arguments == ["1"];
                let arguments = if all {
                    "*".to_owned()
                } else {
                    arguments.join(", ")
                };
                format!("{}({arguments})", call.fun().name())
            }
        };
        place += parts;
        let times = match aggregate.mode() {
            AggregateMode::Partial | AggregateMode::PartialReduce => parts,
            _ => 1,
        };
        given.extend(std::iter::repeat_n(text, times));
    }
    given
}

fn joined(join: JoinType, left: &[String], right: &[String]) -> Vec<String> {
    match join {
        JoinType::LeftSemi | JoinType::LeftAnti => left.to_vec(),
        JoinType::RightSemi | JoinType::RightAnti => right.to_vec(),
        JoinType::LeftMark | JoinType::RightMark => {
            let kept = if join == JoinType::LeftMark {
                left
            } else {
                right
            };
            let mut given = kept.to_vec();
            given.push("exists".to_owned());
            given
        }
        _ => [left, right].concat(),
    }
}

/// Which columns of its own an operator leaves out.
fn projection(plan: &dyn ExecutionPlan) -> Option<Vec<usize>> {
    let any: &dyn Any = plan;
    if let Some(filter) = any.downcast_ref::<FilterExec>() {
        return filter.projection().as_ref().map(|columns| columns.to_vec());
    }
    if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        return join.projection.as_ref().map(|columns| columns.to_vec());
    }
    let join = any.downcast_ref::<NestedLoopJoinExec>()?;
    join.projection().as_ref().map(|columns| columns.to_vec())
}

/// The condition of a filter.
pub fn condition(plan: &dyn ExecutionPlan, below: &[Vec<String>]) -> Option<String> {
    let any: &dyn Any = plan;
    let filter = any.downcast_ref::<FilterExec>()?;
    let columns = below.first()?;
    Some(format!("({})", printed(filter.predicate(), columns)))
}

/// Whether an operator only works out what those above it are given, as every one of PostgreSQL's does by the
/// way.
pub fn projects(plan: &dyn ExecutionPlan) -> bool {
    let any: &dyn Any = plan;
    any.is::<ProjectionExec>()
}

/// An expression over these columns.
fn printed(expr: &Arc<dyn PhysicalExpr>, below: &[String]) -> String {
    let bare = expr.clone().transform_down(without_keys);
    let expr = bare.map_or_else(|_| expr.clone(), |bare| bare.data);
    let named = expr.clone().transform_up(|expr| {
        let any: &dyn Any = expr.as_ref();
        let column = any.downcast_ref::<Column>();
        let name = column.and_then(|column| below.get(column.index()));
        Ok(match (column, name) {
            (Some(column), Some(name)) => Transformed::yes(Arc::new(Column::new(
                name,
                column.index(),
            )) as Arc<dyn PhysicalExpr>),
            _ => Transformed::no(expr),
        })
    });
    let expr = named.map_or_else(|_| expr.clone(), |named| named.data);
    fmt_sql(expr.as_ref()).to_string()
}

/// What is compared, in the place of keys that are our own.
fn without_keys(expr: Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    let any: &dyn Any = expr.as_ref();
    if let Some(value) = keyed(any, &[float::KEY, numeric::KEY]) {
        let shown = number(value.as_ref() as &dyn Any).unwrap_or(value);
        return Ok(Transformed::yes(shown));
    }
    let Some(binary) = any.downcast_ref::<BinaryExpr>() else {
        return Ok(Transformed::no(expr));
    };
    let sides = [binary.left(), binary.right()];
    let numbers = sides.iter().any(|side| {
        let side: &dyn Any = side.as_ref();
        keyed(side, &[numeric::KEY]).is_some()
    });
    if !numbers {
        return Ok(Transformed::no(expr));
    }
    let [left, right] =
        sides.map(|side| number(side.as_ref() as &dyn Any).unwrap_or_else(|| side.clone()));
    let shown = BinaryExpr::new(left, *binary.op(), right);
    Ok(Transformed::yes(Arc::new(shown)))
}

/// What a key is made of.
fn keyed(expr: &dyn Any, keys: &[&str]) -> Option<Arc<dyn PhysicalExpr>> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    let value = call.args().first();
    value.filter(|_| keys.contains(&call.name())).cloned()
}

/// A constant number, or the one of a constant key.
fn number(expr: &dyn Any) -> Option<Arc<dyn PhysicalExpr>> {
    let number = match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::Binary(Some(key)) => numeric::number_of_key(key),
        value @ ScalarValue::LargeBinary(_) => Number::of_scalar(value),
        _ => None,
    };
    let text = number?.to_string();
    Some(Arc::new(Literal::new(ScalarValue::Utf8(Some(text)))))
}

/// What of it a client is shown: keys of rows are our own.
pub fn shown(outputs: &[String]) -> Vec<&str> {
    let own = |name: &&str| name.contains(char::is_control);
    let names = outputs.iter().map(String::as_str);
    names.filter(|name| !own(name)).collect()
}
