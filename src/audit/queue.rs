//! The queue before the one thread that writes.
//!
//! Whoever records something gives it to the queue. A session core waits for a place by a future and never for
//! the disk; a thread that may wait for the disk gets a [`Ticket`].
//!
//! What is recorded without a ticket is durable some milliseconds after it has happened: a crash of the
//! machine or of the server in between loses the logins of those milliseconds. Whoever may not lose what they
//! record takes a ticket.

use super::chain::ChainKey;
use super::entry::Entry;
use super::event::{Event, Level};
use super::head::Head;
use super::journal::Journal;
use super::unwritable::Unwritable;
use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Entries that may wait; whoever comes then waits for a place.
pub const QUEUE_ENTRIES_MAX: usize = 4_096;

/// Places besides, for superusers who come to mend a disk that takes nothing.
pub const RESERVED_ENTRIES_MAX: usize = 256;

/// What the rooms above record by. Cloning shares.
#[derive(Clone)]
pub struct Audit(pub(super) Arc<Shared>);

/// What the rooms above and the thread share.
pub(super) struct Shared {
    level: Level,
    pub(super) directory: PathBuf,
    key: ChainKey,
    pub(super) queue: Mutex<Queue>,
    /// Something waits, or the end has come.
    pub(super) work: Condvar,
    pub(super) head: Mutex<Head>,
    pub(super) counts: Counts,
}

/// Since the start.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) entries: AtomicU64,
    pub(super) groups: AtomicU64,
    refused: AtomicU64,
}

/// What waits, and for what.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Queued>,
    /// Whether somebody waits until what they have recorded is durable.
    pub(super) is_urgent: bool,
    /// Whether the thread sleeps.
    pub(super) is_idle: bool,
    /// Whoever waits for a place.
    placeless: Vec<Waker>,
    pub(super) failure: Option<Failure>,
    pub(super) is_closing: bool,
}

/// Why the disk takes nothing.
pub(super) struct Failure {
    pub(super) reason: Arc<str>,
    pub(super) since: Instant,
    pub(super) refused: u64,
}

/// An entry that waits.
pub(super) struct Queued {
    pub(super) entry: Entry,
    pub(super) durable: Option<Durable>,
}

/// Who is told when an entry is durable.
pub(super) enum Durable {
    Task(oneshot::Sender<()>),
    Thread(crossbeam::channel::Sender<()>),
}

impl Durable {
    pub(super) fn tell(self) {
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

impl Audit {
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
    /// Puts an entry at the end.
    pub(super) fn push(&self, queue: &mut Queue, queued: Queued) {
        queue.is_urgent |= queued.durable.is_some();
        queue.waiting.push_back(queued);
        // A thread that gathers looks at the clock; only what is urgent wakes it.
        if std::mem::take(&mut queue.is_idle) || queue.is_urgent {
            self.work.notify_one();
        }
    }
}

/// Whoever waits for a place looks again.
pub(super) fn wake(queue: &mut Queue) {
    for waker in queue.placeless.drain(..) {
        waker.wake();
    }
}
