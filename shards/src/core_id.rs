//! The name of a core.

use std::fmt;

/// One core of the runtime, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoreId(pub u16);

impl CoreId {
    /// The core's place in tables that have one entry a core.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The core that this thread runs.
///
/// # Panics
///
/// On a thread that is not a core of a runtime.
pub fn core() -> CoreId {
    crate::core::Core::current().shared.id
}
