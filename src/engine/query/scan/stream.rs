//! A scan's rows as batches: decoded, and those left out that policies hide.

use super::lookup::Waiting;
use super::source::{Lane, Source, Take, Turn};
use crate::engine::policy::Guard;
use crate::engine::query::failure;
use crate::engine::query::statement::Statement;
use crate::engine::row::RowDecoder;
use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, NullArray, RecordBatch, RecordBatchOptions,
};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::RecordBatchStream;
use futures::Stream;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Rows of a batch at most.
pub(super) const BATCH_ROWS_MAX: usize = 8192;
/// Rows of the first batch.
pub(super) const BATCH_ROWS_FIRST: usize = 256;
/// How many times larger than the one before a batch may be.
const BATCH_GROWTH: usize = 4;
/// Bytes of variable-length values of a batch at most, but for a single row that has more.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The rows of a scan, or of one of its lanes, in batches.
pub(super) struct ScanStream {
    /// What it waits for before it begins.
    pub(super) waiting: Option<Waiting>,
    pub(super) work: Work,
    pub(super) decoder: RowDecoder,
    pub(super) keys: Option<BinaryBuilder>,
    pub(super) columns: Vec<Option<u16>>,
    pub(super) schema: SchemaRef,
    pub(super) guard: Option<Guarding>,
    pub(super) left: Option<usize>,
    /// Rows of the next batch: few at first, for whoever wants no more.
    pub(super) rows_next: usize,
    pub(super) statement: Arc<Statement>,
}

/// Whether the rows are read alone or with others.
pub(super) enum Work {
    Alone(Source),
    Shared(Lane),
}

impl Work {
    fn read(&mut self, most: usize, take: impl Take) -> Result<bool> {
        match self {
            Work::Alone(source) => source.read(most, take),
            Work::Shared(lane) => lane.read(most, take),
        }
    }
}

/// The guard at work.
pub(super) struct Guarding {
    pub(super) guard: Guard,
    /// The positions of the columns that are decoded, in their order.
    pub(super) wanted: Vec<u16>,
    /// Columns of the table.
    pub(super) width: usize,
}

impl Guarding {
    /// Which of the decoded rows are shown.
    fn shown(&self, decoded: &[ArrayRef], rows: usize, statement: &Statement) -> BooleanArray {
        let absent: ArrayRef = Arc::new(NullArray::new(rows));
        let mut columns = vec![absent; self.width];
        for (position, array) in self.wanted.iter().zip(decoded) {
            columns[usize::from(*position)] = array.clone();
        }
        self.guard.shown(&columns, rows, statement.input())
    }
}

impl ScanStream {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        self.statement.check().map_err(failure::external)?;
        let most = match self.guard {
            // It may hide any of them.
            Some(_) => self.rows_next,
            None => self.left.unwrap_or(usize::MAX).min(self.rows_next),
        };
        self.rows_next = (self.rows_next * BATCH_GROWTH).min(BATCH_ROWS_MAX);
        let (decoder, keys) = (&mut self.decoder, &mut self.keys);
        let mut rows = 0;
        self.work.read(most, |key, row| {
            if let Some(keys) = keys {
                keys.append_value(key);
            }
            decoder
                .append(row)
                .map_err(|error| failure::external(error.into()))?;
            rows += 1;
            Ok(match decoder.bytes() < BATCH_BYTES_MAX {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        if rows == 0 {
            return Ok(None);
        }
        let batch = self.assemble(rows)?;
        let batch = match self.left {
            Some(left) if left < batch.num_rows() => batch.slice(0, left),
            _ => batch,
        };
        if let Some(left) = &mut self.left {
            *left -= batch.num_rows();
        }
        Ok(Some(batch))
    }

    fn assemble(&mut self, rows: usize) -> Result<RecordBatch> {
        let decoded = self.decoder.finish();
        let guard = self.guard.as_ref();
        let shown = guard.map(|guard| guard.shown(&decoded, rows, &self.statement));
        let mut decoded = decoded.into_iter();
        let mut key: Option<ArrayRef> = match &mut self.keys {
            Some(keys) => Some(Arc::new(keys.finish())),
            None => None,
        };
        let arrays = self
            .columns
            .iter()
            .map(|column| {
                match column {
                    Some(_) => decoded.next(),
                    None => key.take(),
                }
                .expect("the decoder gives the columns wanted, and the key is asked for once")
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        Ok(match shown {
            Some(shown) => filter_record_batch(&batch, &shown)?,
            None => batch,
        })
    }
}

impl Stream for ScanStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        if let Some(waiting) = &self.waiting {
            let Poll::Ready(looked_up) = waiting.poll(context)? else {
                return Poll::Pending;
            };
            self.waiting = None;
            if let Some(source) = looked_up {
                self.work = Work::Alone(source);
            }
        }
        loop {
            if let Work::Shared(lane) = &mut self.work {
                match lane.turn(context)? {
                    Turn::Rows => {}
                    Turn::Wait => return Poll::Pending,
                    Turn::End => return Poll::Ready(None),
                }
            }
            match (self.batch()?, &self.work) {
                // This part has ended; another may be had.
                (None, Work::Shared(_)) => {}
                (batch, _) => return Poll::Ready(batch.map(Ok)),
            }
        }
    }
}

impl RecordBatchStream for ScanStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
