//! A publication and what the cores did about it: who was late, how long each took, whose sessions ended.

use super::publish::Publish;
use crate::catalog::revocation::{Counts, Reports};
use crate::catalog::{Epoch, Snapshot};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::telemetry::histogram::Observer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a statement waits for every core to adopt its epoch before it answers with a warning.
pub const ADOPTION_WAIT_MAX: Duration = Duration::from_secs(1);

/// Where adoptions and revocations are counted, for /metrics.
pub struct Times {
    /// From an epoch's publication until every core has adopted it.
    pub adoption: Observer,
    /// Of those that ended sessions or stopped statements.
    pub revocation: Observer,
}

/// One epoch, adopted.
pub struct Adoption {
    /// Which.
    pub epoch: Epoch,
    /// How long each core took.
    pub cores: Vec<(u16, Duration)>,
    /// Those that did not make it in time.
    pub late: Vec<u16>,
    /// Until all had, or had had their time.
    pub took: Duration,
    /// What has ended on all of them.
    pub ended: Counts,
}

/// Publishes and waits. Blocks for [`ADOPTION_WAIT_MAX`] at most.
pub fn publish(
    publisher: &dyn Publish,
    snapshot: Arc<Snapshot>,
    reports: &Reports,
    times: &Times,
) -> Adoption {
    let epoch = snapshot.epoch;
    let published = Instant::now();
    publisher.publish(snapshot);
    let late = publisher.wait_adopted(epoch, ADOPTION_WAIT_MAX);
    let took = published.elapsed();
    let mut cores = Vec::new();
    let mut ended = Counts::default();
    for report in reports.take(epoch.0) {
        cores.push((report.core, report.at.saturating_duration_since(published)));
        ended.add(report.ended);
    }
    cores.sort_unstable();
    times.adoption.observe(took);
    if !ended.clone().take_all().is_nothing() {
        times.revocation.observe(took);
    }
    Adoption {
        epoch,
        cores,
        late,
        took,
        ended,
    }
}

impl Adoption {
    /// What the statements of the epoch are warned of.
    pub fn warning(&self) -> Option<Diagnostic> {
        if self.late.is_empty() {
            return None;
        }
        let cores = self.late.iter().map(u16::to_string).collect::<Vec<_>>();
        let cores = cores.join(", ");
        tracing::warn!(epoch = %self.epoch, cores, "cores have not adopted the catalog in time");
        Some(
            Diagnostic::warning(
                SqlState::WARNING,
                format!("the change has not been adopted yet by core {cores}"),
            )
            .with_detail("It admits no login and no statement until it has."),
        )
    }
}
