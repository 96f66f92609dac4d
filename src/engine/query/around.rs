//! An operator around another one, which changes nothing of its rows: it looks at their streams, gives them in another order, or
//! tells the planner less of them.

use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use std::fmt;
use std::sync::Arc;

/// What is done around an operator.
pub trait Around: Clone + fmt::Debug + Send + Sync + 'static {
    /// What the operator is called.
    const NAME: &'static str;

    /// What is known of the rows.
    fn properties(&self, inner: &Arc<dyn ExecutionPlan>) -> Arc<PlanProperties> {
        inner.properties().clone()
    }

    /// A stream that gives what the other gives.
    fn stream(&self, inner: SendableRecordBatchStream) -> SendableRecordBatchStream {
        inner
    }

    /// One of the operator's streams.
    ///
    /// # Errors
    /// The other operator's.
    fn execute(
        &self,
        inner: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        Ok(self.stream(inner.execute(partition, context)?))
    }
}

/// The operator.
#[derive(Debug)]
pub struct AroundExec<A> {
    inner: Arc<dyn ExecutionPlan>,
    around: A,
    properties: Arc<PlanProperties>,
}

impl<A: Around> AroundExec<A> {
    /// Around this one.
    pub fn new(inner: Arc<dyn ExecutionPlan>, around: A) -> AroundExec<A> {
        let properties = around.properties(&inner);
        AroundExec {
            inner,
            around,
            properties,
        }
    }

    /// The operator inside.
    pub fn inner(&self) -> &Arc<dyn ExecutionPlan> {
        &self.inner
    }

    /// What is done around it.
    pub fn around(&self) -> &A {
        &self.around
    }

    fn over(&self, mut below: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (below.pop(), below.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(AroundExec::new(inner, self.around.clone()))),
            _ => Err(DataFusionError::Internal(format!(
                "{} is around one operator",
                A::NAME
            ))),
        }
    }
}

impl<A: Around> DisplayAs for AroundExec<A> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(A::NAME)
    }
}

impl<A: Around> ExecutionPlan for AroundExec<A> {
    fn name(&self) -> &str {
        A::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.inner]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        input_stats: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(input_stats[0].clone())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.around.execute(&self.inner, partition, context)
    }
}
