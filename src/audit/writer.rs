//! The one thread that writes, and the queue before it.
//!
//! Whoever records something gives it to the queue. A session core waits for a place by a future and never for
//! the disk; a thread that may wait for the disk gets a [`Ticket`]. The thread takes what waits, writes it with
//! one fsync, and goes on; with nothing urgent it lets a group gather for some milliseconds first, since each
//! fsync costs the machine as much as several logins.
//!
//! What is recorded without a ticket is therefore durable some milliseconds after it has happened: a crash of the
//! machine or of the server in between loses the logins of those milliseconds. Whoever may not lose what they
//! record takes a ticket.
//!
//! ```text
//!   Writing ──an error of the disk──▶ Failing: the group stays, the bounded queue refuses (53100)
//!      ▲                                 │ every second
//!      └──────────── the group is durable ◀┘   and an entry says how much was refused
//! ```

use super::chain::ChainKey;
use super::entry::{Entry, Source};
use super::event::{Event, Level};
use super::head::Head;
use super::journal::{AuditError, Journal, Options};
use super::unwritable::Unwritable;
use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Entries that may wait; whoever comes then waits for a place.
pub const QUEUE_ENTRIES_MAX: usize = 4_096;

/// Places besides, for superusers who come to mend a disk that takes nothing.
pub const RESERVED_ENTRIES_MAX: usize = 256;

/// How long a group gathers while nobody waits for it to be durable.
const GATHERING: Duration = Duration::from_millis(5);

/// Between two attempts while the disk takes nothing.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What the rooms above record by. Cloning shares.
#[derive(Clone)]
pub struct Audit(Arc<Shared>);

struct Shared {
    level: Level,
    directory: PathBuf,
    key: ChainKey,
    queue: Mutex<Queue>,
    /// Something waits, or the end has come.
    work: Condvar,
    head: Mutex<Head>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    entries: AtomicU64,
    groups: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Queued>,
    /// Whether somebody waits until what they have recorded is durable.
    is_urgent: bool,
    /// Whether the thread sleeps.
    is_idle: bool,
    /// Whoever waits for a place.
    placeless: Vec<Waker>,
    failure: Option<Failure>,
    is_closing: bool,
}

struct Failure {
    reason: Arc<str>,
    since: Instant,
    refused: u64,
}

struct Queued {
    entry: Entry,
    durable: Option<Durable>,
}

/// Who is told when an entry is durable.
enum Durable {
    Task(oneshot::Sender<()>),
    Thread(crossbeam::channel::Sender<()>),
}

impl Durable {
    fn tell(self) {
        match self {
            // Whoever waited may have gone.
            Durable::Task(sender) => drop(sender.send(())),
            Durable::Thread(sender) => drop(sender.send(())),
        }
    }
}

/// What a thread waits by until what it has recorded is durable.
#[must_use = "it is recorded, and may not be durable yet"]
pub struct Ticket {
    audit: Audit,
    durable: crossbeam::channel::Receiver<()>,
    entries: usize,
}

