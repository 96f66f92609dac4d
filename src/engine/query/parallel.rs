//! Several threads for one query, where it reads many rows of a table (DESIGN §6 "Queries").
//!
//! The plan is made for one thread. What reads a large table to its end is then dealt out: the scan
//! gives its rows to several streams, and what is above it works on each stream until something needs
//! them together: an aggregate, or the side of a join that is kept in memory. A small query is left as
//! it is; so is a sort, for two that share one statement's memory leave each other too little to spill.
//!
//! A join keeps its smaller side in memory; the planner, which knows no table's size, takes the left.

use super::estimate;
use super::forgetful::{ForgetfulExec, forget};
use super::leaf::LeafExec;
use super::scan::TableScan;
use crate::storage::View;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::JoinType;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode, Partitioning};
use std::any::Any;
use std::sync::Arc;

/// Rows of a table from which on several streams are worth it: a millisecond's work.
const ROWS_MIN: u64 = 20_000;
/// How many times larger than the other the side that a join keeps must be to be exchanged for it.
const LARGER: u64 = 2;
/// Aggregates whose parts can be put together, in whatever order they come.
const ADDABLE: [&str; 8] = [
    "count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every",
];

type Plan = Arc<dyn ExecutionPlan>;

/// The plan with its joins' sides in order, and dealt out to as many streams as the view has readers.
/// `order` says whether the query has an order of its own, which the plan may keep without a sort.
///
/// # Errors
/// Storage's; the planner's, where an operator cannot be made.
pub fn spread(plan: Plan, order: Order, view: &View) -> Result<Plan> {
    let plan = forget(joins(plan, order, view)?)?;
    let streams = view.parallelism();
    if streams < 2 || !view.is_unwritten() {
        return Ok(plan);
    }
    Spread { view, streams }.plan(plan)
}

/// Whether what is above an operator may rely on the order of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It may.
    Matters,
    /// It does not.
    Free,
}

impl Order {
    /// Of a query as a whole: without a sort or a window nothing asks for an order.
    pub fn of(logical: &LogicalPlan) -> Order {
        let asks = logical.exists(|node| {
            Ok(matches!(
                node,
                LogicalPlan::Sort(_) | LogicalPlan::Window(_)
            ))
        });
        match asks {
            Ok(false) => Order::Free,
            _ => Order::Matters,
        }
    }
}

fn estimated(plan: &Plan, view: &View) -> Result<u64> {
    estimate::rows(plan.as_ref(), view).map_err(|error| super::failure::external(error.into()))
}

/// The plan with the smaller side of each hash join kept in memory. The rows of a join come in the order of
/// the side that is not.
fn joins(plan: Plan, order: Order, view: &View) -> Result<Plan> {
    let any: &dyn Any = plan.as_ref();
    if any.is::<RecursiveQueryExec>() {
        return Ok(plan);
    }
    let join = any.downcast_ref::<HashJoinExec>();
    let below = match any.downcast_ref::<AggregateExec>() {
        Some(aggregate) if takes_any_order(aggregate) => Order::Free,
        None if any.is::<SortExec>() => Order::Free,
        None if join.is_some() || hands_on(any) => order,
        _ => Order::Matters,
    };
    let mut children = Vec::new();
    for (place, child) in plan.children().into_iter().enumerate() {
        let order = match (place, join) {
            (0, Some(_)) => Order::Free,
            _ => below,
        };
        children.push(joins(child.clone(), order, view)?);
    }
    let plan = replace_children_if_necessary(plan, children)?;
    match order {
        Order::Matters if !gives_left_in_order(&plan) => Ok(plan),
        _ => exchanged(plan, view),
    }
}

/// Whether a join gives rows of its left side alone, in their order whichever side it keeps.
fn gives_left_in_order(plan: &Plan) -> bool {
    let any: &dyn Any = plan.as_ref();
    any.downcast_ref::<HashJoinExec>()
        .is_some_and(|join| matches!(join.join_type(), JoinType::LeftSemi | JoinType::LeftAnti))
}

/// Whether an aggregate gives the same in whatever order its rows come.
fn takes_any_order(aggregate: &AggregateExec) -> bool {
    let mut functions = aggregate.aggr_expr().iter();
    *aggregate.input_order_mode() == InputOrderMode::Linear
        && functions.all(|function| function.order_bys().is_empty())
}

/// Whether an operator only hands rows on, changed or not, to what is above it.
fn hands_on(operator: &dyn Any) -> bool {
    operator.is::<FilterExec>()
        || operator.is::<ProjectionExec>()
        || operator.is::<CooperativeExec>()
        || operator.is::<ForgetfulExec>()
        || operator.is::<GlobalLimitExec>()
        || operator.is::<LocalLimitExec>()
        || operator.is::<UnionExec>()
}

/// A hash join that keeps its smaller side.
fn exchanged(plan: Plan, view: &View) -> Result<Plan> {
    let any: &dyn Any = plan.as_ref();
    let Some(join) = any.downcast_ref::<HashJoinExec>() else {
        return Ok(plan);
    };
    let either_way = matches!(
        join.join_type(),
        JoinType::Inner
            | JoinType::Left
            | JoinType::Right
            | JoinType::Full
            | JoinType::LeftSemi
            | JoinType::LeftAnti
    );
    if !either_way || join.null_aware {
        return Ok(plan);
    }
    let (kept, read) = (
        estimated(join.left(), view)?,
        estimated(join.right(), view)?,
    );
    match kept > read.saturating_mul(LARGER) {
        true => join.swap_inputs(PartitionMode::CollectLeft),
        false => Ok(plan),
    }
}

