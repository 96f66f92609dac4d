//! Where a scan's rows come from: the table, an index, or a share of the table.

use super::share::{Share, Taken};
use crate::catalog::RelationId;
use crate::engine::query::access_path::AccessPath;
use crate::engine::query::failure;
use crate::engine::row::{IndexEntry, KeyLayout, KeyRange};
use crate::storage::{Direction, Scan, StorageError, View};
use datafusion::error::{DataFusionError, Result};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::task::Context;

/// Where rows come from.
pub(super) enum Source {
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
    pub(super) fn open(view: &View, table: RelationId, path: &AccessPath) -> Result<Source> {
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

    /// Hands up to `most` keys and rows over until there is enough; false at the end.
    pub(super) fn read(&mut self, most: usize, mut take: impl Take) -> Result<bool> {
        match self {
            Source::Nothing => Ok(false),
            Source::Table(scan) => read_table(scan, most, take),
            Source::Index {
                entries,
                layout,
                view,
                table,
            } => {
                for _ in 0..most {
                    let entry = entries.next().map_err(failed)?;
                    let Some((key, value)) = entry else {
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
                    if take(row_key, &row)?.is_break() {
                        break;
                    }
                }
                Ok(true)
            }
        }
    }
}

/// What takes keys and rows.
pub(super) trait Take: FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> {}

impl<T: FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>>> Take for T {}

fn read_table(scan: &mut Scan, most: usize, mut take: impl Take) -> Result<bool> {
    let read = scan.read(most, |key, row| take(key, row).map_err(Failed::Taking));
    read.map_err(|failed| match failed {
        Failed::Reading(error) => failure::external(error.into()),
        Failed::Taking(error) => error,
    })
}

/// What went wrong: storage, or whoever takes the rows.
enum Failed {
    Reading(StorageError),
    Taking(DataFusionError),
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Failed {
        Failed::Reading(error)
    }
}

fn failed(error: StorageError) -> DataFusionError {
    failure::external(error.into())
}

/// One of several streams over a table.
pub(super) struct Lane {
    view: View,
    table: (RelationId, KeyRange),
    share: Arc<Share>,
    lane: usize,
    scan: Option<Scan>,
}

/// What a lane has for its stream.
pub(super) enum Turn {
    /// Rows to read, by [`Lane::read`].
    Rows,
    /// Nothing before another lane gives something away; the stream will be woken.
    Wait,
    /// Nothing any more.
    End,
}

impl Lane {
    /// Of the rows in this range.
    pub(super) fn new(
        view: View,
        table: (RelationId, KeyRange),
        share: Arc<Share>,
        lane: usize,
    ) -> Lane {
        Lane {
            view,
            table,
            share,
            lane,
            scan: None,
        }
    }

    /// Takes over a part of the work where it has none.
    pub(super) fn turn(&mut self, context: &Context<'_>) -> Result<Turn> {
        if self.scan.is_some() {
            return Ok(Turn::Rows);
        }
        let (table, range) = &self.table;
        let range = (borrowed(&range.0), borrowed(&range.1));
        let scan = match self.share.take(context) {
            Taken::Whole => self.view.scan_lane(self.lane, *table, range),
            Taken::Part(part) => self.view.scan_part(self.lane, part),
            Taken::NotYet => return Ok(Turn::Wait),
            Taken::Nothing => return Ok(Turn::End),
        };
        if scan.is_err() {
            self.share.done();
        }
        self.scan = Some(scan.map_err(failed)?);
        Ok(Turn::Rows)
    }

    /// As [`Source::read`], of the part it has; gives half of the rest away where somebody waits.
    pub(super) fn read(&mut self, most: usize, take: impl Take) -> Result<bool> {
        let Some(scan) = &mut self.scan else {
            return Ok(false);
        };
        let more = read_table(scan, most, take)?;
        if !more {
            self.scan = None;
            self.share.done();
        } else if self.share.is_wanted() {
            let end = self.share.end(|| {
                let (table, range) = &self.table;
                let range = (borrowed(&range.0), borrowed(&range.1));
                self.view.last_key(*table, range)
            });
            if let Some(end) = end.map_err(failed)?
                && let Some(part) = scan.split_off(&end).map_err(failed)?
            {
                self.share.give(part);
            }
        }
        Ok(more)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.scan.is_some() {
            self.share.done();
        }
    }
}

/// A bound, not owned.
pub(super) fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}
