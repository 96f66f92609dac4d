//! Starting and stopping the cores.

use crate::{CoreId, CoreMetrics, ListenerId, Mesh, Options, StartError, StartWarning, Stream};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// What the program runs on each core. Built on the core's own thread.
pub trait Shard: 'static {
    /// What cores are told over the mesh.
    type Message: Send + 'static;

    /// A connection has been accepted: starts its task with [`spawn`](crate::spawn). Must not
    /// take long.
    fn accepted(self: &Rc<Self>, listener: ListenerId, stream: Stream);

    /// A message has arrived.
    fn message(self: &Rc<Self>, message: Self::Message);

    /// The runtime is being drained: nothing is accepted any more, and sessions should end as
    /// soon as what they are doing has ended.
    fn drain(self: &Rc<Self>);
}

/// What a shard is built with.
pub struct CoreContext<M> {
    /// The core it runs on.
    pub core: CoreId,
    /// How many there are.
    pub cores: usize,
    /// To all cores.
    pub mesh: Mesh<M>,
}

/// The running cores.
pub struct Runtime<M> {
    _message: std::marker::PhantomData<fn(M)>,
}

impl<M: Send + 'static> Runtime<M> {
    /// How many cores a runtime with these options will have.
    pub fn cores_of(_options: &Options) -> usize {
        todo!()
    }

    /// Starts a thread for each core, pinned, and returns when all of them listen.
    ///
    /// # Errors
    ///
    /// What [`StartError`] says; nothing is left running then.
    pub fn start<S: Shard<Message = M>>(
        _options: Options,
        _make_shard: impl Fn(CoreContext<M>) -> S + Clone + Send + 'static,
    ) -> Result<Self, StartError> {
        todo!()
    }

    /// Limits of the system that were too low for the options.
    pub fn warnings(&self) -> &[StartWarning] {
        todo!()
    }

    /// How many connections are served at most.
    pub fn connections_max(&self) -> usize {
        todo!()
    }

    /// The mesh.
    pub fn mesh(&self) -> Mesh<M> {
        todo!()
    }

    /// The addresses a listener is bound to.
    pub fn addresses(&self, _listener: ListenerId) -> &[SocketAddr] {
        todo!()
    }

    /// A handle for `/metrics` that outlives no core and may be used from any thread.
    pub fn metrics(&self) -> Vec<CoreMetrics> {
        todo!()
    }

    /// Stops accepting, tells the shards to drain, waits at most so long for connections to
    /// end, and aborts those that are left. Returns how many were aborted. Blocks.
    pub fn drain(&self, _bound: Duration) -> usize {
        todo!()
    }

    /// Stops the cores and waits for their threads.
    pub fn join(self) {
        todo!()
    }
}
