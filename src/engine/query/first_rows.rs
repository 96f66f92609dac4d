//! The first rows of an order that a key or an index has are read in that order, and not sorted out of all rows:
//! `ORDER BY … LIMIT`, and the least and the greatest value of a column.

use super::forgetful::ForgetfulExec;
use super::leaf::{LeafExec, Sorted};
use super::scan::{COST_OF_NAMED, FirstRows, TableScan, Through};
use super::{failure, in_turn, lookups, range_sizes};
use crate::storage::View;
use datafusion::arrow::compute::SortOptions;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use std::any::Any;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// Rows that are read at once at first, and that a filter gathers before it hands them on: as many as are wanted, within these.
const AT_ONCE: (usize, usize) = (8, 256);

/// Least and greatest values at most that are looked for one by one.
const EXTREMES_MAX: usize = 4;

/// The plan, its sorts of which the first rows are wanted replaced where a scan gives these as they come.
///
/// # Errors
/// Storage's; the planner's, where an operator cannot be made.
pub fn place(plan: Plan, view: &View) -> Result<Plan> {
    plan.transform_down(|plan| {
        let any: &dyn Any = plan.as_ref();
        let replaced = if let Some(sort) = any.downcast_ref::<SortExec>() {
            first_rows(sort, view)?
        } else if let Some(aggregate) = any.downcast_ref::<AggregateExec>() {
            let one = extreme(aggregate, view)?;
            one.map(|one| replace_children_if_necessary(plan.clone(), vec![one]))
                .transpose()?
        } else {
            None
        };
        Ok(match replaced {
            None => Transformed::no(plan),
            Some(replaced) => Transformed::yes(replaced),
        })
    })
    .map(|placed| placed.data)
}

/// A sort's first rows, as its input gives them.
fn first_rows(sort: &SortExec, view: &View) -> Result<Option<Plan>> {
    let Some(most) = sort.fetch() else {
        return Ok(None);
    };
    let order = sort.expr().iter().map(|sorted| {
        let column = column(&sorted.expr)?;
        let options = sorted.options;
        Some(Sorted { column, options })
    });
    let Some(order) = order.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let wanted = FirstRows {
        order,
        most,
        at_once: most.clamp(AT_ONCE.0, AT_ONCE.1),
        limited: true,
        through: Through::AnyIndex,
        without_nulls: false,
    };
    first(sort.input(), wanted, view)
}

/// The rows that the least or the greatest values of columns are in, where an aggregate asks for nothing else.
fn extreme(aggregate: &AggregateExec, view: &View) -> Result<Option<Plan>> {
    let plain = *aggregate.mode() == AggregateMode::Single
        && aggregate.group_expr().is_empty()
        && aggregate.filter_expr().iter().all(Option::is_none);
    let functions = aggregate.aggr_expr();
    let read = match functions.len() {
        1 => true,
        several => several <= EXTREMES_MAX && can_be_read_again(aggregate.input()),
    };
    if !plain || !read {
        return Ok(None);
    }
    let mut rows = Vec::with_capacity(functions.len());
    for function in functions {
        let Some(sorted) = extreme_of(function) else {
            return Ok(None);
        };
        let wanted = FirstRows {
            order: vec![sorted],
            most: 1,
            at_once: AT_ONCE.0,
            limited: true,
            through: Through::AnyIndex,
            without_nulls: true,
        };
        match first(aggregate.input(), wanted, view)? {
            Some(row) => rows.push(row),
            None => return Ok(None),
        }
    }
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        _ => UnionExec::try_new(rows).map(|union| {
            let one_after_another = CoalescePartitionsExec::new(union);
            Some(Arc::new(one_after_another) as Plan)
        }),
    }
}

/// The order whose first row has a function's value.
fn extreme_of(function: &AggregateFunctionExpr) -> Option<Sorted> {
    let descending = match function.fun().name() {
        "min" => false,
        "max" => true,
        _ => return None,
    };
    let values = function.expressions();
    let [value] = values.as_slice() else {
        return None;
    };
    // NULL is the result only where there is nothing else, so it is to be the last.
    let options = SortOptions {
        descending,
        nulls_first: false,
    };
    let column = column(value)?;
    Some(Sorted { column, options })
}

/// Whether an operator's rows may be read several times, and are the same: those of one table that no volatile condition chooses.
fn can_be_read_again(plan: &Plan) -> bool {
    let any: &dyn Any = plan.as_ref();
    let same = match any.downcast_ref::<FilterExec>() {
        Some(filter) => !is_volatile(filter.predicate()),
        None => {
            any.is::<LeafExec<TableScan>>()
                || any.is::<ProjectionExec>()
                || any.is::<CooperativeExec>()
                || any.is::<ForgetfulExec>()
        }
    };
    same && plan.children().into_iter().all(can_be_read_again)
}

/// The operator's first rows in an order that it has them in.
fn first(plan: &Plan, wanted: FirstRows, view: &View) -> Result<Option<Plan>> {
    let most = wanted.most;
    let input = in_order(plan, wanted, view)?;
    Ok(input.map(|input| Arc::new(GlobalLimitExec::new(input, 0, Some(most))) as Plan))
}

