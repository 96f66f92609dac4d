//! One connection, as its session sees it.

use crate::net::{Connection, Life, Net, Sending};
use bytes::BytesMut;
use std::cell::{Cell, RefMut};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How long closing waits for a peer that does not read what is still to be sent.
pub const CLOSE_FLUSH_MAX: Duration = Duration::from_secs(5);

/// Whether a connection is within the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may be served.
    Admitted,
    /// The server has its connections_max: say so and close.
    OverLimit,
}

/// One connection, plain until [`accept_tls`](Self::accept_tls). Lives on its core. One task may wait in each of [`fill`](Self::fill),
/// [`drained`](Self::drained) and [`peer_gone`](Self::peer_gone); it may be the same one. Dropping it without [`Stream::close`] aborts the
/// connection; what was flushed before may then not arrive.
pub struct Stream {
    pub(crate) net: Rc<Net>,
    pub(crate) connection: Rc<Connection>,
    peer: SocketAddr,
}

impl Stream {
    pub(crate) fn new(net: Rc<Net>, connection: Rc<Connection>) -> Self {
        let peer = connection.peer;
        Self {
            net,
            connection,
            peer,
        }
    }

    /// The peer's address, or whose connection it is by what a proxy has said.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whoever is at the other end, be it a proxy.
    pub fn hop(&self) -> SocketAddr {
        self.connection.peer
    }

    /// A proxy has said whose connection it is.
    pub fn set_peer(&mut self, peer: SocketAddr) {
        self.peer = peer;
    }

