//! The driver task of a core: everything that happens between slices.
//!
//! A pass takes messages, adopts snapshots, sends what sessions have flushed, enters the ring
//! once, and wakes the sessions for which something has arrived. Then it lets them run. With
//! nothing left to do it looks again for a moment, then sleeps on the core's doorbell, so that an
//! idle core costs nothing.

use crate::core::{Control, Core, Course};
use crate::doorbell::Doorbell;
use crate::mesh::Mailbox;
use crate::runtime::Shard;
use crate::stream::Stream;
use crate::task::guarded;
use glommio::io::BufferedFile;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::IntoRawFd;
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, FromRawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// The executor's own reactor (timers) runs only when no task is runnable, and under load the
/// driver always is: so it steps aside this often. A pass costs about 10 µs.
const REACTOR_PERIOD: Duration = Duration::from_millis(1);

/// How long a core that has nothing to do goes on looking before it sleeps. Sleeping and waking
/// cost tens of microseconds (a barrier on every CPU, two system calls of the executor, an idle CPU
/// that has to start again), and under load the next message comes sooner than that. Whoever else
/// wants the CPU gets it meanwhile.
const LINGER: Duration = Duration::from_micros(50);

/// Messages taken in one pass: bounds how long sockets wait for their turn.
const MESSAGES_A_PASS_MAX: usize = 256;

/// How often the thread's page faults are read.
const USAGE_PERIOD: Duration = Duration::from_millis(100);

/// How long stopping waits for the ring to let go of connections, and for tasks to end.
const STOP_BOUND: Duration = Duration::from_secs(1);

pub(crate) struct Driver<S: Shard> {
    core: Rc<Core>,
    shard: Rc<S>,
    mailbox: Arc<Mailbox<S::Message>>,
    reactor: Reactor,
    usage_read: Cell<Instant>,
    /// When there was last something to do.
    worked: Cell<Instant>,
    /// Wakes the driver when the doorbell rings.
    listening: glommio::Task<()>,
}

impl<S: Shard> Driver<S> {
    pub(crate) fn new(
        core: Rc<Core>,
        shard: Rc<S>,
        mailbox: Arc<Mailbox<S::Message>>,
    ) -> io::Result<Self> {
        Ok(Self {
            listening: listen_to_doorbell(&core)?,
            core,
            shard,
            mailbox,
            reactor: Reactor::new()?,
            usage_read: Cell::new(Instant::now()),
            worked: Cell::new(Instant::now()),
        })
    }

    /// Drives the core until it is told to stop.
    pub(crate) async fn run(self) {
        loop {
            let work = self.pass();
            if self.core.course.get() == Course::Stopping {
                break;
            }
            self.rest(work).await;
        }
        self.stop().await;
        // Files dropped at the executor's end are never closed, and a task that waits then would
        // keep the ring.
        self.core.shared.doorbell.ring_always();
        self.listening.await;
        self.reactor.close().await;
    }

    /// One pass; returns how much there was to do.
    fn pass(&self) -> usize {
        let mut work = 0;
        while let Some(control) = self.core.shared.told() {
            work += 1;
            self.obey(control);
        }
        work += self.take_messages();
        self.adopt();
        while let Some(task) = self.core.shared.take_woken() {
            work += 1;
            task.pass_on(&self.core);
        }
        for waker in self.core.yielded.take() {
            work += 1;
            waker.wake();
        }
        self.core.net.submit();
        work += self.core.net.reap();
        while let Some(arrival) = self.core.net.take_arrival() {
            self.serve(arrival);
        }
        work
    }

    fn adopt(&self) {
        for follower in &*self.core.followers.borrow() {
            if follower.is_behind() {
                guarded(&self.core, "a callback of a replica", || follower.follow());
            }
        }
    }

    fn obey(&self, control: Control) {
        match control {
            Control::Serve(arrival) => self.serve(arrival),
            Control::Drain => {
                self.core.course.set(Course::Draining);
                self.core.net.stop_accepting();
                guarded(&self.core, "drain", || self.shard.drain());
            }
            Control::AbortAll => {
                self.core.net.abort_all();
            }
            Control::Stop => self.core.course.set(Course::Stopping),
        }
    }

    fn serve(&self, arrival: crate::net::Arrival) {
        if self.core.course.get() != Course::Running {
            // Handed over before the other core had heard of the end.
            return;
        }
        let listener = arrival.listener;
        let connection = self.core.net.adopt(arrival);
        let stream = Stream::new(Rc::clone(&self.core.net), connection);
        guarded(&self.core, "accepted", || {
            self.shard.accepted(listener, stream);
        });
    }

    fn take_messages(&self) -> usize {
        let mut taken = 0;
        while taken < MESSAGES_A_PASS_MAX
            && let Some(message) = self.mailbox.take()
        {
            taken += 1;
            guarded(&self.core, "message", || self.shard.message(message));
        }
        if taken > 0 {
            self.core.shared.counters.messages.add(taken as u64);
        }
        taken
    }