/// The operator, giving its rows in this order without a sort.
fn in_order(plan: &Plan, mut wanted: FirstRows, view: &View) -> Result<Option<Plan>> {
    let any: &dyn Any = plan.as_ref();
    if let Some(scan) = any.downcast_ref::<LeafExec<TableScan>>() {
        if !is_worth_an_index(scan.leaf(), &wanted, view)? {
            wanted.through = Through::OwnPath;
        }
        let ordered = scan.leaf().ordered(&wanted, view);
        let ordered = ordered.map_err(|error| failure::external(error.into()))?;
        return Ok(ordered.map(|scan| Arc::new(LeafExec::new(scan, plan.schema())) as Plan));
    }
    if let Some(join) = any.downcast_ref::<HashJoinExec>() {
        return of_join(join, wanted, view);
    }
    let mut plan = plan.clone();
    let order = if let Some(filter) = any.downcast_ref::<FilterExec>() {
        plan = Arc::new(filter.with_batch_size(wanted.at_once)?);
        // Nobody knows how many it leaves out.
        (wanted.limited, wanted.through) = (false, Through::OwnPath);
        let projection = filter.projection().as_ref();
        through(&wanted.order, |column| match projection {
            None => Some(column),
            Some(projection) => projection.get(column).copied(),
        })
    } else if let Some(projection) = any.downcast_ref::<ProjectionExec>() {
        let of = |place: usize| column(&projection.expr().get(place)?.expr);
        through(&wanted.order, of)
    } else if let Some(unnest) = any.downcast_ref::<UnnestExec>() {
        // A row's elements come together, in the order of the rows; how many rows have some nobody knows.
        (wanted.limited, wanted.through) = (false, Through::OwnPath);
        let unnested = unnest.list_column_indices();
        let plain = |column: &usize| {
            let mut lists = unnested.iter().map(|list| list.index_in_input_schema);
            lists.all(|list| list != *column)
        };
        match unnest.struct_column_indices() {
            [] => through(&wanted.order, |column| Some(column).filter(plain)),
            _ => None,
        }
    } else if any.is::<CooperativeExec>() || any.is::<ForgetfulExec>() {
        Some(wanted.order)
    } else {
        return Ok(None);
    };
    let (Some(order), None) = (order, plan.fetch()) else {
        return Ok(None);
    };
    let wanted = FirstRows { order, ..wanted };
    let Some(input) = in_order(plan.children()[0], wanted, view)? else {
        return Ok(None);
    };
    replace_children_if_necessary(plan, vec![input]).map(Some)
}

/// A join, giving its rows in this order of one side's, whose partners are looked up.
fn of_join(join: &HashJoinExec, mut wanted: FirstRows, view: &View) -> Result<Option<Plan>> {
    let order: Vec<_> = wanted
        .order
        .iter()
        .map(|sorted| (sorted.column, sorted.options))
        .collect();
    let [left, right] = lookups::sides(join, &order);
    let of_left = left.len() == order.len();
    let is_whole = join.fetch().is_none() && !join.null_aware;
    if !is_whole || !of_left && right.len() < order.len() {
        return Ok(None);
    }
    if of_left {
        // The side that is read gives its order to the join.
        let exchanged = match join.join_type() {
            JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => {
                join.swap_inputs(PartitionMode::CollectLeft)?
            }
            _ => return Ok(None),
        };
        let any: &dyn Any = exchanged.as_ref();
        if any.is::<HashJoinExec>() || any.is::<ProjectionExec>() {
            return in_order(&exchanged, wanted, view);
        }
        return Ok(None);
    }
    // It takes a few turns in this way before it reads all of its other side.
    wanted.at_once = AT_ONCE.1;
    let sorted = right.into_iter();
    wanted.order = sorted
        .map(|(column, options)| Sorted { column, options })
        .collect();
    if *join.join_type() != JoinType::Right {
        wanted.limited = false;
        // As a filter does, it leaves out what has no partner among those that a filter lets through.
        if join.join_type() != &JoinType::Inner || join.filter().is_some() || filters(join.left()) {
            wanted.through = Through::OwnPath;
        }
    }
    let read_in_order = wanted.order.clone();
    let Some(read) = in_order(join.right(), wanted, view)? else {
        return Ok(None);
    };
    let in_turn = in_turn::join(join, read, &read_in_order)?;
    Ok(in_turn.map(|in_turn| Arc::new(in_turn) as Plan))
}

/// Whether an operator has a filter below it.
fn filters(plan: &Plan) -> bool {
    let any: &dyn Any = plan.as_ref();
    any.is::<FilterExec>() || plan.children().into_iter().any(filters)
}

/// Whether so few rows are wanted that reading each by its key costs less than reading all.
fn is_worth_an_index(scan: &TableScan, wanted: &FirstRows, view: &View) -> Result<bool> {
    let (Through::AnyIndex, Some((store, ranges))) = (wanted.through, scan.reach()) else {
        return Ok(false);
    };
    let rows = range_sizes::in_ranges(view, store, ranges);
    let rows = rows.map_err(|error| failure::external(error.into()))?;
    Ok((wanted.most as u64).saturating_mul(COST_OF_NAMED) < rows)
}

/// The order, by the columns of the input; None where one is none of them.
fn through(order: &[Sorted], of: impl Fn(usize) -> Option<usize>) -> Option<Vec<Sorted>> {
    let below = order.iter().map(|sorted| {
        Some(Sorted {
            column: of(sorted.column)?,
            ..*sorted
        })
    });
    below.collect()
}

fn column(expr: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    let any: &dyn Any = expr.as_ref();
    any.downcast_ref::<Column>().map(Column::index)
}
