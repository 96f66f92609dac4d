//! A join whose one side turns out to have few rows looks the other side's up, instead of reading all of its table.
//!
//! A hash join reads first the side that it keeps. What its columns have there is noted (`noted`), and the scan of a table on
//! the other side is told of it: when it begins, it decides whether looking those values up in the table's keys or an index
//! is cheaper than what it would read. So nothing depends on how many rows the planner expects.
//!
//! This holds where a row of the other side without a partner is none of the join's result, and where the column comes from
//! the table as it is: through filters and projections, as a group of an aggregate, from either side of another join.

use super::forgetful::ForgetfulExec;
use super::leaf::LeafExec;
use super::noted::{Noting, NotingExec, Rounds};
use super::scan::TableScan;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinSide, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::utils::build_join_schema;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::any::Any;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// Columns of an operator's output, each with its place among the values.
type Sought = Vec<(usize, usize)>;

/// The plan, its joins' scans told of what they may look up.
///
/// # Errors
/// The planner's, where an operator cannot be made.
pub fn place(plan: Plan) -> Result<Plan> {
    plan.transform_down(|plan| {
        let any: &dyn Any = plan.as_ref();
        let replaced = any.downcast_ref::<HashJoinExec>().map(joined).transpose()?;
        Ok(match replaced.flatten() {
            None => Transformed::no(plan),
            Some(sides) => Transformed::yes(replace_children_if_necessary(plan, sides)?),
        })
    })
    .map(|placed| placed.data)
}

/// A join's two sides, the kept one noted and the other one told; None where that cannot be.
fn joined(join: &HashJoinExec) -> Result<Option<Vec<Plan>>> {
    let without_partner_is_none = matches!(
        join.join_type(),
        JoinType::Inner
            | JoinType::Left
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark
            | JoinType::RightSemi
    );
    if !without_partner_is_none
        || join.null_aware
        || join.null_equality() != NullEquality::NullEqualsNothing
        || join.left().output_partitioning().partition_count() > 1
    {
        return Ok(None);
    }
    let noting = Noting::default();
    let on = join.on().iter().map(|(kept, other)| (kept, other));
    let told = side(join.right(), on, noting.rounds())?;
    Ok(told.map(|(told, noted)| {
        let kept: Plan = Arc::new(NotingExec::new(join.left().clone(), noting.of(noted)));
        vec![kept, told]
    }))
}

/// A join's side whose scan is told of the values to look up; what has them on the other side, and what they are compared with
/// on this one, are in pairs. None where nothing can be looked up, else also what is to be noted.
///
/// # Errors
/// The planner's, where an operator cannot be made.
pub fn side<'e>(
    plan: &Plan,
    on: impl Iterator<Item = (&'e PhysicalExprRef, &'e PhysicalExprRef)>,
    values: &Arc<Rounds>,
) -> Result<Option<(Plan, Vec<PhysicalExprRef>)>> {
    let mut noted = Vec::new();
    let mut sought = Sought::new();
    for (other, own) in on {
        if let Some(column) = plain(own) {
            sought.push((column, noted.len()));
            noted.push(other.clone());
        }
    }
    if noted.is_empty() {
        return Ok(None);
    }
    Ok(told(plan, sought, values)?.map(|told| (told, noted)))
}

/// The column that an expression is; an integer may have become a wider one.
fn plain(expr: &PhysicalExprRef) -> Option<usize> {
    let any: &dyn Any = expr.as_ref();
    if let Some(column) = any.downcast_ref::<Column>() {
        return Some(column.index());
    }
    let cast = any.downcast_ref::<CastExpr>()?;
    cast.cast_type().is_integer().then(|| plain(cast.expr()))?
}

/// The operator, a scan below it told of the columns that are looked up; None where there is none that could.
fn told(plan: &Plan, sought: Sought, values: &Arc<Rounds>) -> Result<Option<Plan>> {
    let any: &dyn Any = plan.as_ref();
    if let Some(scan) = any.downcast_ref::<LeafExec<TableScan>>() {
        let looked_up = scan.leaf().looked_up(&sought, values);
        return Ok(looked_up.map(|scan| Arc::new(LeafExec::new(scan, plan.schema())) as Plan));
    }
    let mut children: Vec<Plan> = plan.children().into_iter().cloned().collect();
    if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        for (side, sought) in sides(join, &sought).into_iter().enumerate() {
            if !sought.is_empty()
                && let Some(told) = told(&children[side], sought, values)?
            {
                children[side] = told;
                return replace_children_if_necessary(plan.clone(), children).map(Some);
            }
        }
        return Ok(None);
    }
    let below = below(any, &sought);
    let [child] = children.as_mut_slice() else {
        return Ok(None);
    };
    if below.is_empty() || plan.fetch().is_some() {
        return Ok(None);
    }
    let Some(told) = told(child, below, values)? else {
        return Ok(None);
    };
    replace_children_if_necessary(plan.clone(), vec![told]).map(Some)
}

/// The columns of an operator's one input that its own are, where its rows without others of their values are the same.
fn below(operator: &dyn Any, sought: &Sought) -> Sought {
    let through = |of: &dyn Fn(usize) -> Option<usize>| {
        let columns = sought.iter();
        let columns = columns.filter_map(|(column, value)| Some((of(*column)?, *value)));
        columns.collect()
    };
    if let Some(filter) = operator.downcast_ref::<FilterExec>() {
        return match filter.projection() {
            None => sought.clone(),
            Some(projection) => through(&|column| projection.get(column).copied()),
        };
    }
    if let Some(projection) = operator.downcast_ref::<ProjectionExec>() {
        return through(&|column| plain(&projection.expr().get(column)?.expr));
    }
    if let Some(aggregate) = operator.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr();
        return match groups.has_grouping_set() || aggregate.limit_options().is_some() {
            true => Sought::new(),
            false => through(&|column| plain(&groups.expr().get(column)?.0)),
        };
    }
    let hands_on = operator.is::<CooperativeExec>()
        || operator.is::<ForgetfulExec>()
        || operator.is::<NotingExec>()
        || operator.is::<CoalescePartitionsExec>()
        || operator.is::<RepartitionExec>()
        || operator.is::<SortExec>();
    match hands_on {
        true => sought.clone(),
        false => Sought::new(),
    }
}

/// The columns of a join's two sides that its own are, each with what is beside it. What a side leaves out of other values becomes at most a row
/// without a partner, whose columns of that side are NULL, which equals nothing.
pub fn sides<T: Copy>(join: &HashJoinExec, sought: &[(usize, T)]) -> [Vec<(usize, T)>; 2] {
    let (left, right) = (join.left().schema(), join.right().schema());
    let (_, columns) = build_join_schema(&left, &right, join.join_type());
    let mut sides = [Vec::new(), Vec::new()];
    for (column, value) in sought {
        let column = match &join.projection {
            Some(projection) => projection.get(*column).copied(),
            None => Some(*column),
        };
        let Some(of) = column.and_then(|column| columns.get(column)) else {
            continue;
        };
        match of.side {
            JoinSide::Left => sides[0].push((of.index, *value)),
            JoinSide::Right => sides[1].push((of.index, *value)),
            JoinSide::None => {}
        }
    }
    sides
}
