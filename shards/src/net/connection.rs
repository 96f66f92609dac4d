//! One connection as the ring sees it.
//!
//! ```text
//!            finish (flushed)             peer's end, or the linger is over
//!   Open ───────────────────▶ Lingering ───────────────┐
//!    │                                                 ▼
//!    └───── abort, or the handle is dropped ───────▶ Doomed ──▶ Released
//!                                      nothing armed, nothing in flight
//! ```
//!
//! The descriptor is closed, and the slot given to another, only in `Released`: a completion
//! that names the slot can then no longer arrive.

use super::tls::Tls;
use crate::balance::Seat;
use crate::{Admission, ListenerId};
use bytes::BytesMut;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::task::Waker;

/// What the ring is doing about receiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiving {
    /// A multishot receive is under way.
    Armed,
    /// None is, for want of buffers; it is armed again at the end of the pass.
    Starved,
    /// The inbox is full and the receive has been asked to stop.
    Pausing,
    /// The inbox is full and none is under way.
    Paused,
    /// The peer has ended its side, or the connection has failed.
    Ended,
}

/// What the ring is doing about sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// Nothing.
    Idle,
    /// The outbox is to be sent at the end of the slice.
    Queued,
    /// One send is under way; its bytes are in `flight`.
    InFlight,
    /// So it is, and the outbox has been flushed meanwhile: it follows. What a session has
    /// appended and not yet flushed stays, so that it may still change it.
    InFlightThenMore,
}

/// How far the connection's life has come; drawn in the module's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// A session owns it.
    Open,
    /// The session has ended and all is sent; waits for the peer to end its side, so that what
    /// it is still sending does not make the kernel throw our last words away.
    Lingering,
    /// To be released as soon as the ring has let go of it.
    Doomed,
    /// The descriptor is closed.
    Released,
}

pub(crate) struct Connection {
    /// Its slot among the core's connections.
    pub(crate) slot: Cell<u32>,
    /// Tells it from others that had the slot before.
    pub(crate) serial: u32,
    pub(crate) socket: RefCell<Option<OwnedFd>>,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: ListenerId,
    pub(crate) admission: Admission,
    /// Given up with the descriptor.
    pub(crate) seat: Cell<Option<Seat>>,

    pub(crate) life: Cell<Life>,
    pub(crate) receiving: Cell<Receiving>,
    pub(crate) sending: Cell<Sending>,
    /// Why nothing can be sent or received any more.
    pub(crate) failure: Cell<Option<i32>>,

    /// From the first byte of its handshake on. Boxed: plain connections are many.
    pub(crate) tls: RefCell<Option<Box<Tls>>>,
    /// What the session reads: of a TLS connection what has been deciphered.
    pub(crate) inbox: RefCell<BytesMut>,
    /// Bytes put into the inbox since the session last waited for some.
    pub(crate) unseen: Cell<usize>,
    /// The reader waits, not for bytes, but for the peer to read its answers.
    pub(crate) held_back: Cell<bool>,
    /// What the session has written: of a TLS connection in plain.
    pub(crate) outbox: RefCell<BytesMut>,
    /// What is being sent, as it is sent. Not touched while it is in flight.
    pub(crate) flight: RefCell<BytesMut>,

    pub(crate) reader: Cell<Option<Waker>>,
    pub(crate) writer: Cell<Option<Waker>>,
    pub(crate) watcher: Cell<Option<Waker>>,
}

impl Connection {
    /// Bytes that are still to be sent. Records of TLS's own count as one.
    pub(crate) fn unsent(&self) -> usize {
        let own = (self.tls.borrow().as_ref()).is_some_and(|tls| tls.has_own_records());
        self.outbox.borrow().len() + self.flight.borrow().len() + usize::from(own)
    }

    /// Bytes that have been received and are still to be read.
    pub(crate) fn unconsumed(&self) -> usize {
        let tls = self.tls.borrow();
        let sealed = tls.as_ref().map_or(0, |tls| tls.received.len());
        sealed + self.inbox.borrow().len()
    }

    /// Whether a send would have anything to send.
    pub(crate) fn has_to_send(&self) -> bool {
        match &*self.tls.borrow() {
            Some(tls) => tls.has_to_send(),
            None => !self.outbox.borrow().is_empty(),
        }
    }

    /// Whether the peer has said that it sends no more, or has gone.
    pub(crate) fn peer_has_ended(&self) -> bool {
        self.receiving.get() == Receiving::Ended
            || (self.tls.borrow().as_ref()).is_some_and(|tls| tls.peer_has_closed())
    }

    /// Whether the ring may still complete something for it.
    pub(crate) fn is_in_the_ring(&self) -> bool {
        self.is_in_flight() || matches!(self.receiving.get(), Receiving::Armed | Receiving::Pausing)
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        matches!(
            self.sending.get(),
            Sending::InFlight | Sending::InFlightThenMore
        )
    }

    /// Whether its session waits for more than the inbox holds. One that is held back until its
    /// peer reads waits too, but not for bytes.
    pub(crate) fn awaits_bytes(&self) -> bool {
        let reader = self.reader.take();
        let awaits = reader.is_some();
        self.reader.set(reader);
        awaits && !self.held_back.get()
    }

    pub(crate) fn fail(&self, error: i32) {
        if self.failure.get().is_none() {
            self.failure.set(Some(error));
        }
        self.wake_all();
    }

    pub(crate) fn wake_all(&self) {
        for waiting in [&self.reader, &self.writer, &self.watcher] {
            if let Some(waker) = waiting.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_takes_less_than_half_a_kibibyte() {
        assert!(
            size_of::<Connection>() <= 384,
            "{}",
            size_of::<Connection>()
        );
    }
}
