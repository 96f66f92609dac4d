//! Reads a table's rows out of a view: keys in a range or through an index, only wanted columns.
//!
//! A row policy has its place here ([`TableScan::with_policy`]): what it hides never leaves the
//! scan, so that no predicate of a user sees it (DESIGN §7, invariant 3).

use super::access_path::AccessPath;
use super::failure;
use super::leaf::Leaf;
use super::statement::Statement;
use crate::catalog::RelationId;
use crate::catalog::definition::Relation;
use crate::engine::row::{IndexEntry, KeyLayout, KeyRange, RowDecoder, RowLayout};
use crate::storage::{Direction, Scan, View};
use datafusion::arrow::array::{ArrayRef, AsArray, BinaryBuilder, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::cooperative;
use futures::Stream;
use std::fmt;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Rows of a batch at most.
const BATCH_ROWS_MAX: usize = 8192;
/// Bytes of variable-length values of a batch at most, but for a single row that has more.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// A table's scan.
pub struct TableScan {
    relation: Arc<Relation>,
    /// For each output column its position in the table; None is the storage key.
    columns: Vec<Option<u16>>,
    path: AccessPath,
    limit: Option<usize>,
    policy: Option<Arc<dyn PhysicalExpr>>,
}

impl TableScan {
    /// Of a table, giving these columns.
    pub fn new(
        relation: Arc<Relation>,
        columns: Vec<Option<u16>>,
        path: AccessPath,
        limit: Option<usize>,
    ) -> TableScan {
        TableScan {
            relation,
            columns,
            path,
            limit,
            policy: None,
        }
    }

    /// With a predicate over the output columns that hides rows.
    #[must_use]
    pub fn with_policy(mut self, policy: Arc<dyn PhysicalExpr>) -> TableScan {
        self.policy = Some(policy);
        self
    }
}

impl Leaf for TableScan {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.relation.name;
        match &self.path {
            AccessPath::Table((Bound::Unbounded, Bound::Unbounded)) => {
                write!(f, "Seq Scan on {table}")
            }
            AccessPath::Table(_) => write!(f, "Index Scan using {table}_pkey on {table}"),
            AccessPath::Index { name, .. } => write!(f, "Index Scan using {name} on {table}"),
            AccessPath::Nothing => write!(f, "Result (One-Time Filter: false)"),
        }
    }

    fn expression(&self) -> Option<&Arc<dyn PhysicalExpr>> {
        self.policy.as_ref()
    }

    fn open(
        &self,
        schema: SchemaRef,
        statement: Arc<Statement>,
    ) -> Result<SendableRecordBatchStream> {
        let table = self
            .relation
            .table()
            .expect("a scan is made of tables only");
        let layout = RowLayout::new(table);
        let wanted: Vec<u16> = self.columns.iter().filter_map(|column| *column).collect();
        let view = statement.view()?.clone();
        let source = Source::open(&view, table.store, &self.path)?;
        Ok(Box::pin(cooperative(ScanStream {
            decoder: layout.decoder(&wanted, BATCH_ROWS_MAX),
            keys: self
                .columns
                .iter()
                .any(Option::is_none)
                .then(BinaryBuilder::new),
            columns: self.columns.clone(),
            schema,
            policy: self.policy.clone(),
            left: self.limit,
            source,
            statement,
        })))
    }
}

/// Where rows come from.
enum Source {
    Table(Scan),
    Index {
        entries: Scan,
        layout: KeyLayout,
        view: View,
        table: RelationId,
    },
    Nothing,
}

impl Source {
    fn open(view: &View, table: RelationId, path: &AccessPath) -> Result<Source> {
        let failed = |error: crate::storage::StorageError| failure::external(error.into());
        let open = |store, range: &KeyRange| {
            view.scan(
                store,
                (borrowed(&range.0), borrowed(&range.1)),
                Direction::Forward,
            )
            .map_err(failed)
        };
        Ok(match path {
            AccessPath::Table(range) => Source::Table(open(table, range)?),
            AccessPath::Index {
                store,
                layout,
                range,
                ..
            } => Source::Index {
                entries: open(*store, range)?,
                layout: layout.clone(),
                view: view.clone(),
                table,
            },
            AccessPath::Nothing => Source::Nothing,
        })
    }

    /// Hands the next key and row over; false at the end.
    fn next(&mut self, mut take: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<bool> {
        let failed = |error: crate::storage::StorageError| failure::external(error.into());
        match self {
            Source::Nothing => Ok(false),
            Source::Table(scan) => match scan.next().map_err(failed)? {
                None => Ok(false),
                Some((key, row)) => take(key, row).map(|()| true),
            },
            Source::Index {
                entries,
                layout,
                view,
                table,
            } => {
                let Some((key, value)) = entries.next().map_err(failed)? else {
                    return Ok(false);
                };
                let row_key = IndexEntry::row_key(layout, key, value)
                    .map_err(|error| failure::external(error.into()))?;
                // An entry and its row are written together; one without the other is damage.
                let Some(row) = view.get(*table, row_key).map_err(failed)? else {
                    return Err(failure::error(
                        crate::diagnostic::SqlState::DATA_CORRUPTED,
                        "an index entry names a row that is not there",
                    ));
                };
                take(row_key, &row).map(|()| true)
            }
        }
    }
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

struct ScanStream {
    source: Source,
    decoder: RowDecoder,
    keys: Option<BinaryBuilder>,
    columns: Vec<Option<u16>>,
    schema: SchemaRef,
    policy: Option<Arc<dyn PhysicalExpr>>,
    left: Option<usize>,
    statement: Arc<Statement>,
}

impl ScanStream {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        self.statement.check().map_err(failure::external)?;
        let most = match self.policy {
            // A policy may hide any of them.
            Some(_) => BATCH_ROWS_MAX,
            None => self.left.unwrap_or(usize::MAX).min(BATCH_ROWS_MAX),
        };
        let (decoder, keys) = (&mut self.decoder, &mut self.keys);
        let mut rows = 0;
        while rows < most && decoder.bytes() < BATCH_BYTES_MAX {
            let more = self.source.next(|key, row| {
                if let Some(keys) = keys {
                    keys.append_value(key);
                }
                decoder
                    .append(row)
                    .map_err(|error| failure::external(error.into()))
            })?;
            if !more {
                break;
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let batch = self.assemble(rows)?;
        let batch = match &self.policy {
            Some(policy) => {
                let visible = policy.evaluate(&batch)?.to_array(batch.num_rows())?;
                filter_record_batch(&batch, visible.as_boolean())?
            }
            None => batch,
        };
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
        let mut decoded = self.decoder.finish().into_iter();
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
        Ok(RecordBatch::try_new_with_options(
            self.schema.clone(),
            arrays,
            &options,
        )?)
    }
}

impl Stream for ScanStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        Poll::Ready(self.batch().transpose())
    }
}

impl RecordBatchStream for ScanStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
