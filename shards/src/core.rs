//! What belongs to one core: the part that its own thread uses, and the part that all see.

use crate::doorbell::Doorbell;
use crate::metrics::{CoreMetrics, Counters, Slices};
use crate::net::{Arrival, Net};
use crate::replica::Follower;
use crate::waker::{Places, TaskWaker};
use crate::{CoreId, StartError};
use crossbeam::queue::SegQueue;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

/// What cores tell each other, and what the runtime tells them.
pub(crate) enum Control {
    /// A connection accepted elsewhere, which this core shall serve.
    Serve(Arrival),
    /// Stop accepting, and tell the shard.
    Drain,
    /// End every connection at once.
    AbortAll,
    /// End the core.
    Stop,
}

/// The part of a core that all threads see.
pub(crate) struct CoreShared {
    pub(crate) id: CoreId,
    pub(crate) doorbell: Arc<Doorbell>,
    control: SegQueue<Control>,
    /// Tasks woken by other threads, each at most once.
    woken: SegQueue<Arc<TaskWaker>>,
    pub(crate) counters: Counters,
    pub(crate) slices: Slices,
    /// Connections held, those on their way to this core included: raised by the core that
    /// accepts, so that a burst is spread by what has been decided and not by what has arrived.
    pub(crate) connections: AtomicUsize,
}

impl CoreShared {
    pub(crate) fn new(id: CoreId) -> Result<Self, StartError> {
        let doorbell = Doorbell::new().map_err(|error| StartError::Core {
            core: id.0,
            reason: format!("no eventfd: {error}"),
        })?;
        Ok(Self {
            id,
            doorbell: Arc::new(doorbell),
            control: SegQueue::new(),
            woken: SegQueue::new(),
            counters: Counters::default(),
            slices: Slices::new(),
            connections: AtomicUsize::new(0),
        })
    }

    pub(crate) fn tell(&self, control: Control) {
        self.control.push(control);
        self.doorbell.ring();
    }

    pub(crate) fn told(&self) -> Option<Control> {
        self.control.pop()
    }

    pub(crate) fn nothing_told(&self) -> bool {
        self.control.is_empty()
    }

    /// Another thread has woken a task of this core.
    pub(crate) fn leave_woken(&self, task: Arc<TaskWaker>) {
        self.woken.push(task);
        self.doorbell.ring();
    }

    pub(crate) fn take_woken(&self) -> Option<Arc<TaskWaker>> {
        self.woken.pop()
    }

    pub(crate) fn nobody_woken(&self) -> bool {
        self.woken.is_empty()
    }

    pub(crate) fn metrics(&self) -> CoreMetrics {
        let connections = self.connections.load(Ordering::Relaxed) as u64;
        let waiting = self.woken.len() as u64;
        CoreMetrics::collect(self.id, connections, &self.counters, &self.slices, waiting)
    }
}

/// All cores of a runtime.
pub(crate) struct Cores {
    pub(crate) all: Vec<Arc<CoreShared>>,
    /// Connections on all of them.
    pub(crate) connections: AtomicUsize,
    pub(crate) connections_max: usize,
}

/// Where a core is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// It serves.
    Running,
    /// It takes no new connections.
    Draining,
    /// It ends.
    Stopping,
}

/// The part of a core that only its own thread uses.
pub(crate) struct Core {
    pub(crate) shared: Arc<CoreShared>,
    pub(crate) net: Rc<Net>,
    pub(crate) followers: RefCell<Vec<Rc<dyn Follower>>>,
    pub(crate) yielded: RefCell<Vec<Waker>>,
    pub(crate) places: Places,
    pub(crate) course: Cell<Course>,
    /// Tasks spawned and not yet ended.
    pub(crate) tasks: Cell<usize>,
}

thread_local! {
    static CORE: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

impl Core {
    /// The core of this thread.
    ///
    /// # Panics
    ///
    /// On a thread that is not a core of a runtime.
    pub(crate) fn current() -> Rc<Self> {
        Self::try_current().expect("called on a thread that is not a core of a runtime")
    }

    pub(crate) fn try_current() -> Option<Rc<Self>> {
        // `try_with`: destructors may ask while the thread is ending.
        CORE.try_with(|core| core.borrow().clone()).ok().flatten()
    }

    /// Runs the closure with the core of this thread, if it is one.
    pub(crate) fn with_current<T>(run: impl FnOnce(&Self) -> T) -> Option<T> {
        // `try_with`: destructors may ask while the thread is ending.
        let ran = CORE.try_with(|core| core.borrow().as_deref().map(run));
        ran.ok().flatten()
    }

    pub(crate) fn install(core: Option<Rc<Self>>) {
        CORE.with(|slot| *slot.borrow_mut() = core);
    }
}
