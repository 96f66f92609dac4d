//! Waking a core that sleeps.
//!
//! One eventfd a core is rung by three parties: the core's own socket ring (the kernel, when
//! something has completed), other threads that have left a message, and a publisher whose
//! snapshot is to be adopted. A core that is awake looks at its queues on every pass of its
//! driver, so ringing costs a system call only when it sleeps.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

pub(crate) struct Doorbell {
    /// Set while the core is about to sleep or sleeps: only then is a system call needed.
    sleeping: AtomicBool,
    /// Blocking on purpose: the executor's ring answers a read of a non-blocking descriptor
    /// with EAGAIN instead of waiting. A write cannot block: the counter never gets that high.
    event: OwnedFd,
}

impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            sleeping: AtomicBool::new(false),
            event: eventfd(0, EventfdFlags::CLOEXEC)?,
        })
    }

    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Wakes the core if it sleeps. To be called after what it shall see has been stored.
    pub(crate) fn ring(&self) {
        // Pairs with the fence in `prepare_sleep`: either the core sees what was stored before
        // this call, or this call sees that the core is going to sleep.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel) {
            self.ring_always();
        }
    }

    /// Has the listener at the doorbell notice, whether the core sleeps or not.
    pub(crate) fn ring_always(&self) {
        let one = 1_u64.to_ne_bytes();
        // The only possible failure is a full counter, and then it is readable already.
        let _ = rustix::io::write(&self.event, &one);
    }

    /// Announces sleep. The core looks at its queues once more after this.
    pub(crate) fn prepare_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }
}
