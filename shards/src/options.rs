//! What a runtime is started with.

use std::net::SocketAddr;

/// One port of the program: its name and the addresses it listens on.
#[derive(Clone, Debug)]
pub struct Listener {
    /// For messages and metrics, such as `pgwire`.
    pub name: &'static str,
    /// Every address (localhost is both 127.0.0.1 and ::1). Port 0 takes a free one, which
    /// [`Runtime::addresses`](crate::Runtime::addresses) then tells.
    pub addresses: Vec<SocketAddr>,
}

/// A listener by its place in [`Options::listeners`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

/// What a runtime is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many cores to run on; `None` for all that the process may use.
    pub cores: Option<usize>,
    /// The ports to listen on.
    pub listeners: Vec<Listener>,
    /// Connections served at once on all cores. Beyond it a connection is handed over marked
    /// [`Admission::OverLimit`](crate::Admission::OverLimit), so that the program can say why
    /// it refuses; beyond a small excess it is closed.
    pub connections_max: usize,
    /// Memory that each core's executor registers for file I/O.
    pub io_memory_bytes: usize,
    /// Bytes received and not yet consumed, past which a connection is not read from until the
    /// session has caught up.
    pub inbox_bytes_max: usize,
    /// Bytes to be sent, past which a session is given no more input until the peer has read
    /// some of them: a peer that only sends cannot fill the memory with its answers.
    pub outbox_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cores: None,
            listeners: Vec::new(),
            connections_max: 10_000,
            io_memory_bytes: 64 * 1024,
            inbox_bytes_max: 256 * 1024,
            outbox_bytes_max: 256 * 1024,
        }
    }
}
