//! Where a task of its own begins to work for a statement: what it computes can find out that the statement
//! is to stop ([`crate::engine::stop`]).

use crate::engine::stop::Stop;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What the operator is called.
pub const NAME: &str = "WatchedExec";

/// An operator whose streams are polled by tasks of their own.
#[derive(Debug)]
pub struct WatchedExec {
    inner: Arc<dyn ExecutionPlan>,
    stop: Stop,
}

impl WatchedExec {
    /// Working for the statement that this asks to stop.
    pub fn new(inner: Arc<dyn ExecutionPlan>, stop: Stop) -> WatchedExec {
        WatchedExec { inner, stop }
    }

    fn over(&self, mut below: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (below.pop(), below.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(WatchedExec::new(inner, self.stop.clone()))),
            _ => Err(DataFusionError::Internal(
                "a watched operator is one".to_owned(),
            )),
        }
    }
}

impl DisplayAs for WatchedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl ExecutionPlan for WatchedExec {
    fn name(&self) -> &str {
        NAME
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
        Ok(stream(inner, self.stop.clone()))
    }
}

/// The stream, each poll of which is work for the statement.
pub fn stream(inner: SendableRecordBatchStream, stop: Stop) -> SendableRecordBatchStream {
    Box::pin(Watched { inner, stop })
}

struct Watched {
    inner: SendableRecordBatchStream,
    stop: Stop,
}

impl Stream for Watched {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Watched { inner, stop } = &mut *self;
        stop.during(|| inner.as_mut().poll_next(context))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl RecordBatchStream for Watched {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}
