//! Memory of queries: a bound for each statement inside one for all, past which operators spill.
//!
//! DataFusion's operators ask the pool before they grow; when it refuses they write to the spill
//! directory or fail with 53200. What operators do not account for (the batches in flight) is
//! bounded by the channel and the batch size.

use datafusion::common::DataFusionError;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// All queries together.
#[derive(Debug)]
pub struct SharedMemory {
    bytes_max: usize,
    used: AtomicUsize,
}

impl SharedMemory {
    /// A pool of so many bytes.
    pub fn new(bytes_max: usize) -> Arc<SharedMemory> {
        Arc::new(SharedMemory {
            bytes_max,
            used: AtomicUsize::new(0),
        })
    }

    /// Bytes held by all running queries, for metrics.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// How much of a statement's memory operators fill before they spill. The rest is for what they then need
/// and cannot spill: a sort's merge keeps a copy of the keys of all that it merges, and keys of narrow rows
/// take up to three times as much as the rows.
const SPILLING_PERCENT: usize = 40;

/// One statement's part of [`SharedMemory`]; gives everything back when it is dropped.
#[derive(Debug)]
pub struct StatementMemory {
    shared: Arc<SharedMemory>,
    bytes_max: usize,
    used: AtomicUsize,
    /// What of it operators that can spill have.
    spillable: AtomicUsize,
}

impl StatementMemory {
    /// A part of at most so many bytes.
    pub fn new(shared: Arc<SharedMemory>, bytes_max: usize) -> StatementMemory {
        StatementMemory {
            shared,
            bytes_max,
            used: AtomicUsize::new(0),
            spillable: AtomicUsize::new(0),
        }
    }

    /// The bytes of the operators that share a bound with this one, and the bound; None where that is the
    /// statement's alone.
    fn spilling(&self, reservation: &MemoryReservation) -> Option<(&AtomicUsize, usize)> {
        let bytes_max = self.bytes_max / 100 * SPILLING_PERCENT;
        reservation
            .consumer()
            .can_spill()
            .then_some((&self.spillable, bytes_max))
    }
}

/// Adds to a counter unless that would pass the bound.
fn add_within(counter: &AtomicUsize, additional: usize, max: usize) -> bool {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(additional).filter(|sum| *sum <= max)
        })
        .is_ok()
}

impl MemoryPool for StatementMemory {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, _consumer: &MemoryConsumer) {}

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        if let Some((spillable, _)) = self.spilling(reservation) {
            spillable.fetch_add(additional, Ordering::Relaxed);
        }
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.shared.used.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        if let Some((spillable, _)) = self.spilling(reservation) {
            spillable.fetch_sub(shrink, Ordering::Relaxed);
        }
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let own = (&self.used, self.bytes_max);
        let all = (&self.shared.used, self.shared.bytes_max);
        let bounds = [self.spilling(reservation), Some(own), Some(all)];
        for (place, (used, bytes_max)) in bounds.iter().flatten().enumerate() {
            if !add_within(used, additional, *bytes_max) {
                for (used, _) in bounds.iter().flatten().take(place) {
                    used.fetch_sub(additional, Ordering::Relaxed);
                }
                return Err(exhausted(additional));
            }
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

impl fmt::Display for StatementMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement memory of {} bytes", self.bytes_max)
    }
}

impl Drop for StatementMemory {
    fn drop(&mut self) {
        self.shared
            .used
            .fetch_sub(*self.used.get_mut(), Ordering::Relaxed);
    }
}

fn exhausted(additional: usize) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!("{additional} bytes more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(statement: usize, shared: &Arc<SharedMemory>) -> Arc<dyn MemoryPool> {
        Arc::new(StatementMemory::new(shared.clone(), statement))
    }

    #[test]
    fn a_statement_cannot_pass_its_own_bound() {
        let shared = SharedMemory::new(1000);
        let pool = pool(100, &shared);
        let reservation = MemoryConsumer::new("sort").register(&pool);
        assert!(reservation.try_grow(100).is_ok());
        assert!(reservation.try_grow(1).is_err());
        assert_eq!(shared.used(), 100);
    }

    #[test]
    fn what_can_spill_leaves_room_for_what_cannot() {
        let pool = pool(100, &SharedMemory::new(1000));
        let sort = MemoryConsumer::new("sort")
            .with_can_spill(true)
            .register(&pool);
        let merge = MemoryConsumer::new("merge").register(&pool);
        assert!(merge.try_grow(10).is_ok());
        assert!(sort.try_grow(SPILLING_PERCENT).is_ok());
        assert!(sort.try_grow(1).is_err());
        assert!(merge.try_grow(90 - SPILLING_PERCENT).is_ok());
        assert!(merge.try_grow(1).is_err());
        sort.shrink(1);
        assert!(sort.try_grow(1).is_ok());
    }

    #[test]
    fn statements_together_cannot_pass_the_shared_bound_and_give_back_what_they_held() {
        let shared = SharedMemory::new(150);
        let first = pool(100, &shared);
        let second = pool(100, &shared);
        let held = MemoryConsumer::new("a").register(&first);
        held.try_grow(100).expect("within both bounds");
        let other = MemoryConsumer::new("b").register(&second);
        assert!(other.try_grow(51).is_err());
        assert_eq!(shared.used(), 100);
        drop(held);
        assert!(other.try_grow(51).is_ok());
        drop(other);
        assert_eq!(shared.used(), 0);
    }
}
