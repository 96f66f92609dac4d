//! Tasks of a core.

use crate::core::Core;
use crate::waker::TaskWaker;
use pin_project_lite::pin_project;
use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// Starts a task on this core. It first runs after the slice that spawns it. A panic in it ends
/// the task, is logged and counted, and leaves the core running.
///
/// # Panics
///
/// On a thread that is not a core of a runtime.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    let core = Core::current();
    core.tasks.set(core.tasks.get() + 1);
    let waker = core.places.take(&core.shared);
    let task = Task {
        future,
        waker: Waker::from(Arc::clone(&waker)),
        seat: Seat { core, waker },
    };
    // Into the queue rather than right away: the caller may hold borrows that the task's first
    // slice needs.
    let queue = glommio::executor().current_task_queue();
    glommio::spawn_local_into(task, queue)
        .expect("the queue that is running exists")
        .detach();
}

/// Lets the core's other tasks, its sockets and its timers run before going on.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        // Waking oneself would keep the executor's queue filled, and its reactor (timers,
        // wakers from other threads) runs only when the queue is empty: the driver wakes us on
        // its next pass instead.
        let core = Core::current();
        core.yielded.borrow_mut().push(context.waker().clone());
        core.net.kick();
        Poll::Pending
    })
    .await;
}

/// A task's place on its core, given back when the task ends.
struct Seat {
    core: Rc<Core>,
    waker: Arc<TaskWaker>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.core.places.give_back(&self.waker);
        self.core.tasks.set(self.core.tasks.get() - 1);
    }
}

pin_project! {
    /// A task whose slices are measured and whose panics end with it.
    struct Task<F> {
        #[pin]
        future: F,
        // What the future is given to be woken by.
        waker: Waker,
        seat: Seat,
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let Seat { core, waker } = &*this.seat;
        core.places.keep(waker, context.waker());
        waker.begin();
        let shared = &core.shared;
        let mut context = Context::from_waker(this.waker);
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| this.future.poll(&mut context)));
        shared.slices.record(begun.elapsed());
        outcome.unwrap_or_else(|panic| {
            shared.counters.panics.add(1);
            log_panic("a task", &*panic);
            Poll::Ready(())
        })
    }
}

/// Runs a callback of the program; a panic in it is logged and counted.
pub(crate) fn guarded(core: &Core, what: &str, callback: impl FnOnce()) {
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(callback));
    core.shared.slices.record(begun.elapsed());
    if let Err(panic) = outcome {
        core.shared.counters.panics.add(1);
        log_panic(what, &*panic);
    }
}

fn log_panic(what: &str, panic: &(dyn Any + Send)) {
    let message = panic_text(panic);
    tracing::error!(
        what,
        message,
        "a panic was contained; this is a defect of the server"
    );
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("not a text")
}
