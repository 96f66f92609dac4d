//! Notifications that a session has not been sent yet.

use crate::engine::notification::Notification;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Bytes that wait for one session, past which it is ended: it listens and does not take.
pub const UNTAKEN_BYTES_MAX: usize = 4 << 20;

/// One notification for one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Who told it: pg_backend_pid().
    pub pid: i32,
    /// What was told.
    pub notification: Notification,
}

/// What one session listens to, and what waits for it.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Each channel with the place in the queue from which on it is heard.
    pub(super) channels: BTreeMap<Arc<str>, u64>,
    waiting: VecDeque<Delivered>,
    bytes: usize,
}

/// It waits for too much already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untaken;

impl Inbox {
    /// Adds one.
    ///
    /// # Errors
    /// Past [`UNTAKEN_BYTES_MAX`].
    pub fn push(&mut self, delivered: Delivered) -> Result<(), Untaken> {
        let bytes = self.bytes + delivered.notification.bytes();
        if bytes > UNTAKEN_BYTES_MAX {
            return Err(Untaken);
        }
        self.bytes = bytes;
        self.waiting.push_back(delivered);
        Ok(())
    }

    /// The next, in order.
    pub fn pop(&mut self) -> Option<Delivered> {
        let delivered = self.waiting.pop_front()?;
        self.bytes -= delivered.notification.bytes();
        Some(delivered)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_session_is_bounded_and_comes_in_order() {
        let mut inbox = Inbox::default();
        let of = |number: usize| Delivered {
            pid: 1,
            notification: Notification::new("c", &format!("{number:07000}"))
                .expect("within the limits"),
        };
        let room = (0..10_000).take_while(|number| inbox.push(of(*number)).is_ok());
        let room = room.count();
        assert!((100..10_000).contains(&room), "{room}");
        assert_eq!(inbox.pop(), Some(of(0)));
        assert_eq!(inbox.push(of(0)), Ok(()), "there is room again");
        assert_eq!(inbox.pop(), Some(of(1)));
    }
}
