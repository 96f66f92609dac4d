//! Scans at speed: entries straight from the map, and ranges dealt out to several threads.

use super::super::error::StorageError;
use super::super::keyspace::{relation_of, split_value, store_key, user_key};
use super::super::lmdb::Step;
use super::super::reader::{Reader, ReaderCursor};
use super::range::{Bounds, Past, middle};
use super::{Direction, FETCH_ENTRIES_MAX, OwnWrites, Progress, Scan, first_step};
use std::collections::VecDeque;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// Entries handed on under one lock of the reader, where nothing is merged.
const READ_ENTRIES_MAX: usize = 256;

/// A part of a scan's range, for another scan of the same view.
pub struct Part(Bounds);

impl Scan {
    /// Hands up to `most` entries to `take` until it says that it has enough; true while there may be more.
    ///
    /// Without own writes in the range the entries come straight from the map, some hundred under one
    /// lock of the reader, which `take` must not want.
    ///
    /// # Errors
    /// Storage's, and `take`'s.
    pub fn read<E: From<StorageError>>(
        &mut self,
        most: usize,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, E>,
    ) -> Result<bool, E> {
        let mut left = most;
        while left > 0 {
            let straight = self.fetched.is_empty()
                && matches!(self.own, OwnWrites::None)
                && self.direction == Direction::Forward;
            if straight && self.progress == Progress::Ended {
                return Ok(false);
            }
            if straight {
                let (read, flow) = self.read_straight(left.min(READ_ENTRIES_MAX), &mut take)?;
                left -= read;
                if flow.is_break() {
                    return Ok(true);
                }
                continue;
            }
            let Some((key, row)) = self.next()? else {
                return Ok(false);
            };
            left -= 1;
            if take(key, row)?.is_break() {
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// As [`Scan::read`], forward and under one lock; says how many were taken.
    fn read_straight<E: From<StorageError>>(
        &mut self,
        most: usize,
        take: &mut impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, E>,
    ) -> Result<(usize, ControlFlow<()>), E> {
        self.snapshot.reader().check_age()?;
        let Scan {
            snapshot,
            range,
            progress,
            ..
        } = self;
        let first = match progress {
            Progress::Placed => Step::Next,
            _ => first_step(range, Direction::Forward),
        };
        let (mut read, mut flow, mut failed) = (0, ControlFlow::Continue(()), None);
        let past = Past::new(&range.high);
        snapshot.walk(first, |found| {
            let Some((key, value)) = found.filter(|(key, _)| !past.is(key)) else {
                *progress = Progress::Ended;
                return None;
            };
            // The first entry alone may lie before the range: a cursor is placed at or after a key.
            if *progress != Progress::Placed {
                *progress = Progress::Placed;
                if range.is_before(key) {
                    return Some(Step::Next);
                }
            }
            let taken = split_value(value)
                .map_err(E::from)
                .and_then(|(_, row)| take(user_key(key), row));
            read += 1;
            match taken {
                Ok(ControlFlow::Continue(())) if read < most => Some(Step::Next),
                Ok(further) => {
                    flow = further;
                    None
                }
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok((read, flow)),
        }
    }

    /// Keeps the lower half of what is left of the range and gives the upper one, by the distance of
    /// keys; None where it merges own writes, runs backward, or cannot be halved. `end` is the last key
    /// of the whole range, see [`View::last_key`](crate::storage::View::last_key).
    ///
    /// # Errors
    /// Storage's.
    pub fn split_off(&mut self, end: &[u8]) -> Result<Option<Part>, StorageError> {
        let whole = matches!(self.own, OwnWrites::None) && self.fetched.is_empty();
        if !whole || self.direction != Direction::Forward || self.progress != Progress::Placed {
            return Ok(None);
        }
        let mut halfway = None;
        self.snapshot.walk(Step::Current, |found| {
            halfway = found.and_then(|(last, _)| middle(last, &store_key(relation_of(last), end)));
            None
        })?;
        let Some(middle) = halfway.filter(|middle| !self.range.is_past(middle)) else {
            return Ok(None);
        };
        let upper = Bounds {
            low: Bound::Included(middle.clone()),
            high: std::mem::replace(&mut self.range.high, Bound::Excluded(middle)),
        };
        Ok(Some(Part(upper)))
    }

    /// Goes through a part that was split off.
    pub(in crate::storage) fn of_part(
        reader: &Arc<Reader>,
        part: Part,
    ) -> Result<Scan, StorageError> {
        reader.check_age()?;
        let empty = part.0.is_empty();
        Ok(Scan {
            fetched: VecDeque::new(),
            snapshot: ReaderCursor::open(reader)?,
            progress: match empty {
                true => Progress::Ended,
                false => Progress::Unplaced,
            },
            fetch_entries: FETCH_ENTRIES_MAX,
            own: OwnWrites::None,
            range: part.0,
            direction: Direction::Forward,
            current: None,
        })
    }
}
