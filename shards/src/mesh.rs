//! Typed messages to cores, from any thread.
//!
//! Each core has one mailbox, a queue without locks and a [doorbell](crate::doorbell). A
//! message is taken between two slices of the core, at the latest after the slice that is
//! running.

use crate::CoreId;
use crate::doorbell::Doorbell;
use crossbeam::queue::SegQueue;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Messages that may wait in one mailbox. A core takes them every few hundred microseconds, so
/// this many waiting means that it hangs; senders then get an error instead of the memory.
pub const MAILBOX_MESSAGES_MAX: usize = 1 << 16;

/// What waits for one core.
pub(crate) struct Mailbox<M> {
    queue: SegQueue<M>,
    doorbell: Arc<Doorbell>,
    stopped: AtomicBool,
}

impl<M> Mailbox<M> {
    pub(crate) fn new(doorbell: Arc<Doorbell>) -> Self {
        Self {
            queue: SegQueue::new(),
            doorbell,
            stopped: AtomicBool::new(false),
        }
    }

    pub(crate) fn take(&self) -> Option<M> {
        self.queue.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Nothing is taken any more; what waits is dropped.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        while self.queue.pop().is_some() {}
    }

    fn put(&self, message: M) -> Result<(), SendError<M>> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(SendError::Stopped(message));
        }
        if self.queue.len() >= MAILBOX_MESSAGES_MAX {
            return Err(SendError::Full(message));
        }
        self.queue.push(message);
        self.doorbell.ring();
        Ok(())
    }
}

/// Sends messages to the cores of a runtime. Cheap to clone; usable from every thread.
pub struct Mesh<M> {
    mailboxes: Arc<[Arc<Mailbox<M>>]>,
}

impl<M> Clone for Mesh<M> {
    fn clone(&self) -> Self {
        Self {
            mailboxes: Arc::clone(&self.mailboxes),
        }
    }
}

/// Why a message was not taken; it is given back.
#[derive(PartialEq, Eq)]
pub enum SendError<M> {
    /// The core's mailbox holds as many messages as it may.
    Full(M),
    /// The core has stopped.
    Stopped(M),
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("Full"),
            Self::Stopped(_) => f.write_str("Stopped"),
        }
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the core's mailbox is full"),
            Self::Stopped(_) => f.write_str("the core has stopped"),
        }
    }
}

impl<M> std::error::Error for SendError<M> {}

impl<M: Send + 'static> Mesh<M> {
    pub(crate) fn new(mailboxes: Arc<[Arc<Mailbox<M>>]>) -> Self {
        Self { mailboxes }
    }

    /// How many cores there are.
    pub fn cores(&self) -> usize {
        self.mailboxes.len()
    }

    /// Puts a message into a core's mailbox. The core takes it between two slices; messages of
    /// one sender arrive in order. Never blocks.
    ///
    /// # Errors
    ///
    /// The mailbox is full, or the core has stopped.
    ///
    /// # Panics
    ///
    /// When there is no such core.
    pub fn send(&self, core: CoreId, message: M) -> Result<(), SendError<M>> {
        self.mailboxes[core.index()].put(message)
    }

    /// Sends a copy to every core; returns the cores that did not take it.
    pub fn broadcast(&self, message: &M) -> Vec<CoreId>
    where
        M: Clone,
    {
        let cores = (0..).map(CoreId).zip(self.mailboxes.iter());
        cores
            .filter(|(_, mailbox)| mailbox.put(message.clone()).is_err())
            .map(|(core, _)| core)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox() -> Mailbox<usize> {
        Mailbox::new(Arc::new(Doorbell::new().expect("an eventfd")))
    }

    #[test]
    fn a_mailbox_takes_its_limit_and_gives_the_next_message_back() {
        let mailbox = mailbox();
        for number in 0..MAILBOX_MESSAGES_MAX {
            assert_eq!(mailbox.put(number), Ok(()));
        }
        assert_eq!(
            mailbox.put(MAILBOX_MESSAGES_MAX),
            Err(SendError::Full(MAILBOX_MESSAGES_MAX))
        );
        assert_eq!(mailbox.take(), Some(0));
        assert_eq!(mailbox.put(1), Ok(()));
    }

    #[test]
    fn a_stopped_mailbox_gives_messages_back() {
        let mailbox = mailbox();
        assert_eq!(mailbox.put(1), Ok(()));
        mailbox.stop();
        assert_eq!(mailbox.put(2), Err(SendError::Stopped(2)));
        assert!(mailbox.is_empty());
    }
}
