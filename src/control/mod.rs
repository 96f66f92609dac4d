//! Who changes the catalog: the control core, one file for each credential statement in `exec/`.
//!
//! One thread orders all changes. It takes the requests that wait, checks each against the newest
//! catalog, makes the changes of all of them durable with one fsync, publishes them as one epoch
//! and answers when every core has adopted it (DESIGN §2). Definitions that transactions have
//! committed travel in the same epochs; they are durable before they come here.

mod adoption;
mod audited;
mod authority;
pub mod configured_providers;
mod draft;
mod exec;
mod first_start;
mod followed;
mod group;
mod held;
pub mod jwks;
mod publish;
mod resolve;
mod revoked;
pub mod rows;
#[cfg(test)]
mod tests;
pub mod tls_files;
pub mod tls_watch;
mod usage;

pub use adoption::Times;
pub use first_start::{FirstStart, first_start, reset_superuser};
pub use followed::follow_all;
pub use held::Held;
pub use publish::Publish;
pub use resolve::NAME_BYTES_MAX;
pub use rows::RowKeeper;
pub use usage::Usage;

use crate::audit::{Audit, Ticket, Unwritable};
use crate::auth::jwks::Requests;
use crate::catalog::Snapshot;
use crate::catalog::port::{Ask, Errand, Inbox, Reply};
use crate::catalog::revocation::{Reports, Revocations};
use crate::catalog::store::Store;
use crate::diagnostic::{Diagnostic, SqlState};
use adoption::Adoption;
use group::{Group, Outcome};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Requests that one fsync and one epoch carry at most.
pub const GROUP_REQUESTS_MAX: usize = 256;

/// What the control thread works with.
pub struct Control {
    /// Where changes are kept.
    pub store: Box<dyn Store>,
    /// The newest catalog; what the cores began with.
    pub current: Arc<Snapshot>,
    /// The cores.
    pub publisher: Box<dyn Publish>,
    /// Whoever keeps the rows of dropped databases.
    pub rows: Box<dyn RowKeeper>,
    /// Principals that transactions being committed name.
    pub held: Held,
    /// When API keys were last presented.
    pub usage: Usage,
    /// Whoever fetches the keys of identity providers.
    pub key_requests: Requests,
    /// Where cores say what an epoch has ended.
    pub reports: Reports,
    /// The last revocations, for SHOW REVOCATIONS.
    pub revocations: Revocations,
    /// How long adoptions take.
    pub times: Times,
    /// Where statements are recorded.
    pub audit: Audit,
}

