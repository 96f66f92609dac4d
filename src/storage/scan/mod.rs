//! A scan over a range of keys: the snapshot with the transaction's own writes merged in.
//!
//! A scan owns what it reads (a share of the reader, the write set as it was), so it may move to
//! another thread and outlive the statement; it pins its snapshot until it is dropped.

mod range;
mod read;

pub(super) use range::Bounds;
pub use read::Part;

use super::error::StorageError;
use super::keyspace::{CommitNumber, KeyRange, split_value, user_key};
use super::lmdb::Step;
use super::reader::{Reader, ReaderCursor, Stored};
use super::spill::WrittenRow;
use super::write_set::Entries;
use crate::catalog::RelationId;
use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

/// Entries fetched under one lock of the reader, once a scan has shown that it goes on.
const FETCH_ENTRIES_MAX: usize = 64;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// A key (without its relation id) and its row, borrowed until the scan goes on.
pub type Entry<'s> = (&'s [u8], &'s [u8]);

/// A scan under way. It sees the write set as it was when the scan began. `Send`.
pub struct Scan {
    // Before `snapshot`: these slices point into its map.
    fetched: VecDeque<Stored>,
    snapshot: ReaderCursor,
    progress: Progress,
    fetch_entries: usize,
    own: OwnWrites,
    range: Bounds,
    direction: Direction,
    /// The own write handed out last.
    current: Option<OwnRow>,
}

/// How far the snapshot's side has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// The cursor stands nowhere yet.
    Unplaced,
    /// The cursor stands on the last entry fetched.
    Placed,
    /// No entry of the range is left behind those fetched.
    Ended,
}

/// The write set's side of a merge.
enum OwnWrites {
    /// Nothing was written in the range, or all of it was passed.
    None,
    /// The write set and its next entry in the range.
    Next {
        entries: Entries,
        key: Arc<[u8]>,
        row: Option<WrittenRow>,
    },
}

impl OwnWrites {
    fn first(entries: &Entries, range: &Bounds, direction: Direction) -> OwnWrites {
        if entries.is_empty() {
            return OwnWrites::None;
        }
        OwnWrites::at(entries.clone(), range.as_range(), direction)
    }

    fn at(
        entries: Entries,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
    ) -> OwnWrites {
        let mut found = entries.range::<_, [u8]>(range);
        let next = match direction {
            Direction::Forward => found.next(),
            Direction::Backward => found.next_back(),
        };
        let Some((key, row)) = next.map(|(key, row)| (key.clone(), row.clone())) else {
            return OwnWrites::None;
        };
        OwnWrites::Next { entries, key, row }
    }

    fn key(&self) -> Option<&[u8]> {
        match self {
            OwnWrites::None => None,
            OwnWrites::Next { key, .. } => Some(key),
        }
    }

    /// Takes the next entry and looks the following one up: O(log n), with nothing borrowed.
    fn take(&mut self, range: &Bounds, direction: Direction) -> Option<OwnEntry> {
        let OwnWrites::Next { entries, key, row } = std::mem::replace(self, OwnWrites::None) else {
            return None;
        };
        let (low, high) = range.as_range();
        let rest = match direction {
            Direction::Forward => (Bound::Excluded(key.as_ref()), high),
            Direction::Backward => (low, Bound::Excluded(key.as_ref())),
        };
        let ended = match rest {
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
            (Bound::Excluded(low), Bound::Included(high)) => low >= high,
            _ => false,
        };
        if !ended {
            *self = OwnWrites::at(entries, rest, direction);
        }
        Some((key, row))
    }
}

/// A key and a row that the transaction wrote.
type OwnRow = (Arc<[u8]>, Arc<[u8]>);

/// A key that the transaction wrote; no row is a deletion.
type OwnEntry = (Arc<[u8]>, Option<WrittenRow>);

/// Key, row, and who wrote it (none: the transaction itself).
type FoundVersion<'s> = (&'s [u8], &'s [u8], Option<CommitNumber>);

/// Which side of a merge comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Stored,
    Own,
    /// The transaction's version of a stored key.
    Both,
    End,
}

