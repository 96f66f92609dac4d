//! The checks of foreign keys that wait for COMMIT, and what SET CONSTRAINTS has said of them
//! (PostgreSQL, "SET CONSTRAINTS" and "CREATE TABLE", DEFERRABLE).
//!
//! A transaction that writes many rows queues many checks: they lie one behind the other in a few
//! large pieces of memory, so that neither adding nor forgetting them takes long. Nothing is taken
//! out before the transaction ends, because what SET CONSTRAINTS … IMMEDIATE has checked waits again
//! once a savepoint before it is rolled back to.

use crate::catalog::Oid;
use crate::catalog::definition::Deferral;
use crate::diagnostic::{Diagnostic, SqlState};
use std::collections::HashMap;

/// Bytes of one piece of the queue.
const PIECE_BYTES: usize = 64 << 10;
/// The most that the checks of one transaction may take.
const QUEUE_BYTES_MAX: usize = 256 << 20;
/// The most times that one transaction may say SET CONSTRAINTS.
const ORDERS_MAX: usize = 100_000;
/// Bytes before those of the check itself: constraint, table, kind, length.
const HEAD_BYTES: usize = 4 + 4 + 1 + 4;

/// When a constraint is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// When the statement ends.
    Immediate,
    /// At COMMIT, or when SET CONSTRAINTS … IMMEDIATE is said.
    Deferred,
}

/// One check that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The foreign key.
    pub constraint: Oid,
    /// The table whose row was written.
    pub table: Oid,
    /// What is to be looked for.
    pub sought: Sought,
}

/// What a check looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// What the row under this storage key points at, if the row is there still.
    Parent(Vec<u8>),
    /// Rows that point at the values that this row, encoded with its other columns NULL, had.
    Children(Vec<u8>),
}

/// How far a transaction has come: a place to come back to. The default is its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    queued: Place,
    orders: usize,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    piece: usize,
    offset: usize,
    number: u64,
}

/// What comes after a place in the queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A check that is to be made.
    Check(Check),
    /// So many that need not be made that others should have a turn.
    Passed,
    /// Nothing.
    End,
}

/// One SET CONSTRAINTS.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// None: all.
    constraint: Option<Oid>,
    timing: Timing,
    /// How many checks were queued before it.
    queued: u64,
}

/// What of one transaction waits.
#[derive(Debug, Default)]
pub struct Deferred {
    pieces: Vec<Vec<u8>>,
    queued: u64,
    bytes: usize,
    orders: Vec<Order>,
}

/// Which of the checks that are queued have been carried out by SET CONSTRAINTS.
#[derive(Debug, Default)]
pub struct Settled {
    all: u64,
    single: HashMap<Oid, u64>,
}

impl Settled {
    fn has(&self, constraint: Oid, number: u64) -> bool {
        let single = || self.single.get(&constraint).copied().unwrap_or_default();
        number < self.all || number < single()
    }
}

impl Deferred {
    /// When a foreign key is checked as things stand.
    pub fn timing(&self, constraint: Oid, deferral: Deferral) -> Timing {
        let initially = match deferral {
            Deferral::None => return Timing::Immediate,
            Deferral::InitiallyImmediate => Timing::Immediate,
            Deferral::InitiallyDeferred => Timing::Deferred,
        };
        let mut latest = self.orders.iter().rev();
        let said = latest.find(|order| order.constraint.is_none_or(|only| only == constraint));
        said.map_or(initially, |order| order.timing)
    }

