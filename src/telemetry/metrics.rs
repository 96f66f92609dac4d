//! The metrics of the server, in Prometheus' text format.
//!
//! Rooms register what they count when they are built; nothing is collected until somebody asks
//! for /metrics. What a session core counts on its statement path goes into a [`PerCore`]: each
//! core has a cache line of its own, and the sum is made by whoever asks (DESIGN §2: a core bumps
//! no shared counter).

use crossbeam::utils::CachePadded;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All that /metrics shows. Cloning shares.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// An empty registry; every name in it begins with `nodedb_`.
    pub fn new() -> Metrics {
        Metrics {
            registry: Arc::new(Mutex::new(Registry::with_prefix("nodedb"))),
        }
    }

    /// Registers metrics of a room's own, by prometheus-client's types.
    pub fn register<R>(&self, register: impl FnOnce(&mut Registry) -> R) -> R {
        register(&mut self.registry.lock())
    }

    /// Registers a collector: values that are worked out when somebody asks.
    pub fn collect(&self, collector: impl Collector) {
        self.register(|registry| registry.register_collector(Box::new(collector)));
    }

    /// Registers a counter or gauge with a value for each core, shown with the label `core`.
    ///
    /// A counter's name is without `_total`, which the format adds.
    pub fn per_core(
        &self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        cores: usize,
    ) -> PerCore {
        let cells = PerCore::new(cores);
        self.collect(PerCoreCollector {
            kind,
            name,
            help,
            cells: cells.clone(),
        });
        cells
    }

    /// Registers figures that a room works out when it is asked, such as the fields of its own
    /// snapshot of counters. `read` is called once for each scrape, on the core that serves it: it
    /// must not block.
    pub fn figures<T: 'static>(
        &self,
        figures: &'static [Figure<T>],
        read: impl Fn() -> Vec<Reading<T>> + Send + Sync + 'static,
    ) {
        self.collect(FigureCollector {
            figures,
            read: Box::new(read),
        });
    }

    /// Registers lines that differ by two labels.
    pub fn family(&self, family: Family) {
        self.collect(family);
    }

    /// The text of /metrics (OpenMetrics, as Prometheus reads it).
    ///
    /// # Errors
    ///
    /// A collector that failed to print itself.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }
}

/// What kind of number is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One number a core. Cloning shares.
#[derive(Clone, Debug)]
pub struct PerCore {
    cells: Arc<[CachePadded<AtomicU64>]>,
}

impl PerCore {
    /// Of so many cores, shown by whoever registers it.
    pub fn new(cores: usize) -> PerCore {
        PerCore {
            cells: (0..cores).map(|_| CachePadded::default()).collect(),
        }
    }

    /// The cell of a core, for that core alone to write.
    ///
    /// # Panics
    ///
    /// If there is no such core.
    pub fn cell(&self, core: usize) -> CoreCell {
        assert!(core < self.cells.len(), "a core of this server");
        CoreCell {
            cells: self.cells.clone(),
            core,
        }
    }

    /// The values of all cores.
    pub fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.cells.iter().map(|cell| cell.load(Ordering::Relaxed))
    }
}

/// One core's number. Adding is a load and a store on a cache line that nobody else writes.
#[derive(Clone, Debug)]
pub struct CoreCell {
    cells: Arc<[CachePadded<AtomicU64>]>,
    core: usize,
}

impl CoreCell {
    /// Adds. Wraps around only after centuries.
    pub fn add(&self, amount: u64) {
        let cell = &self.cells[self.core];
        // Not fetch_add: the core is the only writer, and a locked instruction costs 20 cycles.
        cell.store(
            cell.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Sets, for gauges.
    pub fn set(&self, value: u64) {
        self.cells[self.core].store(value, Ordering::Relaxed);
    }
}

/// One line of [`Metrics::figures`]: a name and how it is read.
pub struct Figure<T> {
    /// Counter or gauge.
    pub kind: Kind,
    /// Without the prefix, and a counter's without `_total`.
    pub name: &'static str,
    /// One sentence without its stop.
    pub help: &'static str,
    /// Picks the value.
    pub value: fn(&T) -> u64,
}

/// The labels of a line of [`Metrics::family`], and its value.
pub type FamilyLine = ([String; 2], u64);

/// Lines of one name that differ by two labels.
pub struct Family {
    /// Counter or gauge.
    pub kind: Kind,
    /// Without the prefix, and a counter's without `_total`.
    pub name: &'static str,
    /// One sentence without its stop.
    pub help: &'static str,
    /// The labels' names.
    pub labels: [&'static str; 2],
    /// Called once for each scrape, on the core that serves it: it must not block.
    pub read: Box<dyn Fn() -> Vec<FamilyLine> + Send + Sync>,
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Collector for Family {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let metric_type = self.kind.metric_type();
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, metric_type)?;
        for (values, value) in (self.read)() {
            let labels = [0, 1].map(|place| (self.labels[place], &*values[place]));
            self.kind.encode(value, metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// What a room gave when it was asked.
pub struct Reading<T> {
    /// The core it is of; None for the whole server.
    pub core: Option<u16>,
    /// The values.
    pub values: T,
}

#[derive(Debug)]
struct PerCoreCollector {
    kind: Kind,
    name: &'static str,
    help: &'static str,
    cells: PerCore,
}

impl Collector for PerCoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let metric_type = self.kind.metric_type();
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, metric_type)?;
        for (core, value) in self.cells.values().enumerate() {
            self.kind
                .encode(value, metric.encode_family(&[("core", core)])?)?;
        }
        Ok(())
    }
}

struct FigureCollector<T: 'static> {
    figures: &'static [Figure<T>],
    read: Box<dyn Fn() -> Vec<Reading<T>> + Send + Sync>,
}

impl<T> fmt::Debug for FigureCollector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.figures.iter().map(|figure| figure.name))
            .finish()
    }
}

