//! An operator around another one, which looks at the other's streams and changes nothing of its rows.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use std::fmt;
use std::sync::Arc;

/// What is done around an operator's streams.
pub trait Around: Clone + fmt::Debug + Send + Sync + 'static {
    /// What the operator is called.
    const NAME: &'static str;

    /// A stream that gives what the other gives.
    fn stream(&self, inner: SendableRecordBatchStream) -> SendableRecordBatchStream;
}

/// The operator.
#[derive(Debug)]
pub struct AroundExec<A> {
    inner: Arc<dyn ExecutionPlan>,
    around: A,
}

impl<A: Around> AroundExec<A> {
    /// Around this one.
    pub fn new(inner: Arc<dyn ExecutionPlan>, around: A) -> AroundExec<A> {
        AroundExec { inner, around }
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
        self.inner.properties()
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

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let inner = self.inner.execute(partition, context)?;
        Ok(self.around.stream(inner))
    }
}
