//! What /metrics shows of each room: the names and where their values are read.
//!
//! Beside `server`, since it looks into rooms that do not know each other. Everything here is
//! read when somebody asks, from counters that the rooms keep anyway.

pub mod audit;
pub mod providers;
mod times;

pub use times::Times;

use crate::auth::derivation::Derivation;
use crate::auth::tls::{InForce, Status};
use crate::catalog::{Snapshot, port};
use crate::session::off_core::OffCore;
use crate::storage::{Storage, StorageMetrics};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Figure, Kind, Reading};
use shards::{CoreMetrics, MetricsHandle, Publisher};
use std::sync::Arc;

const CORES: &[Figure<CoreMetrics>] = &[
    gauge("connections", "Connections that the core holds", |core| {
        core.connections
    }),
    counter("connections_accepted", "Connections accepted", |core| {
        core.accepted
    }),
    counter(
        "connections_handed_over",
        "Connections given to a core with fewer",
        |core| core.handed_over,
    ),
    counter(
        "connections_refused",
        "Connections closed at once, past every limit",
        |core| core.refused,
    ),
    counter("received_bytes", "Bytes received from clients", |core| {
        core.received_bytes
    }),
    counter("sent_bytes", "Bytes sent to clients", |core| {
        core.sent_bytes
    }),
    counter("core_messages", "Messages from other cores", |core| {
        core.messages
    }),
    counter(
        "core_panics",
        "Tasks that ended by a mistake of ours",
        |core| core.panics,
    ),
    counter(
        "receive_buffers_exhausted",
        "Times the socket ring had no free buffer",
        |core| core.buffers_exhausted,
    ),
    counter("ring_enters", "Times the socket ring was entered", |core| {
        core.ring_enters
    }),
    counter(
        "ring_completions",
        "Completions of the socket ring",
        |core| core.ring_completions,
    ),
    gauge(
        "core_wakes_waiting",
        "Tasks woken by other threads that the core has not come to yet",
        |core| core.wakes_waiting,
    ),
    counter("core_slices", "Slices run", |core| core.slices),
    gauge(
        "core_slice_p50_microseconds",
        "Half of the slices were shorter",
        |core| core.slice_us_p50,
    ),
    gauge(
        "core_slice_p99_microseconds",
        "99 of 100 slices were shorter",
        |core| core.slice_us_p99,
    ),
    gauge(
        "core_slice_p999_microseconds",
        "999 of 1000 slices were shorter",
        |core| core.slice_us_p999,
    ),
    gauge("core_slice_max_microseconds", "The longest slice", |core| {
        core.slice_us_max
    }),
    counter(
        "core_major_faults",
        "Page faults that waited for the disk",
        |core| core.major_faults,
    ),
];

const STORAGE: &[Figure<StorageMetrics>] = &[
    gauge(
        "storage_map_bytes",
        "What the data file may grow to",
        |storage| storage.map_bytes,
    ),
    gauge(
        "storage_used_bytes",
        "What the data file has grown to",
        |storage| storage.used_bytes,
    ),
    gauge(
        "storage_reader_slots_max",
        "Snapshots that may be open at once",
        |storage| u64::from(storage.reader_slots_max),
    ),
    gauge(
        "storage_reader_slots_used",
        "Reader slots that were in use at once",
        |storage| u64::from(storage.reader_slots_used),
    ),
    gauge(
        "storage_oldest_snapshot_milliseconds",
        "Age of the oldest open snapshot",
        |storage| u64::try_from(storage.oldest_snapshot_age.as_millis()).unwrap_or(u64::MAX),
    ),
    gauge(
        "storage_oldest_snapshot_groups_behind",
        "Groups whose freed pages the oldest snapshot pins",
        |storage| storage.oldest_snapshot_groups_behind,
    ),
    gauge(
        "storage_overlay_versions",
        "Row versions ordered and not durable yet",
        |storage| storage.overlay_versions,
    ),
    gauge(
        "storage_commit_queue",
        "Jobs that wait for the commit thread",
        |storage| storage.commit_queue,
    ),
    counter("storage_commits", "Commits made durable", |storage| {
        storage.commits
    }),
    counter(
        "storage_groups",
        "Groups written, each with one fsync",
        |storage| storage.groups,
    ),
    counter(
        "storage_group_failures",
        "Groups that could not be written",
        |storage| storage.group_failures,
    ),
    gauge(
        "storage_relations_to_clear",
        "Relations dropped and not cleared yet",
        |storage| storage.relations_to_clear,
    ),
    gauge("storage_locks", "Keys and relations locked", |storage| {
        storage.locks
    }),
    gauge(
        "storage_lock_waits",
        "Transactions that wait for a lock",
        |storage| storage.lock_waits,
    ),
    counter("storage_deadlocks", "Deadlocks broken", |storage| {
        storage.deadlocks
    }),
    counter(
        "storage_lock_timeouts",
        "Lock waits that reached lock_timeout",
        |storage| storage.lock_timeouts,
    ),
    counter(
        "storage_snapshots_expired",
        "Snapshots given up for their age",
        |storage| storage.snapshots_expired,
    ),
];

