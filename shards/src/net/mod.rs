//! One core's sockets: its ring, its listeners, its connections.
//!
//! Sessions change a connection's buffers and state; [`Net`] tells the ring, and the ring's
//! completions tell the sessions. Nothing here waits: `driver` decides when to enter the ring.

mod buffers;
mod completion;
mod connection;
mod linger;
mod listener;
mod pool;
mod ring;
mod tls;

pub(crate) use completion::Kind;
pub(crate) use connection::{Connection, Life, Receiving, Sending};
pub(crate) use listener::{ListeningSocket, bind};
pub(crate) use pool::Pool;
pub(crate) use tls::Tls;

use crate::balance::Seat;
use crate::core::{CoreShared, Cores};
use crate::{Admission, ListenerId, Options, StartError};
use bytes::BytesMut;
use io_uring::{cqueue, opcode, types};
use linger::Linger;
use ring::Ring;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

/// Connections past the limit that are still handed to the program, so that it can say why it
/// refuses them. Beyond this excess they are closed without a word.
pub(crate) const EXCESS_CONNECTIONS_MAX: usize = 64;

/// Completions handled in one pass: bounds how long sessions wait for their turn.
const COMPLETIONS_A_PASS_MAX: usize = 512;

/// Bytes enciphered in one pass: bounds how long sessions wait for their turn.
const SEALED_BYTES_A_PASS_MAX: usize = 256 * 1024;

/// Bytes of one send; what is longer goes in several.
const SEND_BYTES_MAX: usize = 1 << 30;

/// A connection on its way to the core that will serve it.
pub(crate) struct Arrival {
    pub(crate) socket: OwnedFd,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: ListenerId,
    pub(crate) admission: Admission,
    pub(crate) seat: Seat,
}

pub(crate) struct Net {
    ring: RefCell<Ring>,
    pub(crate) shared: Arc<CoreShared>,
    pub(crate) cores: Arc<Cores>,
    pub(crate) pool: Pool,
    pub(crate) inbox_bytes_max: usize,
    pub(crate) outbox_bytes_max: usize,
    connections: RefCell<Slab<Rc<Connection>>>,
    serial: Cell<u32>,
    /// With something to send.
    queued: RefCell<Vec<Rc<Connection>>>,
    /// Waiting for receive buffers.
    starved: RefCell<Vec<Rc<Connection>>>,
    listeners: RefCell<Vec<ListeningSocket>>,
    /// Accepted, for this core, and not yet given to the shard.
    arrivals: RefCell<Vec<Arrival>>,
    linger: Linger,
    completions: RefCell<Vec<cqueue::Entry>>,
    /// The driver, while it sleeps.
    driver: Cell<Option<Waker>>,
}

impl Net {
    /// The sockets of this core; to be called on its thread.
    pub(crate) fn new(
        shared: Arc<CoreShared>,
        cores: Arc<Cores>,
        listeners: Vec<ListeningSocket>,
        options: &Options,
    ) -> Result<Self, StartError> {
        let ring = Ring::new(shared.doorbell.event())?;
        let net = Self {
            ring: RefCell::new(ring),
            shared,
            cores,
            pool: Pool::default(),
            inbox_bytes_max: options.inbox_bytes_max,
            outbox_bytes_max: options.outbox_bytes_max,
            connections: RefCell::default(),
            serial: Cell::new(0),
            queued: RefCell::default(),
            starved: RefCell::default(),
            listeners: RefCell::new(listeners),
            arrivals: RefCell::default(),
            linger: Linger::default(),
            completions: RefCell::new(Vec::with_capacity(COMPLETIONS_A_PASS_MAX)),
            driver: Cell::new(None),
        };
        let listeners = net.listeners.borrow().len();
        (0..listeners).for_each(|index| net.arm_accept(index));
        Ok(net)
    }

    // What sessions do.

    /// Has the outbox sent at the end of the slice.
    pub(crate) fn flush(&self, connection: &Rc<Connection>) {
        if connection.failure.get().is_some() {
            connection.outbox.borrow_mut().clear();
            return;
        }
        if let Some(tls) = &mut *connection.tls.borrow_mut() {
            tls.flush(connection.outbox.borrow().len());
        }
        self.queue_send(connection);
    }

