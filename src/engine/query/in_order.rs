//! The rows of a UNION ALL come branch by branch, as they are written, where nothing above asks for another order: a heading
//! before what it heads, and numbers that a sequence gives in the order of what is inserted. The library takes what comes first.

use super::forgetful::ForgetfulExec;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
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
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// The plan, its union's branches one after another where their rows are what it gives.
///
/// # Errors
/// The planner's, where an operator cannot be made.
pub fn branches(plan: Plan) -> Result<Plan> {
    if plan.output_partitioning().partition_count() > 1 {
        return Ok(match is_union(&plan) {
            true => Arc::new(InOrderExec::new(plan)),
            false => plan,
        });
    }
    let any: &dyn Any = plan.as_ref();
    if any.is::<CoalescePartitionsExec>() {
        let (input, fetch) = (plan.children()[0].clone(), plan.fetch());
        if !is_union(&input) {
            return Ok(plan);
        }
        let in_order: Plan = Arc::new(InOrderExec::new(input));
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
#[derive(Debug)]
struct InOrderExec {
    input: Plan,
    properties: Arc<PlanProperties>,
}

impl InOrderExec {
    fn new(input: Plan) -> InOrderExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            input.properties().emission_type,
            input.properties().boundedness,
        );
        InOrderExec {
            input,
            properties: Arc::new(properties),
        }
    }

    fn over(mut children: Vec<Plan>) -> Result<Plan> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(InOrderExec::new(input))),
            _ => Err(DataFusionError::Internal("it has one input".to_owned())),
        }
    }
}

impl DisplayAs for InOrderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for InOrderExec {
    fn name(&self) -> &str {
        "InOrder"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Plan>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Plan> {
        InOrderExec::over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        InOrderExec::over(children)
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.clone();
        let streams = input.properties().output_partitioning().partition_count();
        let rows = futures::stream::iter(0..streams)
            .map(move |stream| input.execute(stream, context.clone()))
            .try_flatten();
        let schema = self.input.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
