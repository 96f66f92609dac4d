//! Making a running plan stop when it is asked to (DESIGN §6 "Cancellation").
//!
//! Dropping a stream does not stop a join that is busy inside one poll. Joins are wrapped so that
//! they give way to the runtime, and the filter of a nested-loop join, which may be evaluated over
//! millions of pairs between two batches, fails when the statement's flag is set. What one value takes long
//! to compute looks at the flag by itself, in every task that works for the statement.

use super::failure;
use super::statement::Statement;
use super::watched::WatchedExec;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::repartition::RepartitionExec;
use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The plan with guards around its joins.
pub fn guard(
    plan: Arc<dyn ExecutionPlan>,
    statement: &Arc<Statement>,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let any: &dyn Any = node.as_ref();
        if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() {
            let guarded = with_filter(join, statement)?;
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(guarded))));
        }
        let joins =
            any.is::<HashJoinExec>() || any.is::<CrossJoinExec>() || any.is::<SortMergeJoinExec>();
        if joins {
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(node))));
        }
        if any.is::<CoalescePartitionsExec>() || any.is::<RepartitionExec>() {
            let below = node.children().into_iter().map(|child| {
                let watched = WatchedExec::new(child.clone(), statement.stop.clone());
                Arc::new(watched) as Arc<dyn ExecutionPlan>
            });
            let below = below.collect();
            return replace_children_if_necessary(node, below).map(Transformed::yes);
        }
        Ok(Transformed::no(node))
    })
    .map(|transformed| transformed.data)
}

fn with_filter(
    join: &NestedLoopJoinExec,
    statement: &Arc<Statement>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let check: Arc<dyn PhysicalExpr> = Arc::new(NotCancelled {
        statement: statement.clone(),
    });
    let filter = match join.filter() {
        Some(filter) => JoinFilter::new(
            Arc::new(BinaryExpr::new(
                check,
                Operator::And,
                filter.expression().clone(),
            )),
            filter.column_indices().to_vec(),
            filter.schema().clone(),
        ),
        None => JoinFilter::new(check, Vec::new(), Arc::new(Schema::empty())),
    };
    let guarded = NestedLoopJoinExec::try_new(
        join.left().clone(),
        join.right().clone(),
        Some(filter),
        join.join_type(),
        join.projection().as_ref().map(|columns| columns.to_vec()),
    )?;
    Ok(Arc::new(guarded))
}

/// True, or an error once the statement is to stop.
#[derive(Debug)]
struct NotCancelled {
    statement: Arc<Statement>,
}

impl PartialEq for NotCancelled {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.statement, &other.statement)
    }
}

impl Eq for NotCancelled {}

impl Hash for NotCancelled {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.statement).hash(state);
    }
}

impl fmt::Display for NotCancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true")
    }
}

impl PhysicalExpr for NotCancelled {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, _batch: &RecordBatch) -> Result<ColumnarValue> {
        self.statement.check().map_err(failure::external)?;
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true")
    }
}