/// The catalog and how far the cores are with it.
struct CatalogMetrics {
    epoch: u64,
    late_cores: u64,
    requests_waiting: u64,
}

const CATALOG: &[Figure<CatalogMetrics>] = &[
    gauge(
        "catalog_epoch",
        "The newest epoch of the catalog",
        |catalog| catalog.epoch,
    ),
    gauge(
        "catalog_late_cores",
        "Cores that have not adopted it yet",
        |catalog| catalog.late_cores,
    ),
    gauge(
        "catalog_requests_waiting",
        "Credential statements that wait for the control core",
        |catalog| catalog.requests_waiting,
    ),
];

/// Work beside the cores.
struct QueueMetrics {
    derivation: u64,
    texts: u64,
}

const QUEUES: &[Figure<QueueMetrics>] = &[
    gauge(
        "derivation_queue",
        "Passwords that wait to be derived",
        |queues| queues.derivation,
    ),
    gauge(
        "text_queue",
        "Long statement texts that wait to be parsed",
        |queues| queues.texts,
    ),
];

/// The rooms whose figures are read.
pub struct Rooms {
    /// Session cores.
    pub cores: MetricsHandle,
    /// What is kept.
    pub storage: Storage,
    /// The catalog, as it is published.
    pub publisher: Arc<Publisher<Snapshot>>,
    /// The way to whoever changes it.
    pub control: port::Handle,
    /// Where passwords become verifiers.
    pub derivation: Derivation,
    /// Where long texts are parsed.
    pub off_core: OffCore,
    /// What TLS begins with.
    pub tls: Option<InForce>,
}

/// TLS, as it is in force.
struct TlsMetrics {
    certificate_not_after: i64,
    status: Status,
}

const TLS: &[Figure<TlsMetrics>] = &[
    gauge(
        "tls_certificate_not_after_seconds",
        "When the server's certificate ends, Unix time",
        |tls| u64::try_from(tls.certificate_not_after).unwrap_or(0),
    ),
    counter(
        "tls_reloads",
        "Times that changed files were taken into force",
        |tls| tls.status.reloads,
    ),
    counter(
        "tls_reload_failures",
        "Times that changed files could not be",
        |tls| tls.status.failures,
    ),
    gauge(
        "tls_files_refused",
        "1 while the newest files are not in force",
        |tls| u64::from(tls.status.failure.is_some()),
    ),
];

const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> u64) -> Figure<T> {
    Figure {
        kind: Kind::Counter,
        name,
        help,
        value,
    }
}

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> u64) -> Figure<T> {
    Figure {
        kind: Kind::Gauge,
        name,
        help,
        value,
    }
}

/// Registers what the rooms of a running server show.
pub fn register(metrics: &Metrics, rooms: Rooms) {
    let Rooms {
        cores,
        storage,
        publisher,
        control,
        derivation,
        off_core,
        tls,
    } = rooms;
    if let Some(tls) = tls {
        metrics.figures(TLS, move || {
            whole_server(TlsMetrics {
                certificate_not_after: tls.current().certificate().not_after,
                status: tls.status(),
            })
        });
    }
    metrics.figures(CORES, move || {
        let readings = cores.collect().into_iter().map(|values| Reading {
            core: Some(values.core.0),
            values,
        });
        readings.collect()
    });
    metrics.figures(STORAGE, move || whole_server(storage.metrics()));
    metrics.figures(CATALOG, move || {
        let (epoch, _) = publisher.latest();
        whole_server(CatalogMetrics {
            epoch,
            late_cores: publisher.late(epoch).len() as u64,
            requests_waiting: control.waiting() as u64,
        })
    });
    metrics.figures(QUEUES, move || {
        whole_server(QueueMetrics {
            derivation: derivation.waiting() as u64,
            texts: off_core.waiting() as u64,
        })
    });
}

fn whole_server<T>(values: T) -> Vec<Reading<T>> {
    vec![Reading { core: None, values }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_rules_and_stand_once() {
        let names: Vec<&str> = (CORES.iter().map(|figure| figure.name))
            .chain(STORAGE.iter().map(|figure| figure.name))
            .chain(CATALOG.iter().map(|figure| figure.name))
            .chain(QUEUES.iter().map(|figure| figure.name))
            .chain(TLS.iter().map(|figure| figure.name))
            .collect();
        for name in &names {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(name.bytes().all(plain), "{name}");
            assert!(!name.ends_with("_total"), "{name}: the format adds it");
        }
        let distinct: std::collections::BTreeSet<&&str> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
