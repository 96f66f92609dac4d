//! The one thread that writes.
//!
//! It takes what waits in the queue, writes it with one fsync, and goes on; with nothing urgent it lets a group
//! gather for some milliseconds first, since each fsync costs the machine as much as several logins.
//!
//! ```text
//!   Writing ──an error of the disk──▶ Failing: the group stays, the bounded queue refuses (53100)
//!      ▲                                 │ every second
//!      └──────────── the group is durable ◀┘   and an entry says how much was refused
//! ```

use super::chain::ChainKey;
use super::entry::{Entry, Source};
use super::event::{Event, Level};
use super::journal::{AuditError, Journal, Options};
use super::queue::{Audit, Failure, QUEUE_ENTRIES_MAX, Queued, Shared, wake};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a group gathers while nobody waits for it to be durable.
const GATHERING: Duration = Duration::from_millis(5);

/// Between two attempts while the disk takes nothing.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The thread; see [`Thread::close`].
pub struct Thread {
    audit: Audit,
    thread: JoinHandle<()>,
}

impl Audit {
    /// Opens the log of a directory and starts its thread. Blocks.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(
        directory: &Path,
        key: ChainKey,
        level: Level,
        options: Options,
    ) -> Result<(Audit, Thread), AuditError> {
        let (journal, notes) = Journal::open(directory, key.clone(), options)?;
        let audit = Audit::of(directory, key, level, &journal);
        let thread = audit.spawn(journal).map_err(|source| AuditError {
            action: "start the thread of",
            path: directory.to_owned(),
            source,
        })?;
        for note in notes {
            audit.record_own(note);
        }
        Ok((audit, thread))
    }

    /// Starts the thread.
    pub(super) fn spawn(&self, journal: Journal) -> io::Result<Thread> {
        let writer = Writer {
            shared: self.0.clone(),
            journal,
        };
        let thread = std::thread::Builder::new().name("nodedb-audit".to_owned());
        let thread = thread.spawn(move || writer.run())?;
        Ok(Thread {
            audit: self.clone(),
            thread,
        })
    }
}

impl Thread {
    /// Writes what waits, and ends the thread. Nothing is recorded afterwards. Blocks.
    pub fn close(self) {
        self.audit.0.queue.lock().is_closing = true;
        self.audit.0.work.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the thread of the audit log has panicked");
        }
    }
}

struct Writer {
    shared: Arc<Shared>,
    journal: Journal,
}

impl Writer {
    fn run(mut self) {
        while let Some(group) = self.next_group() {
            let mut group: VecDeque<Queued> = group.into();
            let told = self.write(&mut group);
            if told.is_err() && self.is_closing() {
                tracing::error!(
                    entries = group.len(),
                    "entries of the audit log are lost: it cannot be written, and the server stops"
                );
                break;
            }
            // What could not be written is the first that is tried again.
            let mut queue = self.shared.queue.lock();
            while let Some(queued) = group.pop_back() {
                queue.waiting.push_front(queued);
            }
            let removed = match told {
                Ok(()) => {
                    drop(queue);
                    self.journal.remove_old_files()
                }
                Err(_) => None,
            };
            if let Some(entry) = removed {
                let mut queue = self.shared.queue.lock();
                let durable = None;
                self.shared.push(&mut queue, Queued { entry, durable });
            }
        }
        if let Err(error) = self.journal.close() {
            tracing::warn!(%error, "the anchor of the audit log may be behind its files");
        }
    }

    fn is_closing(&self) -> bool {
        self.shared.queue.lock().is_closing
    }

    /// Waits for entries and takes those that wait behind; None at the end.
    fn next_group(&self) -> Option<Vec<Queued>> {
        let mut queue = self.shared.queue.lock();
        if queue.failure.is_some() && !queue.is_closing {
            let retry_at = Instant::now() + RETRY_INTERVAL;
            while !queue.is_closing {
                let waited = self.shared.work.wait_until(&mut queue, retry_at);
                if waited.timed_out() {
                    break;
                }
            }
        }
        while queue.waiting.is_empty() {
            if queue.is_closing {
                return None;
            }
            queue.is_idle = true;
            self.shared.work.wait(&mut queue);
        }
        queue.is_idle = false;
        let gathered_at = Instant::now() + GATHERING;
        while !queue.is_urgent && !queue.is_closing && queue.waiting.len() < QUEUE_ENTRIES_MAX {
            let waited = self.shared.work.wait_until(&mut queue, gathered_at);
            if waited.timed_out() {
                break;
            }
        }
        queue.is_urgent = false;
        let group = queue.waiting.drain(..).collect();
        if queue.failure.is_none() {
            wake(&mut queue);
        }
        Some(group)
    }

    /// Writes a group and tells who waits for it; what is left of it could not be written.
    fn write(&mut self, group: &mut VecDeque<Queued>) -> io::Result<()> {
        let entries: Vec<&Entry> = group.iter().map(|queued| &queued.entry).collect();
        let (durable, outcome) = self.journal.append(&entries);
        *self.shared.head.lock() = self.journal.head().clone();
        let counts = &self.shared.counts;
        counts.entries.fetch_add(durable as u64, Ordering::Relaxed);
        counts.groups.fetch_add(1, Ordering::Relaxed);
        let written: Vec<Queued> = group.drain(..durable).collect();
        match &outcome {
            Ok(()) => self.recovered(),
            Err(error) => self.failed(error),
        }
        for queued in written {
            if let Some(durable) = queued.durable {
                durable.tell();
            }
        }
        outcome
    }

    fn failed(&self, error: &io::Error) {
        let mut queue = self.shared.queue.lock();
        if queue.failure.is_none() {
            let directory = self.shared.directory.display();
            tracing::error!(%error, %directory, "the audit log cannot be written: logins and credential statements are refused");
            queue.failure = Some(Failure {
                reason: Arc::from(error.to_string()),
                since: Instant::now(),
                refused: 0,
            });
        }
        // Whoever waits for a place is refused.
        wake(&mut queue);
    }

    fn recovered(&self) {
        let mut queue = self.shared.queue.lock();
        let Some(failure) = queue.failure.take() else {
            return;
        };
        let seconds = failure.since.elapsed().as_secs();
        tracing::info!(
            seconds,
            refused = failure.refused,
            "the audit log can be written again"
        );
        let entry = Entry::new(Event::Interrupted, Source::Server)
            .with("reason", &*failure.reason)
            .with("seconds", seconds.to_string())
            .with("refused", failure.refused.to_string());
        let durable = None;
        self.shared.push(&mut queue, Queued { entry, durable });
        wake(&mut queue);
    }
}