impl<T: 'static> Collector for FigureCollector<T> {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let readings = (self.read)();
        for figure in self.figures {
            let metric_type = figure.kind.metric_type();
            let mut metric =
                encoder.encode_descriptor(figure.name, figure.help, None, metric_type)?;
            for reading in &readings {
                let value = (figure.value)(&reading.values);
                match reading.core {
                    Some(core) => figure
                        .kind
                        .encode(value, metric.encode_family(&[("core", core)])?)?,
                    None => figure
                        .kind
                        .encode(value, metric.encode_family(&NO_LABELS)?)?,
                }
            }
        }
        Ok(())
    }
}

const NO_LABELS: [(&str, u16); 0] = [];

impl Kind {
    fn metric_type(self) -> MetricType {
        match self {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        }
    }

    fn encode(self, value: u64, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            Kind::Counter => ConstCounter::new(value).encode(encoder),
            Kind::Gauge => {
                ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::gauge::Gauge;

    #[test]
    fn per_core_values_are_collected_when_asked_for() {
        let metrics = Metrics::new();
        let statements = metrics.per_core(Kind::Counter, "statements", "Statements run", 2);
        let sessions = metrics.per_core(Kind::Gauge, "sessions", "Sessions open", 2);
        statements.cell(0).add(3);
        statements.cell(1).add(4);
        statements.cell(1).add(1);
        sessions.cell(1).set(7);
        assert_eq!(
            metrics.render().unwrap(),
            "# HELP nodedb_statements Statements run\n\
             # TYPE nodedb_statements counter\n\
             nodedb_statements_total{core=\"0\"} 3\n\
             nodedb_statements_total{core=\"1\"} 5\n\
             # HELP nodedb_sessions Sessions open\n\
             # TYPE nodedb_sessions gauge\n\
             nodedb_sessions{core=\"0\"} 0\n\
             nodedb_sessions{core=\"1\"} 7\n\
             # EOF\n"
        );
    }

    #[test]
    fn figures_are_read_once_for_each_scrape() {
        const FIGURES: &[Figure<(u64, u64)>] = &[
            Figure {
                kind: Kind::Counter,
                name: "accepted",
                help: "Accepted",
                value: |pair| pair.0,
            },
            Figure {
                kind: Kind::Gauge,
                name: "open",
                help: "Open",
                value: |pair| pair.1,
            },
        ];
        let metrics = Metrics::new();
        metrics.figures(FIGURES, || {
            [Some(3), None]
                .map(|core| Reading {
                    core,
                    values: (5, 7),
                })
                .into()
        });
        assert_eq!(
            metrics.render().unwrap(),
            "# HELP nodedb_accepted Accepted\n\
             # TYPE nodedb_accepted counter\n\
             nodedb_accepted_total{core=\"3\"} 5\n\
             nodedb_accepted_total 5\n\
             # HELP nodedb_open Open\n\
             # TYPE nodedb_open gauge\n\
             nodedb_open{core=\"3\"} 7\n\
             nodedb_open 7\n\
             # EOF\n"
        );
    }

    #[test]
    fn rooms_register_metrics_of_their_own() {
        let metrics = Metrics::new();
        let epoch: Gauge = metrics.register(|registry| {
            let epoch = Gauge::default();
            registry.register("catalog_epoch", "The newest epoch", epoch.clone());
            epoch
        });
        epoch.set(12);
        assert!(
            metrics
                .render()
                .unwrap()
                .contains("nodedb_catalog_epoch 12\n")
        );
    }
}
