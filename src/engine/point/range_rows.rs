//! The rows of a key's range, read some at a time: on the session core, and from the query pool where there
//! are many.

use super::range::PointRange;
use crate::catalog::RelationId;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::dml::filler::input_of;
use crate::engine::dml::selection::Named;
use crate::engine::dml::value::Value;
use crate::engine::outcome::ResultField;
use crate::engine::policy::{Guard, Purpose};
use crate::engine::row::{IndexEntry, KeyLayout, KeyRange, RowDecoder};
use crate::storage::{Direction, Scan, StorageError, View};
use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, NullArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// Rows that are read on the session core.
pub(super) const CORE_ROWS: usize = 256;
/// Rows between two looks at the clock there.
pub(super) const CORE_ROWS_AT_ONCE: usize = 64;
/// Rows of a batch on the pool.
pub(super) const POOL_ROWS: usize = 4_096;

/// What is made of each row.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) filter: Option<Value>,
    /// The table's columns that are decoded: those given first.
    pub(super) wanted: Vec<u16>,
    /// How many of them are given.
    pub(super) given: usize,
    pub(super) schema: SchemaRef,
    pub(super) fields: Arc<[ResultField]>,
    /// Columns of the table.
    pub(super) width: usize,
}

/// The rows of a range that are still coming.
pub(super) struct RangeRows {
    // Before `view`, whose snapshot it reads.
    scan: Scan,
    /// Ranges that come behind the one that is scanned.
    ranges: std::vec::IntoIter<KeyRange>,
    /// The table or the index that they are in, and which way they are gone through.
    within: (RelationId, Direction),
    pub(super) view: View,
    /// Through an index: its columns, and the table whose rows it names.
    index: Option<(KeyLayout, RelationId)>,
    decoder: RowDecoder,
    reading: Arc<Reading>,
    wanted: Vec<u16>,
    guard: Option<Guard>,
    parameters: Vec<ScalarValue>,
    pub(super) context: StatementContext,
    /// Whether every row that is read is given.
    all_count: bool,
    pub(super) skip: usize,
    pub(super) left: usize,
    pub(super) seen: usize,
    /// Ranges that have been begun: of keys that are not there, each is some work, too.
    begun: usize,
    ended: bool,
}

