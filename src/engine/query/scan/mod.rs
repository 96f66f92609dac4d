//! Reads a table's rows out of a view: keys in a range or through an index, only wanted columns.
//!
//! Row policies have their place here ([`TableScan::guarded`]): what they hide never leaves the scan, so
//! that no predicate of a user sees it (DESIGN §7, invariant 3).

use super::access_path::AccessPath;
use super::failure;
use super::leaf::Leaf;
use super::statement::Statement;
use crate::catalog::RelationId;
use crate::catalog::definition::Relation;
use crate::engine::policy::Guard;
use crate::engine::row::{IndexEntry, KeyLayout, KeyRange, RowDecoder, RowLayout};
use crate::storage::{Direction, Scan, View};
use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, NullArray, RecordBatch, RecordBatchOptions,
};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
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
    guard: Option<Guard>,
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
            guard: None,
        }
    }

    /// With policies that hide rows.
    #[must_use]
    pub fn guarded(mut self, guard: Option<Guard>) -> TableScan {
        self.guard = guard;
        self
    }

    /// The columns of the table that are read: those given, then those that only the guard looks at.
    fn wanted(&self) -> Vec<u16> {
        let mut wanted: Vec<u16> = self.columns.iter().filter_map(|column| *column).collect();
        let guarding = self.guard.as_ref().map_or_else(Vec::new, Guard::columns);
        for position in guarding {
            let position = position as u16;
            if !wanted.contains(&position) {
                wanted.push(position);
            }
        }
        wanted
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

    fn remark(&self) -> Option<String> {
        if !self.relation.row_security.in_force() {
            return None;
        }
        let Some(guard) = &self.guard else {
            return Some("Row Policies: bypassed by superuser".to_owned());
        };
        let names = guard.policies();
        Some(match names.is_empty() {
            true => "Row Policies: none applies, no row is shown".to_owned(),
            false => format!("Row Policies: {}", names.join(", ")),
        })
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
        let wanted = self.wanted();
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
            guard: self.guard.clone().map(|guard| Guarding {
                guard,
                wanted,
                width: table.columns.len(),
            }),
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
    guard: Option<Guarding>,
    left: Option<usize>,
    statement: Arc<Statement>,
}

/// The guard at work.
struct Guarding {
    guard: Guard,
    /// The positions of the columns that are decoded, in their order.
    wanted: Vec<u16>,
    /// Columns of the table.
    width: usize,
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
