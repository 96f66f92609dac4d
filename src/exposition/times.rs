//! The times that /metrics shows, as histograms.

use crate::telemetry::Metrics;
use crate::telemetry::histogram::{Histogram, Labelled};

/// Where times are counted.
pub struct Times {
    /// From an epoch's publication until every core has adopted it; control's.
    pub adoption: Histogram,
    /// Of those that ended sessions or stopped statements.
    pub revocation: Histogram,
}

impl Default for Times {
    /// Nothing yet.
    fn default() -> Times {
        Times {
            adoption: Histogram::new(1),
            revocation: Histogram::new(1),
        }
    }
}

impl Times {
    /// Shows them.
    pub fn register(&self, metrics: &Metrics) {
        let alone = |histogram: &Histogram| {
            vec![Labelled {
                label: None,
                histogram: histogram.clone(),
            }]
        };
        metrics.histograms(
            "catalog_adoption_seconds",
            "From an epoch's publication until every core has adopted it",
            alone(&self.adoption),
        );
        metrics.histograms(
            "revocation_seconds",
            "The same, of epochs that ended sessions or stopped statements",
            alone(&self.revocation),
        );
    }
}