impl RangeRows {
    /// Begins to read the rows of these keys, of which there are some.
    ///
    /// # Errors
    /// Storage's.
    pub(super) fn begin(
        reading: &Arc<Reading>,
        (named, range, keys): (&Named, &PointRange, Vec<KeyRange>),
        view: View,
        (parameters, context): (&[ScalarValue], &StatementContext),
    ) -> Result<RangeRows, Diagnostic> {
        let target = &named.target;
        let guard = Guard::new(&target.relation, Purpose::Read, context);
        let mut wanted = reading.wanted.clone();
        if let Some(guard) = &guard {
            wanted.extend(guard.columns().into_iter().map(|column| column as u16));
        }
        let (table, store) = (target.store(), range.index);
        let within = (store.unwrap_or(table), range.direction);
        let mut ranges = keys.into_iter();
        let first = ranges.next();
        let first = first.ok_or_else(|| Diagnostic::internal("a scan of no range"))?;
        let scan = scan(&view, within, &first)?;
        Ok(RangeRows {
            decoder: target.layout.decoder(&wanted, CORE_ROWS_AT_ONCE),
            index: store.map(|_| (range.layout.clone(), table)),
            reading: reading.clone(),
            parameters: parameters.to_vec(),
            context: context.clone(),
            all_count: reading.filter.is_none() && guard.is_none(),
            wanted,
            guard,
            scan,
            ranges,
            within,
            view,
            skip: 0,
            left: usize::MAX,
            seen: 0,
            begun: 1,
            ended: false,
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended || self.left == 0 || (self.all_count && self.decoder.rows() >= self.needed())
    }

    /// Rows and ranges that have been looked at.
    pub(super) fn looked(&self) -> usize {
        self.seen + self.begun
    }

    /// Rows that are still to be skipped or given.
    fn needed(&self) -> usize {
        self.skip.saturating_add(self.left)
    }

    /// Goes on to the next range; false where there is none.
    fn next_range(&mut self) -> Result<bool, Diagnostic> {
        let Some(range) = self.ranges.next() else {
            return Ok(false);
        };
        self.scan = scan(&self.view, self.within, &range)?;
        self.begun += 1;
        Ok(true)
    }

    /// Looks at so many rows and ranges, reading the rows into the decoder.
    ///
    /// # Errors
    /// Storage's; XX001 for an index entry without its row.
    pub(super) fn read(&mut self, most: usize) -> Result<(), Diagnostic> {
        let most = match self.all_count {
            true => most.min(self.needed() - self.decoder.rows()),
            false => most,
        };
        let before = self.looked();
        while self.looked() - before < most {
            let Some((key, row)) = self.scan.next()? else {
                if !self.next_range()? {
                    self.ended = true;
                    return Ok(());
                }
                continue;
            };
            self.seen += 1;
            let Some((layout, table)) = &self.index else {
                self.decoder.append(row)?;
                continue;
            };
            let row_key = IndexEntry::row_key(layout, key, row)?;
            let Some(row) = self.view.get(*table, row_key)? else {
                return Err(Diagnostic::error(
                    SqlState::DATA_CORRUPTED,
                    "an index entry names a row that is not there",
                ));
            };
            self.decoder.append(&row)?;
        }
        Ok(())
    }

    /// Reads up to so many rows and counts those that are shown. Where all are, an index says by itself how
    /// many there are: it has the entries of the snapshot's rows and no others.
    ///
    /// # Errors
    /// As [`RangeRows::read`], and what the expressions raise.
    pub(super) fn count(&mut self, most: usize) -> Result<usize, Diagnostic> {
        if self.all_count {
            let (seen, before) = (self.seen, self.looked());
            while self.looked() - before < most {
                if self.scan.next()?.is_some() {
                    self.seen += 1;
                } else if !self.next_range()? {
                    self.ended = true;
                    break;
                }
            }
            return Ok(self.seen - seen);
        }
        self.read(most)?;
        let rows = self.decoder.rows();
        let decoded = self.decoder.finish();
        let shown = self.shown(&decoded, rows)?;
        Ok(shown.map_or(rows, |shown| shown.true_count()))
    }

    /// What has been read, as a batch of what is to be given; None where that is nothing.
    ///
    /// # Errors
    /// What the expressions raise.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>, Diagnostic> {
        let rows = self.decoder.rows();
        if rows == 0 {
            return Ok(None);
        }
        let decoded = self.decoder.finish();
        let shown = self.shown(&decoded, rows)?;
        let arrays = decoded[..self.reading.given].to_vec();
        let failed =
            |error: datafusion::arrow::error::ArrowError| Diagnostic::internal(error.to_string());
        let mut batch =
            RecordBatch::try_new(self.reading.schema.clone(), arrays).map_err(failed)?;
        if let Some(shown) = shown {
            batch = filter_record_batch(&batch, &shown).map_err(failed)?;
        }
        let skipped = self.skip.min(batch.num_rows());
        let given = (batch.num_rows() - skipped).min(self.left);
        self.skip -= skipped;
        self.left -= given;
        Ok((given > 0).then(|| batch.slice(skipped, given)))
    }

    /// Which rows the policies show and the rest of the WHERE lets through; None: all.
    fn shown(&self, decoded: &[ArrayRef], rows: usize) -> Result<Option<BooleanArray>, Diagnostic> {
        if self.all_count {
            return Ok(None);
        }
        let absent: ArrayRef = Arc::new(NullArray::new(rows));
        let mut columns = vec![absent; self.reading.width];
        for (position, array) in self.wanted.iter().zip(decoded) {
            columns[usize::from(*position)] = array.clone();
        }
        let input = input_of(&self.context);
        let mut shown = BooleanArray::from(vec![true; rows]);
        if let Some(guard) = &self.guard {
            shown = guard.shown(&columns, rows, input);
        }
        let Some(filter) = &self.reading.filter else {
            return Ok(Some(shown));
        };
        // The predicate of a user sees nothing that is hidden from him.
        let columns = match shown.true_count() == rows {
            true => columns,
            false => hide(&columns, &shown)?,
        };
        let seen = shown.true_count();
        let holds = filter.evaluate_batch(&columns, seen, &self.parameters, input)?;
        let holds = holds
            .as_boolean_opt()
            .ok_or_else(|| Diagnostic::internal("a WHERE is not boolean"))?;
        let mut of_seen = holds.iter();
        let both = shown.iter().map(|shown| {
            let holds = shown == Some(true) && of_seen.next().flatten() == Some(true);
            Some(holds)
        });
        Ok(Some(both.collect()))
    }
}

/// The columns without the rows that are hidden.
fn hide(columns: &[ArrayRef], shown: &BooleanArray) -> Result<Vec<ArrayRef>, Diagnostic> {
    columns
        .iter()
        .map(|column| datafusion::arrow::compute::filter(column, shown))
        .collect::<Result<_, _>>()
        .map_err(|error| Diagnostic::internal(error.to_string()))
}

fn scan(
    view: &View,
    (store, direction): (RelationId, Direction),
    range: &KeyRange,
) -> Result<Scan, StorageError> {
    let (from, to) = range;
    let range = (
        from.as_ref().map(Vec::as_slice),
        to.as_ref().map(Vec::as_slice),
    );
    view.scan(store, range, direction)
}
