//! The values that the side of a join which is kept in memory has in the join's columns, noted while that side is read: what
//! the other side is looked up by, where they are few.

use super::around::{Around, AroundExec};
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_plan::ExecutionPlan;
use futures::Stream;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Values noted at most; where there are more, the other side is read as a whole.
const VALUES_MAX: usize = 16 * 1024;
/// Rows that are looked at for them at most.
const ROWS_MAX: usize = 32 * 1024;

/// What the operator is called.
pub const NAME: &str = <Noting as Around>::NAME;

/// The operator that notes.
pub type NotingExec = AroundExec<Noting>;

/// What notes the values of columns.
#[derive(Clone, Default)]
pub struct Noting {
    columns: Vec<PhysicalExprRef>,
    rounds: Arc<Rounds>,
}

impl Noting {
    /// Of these columns; none of a row in which one is NULL, which equals nothing.
    #[must_use]
    pub fn of(self, columns: Vec<PhysicalExprRef>) -> Noting {
        Noting { columns, ..self }
    }

    /// Where the values are to be found.
    pub fn rounds(&self) -> &Arc<Rounds> {
        &self.rounds
    }
}

impl fmt::Debug for Noting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.columns).finish()
    }
}

impl Around for Noting {
    const NAME: &'static str = "Noting";

    fn execute(
        &self,
        inner: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let round = self.rounds.begin();
        Ok(Box::pin(NotingStream {
            inner: inner.execute(partition, context)?,
            columns: self.columns.clone(),
            found: Some(Found::default()),
            round,
        }))
    }
}

/// The rounds of a plan that may be run again, each with values of its own.
#[derive(Default)]
pub struct Rounds(Mutex<Arc<Noted>>);

impl Rounds {
    /// Another round.
    pub fn begin(&self) -> Arc<Noted> {
        let round = Arc::<Noted>::default();
        *self.0.lock() = round.clone();
        round
    }

    /// The round that has begun last: a join begins with the side that it keeps.
    pub fn current(&self) -> Arc<Noted> {
        self.0.lock().clone()
    }
}

/// The values of one round.
#[derive(Default)]
pub struct Noted(Mutex<State>);

enum State {
    /// They are being noted; these wait for them.
    Noting(Vec<Waker>),
    /// All of them.
    Complete(Option<Arc<[ArrayRef]>>),
}

impl Default for State {
    fn default() -> State {
        State::Noting(Vec::new())
    }
}

impl Noted {
    /// The values, once the side has been read to its end: a column each; None where they are too many.
    pub fn poll(&self, context: &Context<'_>) -> Poll<Option<Arc<[ArrayRef]>>> {
        match &mut *self.0.lock() {
            State::Noting(waiting) => {
                waiting.push(context.waker().clone());
                Poll::Pending
            }
            State::Complete(values) => Poll::Ready(values.clone()),
        }
    }

    /// These are all; None where they are too many.
    pub fn complete(&self, values: Option<Arc<[ArrayRef]>>) {
        let before = std::mem::replace(&mut *self.0.lock(), State::Complete(values));
        if let State::Noting(waiting) = before {
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    rows: usize,
    converter: Option<RowConverter>,
    values: HashSet<OwnedRow>,
}

impl Found {
    /// Adds a batch's values; false where they have become too many.
    fn add(&mut self, columns: &[PhysicalExprRef], batch: &RecordBatch) -> Result<bool> {
        let rows = batch.num_rows();
        self.rows += rows;
        if self.rows > ROWS_MAX {
            return Ok(false);
        }
        let arrays = columns
            .iter()
            .map(|column| column.evaluate(batch)?.into_array(rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let converter = match &mut self.converter {
            Some(converter) => converter,
            none => {
                let fields = arrays.iter();
                let fields = fields.map(|array| SortField::new(array.data_type().clone()));
                none.insert(RowConverter::new(fields.collect())?)
            }
        };
        let converted = converter.convert_columns(&arrays)?;
        for (place, row) in converted.iter().enumerate() {
            if arrays.iter().all(|array| array.is_valid(place)) {
                self.values.insert(row.owned());
            }
        }
        Ok(self.values.len() <= VALUES_MAX)
    }

    fn columns(self) -> Option<Arc<[ArrayRef]>> {
        let Some(converter) = self.converter else {
            return Some(Arc::new([]));
        };
        let rows = self.values.iter().map(OwnedRow::row);
        converter.convert_rows(rows).ok().map(Arc::from)
    }
}

struct NotingStream {
    inner: SendableRecordBatchStream,
    columns: Vec<PhysicalExprRef>,
    /// None once there are too many, or all.
    found: Option<Found>,
    round: Arc<Noted>,
}

impl Stream for NotingStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let polled = this.inner.as_mut().poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(batch))) => {
                if let Some(found) = &mut this.found
                    && !found.add(&this.columns, batch)?
                {
                    this.found = None;
                }
            }
            Poll::Ready(None) => {
                let found = this.found.take();
                this.round.complete(found.and_then(Found::columns));
            }
            _ => {}
        }
        polled
    }
}

impl RecordBatchStream for NotingStream {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}

impl Drop for NotingStream {
    /// Nobody waits for what nobody reads to its end.
    fn drop(&mut self) {
        if matches!(&*self.round.0.lock(), State::Noting(_)) {
            self.round.complete(None);
        }
    }
}
