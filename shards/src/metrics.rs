//! What a core counts.
//!
//! Only the core writes its counters (a plain load and store, no locked instruction); any
//! thread reads them. The histogram of slices sits behind a lock that only a reader of the
//! metrics ever contends.

use crate::CoreId;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A count that one thread raises and all may read.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0
            .store(self.0.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one core.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted: Counter,
    pub(crate) handed_over: Counter,
    pub(crate) refused: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) messages: Counter,
    pub(crate) panics: Counter,
    pub(crate) buffers_exhausted: Counter,
    pub(crate) major_faults: Counter,
    pub(crate) ring_enters: Counter,
    pub(crate) ring_completions: Counter,
}

/// The longest slice that the histogram tells apart, a minute.
const SLICE_US_MAX: u64 = 60_000_000;

/// How long slices were.
pub(crate) struct Slices(Mutex<Histogram<u64>>);

impl Slices {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, SLICE_US_MAX, 2)
            .expect("the bounds are in order and two digits are allowed");
        Self(Mutex::new(histogram))
    }

    pub(crate) fn record(&self, slice: Duration) {
        let microseconds = u64::try_from(slice.as_micros()).unwrap_or(SLICE_US_MAX);
        self.0.lock().saturating_record(microseconds);
    }
}

/// One core's figures at one moment.
#[derive(Clone, Debug)]
pub struct CoreMetrics {
    /// Which core.
    pub core: CoreId,
    /// Connections it holds now.
    pub connections: u64,
    /// Connections accepted since the start (handed over ones count where they were accepted).
    pub accepted: u64,
    /// Connections handed to another core.
    pub handed_over: u64,
    /// Connections closed because the limit and its excess were reached.
    pub refused: u64,
    /// Bytes received from peers.
    pub received_bytes: u64,
    /// Bytes sent to peers.
    pub sent_bytes: u64,
    /// Messages taken from the mesh.
    pub messages: u64,
    /// Tasks and callbacks that ended by a panic.
    pub panics: u64,
    /// Times the socket ring had no free receive buffer.
    pub buffers_exhausted: u64,
    /// Slices run.
    pub slices: u64,
    /// Slice lengths in microseconds: the median.
    pub slice_us_p50: u64,
    /// Slice lengths in microseconds: 99 of 100 are shorter.
    pub slice_us_p99: u64,
    /// Slice lengths in microseconds: 999 of 1,000 are shorter.
    pub slice_us_p999: u64,
    /// The longest slice in microseconds.
    pub slice_us_max: u64,
    /// Page faults that had to wait for the disk.
    pub major_faults: u64,
    /// Times the socket ring was entered; how many completions each brought is how full it runs.
    pub ring_enters: u64,
    /// Completions of the socket ring.
    pub ring_completions: u64,
    /// Tasks that other threads have woken and the core has not come to yet.
    pub wakes_waiting: u64,
}

impl CoreMetrics {
    pub(crate) fn collect(
        core: CoreId,
        connections: u64,
        counters: &Counters,
        slices: &Slices,
        wakes_waiting: u64,
    ) -> Self {
        let slices = slices.0.lock().clone();
        Self {
            core,
            connections,
            accepted: counters.accepted.get(),
            handed_over: counters.handed_over.get(),
            refused: counters.refused.get(),
            received_bytes: counters.received_bytes.get(),
            sent_bytes: counters.sent_bytes.get(),
            messages: counters.messages.get(),
            panics: counters.panics.get(),
            buffers_exhausted: counters.buffers_exhausted.get(),
            slices: slices.len(),
            slice_us_p50: slices.value_at_quantile(0.5),
            slice_us_p99: slices.value_at_quantile(0.99),
            slice_us_p999: slices.value_at_quantile(0.999),
            slice_us_max: slices.max(),
            major_faults: counters.major_faults.get(),
            ring_enters: counters.ring_enters.get(),
            ring_completions: counters.ring_completions.get(),
            wakes_waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_beyond_the_histogram_are_counted_at_its_end() {
        let slices = Slices::new();
        slices.record(Duration::from_micros(3));
        slices.record(Duration::from_secs(3600));
        let metrics = CoreMetrics::collect(CoreId(0), 0, &Counters::default(), &slices, 0);
        assert_eq!(metrics.slices, 2);
        assert_eq!(metrics.slice_us_p50, 3);
        assert!(metrics.slice_us_max >= SLICE_US_MAX);
    }
}
