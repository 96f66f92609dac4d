//! What /metrics shows of the audit log.

use crate::audit::Audit;
use crate::telemetry::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// Registers what the log counts anyway.
pub fn register(metrics: &Metrics, audit: Audit) {
    metrics.collect(AuditLog(audit));
}

struct AuditLog(Audit);

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditLog")
    }
}

impl Collector for AuditLog {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let AuditLog(audit) = self;
        for (name, help, value) in [
            ("audit_entries", "Entries that are durable", audit.entries()),
            (
                "audit_groups",
                "Groups of entries, each with one fsync",
                audit.groups(),
            ),
            (
                "audit_refused",
                "What was refused because the audit log could not be written",
                audit.refused(),
            ),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let is_writable = i64::from(audit.unwritable().is_none());
        for (name, help, value) in [
            (
                "audit_waiting",
                "Entries that wait to be written",
                i64::try_from(audit.waiting()).unwrap_or(i64::MAX),
            ),
            (
                "audit_writable",
                "Whether the audit log can be written: 0 where logins are refused",
                is_writable,
            ),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{ChainKey, Entry, Event, Level, Options, Source};

    #[test]
    fn the_log_has_its_lines() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = ChainKey::new(&[1; 32]);
        let started = Audit::start(directory.path(), key, Level::Minimal, Options::default());
        let (audit, thread) = started.expect("it opens");
        let metrics = Metrics::new();
        register(&metrics, audit.clone());
        let entry = Entry::new(Event::Start, Source::Server);
        futures::executor::block_on(audit.record_durably(entry)).expect("there is room");
        let text = metrics.render().expect("it prints");
        let lines: Vec<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
        let expected = [
            "nodedb_audit_entries_total 1",
            "nodedb_audit_groups_total 1",
            "nodedb_audit_refused_total 0",
            "nodedb_audit_waiting 0",
            "nodedb_audit_writable 1",
        ];
        assert_eq!(lines, expected);
        thread.close();
    }
}
