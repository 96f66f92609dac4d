//! Snapshots published to every core, with a fence (DESIGN §2).
//!
//! `publish` stores the snapshot, then raises one shared word, `epoch_required`. A core loads
//! that word whenever it asks for its current snapshot and adopts first when it is behind: so a
//! core that has not yet taken notice cannot admit anything on an older snapshot. Besides, its
//! driver adopts between two slices, and calls back what the program has to end because of the
//! change; when that is done the core *acknowledges* the epoch, for which the publisher waits.

use crate::CoreId;
use crate::core::Core;
use crate::doorbell::Doorbell;
use crossbeam::utils::CachePadded;
use parking_lot::{Condvar, Mutex};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    /// Alone on its cache line: every statement of every core loads it.
    epoch_required: CachePadded<AtomicU64>,
    latest: Mutex<(u64, Arc<T>)>,
    adoption: Mutex<Adoption>,
    acknowledged: Condvar,
}

/// How far the cores are.
struct Adoption {
    cores: Vec<CoreProgress>,
}

struct CoreProgress {
    acknowledged: u64,
    attached: bool,
    /// Of the core, once it has its replica.
    doorbell: Option<Arc<Doorbell>>,
}

impl<T: Send + Sync + 'static> Publisher<T> {
    /// A publisher for so many cores, beginning with a snapshot that all of them have.
    pub fn new(cores: usize, initial: (u64, Arc<T>)) -> Arc<Self> {
        let progress = |_| CoreProgress {
            acknowledged: initial.0,
            attached: false,
            doorbell: None,
        };
        Arc::new(Self {
            epoch_required: CachePadded::new(AtomicU64::new(initial.0)),
            adoption: Mutex::new(Adoption {
                cores: (0..cores).map(progress).collect(),
            }),
            latest: Mutex::new(initial),
            acknowledged: Condvar::new(),
        })
    }

    /// Publishes a newer snapshot: from here on no core admits anything on an older one.
    ///
    /// # Panics
    ///
    /// When the epoch is not above the last one.
    pub fn publish(&self, epoch: u64, snapshot: Arc<T>) {
        let mut latest = self.latest.lock();
        assert!(
            epoch > latest.0,
            "epochs only rise: {epoch} after {}",
            latest.0
        );
        *latest = (epoch, snapshot);
        drop(latest);
        // Release: whoever sees the epoch finds its snapshot. Raised only, because two threads
        // may have published one after the other and arrive here in the other order.
        self.epoch_required.fetch_max(epoch, Ordering::Release);
        for core in &self.adoption.lock().cores {
            if let Some(doorbell) = &core.doorbell {
                doorbell.ring();
            }
        }
    }

    /// The newest snapshot, from any thread.
    pub fn latest(&self) -> (u64, Arc<T>) {
        self.latest.lock().clone()
    }

    /// Waits until every core has acknowledged the epoch; returns the cores that have not
    /// within the bound. Blocks the calling thread: never on a core.
    pub fn wait_adopted(&self, epoch: u64, bound: Duration) -> Vec<CoreId> {
        let end = Instant::now() + bound;
        let mut adoption = self.adoption.lock();
        loop {
            let late = adoption.late(epoch);
            if late.is_empty() {
                return late;
            }
            if self.acknowledged.wait_until(&mut adoption, end).timed_out() {
                return adoption.late(epoch);
            }
        }
    }

    /// The cores that have not yet acknowledged the epoch.
    pub fn late(&self, epoch: u64) -> Vec<CoreId> {
        self.adoption.lock().late(epoch)
    }

    /// How many cores it publishes to.
    pub fn cores(&self) -> usize {
        self.adoption.lock().cores.len()
    }

    /// The replica of the core that calls. Once for each core.
    ///
    /// # Panics
    ///
    /// On a thread that is not a core, or when the core has one already.
    pub fn replica(self: &Arc<Self>) -> Replica<T> {
        let core = Core::current();
        let replica = self.attach(core.shared.id, Some(Arc::clone(&core.shared.doorbell)));
        core.followers.borrow_mut().push(replica.follower());
        replica
    }

    /// A replica for a core, which somebody else has to drive.
    pub(crate) fn attach(self: &Arc<Self>, id: CoreId, bell: Option<Arc<Doorbell>>) -> Replica<T> {
        let mut adoption = self.adoption.lock();
        let core = &mut adoption.cores[id.index()];
        assert!(!core.attached, "core {id} has its replica already");
        core.attached = true;
        core.doorbell = bell;
        drop(adoption);
        let (epoch, snapshot) = self.latest();
        let adopted = Arc::new(Adopted { epoch, snapshot });
        let state = Rc::new(State {
            core: id,
            publisher: Arc::clone(self),
            adopted: RefCell::new(Arc::clone(&adopted)),
            reported: RefCell::new(adopted),
            callback: RefCell::new(None),
            outstanding: RefCell::default(),
            calling: Cell::new(false),
        });
        // What was published since the publisher was made has been adopted right here.
        state.acknowledge_settled();
        Replica { state }
    }

    fn acknowledge(&self, core: CoreId, epoch: u64) {
        let mut adoption = self.adoption.lock();
        let core = &mut adoption.cores[core.index()];
        if epoch > core.acknowledged {
            core.acknowledged = epoch;
            self.acknowledged.notify_all();
        }
    }
}