    /// Sends what has been flushed at the end of the slice, or after what is in flight.
    pub(crate) fn queue_send(&self, connection: &Rc<Connection>) {
        if !connection.has_to_send() {
            return;
        }
        match connection.sending.get() {
            Sending::Idle => {
                connection.sending.set(Sending::Queued);
                self.queued.borrow_mut().push(Rc::clone(connection));
                self.kick();
            }
            Sending::InFlight => connection.sending.set(Sending::InFlightThenMore),
            Sending::Queued | Sending::InFlightThenMore => {}
        }
    }

    /// Receives again when the session has made room in a full inbox, or waits for more than it
    /// holds: the rest of a message that is longer than `inbox_bytes_max`.
    pub(crate) fn resume(&self, connection: &Rc<Connection>) {
        if connection.receiving.get() == Receiving::Paused
            && (connection.unconsumed() < self.inbox_bytes_max
                || connection.awaits_bytes()
                || connection.life.get() == Life::Lingering)
        {
            self.arm_receive(connection);
            self.kick();
        }
    }

    /// The session has ended and everything is sent: ends our side, and lets the peer end its.
    pub(crate) fn finish(&self, connection: &Rc<Connection>) {
        if connection.life.get() != Life::Open {
            return;
        }
        if connection.receiving.get() == Receiving::Ended || connection.failure.get().is_some() {
            self.doom(connection);
            return;
        }
        connection.life.set(Life::Lingering);
        let socket = connection.socket.borrow();
        let socket = socket.as_ref().expect("released connections do not finish");
        // A plain system call: IORING_OP_SHUTDOWN would go to a worker thread. It fails only
        // when the connection has failed, and then the ring says so too.
        let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
        self.pool.give_back(&mut connection.inbox.borrow_mut());
        connection.tls.take();
        self.resume(connection);
        if !self.linger.add(connection) {
            self.doom(connection);
        }
    }

    /// Ends the connection at once; what is unsent is thrown away.
    pub(crate) fn abort(&self, connection: &Rc<Connection>) {
        if matches!(connection.life.get(), Life::Doomed | Life::Released) {
            return;
        }
        if let Some(socket) = &*connection.socket.borrow() {
            let socket = socket2::SockRef::from(socket);
            // So that closing does not leave the kernel trying to deliver what is unsent.
            let _ = socket.set_linger(Some(std::time::Duration::ZERO));
        }
        connection.fail(libc::ECONNABORTED);
        self.doom(connection);
    }

    /// Lets the ring let go of the connection, then releases it.
    fn doom(&self, connection: &Rc<Connection>) {
        connection.life.set(Life::Doomed);
        if connection.is_in_the_ring()
            && let Some(socket) = &*connection.socket.borrow()
        {
            // Ends what is under way in both directions without a cancel request for each.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Both);
            // The completions come by the ring's next pass.
            self.kick();
        }
        self.release_if_free(connection);
    }

