//! A cursor's rows and where it stands among them: FETCH and MOVE in every direction.
//!
//! What has been read stays for going back: of a cursor that scrolls by itself as far as memory
//! goes, of one declared SCROLL or kept past its transaction in a file too. One that only goes
//! forward keeps nothing that it has passed.
//!
//! Source: PostgreSQL 15, FETCH; `DoPortalRunFetch` says what each direction comes to.

use super::cursor::Cursor;
use super::registry::Handle;
use super::run::interruptible;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::outcome::{ResultField, Source};
use crate::engine::query::kept::{Kept, KeptRows, Order, Room};
use crate::sql::fetch::Verb;
use std::pin::pin;
use std::sync::Arc;

/// How far FETCH and MOVE go, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// So many rows on; 0 is the row where it stands.
    Forward(Count),
    /// So many rows back.
    Backward(Count),
    /// To a row counted from the first, or from the last where negative; that row alone.
    Absolute(i64),
    /// To a row counted from where it stands; that row alone.
    Relative(i64),
}

/// So many rows, or all that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Rows(u64),
    /// To the end.
    All,
}

/// Whether it goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// NO SCROLL, or its query cannot: 55000.
    Never,
    /// It scrolls by itself; as far as memory goes.
    WhileInMemory,
    /// SCROLL.
    Always,
}

/// What FETCH or MOVE came to.
pub struct Fetched {
    /// How many rows.
    pub count: u64,
    /// The rows, for FETCH.
    pub rows: Source,
}

/// A cursor's rows and its place among them.
pub struct Scroll {
    /// What has not been read yet; None at the end.
    source: Option<Box<Cursor>>,
    fields: Arc<[ResultField]>,
    kept: KeptRows,
    back: Back,
    /// The row it stands on, counted from 1; 0 is before the first.
    position: u64,
    /// Past the last row; `position` is then the last.
    at_end: bool,
}

/// The rows that a movement has passed over: `count` of them from `first` on, counted from 0.
struct Passed {
    first: u64,
    count: u64,
    order: Order,
}

impl Passed {
    const NOTHING: Passed = Passed {
        first: 0,
        count: 0,
        order: Order::Forward,
    };
}

impl Scroll {
    /// Before the first row of a result.
    pub fn new(rows: Cursor, kept: KeptRows, back: Back) -> Scroll {
        Scroll {
            fields: rows.fields().clone(),
            source: Some(Box::new(rows)),
            kept,
            back,
            position: 0,
            at_end: false,
        }
    }

    /// Describes its columns.
    pub fn fields(&self) -> &Arc<[ResultField]> {
        &self.fields
    }

    /// The rows that nobody has asked for yet, of one that only goes forward; None at the end.
    pub fn into_rest(self) -> Option<Box<Cursor>> {
        debug_assert_eq!(self.back, Back::Never, "it keeps nothing that it has read");
        self.source
    }

    /// FETCH and MOVE.
    ///
    /// # Errors
    /// 55000 for going back where it does not, what the query fails with, 54000 and 53100 where rows
    /// cannot be kept. Afterwards it is of no use.
    pub async fn fetch(
        &mut self,
        direction: Direction,
        verb: Verb,
        handle: &Handle,
    ) -> Result<Fetched, Diagnostic> {
        let passed = self.go(direction, verb, handle).await?;
        let rows = match (passed.count, verb) {
            (0, _) | (_, Verb::Move) => Source::Ready(Vec::new().into_iter()),
            (count, Verb::Fetch) => self
                .kept
                .read(passed.first..passed.first + count, passed.order),
        };
        if self.back == Back::Never {
            self.kept.forget_before(self.position);
        }
        Ok(Fetched {
            count: passed.count,
            rows,
        })
    }

    /// Reads everything that is left, so that the transaction may end. A cursor that scrolls keeps
    /// what it has read before too.
    ///
    /// # Errors
    /// What the query fails with, 54000, 53100.
    pub async fn hold(&mut self, handle: &Handle) -> Result<(), Diagnostic> {
        if self.back == Back::WhileInMemory {
            self.back = Back::Always;
        }
        self.read_to(u64::MAX, Room::MemoryAndFile, handle).await
    }

