//! What was taken from whom: what an epoch has ended on each core, and the last revocations for SHOW
//! REVOCATIONS.
//!
//! A core leaves a [`CoreReport`] before it acknowledges an epoch; control, which waits for that, makes a
//! [`Revocation`] of the reports of all cores. It is information of this run of the server; what has to
//! outlive it is in the audit log.

use super::ids::{DatabaseId, KeyId, PrincipalId, TenantId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Revocations that are remembered.
pub const REMEMBERED_MAX: usize = 1_000;

/// Reports that may wait for control: those of a few epochs of every core.
const REPORTS_MAX: usize = 1 << 14;

/// Whose change has ended a session or stopped a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A user, service account, or whatever else has an id of theirs.
    Principal(PrincipalId),
    /// An API key.
    Key(KeyId),
    /// An identity provider.
    Provider(PrincipalId),
    /// A database.
    Database(DatabaseId),
}

/// How much has ended, by whose change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Subject, Ended>);

/// How much has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Sessions that admit no further statement.
    pub sessions: u64,
    /// Statements stopped whose session goes on.
    pub statements: u64,
}

impl Ended {
    /// Both.
    pub fn and(self, other: Ended) -> Ended {
        Ended {
            sessions: self.sessions + other.sessions,
            statements: self.statements + other.statements,
        }
    }

    /// Whether nothing has.
    pub fn is_nothing(self) -> bool {
        self == Ended::default()
    }
}

impl Counts {
    /// One more session.
    pub fn session_ended(&mut self, subject: Subject) {
        self.0.entry(subject).or_default().sessions += 1;
    }

    /// One more statement.
    pub fn statement_cancelled(&mut self, subject: Subject) {
        self.0.entry(subject).or_default().statements += 1;
    }

    /// What these subjects' changes have ended, taken out of it.
    pub fn take(&mut self, subjects: &[Subject]) -> Ended {
        let taken = subjects.iter().filter_map(|subject| self.0.remove(subject));
        taken.fold(Ended::default(), Ended::and)
    }

    /// What is left of it.
    pub fn take_all(&mut self) -> Ended {
        std::mem::take(&mut self.0)
            .into_values()
            .fold(Ended::default(), Ended::and)
    }

    /// Adds another's.
    pub fn add(&mut self, other: Counts) {
        for (subject, ended) in other.0 {
            let so_far = self.0.entry(subject).or_default();
            *so_far = so_far.and(ended);
        }
    }
}

/// What one core has done about an epoch.
#[derive(Clone, Debug)]
pub struct CoreReport {
    /// The core.
    pub core: u16,
    /// The epoch.
    pub epoch: u64,
    /// When it was done.
    pub at: Instant,
    /// What it has ended.
    pub ended: Counts,
}

/// Where cores leave their reports. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Reports(Arc<Mutex<Vec<CoreReport>>>);

impl Reports {
    /// Leaves one; before the core acknowledges the epoch. Costs a moment under a lock that one other
    /// core at most wants.
    pub fn leave(&self, report: CoreReport) {
        let mut reports = self.0.lock();
        if reports.len() < REPORTS_MAX {
            reports.push(report);
        }
    }

    /// Takes those of one epoch; those of earlier ones have come too late for whoever waited.
    pub fn take(&self, epoch: u64) -> Vec<CoreReport> {
        let mut reports = self.0.lock();
        let all = std::mem::take(&mut *reports);
        let (later, due): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.epoch > epoch);
        *reports = later;
        drop(reports);
        due.into_iter().filter(|it| it.epoch == epoch).collect()
    }
}

/// One statement, or one other event, that took something from somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When, Unix microseconds.
    pub at: i64,
    /// What it was, such as `DROP USER`.
    pub event: &'static str,
    /// Whom or what it was about.
    pub subject: String,
    /// The login that wanted it; None for the server itself.
    pub by: Option<Arc<str>>,
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// The epoch in which it came into force; None where none was needed.
    pub epoch: Option<u64>,
    /// What has ended with it.
    pub ended: Ended,
    /// How long each core took, from the publication on.
    pub cores: Vec<(u16, Duration)>,
    /// The cores that were not done in time: they admit nothing until they are.
    pub late: Vec<u16>,
    /// Until every core was done, or had had its time.
    pub took: Duration,
}

/// The last revocations, the newest last. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Revocations(Arc<Mutex<VecDeque<Arc<Revocation>>>>);

impl Revocations {
    /// Adds one; the oldest goes past [`REMEMBERED_MAX`].
    pub fn add(&self, revocation: Revocation) {
        let mut all = self.0.lock();
        if all.len() >= REMEMBERED_MAX {
            all.pop_front();
        }
        all.push_back(Arc::new(revocation));
    }

    /// All of them, the newest last. Costs a pointer each.
    pub fn all(&self) -> Vec<Arc<Revocation>> {
        self.0.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(id: u32) -> Subject {
        Subject::Principal(PrincipalId(id))
    }

    #[test]
    fn what_has_ended_is_told_by_whose_change_it_was() {
        let mut counts = Counts::default();
        counts.session_ended(subject(1));
        counts.session_ended(subject(1));
        counts.statement_cancelled(subject(2));
        let mut all = Counts::default();
        all.add(counts.clone());
        all.add(counts);
        let ended = all.take(&[subject(1), subject(3)]);
        assert_eq!((ended.sessions, ended.statements), (4, 0));
        let left = all.take_all();
        assert_eq!((left.sessions, left.statements), (0, 2));
        assert!(all.take_all().is_nothing());
    }

    #[test]
    fn reports_of_an_epoch_that_is_past_are_no_longer_asked_for() {
        let reports = Reports::default();
        for epoch in [4, 5, 6] {
            reports.leave(CoreReport {
                core: 0,
                epoch,
                at: Instant::now(),
                ended: Counts::default(),
            });
        }
        let epochs = |found: Vec<CoreReport>| found.iter().map(|it| it.epoch).collect::<Vec<_>>();
        assert_eq!(epochs(reports.take(5)), [5]);
        assert_eq!(epochs(reports.take(6)), [6]);
    }

    #[test]
    fn the_oldest_revocation_is_forgotten_first() {
        let revocations = Revocations::default();
        for at in 0..=REMEMBERED_MAX as i64 {
            revocations.add(Revocation {
                at,
                event: "DROP USER",
                subject: "alice".to_owned(),
                by: None,
                tenant: TenantId::SYSTEM,
                epoch: Some(1),
                ended: Ended::default(),
                cores: Vec::new(),
                late: Vec::new(),
                took: Duration::ZERO,
            });
        }
        let all = revocations.all();
        assert_eq!((all.len(), all[0].at), (REMEMBERED_MAX, 1));
    }
}
