//! The rows of a UNION ALL come branch by branch, as they are written, where nothing above asks for another order: a heading
//! before what it heads, and numbers that a sequence gives in the order of what is inserted. The library takes what comes first.

use super::around::{Around, AroundExec};
use super::forgetful::ForgetfulExec;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};
use std::any::Any;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// The plan, its union's branches one after another where their rows are what it gives.
///
/// # Errors
/// The planner's, where an operator cannot be made.
pub fn branches(plan: Plan) -> Result<Plan> {
    if plan.output_partitioning().partition_count() > 1 {
        return Ok(match is_union(&plan) {
            true => Arc::new(AroundExec::new(plan, InOrder)),
            false => plan,
        });
    }
    let any: &dyn Any = plan.as_ref();
    if any.is::<CoalescePartitionsExec>() {
        let (input, fetch) = (plan.children()[0].clone(), plan.fetch());
        if !is_union(&input) {
            return Ok(plan);
        }
        let in_order: Plan = Arc::new(AroundExec::new(input, InOrder));
        return Ok(match fetch {
            Some(_) => Arc::new(GlobalLimitExec::new(in_order, 0, fetch)),
            None => in_order,
        });
    }
    match hands_on(any) {
        true => {
            let mut children: Vec<Plan> = plan.children().into_iter().cloned().collect();
            children[0] = branches(children[0].clone())?;
            replace_children_if_necessary(plan, children)
        }
        false => Ok(plan),
    }
}

/// Whether an operator gives its first input's rows in their order.
fn hands_on(operator: &dyn Any) -> bool {
    operator.is::<FilterExec>()
        || operator.is::<ProjectionExec>()
        || operator.is::<CooperativeExec>()
        || operator.is::<ForgetfulExec>()
        || operator.is::<GlobalLimitExec>()
        || operator.is::<LocalLimitExec>()
        || operator.is::<ScalarSubqueryExec>()
}

/// Whether the streams of an operator are those of a union.
fn is_union(plan: &Plan) -> bool {
    let any: &dyn Any = plan.as_ref();
    any.is::<UnionExec>() || hands_on(any) && is_union(plan.children()[0])
}

/// The operator: its input's streams, each behind the one before.
#[derive(Clone, Copy, Debug)]
struct InOrder;

impl Around for InOrder {
    const NAME: &'static str = "InOrder";

    fn properties(&self, inner: &Plan) -> Arc<PlanProperties> {
        Arc::new(PlanProperties::new(
            EquivalenceProperties::new(inner.schema()),
            Partitioning::UnknownPartitioning(1),
            inner.properties().emission_type,
            inner.properties().boundedness,
        ))
    }

    fn execute(
        &self,
        inner: &Plan,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (schema, inner) = (inner.schema(), inner.clone());
        let streams = inner.output_partitioning().partition_count();
        let rows = futures::stream::iter(0..streams)
            .map(move |stream| inner.execute(stream, context.clone()))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