struct Spread<'v> {
    view: &'v View,
    streams: usize,
}

impl Spread<'_> {
    /// The operator, giving one stream as before; what is below it may be dealt out.
    fn plan(&self, plan: Plan) -> Result<Plan> {
        let any: &dyn Any = plan.as_ref();
        if any.is::<RecursiveQueryExec>() {
            // Its parts are run again and again over what they have given.
            return Ok(plan);
        }
        if let Some(aggregate) = any.downcast_ref::<AggregateExec>()
            && can_be_added(aggregate)
            && let Some(input) = self.streams_of(aggregate.input())?
        {
            return self.aggregate(aggregate, input);
        }
        let kept = match any.downcast_ref::<HashJoinExec>() {
            Some(join) => self.together(join.left())?,
            None => None,
        };
        let mut below = Vec::new();
        for (place, child) in plan.children().into_iter().enumerate() {
            below.push(match (place, &kept) {
                (0, Some(kept)) => kept.clone(),
                _ => self.plan(child.clone())?,
            });
        }
        replace_children_if_necessary(plan, below)
    }

    /// The operator's rows dealt out to several streams; None where they cannot be, or are too few.
    fn streams_of(&self, plan: &Plan) -> Result<Option<Plan>> {
        let any: &dyn Any = plan.as_ref();
        if let Some(scan) = any.downcast_ref::<LeafExec<TableScan>>() {
            if !scan.leaf().is_shareable() || estimated(plan, self.view)? < ROWS_MIN {
                return Ok(None);
            }
            let shared = scan.leaf().shared(self.streams);
            return Ok(Some(Arc::new(LeafExec::new(shared, plan.schema()))));
        }
        if let Some(join) = any.downcast_ref::<HashJoinExec>() {
            return self.join(plan, join);
        }
        let row_by_row = any.is::<FilterExec>()
            || any.is::<ProjectionExec>()
            || any.is::<CooperativeExec>()
            || any.is::<ForgetfulExec>();
        if !row_by_row || plan.fetch().is_some() {
            return Ok(None);
        }
        let Some(input) = self.streams_of(plan.children()[0])? else {
            return Ok(None);
        };
        replace_children_if_necessary(plan.clone(), vec![input]).map(Some)
    }

    /// A hash join whose rows that are not kept come in several streams.
    fn join(&self, plan: &Plan, join: &HashJoinExec) -> Result<Option<Plan>> {
        // Of the others some rows are given when all streams have ended.
        let as_they_come = matches!(
            join.join_type(),
            JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
        );
        let collects = *join.partition_mode() == PartitionMode::CollectLeft;
        if !as_they_come || !collects || join.null_aware || plan.fetch().is_some() {
            return Ok(None);
        }
        let Some(read) = self.streams_of(join.right())? else {
            return Ok(None);
        };
        let kept = match self.together(join.left())? {
            Some(kept) => kept,
            None => self.plan(join.left().clone())?,
        };
        replace_children_if_necessary(plan.clone(), vec![kept, read]).map(Some)
    }

    /// The rows read in several streams and given in one; None as [`Spread::streams_of`].
    fn together(&self, plan: &Plan) -> Result<Option<Plan>> {
        let streams = self.streams_of(plan)?;
        Ok(streams.map(|streams| Arc::new(CoalescePartitionsExec::new(streams)) as Plan))
    }

    /// An aggregate of each stream, and of what they come to.
    fn aggregate(&self, aggregate: &AggregateExec, input: Plan) -> Result<Plan> {
        let input_schema = aggregate.input_schema();
        let partial = AggregateExec::try_new(
            AggregateMode::Partial,
            aggregate.group_expr().clone(),
            aggregate.aggr_expr().to_vec(),
            aggregate.filter_expr().to_vec(),
            input,
            input_schema.clone(),
        )?;
        let groups = partial.group_expr().as_final();
        let keys = partial.output_group_expr();
        let partial: Plan = Arc::new(partial);
        let (mode, parts): (_, Plan) = match keys.is_empty() {
            true => (
                AggregateMode::Final,
                Arc::new(CoalescePartitionsExec::new(partial)),
            ),
            false => {
                let by_group = Partitioning::Hash(keys, self.streams);
                let dealt = RepartitionExec::try_new(partial, by_group)?;
                (AggregateMode::FinalPartitioned, Arc::new(dealt))
            }
        };
        let whole: Plan = Arc::new(AggregateExec::try_new(
            mode,
            groups,
            aggregate.aggr_expr().to_vec(),
            aggregate.filter_expr().to_vec(),
            parts,
            input_schema,
        )?);
        Ok(match mode {
            AggregateMode::Final => whole,
            _ => Arc::new(CoalescePartitionsExec::new(whole)),
        })
    }
}

/// Whether an aggregate over one stream can be put together from those over several.
fn can_be_added(aggregate: &AggregateExec) -> bool {
    let plain = *aggregate.mode() == AggregateMode::Single
        && takes_any_order(aggregate)
        && aggregate.limit_options().is_none()
        && !aggregate.group_expr().has_grouping_set();
    plain
        && aggregate.aggr_expr().iter().all(|function| {
            let interval = matches!(function.field().data_type(), DataType::Interval(_));
            ADDABLE.contains(&function.fun().name()) && !function.is_distinct() && !interval
        })
}
