//! Waking a task, from its own core or from any other thread.
//!
//! The executor hears of another thread's wake only when its reactor passes, which under load is
//! seldom, and it announces each sleep with a barrier on every CPU. So tasks are given wakers of
//! the core's own: on the core they go straight to the executor; from elsewhere they leave the
//! task in the core's queue and ring its [doorbell](crate::doorbell), which the driver looks at on
//! every pass. A row lock handed to the other core so arrives in microseconds.

use crate::core::{Core, CoreShared};
use slab::Slab;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// Wakes one task of a core.
pub(crate) struct TaskWaker {
    core: Arc<CoreShared>,
    place: Place,
    /// Set from a wake until the task runs: further wakes say nothing new.
    woken: AtomicBool,
}

/// Where a core keeps the executor's waker of a task. Places are used again, serials are not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    slot: usize,
    serial: u64,
}

impl TaskWaker {
    /// The task is about to run: what wakes it from now on is news.
    pub(crate) fn begin(&self) {
        // Acquire and release: the task sees what was stored before the wake that is answered.
        self.woken.swap(false, Ordering::AcqRel);
    }

    /// Hands the wake to the executor; on the task's own core.
    pub(crate) fn pass_on(&self, core: &Core) {
        core.places.wake(self.place);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.woken.swap(true, Ordering::AcqRel) {
            return;
        }
        let here = Core::with_current(|core| {
            let own = Arc::ptr_eq(&core.shared, &self.core);
            if own {
                self.pass_on(core);
            }
            own
        });
        if here != Some(true) {
            self.core.leave_woken(Arc::clone(self));
        }
    }
}

/// The executor's wakers of a core's tasks.
#[derive(Default)]
pub(crate) struct Places {
    taken: RefCell<Slab<(u64, Option<Waker>)>>,
    serial: std::cell::Cell<u64>,
}

impl Places {
    /// A place for a new task, and the waker that leads to it.
    pub(crate) fn take(&self, core: &Arc<CoreShared>) -> Arc<TaskWaker> {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        let slot = self.taken.borrow_mut().insert((serial, None));
        Arc::new(TaskWaker {
            core: Arc::clone(core),
            place: Place { slot, serial },
            woken: AtomicBool::new(false),
        })
    }

    /// Keeps the executor's waker of the task that has this place.
    pub(crate) fn keep(&self, task: &TaskWaker, waker: &Waker) {
        if let Some((_, kept)) = self.taken.borrow_mut().get_mut(task.place.slot) {
            match kept {
                Some(kept) => kept.clone_from(waker),
                None => *kept = Some(waker.clone()),
            }
        }
    }

    /// The task has ended.
    pub(crate) fn give_back(&self, task: &TaskWaker) {
        let ended = self.taken.borrow_mut().try_remove(task.place.slot);
        // Outside the borrow: letting go of a waker may drop its task.
        drop(ended);
    }

    fn wake(&self, place: Place) {
        // Not there, or another's by now: the task has ended meanwhile.
        if let Some((serial, Some(waker))) = self.taken.borrow().get(place.slot)
            && *serial == place.serial
        {
            waker.wake_by_ref();
        }
    }
}