    /// Lets the sessions run, or sleeps when there is nothing to do.
    async fn rest(&self, work: usize) {
        if self.reactor.is_due() {
            self.reactor.pass().await;
            self.read_usage();
        } else if work > 0 || self.has_work() {
            self.worked.set(Instant::now());
            step_aside().await;
        } else if self.worked.get().elapsed() < LINGER {
            rustix::thread::sched_yield();
            step_aside().await;
        } else {
            self.sleep().await;
            self.reactor.passed();
        }
    }

    fn has_work(&self) -> bool {
        !self.core.shared.nothing_told()
            || !self.core.shared.nobody_woken()
            || !self.mailbox.is_empty()
            || self.core.net.has_work()
            || !self.core.yielded.borrow().is_empty()
            || self
                .core
                .followers
                .borrow()
                .iter()
                .any(|one| one.is_behind())
    }

    /// Sleeps until the doorbell rings or a task of the core wants something sent.
    async fn sleep(&self) {
        let net = &self.core.net;
        let doorbell = &self.core.shared.doorbell;
        net.set_event(true);
        doorbell.prepare_sleep();
        let mut slept = false;
        poll_fn(|context| {
            // What came before the doorbell was listened to has to be seen here; from then on
            // whoever brings something wakes us.
            if slept || self.has_work() {
                return Poll::Ready(());
            }
            slept = true;
            net.set_sleeping_driver(context.waker().clone());
            Poll::Pending
        })
        .await;
        doorbell.awake();
        net.set_event(false);
    }

    fn read_usage(&self) {
        if self.usage_read.get().elapsed() < USAGE_PERIOD {
            return;
        }
        self.usage_read.set(Instant::now());
        // SAFETY: an all-zero rusage is valid, and the call writes nothing else.
        let usage = unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
            usage
        };
        let faults = u64::try_from(usage.ru_majflt).unwrap_or(0);
        self.core.shared.counters.major_faults.set(faults);
    }

    /// Ends all connections and lets their tasks end.
    async fn stop(&self) {
        self.mailbox.stop();
        let net = &self.core.net;
        net.stop_accepting();
        net.abort_all();
        let begun = Instant::now();
        while (net.connection_count() > 0 || self.core.tasks.get() > 0)
            && begun.elapsed() < STOP_BOUND
        {
            net.submit();
            net.reap();
            while net.take_arrival().is_some() {}
            net.abort_all();
            self.reactor.pass().await;
        }
        if net.connection_count() > 0 {
            tracing::warn!(
                connections = net.connection_count(),
                "the core stops before its connections are closed"
            );
        }
    }
}

/// Runs every other task that is runnable, then comes back.
async fn step_aside() {
    let mut stepped = false;
    poll_fn(|context| {
        if stepped {
            return Poll::Ready(());
        }
        stepped = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets the executor's reactor pass.
struct Reactor {
    /// Always readable: reading it through the executor makes the driver wait for exactly one
    /// pass of the reactor. A timer of zero does not.
    tick: BufferedFile,
    last: Cell<Instant>,
}

impl Reactor {
    fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::SEMAPHORE)?;
        // Each read takes one; at 5,000 reads a second this lasts for millions of years.
        rustix::io::write(&event, &(u64::MAX / 2).to_ne_bytes())?;
        // SAFETY: the descriptor is ours, and the file becomes its only owner.
        let tick = unsafe { BufferedFile::from_raw_fd(event.into_raw_fd()) };
        Ok(Self {
            tick,
            last: Cell::new(Instant::now()),
        })
    }

    fn is_due(&self) -> bool {
        self.last.get().elapsed() >= REACTOR_PERIOD
    }

    fn passed(&self) {
        self.last.set(Instant::now());
    }

    async fn close(self) {
        if let Err(error) = self.tick.close().await {
            tracing::warn!(%error, "a descriptor was not closed");
        }
    }

    async fn pass(&self) {
        if let Err(error) = self.tick.read_at(0, 8).await {
            tracing::error!(%error, "the executor's reactor failed");
            std::process::abort();
        }
        self.passed();
    }
}

/// Starts the task that wakes the driver when the doorbell rings. A task of its own: the read
/// stays under way while the driver is woken by others, and is never started twice.
fn listen_to_doorbell(core: &Rc<Core>) -> io::Result<glommio::Task<()>> {
    let doorbell: &Doorbell = &core.shared.doorbell;
    let event = doorbell.event().as_fd().try_clone_to_owned()?;
    // SAFETY: the descriptor is ours, and the file becomes its only owner.
    let event = unsafe { BufferedFile::from_raw_fd(event.into_raw_fd()) };
    let core = Rc::clone(core);
    Ok(glommio::spawn_local(async move {
        while event.read_at(0, 8).await.is_ok() && core.course.get() != Course::Stopping {
            core.net.kick();
        }
        if let Err(error) = event.close().await {
            tracing::warn!(%error, "a descriptor was not closed");
        }
    }))
}