    async fn go(
        &mut self,
        direction: Direction,
        verb: Verb,
        handle: &Handle,
    ) -> Result<Passed, Diagnostic> {
        let one = Count::Rows(1);
        match direction {
            Direction::Forward(Count::Rows(0))
            | Direction::Backward(Count::Rows(0))
            | Direction::Relative(0) => self.stay(verb),
            Direction::Forward(count) => self.forward(count, handle).await,
            Direction::Backward(count) => self.backward(count),
            Direction::Relative(rows @ 1..) => {
                self.skip_forward(rows.unsigned_abs() - 1, handle).await?;
                self.forward(one, handle).await
            }
            Direction::Relative(rows) => {
                self.skip_backward(rows.unsigned_abs() - 1)?;
                self.backward(one)
            }
            Direction::Absolute(0) => {
                if self.position > 0 || self.at_end {
                    self.check_goes_back()?;
                }
                self.position = 0;
                self.at_end = false;
                Ok(Passed::NOTHING)
            }
            Direction::Absolute(row @ 1..) => {
                let row = row.unsigned_abs();
                let here = self.position + u64::from(self.at_end);
                if row <= here {
                    self.skip_backward(here - row + 1)?;
                } else {
                    self.skip_forward(row - here - 1, handle).await?;
                }
                self.forward(one, handle).await
            }
            Direction::Absolute(row) => {
                self.forward(Count::All, handle).await?;
                self.skip_backward(row.unsigned_abs() - 1)?;
                self.backward(one)
            }
        }
    }

    /// The row on which it stands, once more.
    fn stay(&self, verb: Verb) -> Result<Passed, Diagnostic> {
        if self.position == 0 || self.at_end {
            return Ok(Passed::NOTHING);
        }
        // MOVE only tells whether there is one.
        if verb == Verb::Fetch {
            self.check_goes_back()?;
        }
        Ok(Passed {
            first: self.position - 1,
            count: 1,
            order: Order::Forward,
        })
    }

    async fn skip_forward(&mut self, rows: u64, handle: &Handle) -> Result<(), Diagnostic> {
        if rows > 0 {
            self.forward(Count::Rows(rows), handle).await?;
        }
        Ok(())
    }

    fn skip_backward(&mut self, rows: u64) -> Result<(), Diagnostic> {
        if rows > 0 {
            self.backward(Count::Rows(rows))?;
        }
        Ok(())
    }

    async fn forward(&mut self, count: Count, handle: &Handle) -> Result<Passed, Diagnostic> {
        let first = self.position;
        if self.at_end {
            return Ok(Passed::NOTHING);
        }
        let end = match count {
            Count::Rows(rows) => first.saturating_add(rows),
            Count::All => u64::MAX,
        };
        let room = match self.back {
            // What one FETCH gives is kept while it is sent, whatever becomes of it afterwards.
            Back::Never | Back::Always => Room::MemoryAndFile,
            Back::WhileInMemory => Room::MemoryOnly,
        };
        self.read_to(end, room, handle).await?;
        self.position = end.min(self.kept.rows());
        self.at_end = self.position < end;
        Ok(Passed {
            first,
            count: self.position - first,
            order: Order::Forward,
        })
    }

    fn backward(&mut self, count: Count) -> Result<Passed, Diagnostic> {
        self.check_goes_back()?;
        // The last row that lies behind it, counted from 1.
        let behind = match self.at_end {
            true => self.position,
            false => self.position.saturating_sub(1),
        };
        let (passed, runs_out) = match count {
            Count::Rows(rows) => (rows.min(behind), rows > behind),
            Count::All => (behind, true),
        };
        self.at_end = false;
        self.position = match runs_out {
            true => 0,
            false => behind - passed + 1,
        };
        Ok(Passed {
            first: behind - passed,
            count: passed,
            order: Order::Backward,
        })
    }

    fn check_goes_back(&self) -> Result<(), Diagnostic> {
        match self.back {
            Back::Never => Err(Diagnostic::error(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "cursor can only scan forward",
            )
            .with_hint("Declare it with SCROLL option to enable backward scan.")),
            Back::WhileInMemory | Back::Always => Ok(()),
        }
    }

    /// Reads on until so many rows have come, or there are no more.
    async fn read_to(
        &mut self,
        rows: u64,
        mut room: Room,
        handle: &Handle,
    ) -> Result<(), Diagnostic> {
        while self.kept.rows() < rows
            && let Some(source) = &mut self.source
        {
            let wanted = usize::try_from(rows - self.kept.rows()).unwrap_or(usize::MAX);
            let next = async { source.next(wanted).await.transpose() };
            let Some((batch, range)) = interruptible(handle, pin!(next)).await? else {
                self.source = None;
                break;
            };
            let part = batch.slice(range.start, range.len());
            if self.kept.push(part.clone(), room).await? == Kept::NoRoom {
                // It has never been asked to go back, or would have: from here on it only goes forward.
                self.back = Back::Never;
                self.kept.forget_before(self.position);
                room = Room::MemoryAndFile;
                self.kept.push(part, room).await?;
            }
        }
        Ok(())
    }
}
