//! Whether the server takes work, as /health/ready says it.

use std::sync::atomic::{AtomicU8, Ordering};

/// Where the server is in its life.
///
/// ```text
/// Starting ──▶ Serving ──▶ Draining
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Stores are being opened.
    Starting = 0,
    /// Connections are served.
    Serving = 1,
    /// It was told to stop: no new sessions, running ones end.
    Draining = 2,
}

impl Phase {
    /// As the health endpoints say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Serving => "ok",
            Phase::Draining => "draining",
        }
    }
}

/// The server's phase: `server` sets it, every core reads it.
#[derive(Debug)]
pub struct Readiness(AtomicU8);

impl Default for Readiness {
    fn default() -> Readiness {
        Readiness(AtomicU8::new(Phase::Starting as u8))
    }
}

impl Readiness {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }

    /// The next phase.
    ///
    /// # Panics
    ///
    /// If the server would go back: our own mistake.
    pub fn enter(&self, phase: Phase) {
        let before = self.0.swap(phase as u8, Ordering::Relaxed);
        assert!(before <= phase as u8, "a server does not go back a phase");
    }
}
