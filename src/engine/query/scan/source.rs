//! Where a scan's rows come from: the table, an index, or a share of the table.

use super::share::{Share, Taken};
use crate::catalog::RelationId;
use crate::engine::query::access_path::{AccessPath, Keys};
use crate::engine::query::failure;
use crate::engine::row::{IndexEntry, KeyLayout, KeyRange};
use crate::storage::{Direction, Scan, StorageError, View};
use datafusion::error::{DataFusionError, Result};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::task::Context;

/// Entries of an index whose keys are read before the rows that they name.
const NAMED_AT_ONCE: usize = 64;

/// Keys that are put in order at most; rows of more are read otherwise.
const KEYS_MAX: usize = 64 * 1024;

/// Where rows come from.
pub(super) enum Source {
    Table(Ranges),
    Index(Named),
    Keys(Keyed),
    Nothing,
}

impl Source {
    /// # Errors
    /// Storage's.
    pub(super) fn open(
        view: &View,
        table: RelationId,
        path: &AccessPath,
        direction: Direction,
    ) -> Result<Source> {
        let open = |store, keys: &Keys| Ranges::new(view, store, keys.ranges.clone(), direction);
        Ok(match path {
            AccessPath::Table(keys) => Source::Table(open(table, keys)),
            AccessPath::Index {
                store,
                layout,
                keys,
                ..
            } => Source::Index(Named::by(open(*store, keys), layout.clone(), table)),
            AccessPath::Either(paths) => match keys_of(view, table, paths)? {
                Some(keys) => Source::Keys(Keyed::new(view, table, keys)),
                None => Source::Table(open(table, &Keys::all())),
            },
            AccessPath::Nothing => Source::Nothing,
        })
    }

    /// Hands up to `most` keys and rows over until there is enough; false at the end.
    pub(super) fn read(&mut self, most: usize, take: impl Take) -> Result<bool> {
        match self {
            Source::Nothing => Ok(false),
            Source::Table(ranges) => ranges.read(most, take),
            Source::Index(named) => named.read(most, take),
            Source::Keys(keyed) => keyed.read(most, take),
        }
    }
}

/// The keys that the paths lead to; None where they are too many.
fn keys_of(view: &View, table: RelationId, paths: &[AccessPath]) -> Result<Option<Vec<Vec<u8>>>> {
    let mut found = Vec::new();
    for path in paths {
        let most = KEYS_MAX + 1 - found.len();
        match Source::open(view, table, path, Direction::Forward)? {
            Source::Nothing => {}
            Source::Table(mut ranges) => {
                ranges.read(most, |key, _| {
                    found.push(key.to_vec());
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            Source::Index(mut named) => found.append(&mut named.next_keys(most)?),
            Source::Keys(keyed) => found.extend(keyed.keys),
        }
        if found.len() > KEYS_MAX {
            return Ok(None);
        }
    }
    Ok(Some(found))
}

/// Rows that an index names.
pub(super) struct Named {
    entries: Ranges,
    layout: KeyLayout,
    rows: Keyed,
}

impl Named {
    pub(super) fn by(entries: Ranges, layout: KeyLayout, table: RelationId) -> Named {
        Named {
            rows: Keyed::new(&entries.view, table, Vec::new()),
            entries,
            layout,
        }
    }

    /// The same rows in the order of their keys; None where they are too many.
    pub(super) fn in_order(mut self) -> Result<Option<Keyed>> {
        let keys = self.next_keys(KEYS_MAX + 1)?;
        let few = keys.len() <= KEYS_MAX;
        Ok(few.then(|| Keyed::new(&self.rows.view, self.rows.table, keys)))
    }

    /// The next entries' keys, none at the end.
    fn next_keys(&mut self, most: usize) -> Result<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        self.entries.read(most, |key, value| {
            let key = IndexEntry::row_key(&self.layout, key, value)
                .map_err(|error| failure::external(error.into()))?;
            keys.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(keys)
    }

    /// As [`Source::read`]. Rows are not read while entries are: both wait for the reader.
    fn read(&mut self, most: usize, mut take: impl Take) -> Result<bool> {
        let (mut left, mut enough) = (most, false);
        while left > 0 && !enough {
            if self.rows.keys.len() == 0 {
                let keys = self.next_keys(left.min(NAMED_AT_ONCE))?;
                if keys.is_empty() {
                    return Ok(false);
                }
                self.rows.keys = keys.into_iter();
            }
            self.rows.read(left, |key, row| {
                left -= 1;
                let flow = take(key, row)?;
                enough = flow.is_break();
                Ok(flow)
            })?;
        }
        Ok(true)
    }
}

/// Rows whose keys are known.
pub(super) struct Keyed {
    view: View,
    table: RelationId,
    keys: std::vec::IntoIter<Vec<u8>>,
}

impl Keyed {
    /// In the order of the keys, each once.
    fn new(view: &View, table: RelationId, mut keys: Vec<Vec<u8>>) -> Keyed {
        keys.sort_unstable();
        keys.dedup();
        Keyed {
            view: view.clone(),
            table,
            keys: keys.into_iter(),
        }
    }

    /// As [`Source::read`].
    fn read(&mut self, most: usize, mut take: impl Take) -> Result<bool> {
        for _ in 0..most {
            let Some(key) = self.keys.next() else {
                return Ok(false);
            };
            // An entry and its row are written together; one without the other is damage.
            let row = self.view.get(self.table, &key).map_err(failed)?;
            let row = row.ok_or_else(|| {
                failure::error(
                    crate::diagnostic::SqlState::DATA_CORRUPTED,
                    "an index entry names a row that is not there",
                )
            })?;
            if take(&key, &row)?.is_break() {
                break;
            }
        }
        Ok(true)
    }
}

/// One range of keys after another.
pub(super) struct Ranges {
    view: View,
    store: RelationId,
    direction: Direction,
    scan: Option<Scan>,
    rest: std::vec::IntoIter<KeyRange>,
}

impl Ranges {
    pub(super) fn new(
        view: &View,
        store: RelationId,
        mut ranges: Vec<KeyRange>,
        direction: Direction,
    ) -> Ranges {
        if direction == Direction::Backward {
            ranges.reverse();
        }
        Ranges {
            direction,
            view: view.clone(),
            store,
            scan: None,
            rest: ranges.into_iter(),
        }
    }

    /// As [`Source::read`].
    pub(super) fn read(&mut self, most: usize, mut take: impl Take) -> Result<bool> {
        let (mut left, mut enough) = (most, false);
        while left > 0 && !enough {
            if self.scan.is_none() {
                let Some((from, to)) = self.rest.next() else {
                    return Ok(false);
                };
                let range = (borrowed(&from), borrowed(&to));
                let scan = self.view.scan(self.store, range, self.direction);
                self.scan = Some(scan.map_err(failed)?);
            }
            let Some(scan) = &mut self.scan else {
                continue;
            };
            let more = read_table(scan, left, |key, row| {
                left -= 1;
                let flow = take(key, row)?;
                enough = flow.is_break();
                Ok(flow)
            })?;
            if !more {
                self.scan = None;
            }
        }
        Ok(true)
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
