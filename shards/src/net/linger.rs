//! Connections that have said their last word and wait for the peer to end its side.
//!
//! Closing a socket while the peer is still sending makes the kernel reset the connection, and
//! the peer's kernel then throws away what it has received and not yet read: the error message
//! that explains why we close. So the peer gets a moment.

use super::{Connection, Life, Net};
use crate::core::Core;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a peer may take to end its side.
const LINGER: Duration = Duration::from_secs(2);

/// How many may wait at once on one core; the next is closed at once.
const LINGERING_CONNECTIONS_MAX: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Linger {
    /// In the order of their ends. A slot and its serial instead of the connection: most have
    /// gone long before, and their memory should not wait for this list.
    waiting: RefCell<VecDeque<(Instant, u32, u32)>>,
    sweeping: Cell<bool>,
}

impl Linger {
    /// Whether there was room.
    pub(super) fn add(&self, connection: &Connection) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= LINGERING_CONNECTIONS_MAX {
            return false;
        }
        let end = Instant::now() + LINGER;
        waiting.push_back((end, connection.slot.get(), connection.serial));
        drop(waiting);
        if !self.sweeping.replace(true) {
            // Not a task of the program's: stopping does not wait for it.
            glommio::spawn_local(sweep()).detach();
        }
        true
    }
}

async fn sweep() {
    let core = Core::current();
    loop {
        let next = core.net.linger.waiting.borrow().front().copied();
        let Some((end, slot, serial)) = next else {
            core.net.linger.sweeping.set(false);
            return;
        };
        let now = Instant::now();
        if end > now {
            crate::sleep(end - now).await;
            continue;
        }
        core.net.linger.waiting.borrow_mut().pop_front();
        core.net.end_linger(slot, serial);
    }
}

impl Net {
    fn end_linger(&self, slot: u32, serial: u32) {
        let connections = self.connections.borrow();
        let found = connections
            .get(slot as usize)
            .filter(|one| one.serial == serial && one.life.get() == Life::Lingering)
            .map(Rc::clone);
        drop(connections);
        if let Some(connection) = found {
            self.doom(&connection);
        }
    }
}
