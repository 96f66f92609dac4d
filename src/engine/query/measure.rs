//! What each operator of a plan has really given, and how long it took: EXPLAIN ANALYZE.
//!
//! Each operator is wrapped, and its stream looked at from outside; the time is that of its polls,
//! in which those of the operators below it are. Rows are those that leave the operator: what a
//! policy hides never leaves a scan (DESIGN §6).

use super::around::{Around, AroundExec};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::ExecutionPlan;
use futures::Stream;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

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

/// The figures of an operator that is measured.
#[derive(Clone, Debug, Default)]
pub struct Measured(Arc<Mutex<Actual>>);

/// An operator that is measured.
pub type MeasuredExec = AroundExec<Measured>;

/// The plan with each of its operators measured.
///
/// # Errors
/// XX000 where an operator does not take a measured input.
pub fn measured(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|inner| {
        let measured = AroundExec::new(inner, Measured::default());
        Ok(Transformed::yes(Arc::new(measured)))
    });
    wrapped.map(|transformed| transformed.data)
}

impl Measured {
    /// What the operator has given so far.
    pub fn actual(&self) -> Actual {
        *self.0.lock()
    }
}

impl Around for Measured {
    const NAME: &'static str = "MeasuredExec";

    fn stream(&self, inner: SendableRecordBatchStream) -> SendableRecordBatchStream {
        self.0.lock().loops += 1;
        Box::pin(MeasuredStream {
            inner,
            actual: self.0.clone(),
            rows: Rows::NotYet,
        })
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
