//! Times as Prometheus' histograms: counted where they are measured, put together when somebody asks.
//!
//! Each core writes its own cells, as [`PerCore`](super::metrics::PerCore) does, so that observing one costs a
//! search of the bounds and three stores on lines that nobody else writes.

use super::metrics::Metrics;
use crossbeam::utils::CachePadded;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets, microseconds: from a point statement to a minute's report.
pub const BOUNDS: [u64; 20] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// The bucket past every bound.
const BUCKETS: usize = BOUNDS.len() + 1;

#[derive(Debug)]
struct Cells {
    buckets: [AtomicU64; BUCKETS],
    sum_microseconds: AtomicU64,
}

impl Default for Cells {
    fn default() -> Cells {
        Cells {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_microseconds: AtomicU64::new(0),
        }
    }
}

/// A histogram with a writer for each core. Cloning shares.
#[derive(Clone, Debug)]
pub struct Histogram {
    writers: Arc<[CachePadded<Cells>]>,
}

/// One writer's end.
#[derive(Clone, Debug)]
pub struct Observer {
    histogram: Histogram,
    writer: usize,
}

/// What has been observed by now.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// How often.
    pub count: u64,
    /// All of it, in seconds.
    pub sum: f64,
    /// Upper bounds in seconds, and how often it was below each and above the one before.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Of so many writers.
    pub fn new(writers: usize) -> Histogram {
        Histogram {
            writers: (0..writers).map(|_| CachePadded::default()).collect(),
        }
    }

    /// The end of a writer, for it alone.
    ///
    /// # Panics
    /// If there is no such writer.
    pub fn observer(&self, writer: usize) -> Observer {
        assert!(writer < self.writers.len(), "a writer of this histogram");
        Observer {
            histogram: self.clone(),
            writer,
        }
    }

    /// What all writers have observed.
    pub fn observed(&self) -> Observed {
        let mut counts = [0; BUCKETS];
        let mut sum = 0;
        for cells in self.writers.iter() {
            for (count, cell) in counts.iter_mut().zip(&cells.buckets) {
                *count += cell.load(Ordering::Relaxed);
            }
            sum += cells.sum_microseconds.load(Ordering::Relaxed);
        }
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e6);
        Observed {
            count: counts.iter().sum(),
            sum: sum as f64 / 1e6,
            buckets: bounds.chain([f64::INFINITY]).zip(counts).collect(),
        }
    }
}

impl Observer {
    /// Counts one. Costs some nanoseconds.
    pub fn observe(&self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < microseconds);
        let cells = &self.histogram.writers[self.writer];
        // Not fetch_add: there is one writer, and a locked instruction costs 20 cycles.
        let add = |cell: &AtomicU64, amount: u64| {
            let before = cell.load(Ordering::Relaxed);
            cell.store(before.wrapping_add(amount), Ordering::Relaxed);
        };
        add(&cells.buckets[bucket], 1);
        add(&cells.sum_microseconds, microseconds);
    }
}

/// One histogram of a family, and the label that tells it from the others.
pub struct Labelled {
    /// Label and value; None where it stands alone.
    pub label: Option<(&'static str, &'static str)>,
    /// What it counts.
    pub histogram: Histogram,
}

struct HistogramCollector {
    name: &'static str,
    help: &'static str,
    family: Vec<Labelled>,
}

impl fmt::Debug for HistogramCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

struct Encoded(Observed);

impl EncodeMetric for Encoded {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::MetricEncoder,
    ) -> Result<(), fmt::Error> {
        let Observed {
            count,
            sum,
            buckets,
        } = &self.0;
        encoder.encode_histogram::<[(&str, &str); 0]>(*sum, *count, buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl Collector for HistogramCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let kind = MetricType::Histogram;
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for labelled in &self.family {
            let encoded = Encoded(labelled.histogram.observed());
            match labelled.label {
                Some(label) => encoded.encode(metric.encode_family(&[label])?)?,
                None => return encoded.encode(metric),
            }
        }
        Ok(())
    }
}

impl Metrics {
    /// Registers histograms under one name, which says seconds.
    pub fn histograms(&self, name: &'static str, help: &'static str, family: Vec<Labelled>) {
        self.collect(HistogramCollector { name, help, family });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_falls_into_the_first_bucket_that_is_not_below_it() {
        let histogram = Histogram::new(2);
        let (first, second) = (histogram.observer(0), histogram.observer(1));
        for microseconds in [0, 25, 26] {
            first.observe(Duration::from_micros(microseconds));
        }
        second.observe(Duration::from_secs(61));
        let observed = histogram.observed();
        assert_eq!(observed.count, 4);
        let filled: Vec<_> = (observed.buckets.iter())
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(filled, [&(25e-6, 2), &(50e-6, 1), &(f64::INFINITY, 1)]);
        assert!((observed.sum - 61.000_051).abs() < 1e-9);
    }

    #[test]
    fn it_is_shown_as_prometheus_reads_it() {
        let metrics = Metrics::new();
        let histogram = Histogram::new(1);
        histogram.observer(0).observe(Duration::from_millis(2));
        let label = Some(("method", "jwt"));
        let family = vec![Labelled { label, histogram }];
        metrics.histograms("login_seconds", "How long", family);
        let text = metrics.render().expect("it prints");
        for line in [
            "# TYPE nodedb_login_seconds histogram",
            "nodedb_login_seconds_sum{method=\"jwt\"} 0.002",
            "nodedb_login_seconds_count{method=\"jwt\"} 1",
            "nodedb_login_seconds_bucket{le=\"0.001\",method=\"jwt\"} 0",
            "nodedb_login_seconds_bucket{le=\"0.0025\",method=\"jwt\"} 1",
            "nodedb_login_seconds_bucket{le=\"+Inf\",method=\"jwt\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
