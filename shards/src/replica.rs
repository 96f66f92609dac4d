//! Snapshots published to every core, with a fence (DESIGN §2).

use crate::CoreId;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// A snapshot as one core has adopted it. Cloning the `Arc` around it touches a counter that
/// only this core (and what it starts) uses.
pub struct Adopted<T> {
    epoch: u64,
    snapshot: Arc<T>,
}

impl<T> Adopted<T> {
    /// The epoch of the snapshot.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The shared snapshot itself.
    pub fn snapshot(&self) -> &Arc<T> {
        &self.snapshot
    }
}

impl<T> Deref for Adopted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.snapshot
    }
}

/// What a core answers when it has been told of a new snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// Nothing that the change concerns is under way.
    Now,
    /// Something has to end first; [`Replica::acknowledge`] says when it has.
    Later,
}

/// The publishing end: one for each kind of snapshot.
pub struct Publisher<T> {
    _snapshot: std::marker::PhantomData<T>,
}

impl<T: Send + Sync + 'static> Publisher<T> {
    /// A publisher for so many cores, beginning with a snapshot that all of them have.
    pub fn new(_cores: usize, _initial: (u64, Arc<T>)) -> Arc<Self> {
        todo!()
    }

    /// Publishes a newer snapshot: from here on no core admits anything on an older one.
    ///
    /// # Panics
    ///
    /// When the epoch is not above the last one.
    pub fn publish(&self, _epoch: u64, _snapshot: Arc<T>) {
        todo!()
    }

    /// The newest snapshot, from any thread.
    pub fn latest(&self) -> (u64, Arc<T>) {
        todo!()
    }

    /// Waits until every core has acknowledged the epoch; returns the cores that have not
    /// within the bound. Blocks the calling thread: never on a core.
    pub fn wait_adopted(&self, _epoch: u64, _bound: Duration) -> Vec<CoreId> {
        todo!()
    }

    /// The replica of the core that calls. Once for each core.
    pub fn replica(self: &Arc<Self>) -> Replica<T> {
        todo!()
    }
}

/// One core's replica.
pub struct Replica<T> {
    _snapshot: std::marker::PhantomData<std::rc::Rc<T>>,
}

impl<T> Clone for Replica<T> {
    fn clone(&self) -> Self {
        todo!()
    }
}

impl<T: Send + Sync + 'static> Replica<T> {
    /// The snapshot in force, adopted first when a newer one has been published. Costs one load
    /// of a shared word. Callbacks do not run inside: they follow between two slices.
    pub fn current(&self) -> Arc<Adopted<T>> {
        todo!()
    }

    /// Calls back between two slices after a newer snapshot has been adopted, with the one last
    /// reported and the new one (epochs in between may have been passed over). Without a
    /// callback the core acknowledges at once.
    pub fn on_adopt(
        &self,
        _callback: impl Fn(&Arc<Adopted<T>>, &Arc<Adopted<T>>) -> Acknowledge + 'static,
    ) {
        todo!()
    }

    /// What the change of this epoch concerned has ended.
    pub fn acknowledge(&self, _epoch: u64) {
        todo!()
    }
}
