//! Where a task of its own begins to work for a statement: what it computes can find out that the statement
//! is to stop ([`crate::engine::stop`]).

use super::around::{Around, AroundExec};
use crate::engine::stop::Stop;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What the operator is called.
pub const NAME: &str = <Stop as Around>::NAME;

/// An operator whose streams are polled by tasks of their own, working for the statement that this asks to
/// stop.
pub type WatchedExec = AroundExec<Stop>;

impl Around for Stop {
    const NAME: &'static str = "WatchedExec";

    fn stream(&self, inner: SendableRecordBatchStream) -> SendableRecordBatchStream {
        stream(inner, self.clone())
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