impl Adoption {
    fn late(&self, epoch: u64) -> Vec<CoreId> {
        let cores = (0..).map(CoreId).zip(&self.cores);
        cores
            .filter(|(_, core)| core.acknowledged < epoch)
            .map(|(id, _)| id)
            .collect()
    }
}

type Callback<T> = dyn Fn(&Arc<Adopted<T>>, &Arc<Adopted<T>>) -> Acknowledge;

/// One core's replica.
pub struct Replica<T> {
    state: Rc<State<T>>,
}

struct State<T> {
    core: CoreId,
    publisher: Arc<Publisher<T>>,
    adopted: RefCell<Arc<Adopted<T>>>,
    /// The snapshot that the program was last told of.
    reported: RefCell<Arc<Adopted<T>>>,
    callback: RefCell<Option<Rc<Callback<T>>>>,
    /// Epochs that the program has said it will acknowledge later, each with the one reported
    /// before it: the epochs in between were passed over, and are not settled either.
    outstanding: RefCell<BTreeMap<u64, u64>>,
    /// Set inside the callback.
    calling: Cell<bool>,
}

impl<T> Clone for Replica<T> {
    fn clone(&self) -> Self {
        Self {
            state: Rc::clone(&self.state),
        }
    }
}

impl<T: Send + Sync + 'static> Replica<T> {
    pub(crate) fn follower(&self) -> Rc<dyn Follower> {
        Rc::clone(&self.state) as Rc<dyn Follower>
    }

    /// The snapshot in force, adopted first when a newer one has been published. Costs one load
    /// of a shared word. Callbacks do not run inside: they follow between two slices, so this
    /// may be called with borrows held.
    pub fn current(&self) -> Arc<Adopted<T>> {
        self.state.adopt();
        Arc::clone(&self.state.adopted.borrow())
    }

    /// The epoch of the snapshot in force, adopted first like in [`current`](Self::current).
    pub fn epoch(&self) -> u64 {
        self.state.adopt();
        self.state.adopted.borrow().epoch
    }

    /// Calls back between two slices after a newer snapshot has been adopted, with the one last
    /// reported and the new one (epochs in between may have been passed over). Without a
    /// callback the core acknowledges at once.
    pub fn on_adopt(
        &self,
        callback: impl Fn(&Arc<Adopted<T>>, &Arc<Adopted<T>>) -> Acknowledge + 'static,
    ) {
        *self.state.callback.borrow_mut() = Some(Rc::new(callback));
    }

    /// What the change of this epoch concerned has ended. To be called once for each epoch that
    /// was answered by [`Acknowledge::Later`].
    pub fn acknowledge(&self, epoch: u64) {
        self.state.outstanding.borrow_mut().remove(&epoch);
        self.state.acknowledge_settled();
    }
}

impl<T: Send + Sync + 'static> State<T> {
    /// Adopts the newest snapshot when the one in force is older than required.
    fn adopt(&self) {
        if !self.is_behind_required() {
            return;
        }
        let (epoch, snapshot) = self.publisher.latest();
        let mut adopted = self.adopted.borrow_mut();
        assert!(epoch >= adopted.epoch, "a core's epoch never goes back");
        *adopted = Arc::new(Adopted { epoch, snapshot });
    }

    fn is_behind_required(&self) -> bool {
        let required = self.publisher.epoch_required.load(Ordering::Acquire);
        self.adopted.borrow().epoch < required
    }

    /// Tells the program of a snapshot that it has not been told of.
    fn report(&self) {
        let new = Arc::clone(&self.adopted.borrow());
        let old = Arc::clone(&self.reported.borrow());
        if new.epoch == old.epoch || self.calling.get() {
            return;
        }
        // Before the call: one that panics is not repeated for the same epoch, and while it is
        // outstanding nothing is acknowledged.
        *self.reported.borrow_mut() = Arc::clone(&new);
        self.outstanding.borrow_mut().insert(new.epoch, old.epoch);
        let callback = self.callback.borrow().clone();
        self.calling.set(true);
        let calling = Calling(&self.calling);
        let answer = callback.map_or(Acknowledge::Now, |callback| callback(&old, &new));
        drop(calling);
        if answer == Acknowledge::Now {
            self.outstanding.borrow_mut().remove(&new.epoch);
            self.acknowledge_settled();
        }
    }

    /// Acknowledges as far as nothing is outstanding.
    fn acknowledge_settled(&self) {
        let reported = self.reported.borrow().epoch;
        let settled = match self.outstanding.borrow().first_key_value() {
            Some((_, &before)) => before,
            None => reported,
        };
        self.publisher.acknowledge(self.core, settled);
    }
}

struct Calling<'a>(&'a Cell<bool>);

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// What the driver does for replicas, whatever they hold.
pub(crate) trait Follower {
    /// Adopts and reports when there is something new.
    fn follow(&self);
    /// Whether there is.
    fn is_behind(&self) -> bool;
}

impl<T: Send + Sync + 'static> Follower for State<T> {
    fn follow(&self) {
        self.adopt();
        self.report();
    }

    fn is_behind(&self) -> bool {
        self.is_behind_required() || self.adopted.borrow().epoch != self.reported.borrow().epoch
    }
}