    /// Wakes the driver if it sleeps.
    pub(crate) fn kick(&self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    // What the driver does.

    pub(crate) fn set_sleeping_driver(&self, driver: Waker) {
        self.driver.set(Some(driver));
    }

    /// Whether anything has to be done that the kernel would not ring the doorbell for.
    pub(crate) fn has_work(&self) -> bool {
        let mut ring = self.ring.borrow_mut();
        ring.has_work()
            || ring.has_completions()
            || !self.queued.borrow().is_empty()
            || !self.arrivals.borrow().is_empty()
    }

    /// Sends what is queued and lets the kernel work.
    pub(crate) fn submit(&self) {
        let mut queued = std::mem::take(&mut *self.queued.borrow_mut());
        let (mut begun, mut sealed) = (0, 0);
        for connection in &queued {
            // The rest have their turn in the next pass.
            if sealed >= SEALED_BYTES_A_PASS_MAX {
                break;
            }
            sealed += self.begin_send(connection);
            begun += 1;
        }
        queued.drain(..begun);
        // The list's memory is used again.
        let mut list = self.queued.borrow_mut();
        debug_assert!(list.is_empty(), "sending queues nothing");
        *list = queued;
        drop(list);
        let mut ring = self.ring.borrow_mut();
        if ring.has_work() {
            self.shared.counters.ring_enters.add(1);
            ring.enter();
        }
    }

    /// Takes completions and wakes who waits for them. Returns how many there were.
    pub(crate) fn reap(&self) -> usize {
        let mut completions = self.completions.take();
        {
            let mut ring = self.ring.borrow_mut();
            ring.take(&mut completions);
        }
        for completion in &completions {
            self.complete(completion);
        }
        let count = completions.len();
        self.shared.counters.ring_completions.add(count as u64);
        completions.clear();
        self.completions.replace(completions);
        if count > 0 {
            self.ring.borrow_mut().buffers.publish();
            self.rearm_starved();
        }
        count
    }

    /// Asks the kernel to ring the doorbell, or takes that back.
    pub(crate) fn set_event(&self, ring_the_doorbell: bool) {
        let mut ring = self.ring.borrow_mut();
        if ring_the_doorbell {
            ring.enable_event();
        } else {
            ring.disable_event();
        }
    }

    pub(crate) fn take_arrival(&self) -> Option<Arrival> {
        self.arrivals.borrow_mut().pop()
    }

    /// Makes a connection of this core.
    pub(crate) fn adopt(&self, arrival: Arrival) -> Rc<Connection> {
        let mut connections = self.connections.borrow_mut();
        let entry = connections.vacant_entry();
        let slot = u32::try_from(entry.key()).expect("fewer connections than descriptors");
        let serial = self.serial.get().wrapping_add(1);
        self.serial.set(serial);
        let connection = Rc::new(Connection {
            slot: Cell::new(slot),
            serial,
            socket: RefCell::new(Some(arrival.socket)),
            peer: arrival.peer,
            listener: arrival.listener,
            admission: arrival.admission,
            seat: Cell::new(Some(arrival.seat)),
            life: Cell::new(Life::Open),
            receiving: Cell::new(Receiving::Paused),
            sending: Cell::new(Sending::Idle),
            failure: Cell::new(None),
            tls: RefCell::new(None),
            inbox: RefCell::new(BytesMut::new()),
            unseen: Cell::new(0),
            held_back: Cell::new(false),
            outbox: RefCell::new(BytesMut::new()),
            flight: RefCell::new(BytesMut::new()),
            reader: Cell::new(None),
            writer: Cell::new(None),
            watcher: Cell::new(None),
        });
        entry.insert(Rc::clone(&connection));
        drop(connections);
        self.arm_receive(&connection);
        connection
    }

    /// Stops accepting. Connections that wait unaccepted are reset by the kernel.
    pub(crate) fn stop_accepting(&self) {
        let listeners = std::mem::take(&mut *self.listeners.borrow_mut());
        for index in 0..listeners.len() {
            let cancel = opcode::AsyncCancel::new(Kind::Accept.with(index as u32));
            let entry = cancel.build().user_data(Kind::Ignored.with(0));
            // SAFETY: a cancel request points to nothing.
            unsafe { self.ring.borrow_mut().push(&entry) };
        }
        self.ring.borrow_mut().enter();
    }

    /// Ends every connection; returns how many there were.
    pub(crate) fn abort_all(&self) -> usize {
        let all: Vec<_> = self.all_connections();
        all.iter().for_each(|connection| self.abort(connection));
        all.len()
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.connections.borrow().len()
    }

    fn all_connections(&self) -> Vec<Rc<Connection>> {
        let connections = self.connections.borrow();
        connections.iter().map(|(_, one)| Rc::clone(one)).collect()
    }

    // Requests.

    fn arm_accept(&self, index: usize) {
        let listeners = self.listeners.borrow();
        let Some(listener) = listeners.get(index) else {
            return;
        };
        let descriptor = types::Fd(listener.socket.as_raw_fd());
        let accept = opcode::AcceptMulti::new(descriptor).flags(libc::SOCK_CLOEXEC);
        let entry = accept.build().user_data(Kind::Accept.with(index as u32));
        // SAFETY: a multishot accept points to nothing.
        unsafe { self.ring.borrow_mut().push(&entry) };
    }

    fn arm_receive(&self, connection: &Connection) {
        let Some(descriptor) = descriptor(connection) else {
            return;
        };
        connection.receiving.set(Receiving::Armed);
        let receive = opcode::RecvMulti::new(types::Fd(descriptor), buffers::BUFFER_GROUP);
        let user_data = Kind::Receive.with(connection.slot.get());
        let entry = receive.build().user_data(user_data);
        // SAFETY: it writes into the ring's own buffers only.
        unsafe { self.ring.borrow_mut().push(&entry) };
    }

    fn pause_receive(&self, connection: &Connection) {
        connection.receiving.set(Receiving::Pausing);
        let cancel = opcode::AsyncCancel::new(Kind::Receive.with(connection.slot.get()));
        let entry = cancel.build().user_data(Kind::Ignored.with(0));
        // SAFETY: a cancel request points to nothing.
        unsafe { self.ring.borrow_mut().push(&entry) };
    }

    fn rearm_starved(&self) {
        let starved = std::mem::take(&mut *self.starved.borrow_mut());
        for connection in &starved {
            if connection.receiving.get() == Receiving::Starved {
                self.arm_receive(connection);
            }
        }
    }

    /// Moves the outbox into flight, enciphered where it must be, and sends it. Returns how many
    /// bytes have been enciphered.
    fn begin_send(&self, connection: &Connection) -> usize {
        if connection.failure.get().is_some() || connection.life.get() == Life::Released {
            connection.sending.set(Sending::Idle);
            connection.outbox.borrow_mut().clear();
            return 0;
        }
        debug_assert_eq!(connection.sending.get(), Sending::Queued);
        debug_assert!(connection.flight.borrow().is_empty());
        let mut outbox = connection.outbox.borrow_mut();
        let mut flight = connection.flight.borrow_mut();
        let mut more_follows = false;
        let mut sealed = 0;
        match &mut *connection.tls.borrow_mut() {
            None => std::mem::swap(&mut *outbox, &mut *flight),
            Some(tls) => {
                if flight.capacity() == 0 {
                    *flight = self.pool.take();
                }
                tls.seal(&mut outbox, &mut flight);
                if outbox.is_empty() {
                    self.pool.give_back(&mut outbox);
                }
                more_follows = tls.has_to_send();
                sealed = flight.len();
            }
        }
        let nothing_to_send = flight.is_empty();
        drop((outbox, flight));
        if nothing_to_send {
            connection.sending.set(Sending::Idle);
            return 0;
        }
        self.push_send(connection);
        if more_follows {
            connection.sending.set(Sending::InFlightThenMore);
        }
        sealed
    }

    /// Sends what is in flight from its beginning.
    fn push_send(&self, connection: &Connection) {
        let Some(descriptor) = descriptor(connection) else {
            return;
        };
        let flight = connection.flight.borrow();
        let bytes = flight.len().min(SEND_BYTES_MAX) as u32;
        let send = opcode::Send::new(types::Fd(descriptor), flight.as_ptr(), bytes)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
        let user_data = Kind::Send.with(connection.slot.get());
        let entry = send.build().user_data(user_data);
        if !connection.is_in_flight() {
            connection.sending.set(Sending::InFlight);
        }
        // SAFETY: `flight` is not touched while it is in flight, and the slot keeps the
        // connection alive until the completion has been taken.
        unsafe { self.ring.borrow_mut().push(&entry) };
    }

    /// Closes the descriptor of a doomed connection that the ring has let go of.
    fn release_if_free(&self, connection: &Rc<Connection>) {
        if connection.life.get() != Life::Doomed || connection.is_in_the_ring() {
            return;
        }
        connection.life.set(Life::Released);
        connection.receiving.set(Receiving::Ended);
        connection.sending.set(Sending::Idle);
        connection.flight.take();
        connection.outbox.take();
        connection.tls.take();
        drop(connection.socket.take());
        let slot = connection.slot.get() as usize;
        self.connections.borrow_mut().remove(slot);
        drop(connection.seat.take());
        connection.wake_all();
    }
}

fn descriptor(connection: &Connection) -> Option<RawFd> {
    let socket = connection.socket.borrow();
    socket.as_ref().map(AsRawFd::as_raw_fd)
}
