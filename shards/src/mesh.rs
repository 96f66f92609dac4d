//! Typed messages to cores, from any thread.

use crate::CoreId;

/// Sends messages to the cores of a runtime. Cheap to clone; usable from every thread.
pub struct Mesh<M> {
    _message: std::marker::PhantomData<fn(M)>,
}

impl<M> Clone for Mesh<M> {
    fn clone(&self) -> Self {
        todo!()
    }
}

/// Why a message was not taken; it is given back.
#[derive(Debug, PartialEq, Eq)]
pub enum SendError<M> {
    /// The core's mailbox holds as many messages as it may.
    Full(M),
    /// The core has stopped.
    Stopped(M),
}

impl<M: Send + 'static> Mesh<M> {
    /// How many cores there are.
    pub fn cores(&self) -> usize {
        todo!()
    }

    /// Puts a message into a core's mailbox. The core takes it between two slices: messages of
    /// one sender arrive in order.
    ///
    /// # Errors
    ///
    /// The mailbox is full, or the core has stopped.
    pub fn send(&self, _core: CoreId, _message: M) -> Result<(), SendError<M>> {
        todo!()
    }

    /// Sends a copy to every core; returns the cores that did not take it.
    pub fn broadcast(&self, _message: &M) -> Vec<CoreId>
    where
        M: Clone,
    {
        todo!()
    }
}
