//! Which core serves a new connection, and whether any does.
//!
//! The kernel spreads connections over the cores' listening sockets by a hash: evenly in the
//! long run, unevenly for the 32 of a connection pool. The accepting core therefore hands a
//! connection on when it holds clearly more than the emptiest.

use crate::core::Cores;
use crate::net::EXCESS_CONNECTIONS_MAX;
use crate::{Admission, CoreId};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A connection's place in the counts of its core and of the server; given up when dropped,
/// however far the connection has come.
pub(crate) struct Seat {
    cores: Arc<Cores>,
    pub(crate) core: CoreId,
}

impl Seat {
    /// Chooses the core, and whether the connection is within the limit; none when even the
    /// excess is used up.
    pub(crate) fn take(cores: &Arc<Cores>, accepting: CoreId) -> Option<(Self, Admission)> {
        let admission = admit(cores)?;
        let seat = Self {
            core: place(cores, accepting),
            cores: Arc::clone(cores),
        };
        Some((seat, admission))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let core = &self.cores.all[self.core.index()];
        core.connections.fetch_sub(1, Ordering::Relaxed);
        self.cores.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts the connection, unless even the excess is used up.
fn admit(cores: &Cores) -> Option<Admission> {
    let before = cores.connections.fetch_add(1, Ordering::Relaxed);
    if before < cores.connections_max {
        return Some(Admission::Admitted);
    }
    if before < cores.connections_max + EXCESS_CONNECTIONS_MAX {
        return Some(Admission::OverLimit);
    }
    cores.connections.fetch_sub(1, Ordering::Relaxed);
    None
}

/// Chooses the core, and counts the connection there.
fn place(cores: &Cores, accepting: CoreId) -> CoreId {
    let held = |core: &crate::core::CoreShared| core.connections.load(Ordering::Relaxed);
    let here = &cores.all[accepting.index()];
    let emptiest = cores.all.iter().min_by_key(|core| held(core));
    let emptiest = emptiest.expect("there is at least one core");
    let chosen = if clearly_more(held(here), held(emptiest)) {
        emptiest
    } else {
        here
    };
    chosen.connections.fetch_add(1, Ordering::Relaxed);
    chosen.id
}

/// A hand-over costs a message and a wake-up, which one connection more does not justify; among
/// thousands neither do a few.
fn clearly_more(here: usize, emptiest: usize) -> bool {
    here > emptiest + 1 + emptiest / 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::CoreShared;
    use std::sync::atomic::AtomicUsize;

    fn cores(count: u16, connections_max: usize) -> Cores {
        let core = |id| Arc::new(CoreShared::new(CoreId(id)).expect("an eventfd"));
        Cores {
            all: (0..count).map(core).collect(),
            connections: AtomicUsize::new(0),
            connections_max,
        }
    }

    #[test]
    fn connections_that_all_arrive_at_one_core_are_spread_evenly() {
        let cores = cores(3, 100);
        for _ in 0..30 {
            place(&cores, CoreId(1));
        }
        for core in &cores.all {
            assert!(core.connections.load(Ordering::Relaxed).abs_diff(10) <= 1);
        }
    }

    #[test]
    fn a_small_difference_among_many_moves_nothing() {
        assert!(!clearly_more(1032, 1000));
        assert!(clearly_more(1033, 1000));
        assert!(clearly_more(2, 0));
        assert!(!clearly_more(6, 5));
    }

    #[test]
    fn a_seat_given_up_is_free_again() {
        let cores = Arc::new(cores(2, 10));
        let (seat, _) = Seat::take(&cores, CoreId(1)).expect("room");
        assert_eq!(seat.core, CoreId(1));
        assert_eq!(cores.connections.load(Ordering::Relaxed), 1);
        drop(seat);
        assert_eq!(cores.connections.load(Ordering::Relaxed), 0);
        assert_eq!(cores.all[1].connections.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn past_the_limit_a_few_are_marked_and_then_none_is_admitted() {
        let cores = cores(1, 2);
        assert_eq!(admit(&cores), Some(Admission::Admitted));
        assert_eq!(admit(&cores), Some(Admission::Admitted));
        for _ in 0..EXCESS_CONNECTIONS_MAX {
            assert_eq!(admit(&cores), Some(Admission::OverLimit));
        }
        assert_eq!(admit(&cores), None);
        assert_eq!(
            cores.connections.load(Ordering::Relaxed),
            2 + EXCESS_CONNECTIONS_MAX
        );
    }
}
