//! About how many rows an operator gives, for the order of joins and for whether threads are worth it.

use super::leaf::LeafExec;
use super::range_sizes::in_ranges;
use super::scan::TableScan;
use crate::storage::{StorageError, View};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use std::any::Any;

/// What a condition that nothing is known of leaves of the rows: one of so many.
const FILTERED: u64 = 3;
/// Rows that come from elsewhere than a table.
const ELSEWHERE: u64 = 1_000;

/// About how many rows the operator gives.
///
/// # Errors
/// Storage's.
pub fn rows(plan: &dyn ExecutionPlan, view: &View) -> Result<u64, StorageError> {
    let any: &dyn Any = plan;
    if let Some(scan) = any.downcast_ref::<LeafExec<TableScan>>() {
        return match scan.leaf().reach() {
            Some((store, ranges)) => in_ranges(view, store, ranges),
            None => Ok(ELSEWHERE),
        };
    }
    let mut below = Vec::new();
    for child in plan.children() {
        below.push(rows(child.as_ref(), view)?);
    }
    let most = below.iter().copied().max().unwrap_or(ELSEWHERE);
    let wanted = plan.fetch().map_or(u64::MAX, |fetch| fetch as u64);
    Ok(match any {
        _ if any.is::<FilterExec>() => most.div_ceil(FILTERED),
        _ if any.is::<HashJoinExec>() => most,
        _ => match any.downcast_ref::<AggregateExec>() {
            Some(aggregate) if aggregate.group_expr().is_empty() => 1,
            Some(_) => most.div_ceil(FILTERED),
            None => most,
        },
    }
    .min(wanted))
}
