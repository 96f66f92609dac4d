//! Tasks of a core.

use std::future::Future;

/// Starts a task on this core. A panic in it ends the task, is logged and counted, and leaves
/// the core running.
///
/// # Panics
///
/// On a thread that is not a core of a runtime.
pub fn spawn(_future: impl Future<Output = ()> + 'static) {
    todo!()
}

/// Lets the core's other tasks, its sockets and its timers run before going on.
pub async fn yield_now() {
    todo!()
}
