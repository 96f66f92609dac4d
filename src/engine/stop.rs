//! Whether a statement is to stop, for whoever works for it: between batches, and deep inside the
//! computation of one value, where nobody hands the statement on.

use super::context::{CancelFlag, CancelReason};
use crate::diagnostic::Diagnostic;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Of the statement that this thread works for just now.
    static CURRENT: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// What asks one statement to stop. Cloning shares.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    cancel: CancelFlag,
    /// Set when nobody waits for the result any more.
    abandoned: Arc<AtomicBool>,
}

impl Stop {
    /// By the session's flag, and by the end of who waits.
    pub fn new(cancel: CancelFlag, abandoned: Arc<AtomicBool>) -> Stop {
        Stop { cancel, abandoned }
    }

    /// 57014 (or 57P01) once the statement was asked to stop or nobody waits for it.
    ///
    /// # Errors
    /// As said.
    pub fn check(&self) -> Result<(), Diagnostic> {
        self.cancel.check()?;
        match self.abandoned.load(Ordering::Relaxed) {
            true => Err(CancelReason::User.diagnostic()),
            false => Ok(()),
        }
    }

    /// Does a piece of the statement's work, in which [`check`] looks here.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = CURRENT.replace(Some(self.clone()));
        let _restored = Restored(before);
        work()
    }
}

/// Puts back whom the thread worked for before, also when the work panics.
struct Restored(Option<Stop>);

impl Drop for Restored {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// As [`Stop::check`] of the statement that this thread works for; nothing where it works for none. For
/// loops that may take long over a single value.
///
/// # Errors
/// As said.
pub fn check() -> Result<(), Diagnostic> {
    CURRENT.with_borrow(|current| match current {
        Some(stop) => stop.check(),
        None => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_work_is_asked_to_stop_while_it_is_done_for_the_statement() {
        let stop = Stop::default();
        assert!(stop.during(check).is_ok());
        stop.cancel.set(CancelReason::User);
        let other = Stop::default();
        let inside = stop.during(|| (other.during(check), check()));
        assert!(inside.0.is_ok());
        assert_eq!(inside.1.unwrap_err().sqlstate().as_str(), "57014");
        assert!(check().is_ok());
    }

    #[test]
    fn a_panic_leaves_nobody_to_look_at() {
        let stop = Stop::default();
        stop.abandoned.store(true, Ordering::Relaxed);
        let work = || stop.during(|| panic!("on purpose"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
        assert!(check().is_ok());
    }
}
