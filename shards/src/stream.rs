//! One connection, as its session sees it.

use bytes::BytesMut;
use std::cell::RefMut;
use std::io;
use std::net::SocketAddr;

/// Whether a connection is within the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may be served.
    Admitted,
    /// The server has its connections_max: say so and close.
    OverLimit,
}

/// One plain connection. Lives on its core. Dropping it without [`Stream::close`] aborts the
/// connection; what was flushed before may then not arrive.
pub struct Stream {
    _core: std::marker::PhantomData<std::rc::Rc<()>>,
}

impl Stream {
    /// The peer's address.
    pub fn peer(&self) -> SocketAddr {
        todo!()
    }

    /// Our own address.
    pub fn local(&self) -> SocketAddr {
        todo!()
    }

    /// Whether it is within the limit of connections.
    pub fn admission(&self) -> Admission {
        todo!()
    }

    /// What has been received and not yet consumed; consume with `advance` or `split_to`. Not
    /// to be held over an await.
    pub fn inbox(&self) -> RefMut<'_, BytesMut> {
        todo!()
    }

    /// Waits until the inbox has grown, and returns by how much since the last call. 0: the
    /// peer has ended its side.
    ///
    /// # Errors
    ///
    /// The connection was reset or aborted.
    pub async fn fill(&self) -> io::Result<usize> {
        todo!()
    }

    /// What is to be sent: append to it, then [`flush`](Self::flush). Not to be held over an
    /// await.
    pub fn outbox(&self) -> RefMut<'_, BytesMut> {
        todo!()
    }

    /// Has the outbox sent at the end of the slice.
    pub fn flush(&self) {
        todo!()
    }

    /// Waits until at most so many bytes are waiting to be sent (those in flight included).
    /// Flushes.
    ///
    /// # Errors
    ///
    /// The connection was reset or aborted: nothing more will be sent.
    pub async fn drained(&self, _bytes: usize) -> io::Result<()> {
        todo!()
    }

    /// Resolves when the peer has ended its side or the connection has failed, without
    /// consuming anything: for stopping a statement whose client has gone.
    pub async fn peer_gone(&self) {
        todo!()
    }

    /// Whether the peer has ended its side (what it sent before may still be in the inbox).
    pub fn peer_closed(&self) -> bool {
        todo!()
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        todo!()
    }

    /// Sends what is in the outbox, then closes. Waits at most a few seconds for a peer that
    /// does not read.
    pub async fn close(&self) {
        todo!()
    }

    /// Ends the connection at once; `fill` and `drained` then fail.
    pub fn abort(&self) {
        todo!()
    }
}