    /// Whether nothing has been queued.
    pub fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// SET CONSTRAINTS of these, or of all. For IMMEDIATE what waits has been checked already.
    ///
    /// # Errors
    /// 54000 where it has been said too often in one transaction.
    pub fn order(&mut self, constraints: Option<&[Oid]>, timing: Timing) -> Result<(), Diagnostic> {
        let more = constraints.map_or(1, <[Oid]>::len);
        if self.orders.len() + more > ORDERS_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("SET CONSTRAINTS of more than {ORDERS_MAX} constraints in one transaction"),
            ));
        }
        let queued = self.queued;
        let order = |constraint| Order {
            constraint,
            timing,
            queued,
        };
        match constraints {
            None => self.orders.push(order(None)),
            Some(named) => self
                .orders
                .extend(named.iter().map(|oid| order(Some(*oid)))),
        }
        Ok(())
    }

    /// Puts a check off.
    ///
    /// # Errors
    /// 54000 where too many wait.
    pub fn push(&mut self, check: &Check) -> Result<(), Diagnostic> {
        let (kind, bytes) = match &check.sought {
            Sought::Parent(key) => (0, key),
            Sought::Children(row) => (1, row),
        };
        let size = HEAD_BYTES + bytes.len();
        if self.bytes + size > QUEUE_BYTES_MAX {
            return Err(Diagnostic::error(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "too many deferred checks of foreign keys wait for the end of the transaction",
            )
            .with_hint("SET CONSTRAINTS ALL IMMEDIATE before such a statement."));
        }
        let room = |piece: &Vec<u8>| piece.len() + size <= piece.capacity();
        if !self.pieces.last().is_some_and(room) {
            self.pieces.push(Vec::with_capacity(size.max(PIECE_BYTES)));
        }
        let length = u32::try_from(bytes.len())
            .map_err(|_| Diagnostic::internal("a key of more than four gigabytes"))?;
        if let Some(piece) = self.pieces.last_mut() {
            piece.extend_from_slice(&check.constraint.0.to_be_bytes());
            piece.extend_from_slice(&check.table.0.to_be_bytes());
            piece.push(kind);
            piece.extend_from_slice(&length.to_be_bytes());
            piece.extend_from_slice(bytes);
        }
        self.bytes += size;
        self.queued += 1;
        Ok(())
    }

    /// Which of the checks need not be made any more.
    pub fn settled(&self) -> Settled {
        let mut settled = Settled::default();
        let immediate = |order: &&Order| order.timing == Timing::Immediate;
        for order in self.orders.iter().filter(immediate) {
            let until = match order.constraint {
                None => &mut settled.all,
                Some(constraint) => settled.single.entry(constraint).or_default(),
            };
            *until = order.queued.max(*until);
        }
        settled
    }

    /// The next check after this place that is still to be made, if it is among the next `limit`.
    pub fn next(&self, place: &mut Place, settled: &Settled, limit: usize) -> Next {
        for _ in 0..limit {
            let Some(piece) = self.pieces.get(place.piece) else {
                return Next::End;
            };
            let Some(head) = piece.get(place.offset..place.offset + HEAD_BYTES) else {
                place.piece += 1;
                place.offset = 0;
                continue;
            };
            let number = |at: usize| {
                u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            let (constraint, table) = (Oid(number(0)), Oid(number(4)));
            let from = place.offset + HEAD_BYTES;
            let to = from + number(9) as usize;
            let made = settled.has(constraint, place.number);
            place.offset = to;
            place.number += 1;
            if made {
                continue;
            }
            let bytes = piece[from..to].to_vec();
            let sought = match head[8] {
                0 => Sought::Parent(bytes),
                _ => Sought::Children(bytes),
            };
            return Next::Check(Check {
                constraint,
                table,
                sought,
            });
        }
        Next::Passed
    }

    /// Where the transaction is.
    pub fn mark(&self) -> Mark {
        let last = self.pieces.len().saturating_sub(1);
        Mark {
            queued: Place {
                piece: last,
                offset: self.pieces.last().map_or(0, Vec::len),
                number: self.queued,
            },
            orders: self.orders.len(),
        }
    }

    /// What has come since is forgotten; what was carried out since waits again.
    pub fn roll_back(&mut self, mark: Mark) {
        self.orders.truncate(mark.orders);
        if mark.queued.number == 0 {
            self.pieces = Vec::new();
        } else {
            self.pieces.truncate(mark.queued.piece + 1);
            if let Some(last) = self.pieces.last_mut() {
                last.truncate(mark.queued.offset);
            }
        }
        self.queued = mark.queued.number;
        self.bytes = self.pieces.iter().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(constraint: u32, key: &[u8]) -> Check {
        Check {
            constraint: Oid(constraint),
            table: Oid(1),
            sought: Sought::Parent(key.to_vec()),
        }
    }

    fn waiting(deferred: &Deferred) -> Vec<Check> {
        let (mut place, settled) = (Place::default(), deferred.settled());
        let mut found = Vec::new();
        loop {
            match deferred.next(&mut place, &settled, 3) {
                Next::Check(check) => found.push(check),
                Next::End => return found,
                Next::Passed => {}
            }
        }
    }

    #[test]
    fn checks_come_back_in_their_order_whatever_their_size() {
        let mut deferred = Deferred::default();
        let sizes = [3, 0, PIECE_BYTES * 2, 7, PIECE_BYTES, 1];
        let all: Vec<Check> = sizes.iter().map(|size| check(9, &vec![7; *size])).collect();
        for check in &all {
            deferred.push(check).expect("there is room");
        }
        assert_eq!(waiting(&deferred), all);
    }

    #[test]
    fn what_came_after_a_mark_is_forgotten_and_what_was_checked_after_it_waits_again() {
        let mut deferred = Deferred::default();
        deferred.push(&check(1, b"a")).expect("there is room");
        let mark = deferred.mark();
        deferred.push(&check(2, b"b")).expect("there is room");
        deferred.order(None, Timing::Immediate).expect("an order");
        assert_eq!(waiting(&deferred), []);
        let deferral = Deferral::InitiallyDeferred;
        assert_eq!(deferred.timing(Oid(1), deferral), Timing::Immediate);
        deferred.roll_back(mark);
        assert_eq!(waiting(&deferred), [check(1, b"a")]);
        assert_eq!(deferred.timing(Oid(1), deferral), Timing::Deferred);
        deferred.roll_back(Mark::default());
        assert!(deferred.is_empty() && deferred.bytes == 0);
    }

    #[test]
    fn the_latest_order_that_names_a_constraint_holds_for_it() {
        let mut deferred = Deferred::default();
        deferred.order(None, Timing::Deferred).expect("an order");
        let only = [Oid(2)];
        deferred.push(&check(1, b"a")).expect("there is room");
        deferred.push(&check(2, b"b")).expect("there is room");
        deferred
            .order(Some(&only), Timing::Immediate)
            .expect("an order");
        let immediate = Deferral::InitiallyImmediate;
        assert_eq!(deferred.timing(Oid(1), immediate), Timing::Deferred);
        assert_eq!(deferred.timing(Oid(2), immediate), Timing::Immediate);
        assert_eq!(deferred.timing(Oid(1), Deferral::None), Timing::Immediate);
        assert_eq!(waiting(&deferred), [check(1, b"a")]);
    }

    #[test]
    fn checks_without_end_are_refused_not_kept() {
        let mut deferred = Deferred::default();
        let large = check(1, &vec![0; 8 << 20]);
        let refused = (0..64).find_map(|_| deferred.push(&large).err());
        let refused = refused.expect("there is a limit");
        assert_eq!(refused.sqlstate(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        for _ in 0..ORDERS_MAX {
            deferred.order(None, Timing::Deferred).expect("an order");
        }
        assert!(deferred.order(None, Timing::Deferred).is_err());
    }
}