impl Scan {
    pub(super) fn new(
        reader: &Arc<Reader>,
        entries: &Entries,
        relation: RelationId,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Result<Scan, StorageError> {
        reader.check_age()?;
        let range = Bounds::new(relation, range);
        let empty = range.is_empty();
        Ok(Scan {
            fetched: VecDeque::new(),
            snapshot: ReaderCursor::open(reader)?,
            progress: if empty {
                Progress::Ended
            } else {
                Progress::Unplaced
            },
            fetch_entries: 1,
            own: if empty {
                OwnWrites::None
            } else {
                OwnWrites::first(entries, &range, direction)
            },
            range,
            direction,
            current: None,
        })
    }

    /// The next entry, or none at the end of the range.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, StorageError> {
        let found = self.next_version()?;
        Ok(found.map(|(key, row, _)| (key, row)))
    }

    /// The next entry with the number of the commit that wrote it; none for an own write.
    pub(super) fn next_version(&mut self) -> Result<Option<FoundVersion<'_>>, StorageError> {
        loop {
            if self.fetched.is_empty() && self.progress != Progress::Ended {
                self.fetch()?;
            }
            match self.side() {
                Side::End => return Ok(None),
                Side::Stored => {
                    let (key, value) = self.fetched.pop_front().expect("this side has an entry");
                    let (commit, row) = split_value(value)?;
                    return Ok(Some((user_key(key), row, Some(commit))));
                }
                Side::Own => {}
                Side::Both => {
                    self.fetched.pop_front();
                }
            }
            let own = self.own.take(&self.range, self.direction);
            if let Some((key, Some(row))) = own {
                let (key, row) = self.current.insert((key, row.shared()?));
                return Ok(Some((user_key(key), row, None)));
            }
        }
    }

    fn side(&self) -> Side {
        let stored = self.fetched.front().map(|(key, _)| *key);
        match (stored, self.own.key()) {
            (None, None) => Side::End,
            (Some(_), None) => Side::Stored,
            (None, Some(_)) => Side::Own,
            (Some(stored), Some(own)) => match (stored.cmp(own), self.direction) {
                (std::cmp::Ordering::Equal, _) => Side::Both,
                (std::cmp::Ordering::Less, Direction::Forward)
                | (std::cmp::Ordering::Greater, Direction::Backward) => Side::Stored,
                _ => Side::Own,
            },
        }
    }

    /// Fetches more of the snapshot: one entry first, then more and more, so that a scan stopped by a
    /// LIMIT reads little.
    fn fetch(&mut self) -> Result<(), StorageError> {
        self.snapshot.reader().check_age()?;
        let Scan {
            fetched,
            snapshot,
            range,
            direction,
            progress,
            fetch_entries,
            ..
        } = self;
        let further = match direction {
            Direction::Forward => Step::Next,
            Direction::Backward => Step::Previous,
        };
        let first = match progress {
            Progress::Placed => further,
            _ => first_step(range, *direction),
        };
        let mut seeking = *progress == Progress::Unplaced;
        snapshot.walk(first, |found| {
            let Some((key, value)) = found else {
                if std::mem::take(&mut seeking) && *direction == Direction::Backward {
                    return Some(Step::Last);
                }
                *progress = Progress::Ended;
                return None;
            };
            seeking = false;
            let (ahead, beyond) = match direction {
                Direction::Forward => (range.is_before(key), range.is_past(key)),
                Direction::Backward => (range.is_past(key), range.is_before(key)),
            };
            if beyond {
                *progress = Progress::Ended;
                return None;
            }
            *progress = Progress::Placed;
            if ahead {
                return Some(further);
            }
            fetched.push_back((key, value));
            (fetched.len() < *fetch_entries).then_some(further)
        })?;
        *fetch_entries = (*fetch_entries * 4).min(FETCH_ENTRIES_MAX);
        Ok(())
    }
}

/// Where a scan's cursor is placed first; it may be one entry off the range, never past its start.
fn first_step(range: &Bounds, direction: Direction) -> Step<'_> {
    let (low, high) = range.as_range();
    match direction {
        Direction::Forward => match low {
            Bound::Included(low) | Bound::Excluded(low) => Step::Seek(low),
            Bound::Unbounded => Step::Seek(&[0]),
        },
        Direction::Backward => match high {
            Bound::Included(high) | Bound::Excluded(high) => Step::Seek(high),
            Bound::Unbounded => Step::Last,
        },
    }
}