impl Ticket {
    /// Blocks until it is durable, for as long as it may take while the disk does take something.
    ///
    /// # Errors
    /// The disk takes nothing: the entries are kept in memory, and are written as soon as it does.
    pub fn wait(self) -> Result<(), Unwritable> {
        for _ in 0..self.entries {
            while self
                .durable
                .recv_timeout(Duration::from_millis(100))
                .is_err()
            {
                if let Some(unwritable) = self.audit.unwritable() {
                    return Err(unwritable);
                }
            }
        }
        Ok(())
    }
}

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

    /// The queue before a journal, without its thread.
    pub(super) fn of(directory: &Path, key: ChainKey, level: Level, journal: &Journal) -> Audit {
        Audit(Arc::new(Shared {
            level,
            directory: directory.to_owned(),
            key,
            queue: Mutex::default(),
            work: Condvar::new(),
            head: Mutex::new(journal.head().clone()),
            counts: Counts::default(),
        }))
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

    /// Whether entries of this kind are kept; what is not need not be made.
    pub fn keeps(&self, event: Event) -> bool {
        event.level() <= self.0.level
    }

    /// Records something, once there is a place for it: a future that waits for no disk.
    ///
    /// # Errors
    /// The disk takes nothing: it is not recorded, but counted, and the log will say how many there were.
    pub async fn record(&self, entry: Entry) -> Result<(), Unwritable> {
        if !self.keeps(entry.event()) {
            return Ok(());
        }
        self.place(entry, None).await
    }

    /// Records something, and waits until it is durable.
    ///
    /// # Errors
    /// As [`Audit::record`].
    pub async fn record_durably(&self, entry: Entry) -> Result<(), Unwritable> {
        if !self.keeps(entry.event()) {
            return Ok(());
        }
        let (sender, mut durable) = oneshot::channel();
        self.place(entry, Some(Durable::Task(sender))).await?;
        match (&mut durable).await {
            Ok(()) => Ok(()),
            // The thread has ended with the server.
            Err(oneshot::Canceled) => Err(Unwritable(Arc::from("the server is shutting down"))),
        }
    }

    async fn place(&self, entry: Entry, durable: Option<Durable>) -> Result<(), Unwritable> {
        let mut queued = Some(Queued { entry, durable });
        poll_fn(|context| {
            let mut queue = self.0.queue.lock();
            if let Some(failure) = &mut queue.failure {
                failure.refused += 1;
                self.0.counts.refused.fetch_add(1, Ordering::Relaxed);
                return Poll::Ready(Err(Unwritable(failure.reason.clone())));
            }
            if queue.waiting.len() >= QUEUE_ENTRIES_MAX {
                queue.placeless.push(context.waker().clone());
                return Poll::Pending;
            }
            let queued = queued.take().expect("it is polled until it is ready");
            self.0.push(&mut queue, queued);
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Records the login of a superuser, who may come to mend the disk: it is kept in memory for as long as
    /// that takes nothing.
    ///
    /// # Errors
    /// [`RESERVED_ENTRIES_MAX`] of them wait already.
    pub fn record_reserved(&self, entry: Entry) -> Result<(), Unwritable> {
        if !self.keeps(entry.event()) {
            return Ok(());
        }
        let mut queue = self.0.queue.lock();
        if queue.waiting.len() >= QUEUE_ENTRIES_MAX + RESERVED_ENTRIES_MAX {
            return Err(match &queue.failure {
                Some(failure) => Unwritable(failure.reason.clone()),
                None => Unwritable(Arc::from("the disk is too slow")),
            });
        }
        let durable = None;
        self.0.push(&mut queue, Queued { entry, durable });
        Ok(())
    }

    /// Records what the server does of itself: seldom, so that there is always a place. Never waits.
    pub fn record_own(&self, entry: Entry) {
        if self.keeps(entry.event()) {
            let mut queue = self.0.queue.lock();
            let durable = None;
            self.0.push(&mut queue, Queued { entry, durable });
        }
    }

    /// Records what a thread does and will wait for. The thread bounds how much that is.
    pub fn submit(&self, entries: Vec<Entry>) -> Ticket {
        let kept = entries
            .into_iter()
            .filter(|entry| self.keeps(entry.event()));
        let (sender, durable) = crossbeam::channel::unbounded();
        let mut count = 0;
        let mut queue = self.0.queue.lock();
        for entry in kept {
            let durable = Some(Durable::Thread(sender.clone()));
            self.0.push(&mut queue, Queued { entry, durable });
            count += 1;
        }
        Ticket {
            audit: self.clone(),
            durable,
            entries: count,
        }
    }

    /// Why nothing can be recorded, if that is so: what has to be is refused before it is done.
    pub fn unwritable(&self) -> Option<Unwritable> {
        let queue = self.0.queue.lock();
        let failure = queue.failure.as_ref();
        failure.map(|failure| Unwritable(failure.reason.clone()))
    }

    /// Where the chain ends, durably.
    pub fn head(&self) -> Head {
        self.0.head.lock().clone()
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// The key of the chain.
    pub fn key(&self) -> &ChainKey {
        &self.0.key
    }

    /// Entries that are durable, since the start.
    pub fn entries(&self) -> u64 {
        self.0.counts.entries.load(Ordering::Relaxed)
    }

    /// Groups that were made durable, each with one fsync.
    pub fn groups(&self) -> u64 {
        self.0.counts.groups.load(Ordering::Relaxed)
    }

    /// What was refused because nothing could be recorded.
    pub fn refused(&self) -> u64 {
        self.0.counts.refused.load(Ordering::Relaxed)
    }

    /// Entries that wait to be written.
    pub fn waiting(&self) -> usize {
        self.0.queue.lock().waiting.len()
    }
}

impl Shared {
    fn push(&self, queue: &mut Queue, queued: Queued) {
        queue.is_urgent |= queued.durable.is_some();
        queue.waiting.push_back(queued);
        // A thread that gathers looks at the clock; only what is urgent wakes it.
        if std::mem::take(&mut queue.is_idle) || queue.is_urgent {
            self.work.notify_one();
        }
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

fn wake(queue: &mut Queue) {
    for waker in queue.placeless.drain(..) {
        waker.wake();
    }
}
