//! The socket ring of one core.
//!
//! Created on the core's own thread with SINGLE_ISSUER and DEFER_TASKRUN: completions are
//! worked out by the kernel only when this thread enters the ring, so they never interrupt a
//! slice. The ring is entered to submit and to collect, never to wait: waiting would block
//! every other task of the core.

use super::buffers::Buffers;
use crate::StartError;
use io_uring::{IoUring, cqueue, squeue};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Requests that fit before the ring has to be entered. A full queue is submitted early, so
/// this bounds memory and not the number of connections.
const SUBMISSIONS_MAX: u32 = 1024;

/// Completions that fit before the kernel keeps them in a list of its own, which costs more.
const COMPLETIONS_MAX: u32 = 4096;

pub(crate) struct Ring {
    // Before the buffers: the kernel must have let go of them when they are unmapped.
    ring: IoUring,
    pub(crate) buffers: Buffers,
}

impl Ring {
    /// Sets the ring up; to be called on the thread that will use it.
    pub(crate) fn new(event: BorrowedFd<'_>) -> Result<Self, StartError> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS_MAX)
            .build(SUBMISSIONS_MAX)
            .map_err(refused)?;
        let buffers = Buffers::register(&ring).map_err(refused)?;
        ring.submitter()
            .register_eventfd(event.as_raw_fd())
            .map_err(refused)?;
        let mut ring = Self { ring, buffers };
        ring.ring.completion().disable_eventfd();
        Ok(ring)
    }

    /// Queues a request.
    ///
    /// # Safety
    ///
    /// What the request points to stays valid and in place until its completion has been taken.
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: the caller vouches for what the entry points to.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            self.enter();
        }
    }

    /// Whether entering would do anything.
    pub(crate) fn has_work(&mut self) -> bool {
        let submission = self.ring.submission();
        !submission.is_empty() || submission.taskrun() || submission.cq_overflow()
    }

    /// Whether completions can be taken without entering.
    pub(crate) fn has_completions(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Submits what is queued and lets the kernel work out what is due.
    pub(crate) fn enter(&mut self) {
        match self.ring.submit() {
            Ok(_) => {}
            // Interrupted, or the completion queue has to be emptied first: the next pass
            // enters again.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
                ) => {}
            // Nothing else can be answered by a ring that is set up: a core without sockets
            // serves nobody, so this ends the process rather than hanging its connections.
            Err(error) => {
                tracing::error!(%error, "the socket ring failed");
                std::process::abort();
            }
        }
    }

    /// Takes completions, at most as many as fit.
    pub(crate) fn take(&mut self, into: &mut Vec<cqueue::Entry>) {
        let room = into.capacity() - into.len();
        into.extend(self.ring.completion().take(room));
    }

    /// From now on the kernel rings the doorbell when something has completed.
    pub(crate) fn enable_event(&mut self) {
        self.ring.completion().enable_eventfd();
    }

    pub(crate) fn disable_event(&mut self) {
        self.ring.completion().disable_eventfd();
    }
}

/// What a kernel that does not give us the ring means.
fn refused(error: io::Error) -> StartError {
    let reason = match error.raw_os_error() {
        Some(libc::ENOSYS) => "the kernel is built without it".to_owned(),
        Some(libc::EPERM) => {
            "it is forbidden here: see the sysctl kernel.io_uring_disabled, and the seccomp \
             profile when this is a container"
                .to_owned()
        }
        Some(libc::EINVAL) => "the kernel does not know DEFER_TASKRUN or buffer rings".to_owned(),
        Some(libc::ENOMEM) => {
            "not enough locked memory: raise it with `ulimit -l`, or LimitMEMLOCK= in the unit file"
                .to_owned()
        }
        _ => error.to_string(),
    };
    StartError::NoRing { reason }
}
