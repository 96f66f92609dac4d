//! Paths that were chosen by the form of conditions alone, given up where another leads to fewer rows, or to so many that reading
//! all of the table costs less: an index that names most of them, or a list of keys longer than the table.

use super::failure;
use super::leaf::LeafExec;
use super::scan::TableScan;
use crate::storage::View;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use std::any::Any;
use std::sync::Arc;

/// The plan, such scans by their cheapest paths. Costs some microseconds a scan through an index.
///
/// # Errors
/// Storage's; the planner's, where an operator cannot be made.
pub fn paths(plan: Arc<dyn ExecutionPlan>, view: &View) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|plan| {
        let any: &dyn Any = plan.as_ref();
        let Some(scan) = any.downcast_ref::<LeafExec<TableScan>>() else {
            return Ok(Transformed::no(plan));
        };
        let cheapest = scan.leaf().by_cheapest(view);
        let cheapest = cheapest.map_err(|error| failure::external(error.into()))?;
        Ok(match cheapest {
            None => Transformed::no(plan),
            Some(scan) => Transformed::yes(Arc::new(LeafExec::new(scan, plan.schema()))),
        })
    })
    .map(|reconsidered| reconsidered.data)
}
