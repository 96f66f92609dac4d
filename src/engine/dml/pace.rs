//! Long work on a session core, cut into slices (DESIGN §2: 500 µs).

use crate::diagnostic::Diagnostic;
use crate::engine::context::CancelFlag;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long one slice may run before the core is given to others.
const SLICE: Duration = Duration::from_micros(300);

/// Rows between two looks at the clock.
const ROWS_BETWEEN_LOOKS: u32 = 8;

/// Keeps a loop over rows from holding its core.
pub struct Pace {
    started: Instant,
    rows: u32,
    cancel: CancelFlag,
}

impl Pace {
    /// For one statement.
    pub fn new(cancel: CancelFlag) -> Pace {
        Pace {
            started: Instant::now(),
            rows: 0,
            cancel,
        }
    }

    /// To be awaited once a row: lets others run when the slice is used up.
    ///
    /// # Errors
    /// 57014 and 57P01 once the statement is to stop.
    pub async fn step(&mut self) -> Result<(), Diagnostic> {
        self.rows += 1;
        if self.rows < ROWS_BETWEEN_LOOKS {
            return Ok(());
        }
        self.look().await
    }

    /// To be awaited between pieces of work that are longer than a row: looks at the clock.
    ///
    /// # Errors
    /// As [`Pace::step`].
    pub async fn look(&mut self) -> Result<(), Diagnostic> {
        self.rows = 0;
        if self.started.elapsed() < SLICE {
            return Ok(());
        }
        self.cancel.check()?;
        let mut yielded = false;
        poll_fn(|context| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.started = Instant::now();
        Ok(())
    }
}
