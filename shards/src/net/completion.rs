//! What the ring's completions mean.

use super::connection::{Connection, Life, Receiving, Sending};
use super::{Arrival, Net};
use crate::balance::Seat;
use bytes::{Buf, BytesMut};
use io_uring::cqueue;
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

/// What a request was, kept in the upper half of its user data; the lower half is a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ignored,
    Accept,
    Receive,
    Send,
}

impl Kind {
    pub(crate) fn with(self, slot: u32) -> u64 {
        ((self as u64) << 32) | u64::from(slot)
    }

    fn of(user_data: u64) -> (Self, usize) {
        let kind = match user_data >> 32 {
            1 => Self::Accept,
            2 => Self::Receive,
            3 => Self::Send,
            _ => Self::Ignored,
        };
        (kind, (user_data & 0xffff_ffff) as usize)
    }
}

/// How long accepting pauses when there are no descriptors left: without a pause the core would
/// do nothing but fail.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Net {
    pub(super) fn complete(&self, completion: &cqueue::Entry) {
        let (kind, slot) = Kind::of(completion.user_data());
        match kind {
            Kind::Ignored => {}
            Kind::Accept => self.completed_accept(slot, completion),
            Kind::Receive => {
                let connection = self.connection(slot);
                self.completed_receive(&connection, completion);
            }
            Kind::Send => {
                let connection = self.connection(slot);
                self.completed_send(&connection, completion.result());
            }
        }
    }

    fn connection(&self, slot: usize) -> Rc<Connection> {
        let connections = self.connections.borrow();
        let connection = connections.get(slot);
        Rc::clone(connection.expect("a slot is kept while the ring may complete for it"))
    }

    fn completed_accept(&self, index: usize, completion: &cqueue::Entry) {
        let result = completion.result();
        if result >= 0 {
            // SAFETY: the kernel has just made this descriptor for us.
            let socket = unsafe { OwnedFd::from_raw_fd(result) };
            self.accepted(index, socket);
        }
        if cqueue::more(completion.flags()) {
            return;
        }
        match -result {
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => {
                let error = std::io::Error::from_raw_os_error(-result);
                tracing::warn!(%error, "connections cannot be accepted for now");
                self.rearm_accept_later(index);
            }
            // Draining has begun.
            libc::ECANCELED => {}
            // A peer that gave up while it waited, or a multishot request that has run out.
            _ => self.arm_accept(index),
        }
    }

    fn rearm_accept_later(&self, index: usize) {
        crate::spawn(async move {
            crate::sleep(ACCEPT_PAUSE).await;
            let core = crate::core::Core::current();
            core.net.arm_accept(index);
            core.net.kick();
        });
    }

    /// Decides whether, and where, a new connection is served.
    fn accepted(&self, index: usize, socket: OwnedFd) {
        let listeners = self.listeners.borrow();
        let Some(listening) = listeners.get(index) else {
            return;
        };
        let counters = &self.shared.counters;
        counters.accepted.add(1);
        // Fails when the peer has reset the connection while it waited: nobody to serve.
        let Ok(Some(peer)) = socket2::SockRef::from(&socket)
            .peer_addr()
            .map(|address| address.as_socket())
        else {
            return;
        };
        let Some((seat, admission)) = Seat::take(&self.cores, self.shared.id) else {
            counters.refused.add(1);
            return;
        };
        let target = seat.core;
        let arrival = Arrival {
            socket,
            peer,
            listener: listening.listener,
            admission,
            seat,
        };
        if target == self.shared.id {
            self.arrivals.borrow_mut().push(arrival);
        } else {
            counters.handed_over.add(1);
            let target = &self.cores.all[target.index()];
            target.tell(crate::core::Control::Serve(arrival));
        }
    }

    fn completed_receive(&self, connection: &Rc<Connection>, completion: &cqueue::Entry) {
        let result = completion.result();
        if let Some(buffer) = cqueue::buffer_select(completion.flags()) {
            let bytes = usize::try_from(result).unwrap_or(0);
            if bytes > 0 && connection.life.get() == Life::Open {
                self.deliver(connection, buffer, bytes);
            }
            self.ring.borrow_mut().buffers.give_back(buffer);
        }
        if cqueue::more(completion.flags()) {
            return;
        }
        match result {
            1.. => self.receive_stopped(connection),
            0 => self.receive_ended(connection, None),
            _ => match -result {
                libc::ENOBUFS => {
                    self.shared.counters.buffers_exhausted.add(1);
                    connection.receiving.set(Receiving::Starved);
                    self.starved.borrow_mut().push(Rc::clone(connection));
                }
                libc::ECANCELED | libc::EINTR | libc::EAGAIN => self.receive_stopped(connection),
                error => self.receive_ended(connection, Some(error)),
            },
        }
        self.release_if_free(connection);
    }

    /// Keeps what has arrived for the session, and wakes it.
    fn deliver(&self, connection: &Rc<Connection>, buffer: u16, bytes: usize) {
        let ring = self.ring.borrow();
        let arrived = ring.buffers.received(buffer, bytes);
        let full = match &mut *connection.tls.borrow_mut() {
            // Deciphered in the session's own slice: here it would hold up everybody.
            Some(tls) => self.keep(arrived, &mut tls.received),
            None => {
                connection.unseen.set(connection.unseen.get() + bytes);
                self.keep(arrived, &mut connection.inbox.borrow_mut())
            }
        };
        drop(ring);
        self.shared.counters.received_bytes.add(bytes as u64);
        if full && connection.receiving.get() == Receiving::Armed {
            self.pause_receive(connection);
        }
        if let Some(reader) = connection.reader.take() {
            reader.wake();
        }
    }

    /// Appends; whether the buffer is full now.
    fn keep(&self, arrived: &[u8], buffer: &mut BytesMut) -> bool {
        if buffer.capacity() == 0 {
            *buffer = self.pool.take();
        }
        buffer.extend_from_slice(arrived);
        buffer.len() >= self.inbox_bytes_max
    }

    /// The multishot receive is over although the peer has not ended: because the inbox was
    /// full, or because the kernel says so.
    fn receive_stopped(&self, connection: &Rc<Connection>) {
        connection.receiving.set(Receiving::Paused);
        if connection.life.get() != Life::Doomed {
            self.resume(connection);
        }
    }

    fn receive_ended(&self, connection: &Rc<Connection>, error: Option<i32>) {
        connection.receiving.set(Receiving::Ended);
        if let Some(error) = error {
            connection.fail(error);
        }
        if connection.life.get() == Life::Lingering {
            self.doom(connection);
        }
        connection.wake_all();
    }

    fn completed_send(&self, connection: &Rc<Connection>, result: i32) {
        debug_assert!(connection.is_in_flight());
        let mut flight = connection.flight.borrow_mut();
        if result < 0 && !matches!(-result, libc::EINTR | libc::EAGAIN) {
            flight.clear();
            connection.outbox.borrow_mut().clear();
            connection.sending.set(Sending::Idle);
            drop(flight);
            connection.fail(-result);
            self.release_if_free(connection);
            return;
        }
        let sent = usize::try_from(result).unwrap_or(0);
        flight.advance(sent);
        self.shared.counters.sent_bytes.add(sent as u64);
        if connection.life.get() == Life::Doomed {
            connection.sending.set(Sending::Idle);
            drop(flight);
            self.release_if_free(connection);
            return;
        }
        if !flight.is_empty() {
            drop(flight);
            self.push_send(connection);
            return;
        }
        self.pool.give_back(&mut flight);
        drop(flight);
        if connection.sending.replace(Sending::Idle) == Sending::InFlightThenMore {
            self.queue_send(connection);
        }
        if let Some(writer) = connection.writer.take() {
            writer.wake();
        }
        if connection.held_back.replace(false)
            && let Some(reader) = connection.reader.take()
        {
            reader.wake();
        }
    }
}