    /// Our own address. Costs a system call.
    ///
    /// # Errors
    ///
    /// The connection has been closed or aborted.
    pub fn local(&self) -> io::Result<SocketAddr> {
        let socket = self.connection.socket.borrow();
        let socket = socket.as_ref().ok_or_else(aborted)?;
        let address = socket2::SockRef::from(socket).local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::Error::other("not an internet address"))
    }

    /// The listener that accepted it.
    pub fn listener(&self) -> crate::ListenerId {
        self.connection.listener
    }

    /// Whether it is within the limit of connections.
    pub fn admission(&self) -> Admission {
        self.connection.admission
    }

    /// What has been received and not yet consumed; consume with `advance` or `split_to`. Not
    /// to be held over an await.
    pub fn inbox(&self) -> RefMut<'_, BytesMut> {
        self.connection.inbox.borrow_mut()
    }

    /// Waits until the inbox has grown, and returns by how much since the last call. 0: the
    /// peer has ended its side. What is in the inbox already does not count: consume it first.
    /// While more than [`Options::outbox_bytes_max`](crate::Options::outbox_bytes_max) wait to
    /// be sent it flushes and waits for the peer to read.
    ///
    /// # Errors
    ///
    /// The connection was reset or aborted. Of a TLS connection: it was cut before its peer had said
    /// that it ends, or the peer broke the protocol.
    pub async fn fill(&self) -> io::Result<usize> {
        poll_fn(|context| self.poll_fill(context)).await
    }

    fn poll_fill(&self, context: &Context<'_>) -> Poll<io::Result<usize>> {
        let connection = &self.connection;
        if connection.failure.get().is_none() && connection.unsent() > self.net.outbox_bytes_max {
            self.flush();
            connection.held_back.set(true);
            register(&connection.reader, context);
            return Poll::Pending;
        }
        if let Err(error) = self.open_received() {
            tracing::debug!(%error, peer = %self.peer(), "a TLS connection has failed");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let unseen = connection.unseen.take();
        if unseen > 0 {
            return Poll::Ready(Ok(unseen));
        }
        if let Some(error) = connection.failure.get() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(error)));
        }
        if connection.peer_has_ended() {
            return Poll::Ready(self.ended_in_order());
        }
        self.wait_for_bytes(context);
        Poll::Pending
    }

    /// The peer has ended its side. In TLS it says so first: whoever only cuts the connection may
    /// not be the peer.
    fn ended_in_order(&self) -> io::Result<usize> {
        match &*self.connection.tls.borrow() {
            Some(tls) if !tls.peer_has_closed() => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(0),
        }
    }

    /// The task is woken when something has arrived; meanwhile the connection holds no buffers.
    pub(crate) fn wait_for_bytes(&self, context: &Context<'_>) {
        // The handshake's answers, and tickets that no reply has taken along.
        if self.connection.tls.borrow().is_some() {
            self.net.queue_send(&self.connection);
        }
        self.give_back_buffers();
        register(&self.connection.reader, context);
        self.net.resume(&self.connection);
    }

    /// Deciphers what has been received, of a TLS connection.
    pub(crate) fn open_received(&self) -> Result<(), rustls::Error> {
        let connection = &self.connection;
        let mut tls = connection.tls.borrow_mut();
        let Some(tls) = tls.as_mut().filter(|tls| !tls.received.is_empty()) else {
            return Ok(());
        };
        let mut inbox = connection.inbox.borrow_mut();
        if inbox.capacity() == 0 {
            *inbox = self.net.pool.take();
        }
        let bytes = tls.open(&mut inbox)?;
        connection.unseen.set(connection.unseen.get() + bytes);
        Ok(())
    }

    /// An idle connection holds no buffers.
    fn give_back_buffers(&self) {
        if let Some(tls) = &mut *self.connection.tls.borrow_mut() {
            if tls.received.capacity() > 0 {
                self.net.pool.give_back(&mut tls.received);
            }
            tls.release_buffers();
        }
        for buffer in [&self.connection.inbox, &self.connection.outbox] {
            let mut buffer = buffer.borrow_mut();
            if buffer.is_empty() && buffer.capacity() > 0 {
                self.net.pool.give_back(&mut buffer);
            }
        }
    }

    /// What is to be sent: append to it, then [`flush`](Self::flush). Not to be held over an
    /// await.
    pub fn outbox(&self) -> RefMut<'_, BytesMut> {
        let mut outbox = self.connection.outbox.borrow_mut();
        if outbox.capacity() == 0 {
            *outbox = self.net.pool.take();
        }
        outbox
    }

    /// Has the outbox sent at the end of the slice.
    pub fn flush(&self) {
        self.net.flush(&self.connection);
    }

    /// Bytes that have not yet been given to the kernel.
    pub fn unsent(&self) -> usize {
        self.connection.unsent()
    }

    /// Waits until at most so many bytes are waiting to be sent (those in flight included).
    /// Flushes.
    ///
    /// # Errors
    ///
    /// The connection was reset or aborted: nothing more will be sent.
    pub async fn drained(&self, bytes: usize) -> io::Result<()> {
        self.flush();
        poll_fn(|context| {
            let connection = &self.connection;
            if let Some(error) = connection.failure.get() {
                return Poll::Ready(Err(io::Error::from_raw_os_error(error)));
            }
            if connection.unsent() <= bytes {
                return Poll::Ready(Ok(()));
            }
            register(&connection.writer, context);
            Poll::Pending
        })
        .await
    }

    /// Resolves when the peer has ended its side or the connection has failed, without
    /// consuming anything: for stopping a statement whose client has gone.
    pub async fn peer_gone(&self) {
        poll_fn(|context| {
            if self.peer_closed() {
                return Poll::Ready(());
            }
            register(&self.connection.watcher, context);
            Poll::Pending
        })
        .await;
    }

    /// Whether the peer has ended its side (what it sent before may still be in the inbox).
    /// Learned as it happens, without reading.
    pub fn peer_closed(&self) -> bool {
        self.connection.peer_has_ended() || self.is_closed()
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.connection.failure.get().is_some() || self.connection.life.get() != Life::Open
    }

    /// Sends what is in the outbox, and in TLS that it is all, then closes. A peer that does not read gets
    /// [`CLOSE_FLUSH_MAX`], then the connection is aborted.
    pub async fn close(&self) {
        if self.is_closed() {
            return;
        }
        if let Some(tls) = &mut *self.connection.tls.borrow_mut() {
            tls.ask_end();
        }
        self.flush();
        if self.connection.sending.get() != Sending::Idle
            && crate::timeout(CLOSE_FLUSH_MAX, self.drained(0))
                .await
                .is_err()
        {
            self.abort();
        }
        if self.connection.failure.get().is_some() {
            self.net.abort(&self.connection);
        } else {
            self.net.finish(&self.connection);
        }
    }

    /// Ends the connection at once; whoever waits in `fill` or `drained` gets an error.
    pub fn abort(&self) {
        self.net.abort(&self.connection);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.connection.life.get() == Life::Open {
            self.net.abort(&self.connection);
        }
    }
}

fn register(place: &Cell<Option<Waker>>, context: &Context<'_>) {
    // Kept when it is the same task's: cloning a waker costs an atomic instruction.
    let waker = match place.take() {
        Some(waker) if waker.will_wake(context.waker()) => waker,
        _ => context.waker().clone(),
    };
    place.set(Some(waker));
}

fn aborted() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}