impl Control {
    /// Starts the control thread; it ends when the last handle of the port is gone.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(mut self, inbox: Inbox) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                self.forget_orphans();
                while let Some(errands) = next_group(&inbox) {
                    let asks = self.take_asks(errands);
                    if !asks.is_empty() {
                        self.carry_out(asks);
                    }
                }
                self.usage.save();
            })
    }

    /// Gives the requests, and does what else there is before them: folds in when keys were used, lets
    /// those look who asked for it.
    fn take_asks(&mut self, errands: Vec<Errand>) -> Vec<Ask> {
        let mut asks = Vec::with_capacity(errands.len());
        for errand in errands {
            match errand {
                Errand::Ask(ask) => asks.push(*ask),
                Errand::KeysUsed(used) => self.usage.note(used, &self.current.principals),
                Errand::AtRest(look) => look(&self.current),
            }
        }
        asks
    }

    /// One group: check, make durable, publish, wait, answer, tidy up.
    fn carry_out(&mut self, asks: Vec<Ask>) {
        let mut group = Group::new(&self.current);
        let now = unix_micros();
        let unwritable = self.audit.unwritable();
        for ask in asks {
            match &unwritable {
                // Refused before it is done: what cannot be recorded is not to happen.
                Some(unwritable) if ask.request.is_statement() => {
                    ask.answer(Err(unwritable.clone().into()));
                }
                _ => group.add(ask, now, &mut self.held),
            }
        }
        // Its fsync runs beside the catalog's and the adoption.
        let mut recorded = vec![self.record(&group)];
        if let Err(error) = self.make_durable(&group) {
            group.fail(&self.current, &error);
            // What was recorded as done has not been: the entries behind say so.
            recorded.push(self.record(&group));
        }
        let before = self.current.clone();
        let adoption = self.publish(&group);
        let forgotten = self.forget(&group);
        let unrecorded = recorded.into_iter().find_map(|ticket| ticket.wait().err());
        let unrecorded = unrecorded.map(unrecorded_warning);
        let late = adoption.as_ref().and_then(Adoption::warning);
        let warnings = late.into_iter().chain(forgotten).chain(unrecorded);
        let mut warnings: Vec<Diagnostic> = warnings.collect();
        warnings.dedup();
        let mut outcomes = group.into_outcomes();
        if let Some(mut adoption) = adoption {
            revoked::tell(
                &mut outcomes,
                &mut adoption,
                &before,
                now,
                &self.revocations,
            );
        }
        for outcome in outcomes {
            answer(outcome, &warnings);
        }
        if let Err(error) = self
            .store
            .settle(self.current.epoch, &self.current.principals)
        {
            tracing::error!(%error, "the catalog log could not be compacted");
        }
    }

    /// What was asked for, and what became of it.
    fn record(&self, group: &Group) -> Ticket {
        let principals = &self.current.principals;
        let outcomes = group.outcomes().iter();
        let entries = outcomes.filter_map(|it| audited::entry(&it.ask, &it.result, principals));
        self.audit.submit(entries.collect())
    }

    fn make_durable(&mut self, group: &Group) -> Result<(), Diagnostic> {
        if group.changes().is_empty() {
            return Ok(());
        }
        self.store
            .append(group.snapshot().epoch, group.changes())
            .map_err(|error| {
                tracing::error!(%error, "a change of the catalog could not be made durable");
                Diagnostic::from(&error)
            })
    }

    /// Publishes the group's catalog, if it has changed anything; gives what the cores did about it.
    fn publish(&mut self, group: &Group) -> Option<Adoption> {
        if !group.has_effect() {
            return None;
        }
        let next = Arc::new(group.snapshot().clone());
        assert!(next.epoch > self.current.epoch, "epochs only grow");
        self.usage.forget(group.changes());
        let before = std::mem::replace(&mut self.current, next.clone());
        followed::tell(&self.key_requests, group.changes(), &before);
        let (reports, times) = (&self.reports, &self.times);
        Some(adoption::publish(&*self.publisher, next, reports, times))
    }

    /// Has the rows of dropped databases removed, once every core has let go of them.
    fn forget(&mut self, group: &Group) -> Option<Diagnostic> {
        let orphans = group.orphans();
        if orphans.is_empty() {
            return None;
        }
        let error = self.rows.forget(orphans).err()?;
        tracing::error!(%error, "the rows of a dropped database are left to the next start");
        Some(
            Diagnostic::warning(
                error.sqlstate(),
                "the database is gone, its rows are removed at the next start",
            )
            .with_detail(error.message()),
        )
    }

    /// What a crash left behind between DROP DATABASE and the removal of its rows.
    fn forget_orphans(&mut self) {
        let mut group = Group::new(&self.current);
        group.drop_orphans();
        if group.orphans().is_empty() {
            return;
        }
        tracing::info!(
            relations = group.orphans().relations.len(),
            "removing the relations of databases that were dropped before a crash"
        );
        self.publish(&group);
        self.forget(&group);
    }
}

/// Waits for a request and takes those that wait behind it. None: nobody can ask any more.
fn next_group(inbox: &Inbox) -> Option<Vec<Errand>> {
    let first = inbox.recv().ok()?;
    let mut errands = vec![first];
    errands.extend(inbox.try_iter().take(GROUP_REQUESTS_MAX - 1));
    Some(errands)
}

fn answer(outcome: Outcome, warnings: &[Diagnostic]) {
    let Outcome { ask, result, .. } = outcome;
    let is_statement = ask.request.is_statement();
    let answer = result.map(|mut reply: Reply| {
        // A COMMIT has been made durable and says nothing about cores, as in PostgreSQL.
        if is_statement {
            reply.notices.extend_from_slice(warnings);
        }
        reply
    });
    ask.answer(answer);
}

/// The disk took the change and does not take the entry about it.
fn unrecorded_warning(unwritable: Unwritable) -> Diagnostic {
    let error = Diagnostic::from(unwritable);
    Diagnostic::warning(
        SqlState::WARNING,
        "the change is made, and its entry in the audit log is not durable yet",
    )
    .with_detail(error.message())
}

fn unix_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.map_or(0, |since| since.as_micros());
    i64::try_from(micros).unwrap_or(i64::MAX)
}
