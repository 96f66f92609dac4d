//! What each operator of a plan has really given, and how long it took: EXPLAIN ANALYZE.
//!
//! Each operator is wrapped, and its stream looked at from outside; the time is that of its polls,
//! in which those of the operators below it are. Rows are those that leave the operator: what a
//! policy hides never leaves a scan (DESIGN §6).

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::Stream;
use parking_lot::Mutex;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What an operator's name is while it is measured.
pub const NAME: &str = "MeasuredExec";

/// What an operator has given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// Rows, of all loops together.
    pub rows: u64,
    /// How often it was begun.
    pub loops: u64,
    /// Until its first row, of all loops together.
    pub startup: Duration,
    /// Until its end.
    pub total: Duration,
}

/// An operator that is measured.
#[derive(Debug)]
pub struct MeasuredExec {
    inner: Arc<dyn ExecutionPlan>,
    actual: Arc<Mutex<Actual>>,
}

/// The plan with each of its operators measured.
///
/// # Errors
/// XX000 where an operator does not take a measured input.
pub fn measured(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|inner| {
        let measured = MeasuredExec {
            inner,
            actual: Arc::default(),
        };
        Ok(Transformed::yes(Arc::new(measured)))
    });
    wrapped.map(|transformed| transformed.data)
}

impl MeasuredExec {
    /// The operator itself.
    pub fn inner(&self) -> &Arc<dyn ExecutionPlan> {
        &self.inner
    }

    /// The same figures, of another operator below.
    fn over(&self, mut below: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (below.pop(), below.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(MeasuredExec {
                inner,
                actual: self.actual.clone(),
            })),
            _ => Err(DataFusionError::Internal(
                "a measured operator is one".to_owned(),
            )),
        }
    }

    /// What it has given so far.
    pub fn actual(&self) -> Actual {
        *self.actual.lock()
    }
}

impl DisplayAs for MeasuredExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl ExecutionPlan for MeasuredExec {
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
        self.actual.lock().loops += 1;
        Ok(Box::pin(MeasuredStream {
            inner,
            actual: self.actual.clone(),
            rows: Rows::NotYet,
        }))
    }
}

/// Whether a stream has given rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    NotYet,
    Some,
}

struct MeasuredStream {
    inner: SendableRecordBatchStream,
    actual: Arc<Mutex<Actual>>,
    rows: Rows,
}

impl Stream for MeasuredStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let began = Instant::now();
        let polled = self.inner.as_mut().poll_next(context);
        let took = began.elapsed();
        let before = self.rows;
        if let Poll::Ready(Some(Ok(batch))) = &polled
            && batch.num_rows() > 0
        {
            self.rows = Rows::Some;
        }
        let mut actual = self.actual.lock();
        actual.total += took;
        if before == Rows::NotYet {
            actual.startup += took;
        }
        if let Poll::Ready(Some(Ok(batch))) = &polled {
            actual.rows += batch.num_rows() as u64;
        }
        drop(actual);
        polled
    }
}

impl RecordBatchStream for MeasuredStream {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}
