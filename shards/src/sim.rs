//! Cores without threads, for tests of what depends on the order of things.
//!
//! A [`SimulatedCore`] has a replica like a real one, but its driver passes only when the test
//! says so; [`Schedule`] chooses what happens next from a seed. So a test plays thousands of
//! orders of publishing, adopting, admitting and acknowledging on one thread, checks its
//! invariants after each step, and a failure is repeated by its seed.

use crate::replica::Follower;
use crate::{CoreId, Publisher, Replica};
use std::rc::Rc;
use std::sync::Arc;

/// A core whose driver the test moves.
pub struct SimulatedCore<T> {
    id: CoreId,
    replica: Replica<T>,
    follower: Rc<dyn Follower>,
}

impl<T: Send + Sync + 'static> SimulatedCore<T> {
    /// One core for each that the publisher counts.
    ///
    /// # Panics
    ///
    /// When the publisher has replicas already.
    pub fn all(publisher: &Arc<Publisher<T>>) -> Vec<Self> {
        let cores = (0..).map(CoreId).take(publisher.cores());
        cores
            .map(|id| {
                let replica = publisher.attach(id, None);
                Self {
                    id,
                    follower: replica.follower(),
                    replica,
                }
            })
            .collect()
    }

    /// Which core it is.
    pub fn id(&self) -> CoreId {
        self.id
    }

    /// Its replica, to be used as on a real core: inside what is one slice.
    pub fn replica(&self) -> &Replica<T> {
        &self.replica
    }

    /// What a real core does between two slices: adopts, and calls back.
    pub fn pass(&self) {
        self.follower.follow();
    }
}

/// A sequence of choices, the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Schedule(u64);

impl Schedule {
    /// The schedule of a seed. Print the seed when a test fails.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of so many.
    ///
    /// # Panics
    ///
    /// When there is nothing to choose from.
    pub fn choose(&mut self, among: usize) -> usize {
        assert!(among > 0, "nothing to choose from");
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The bias of the remainder is below what any test could notice.
        (mixed % among as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Acknowledge;
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::time::Duration;

    /// Which credentials are valid.
    type Valid = BTreeSet<u32>;

    const CREDENTIALS: u32 = 6;
    const STEPS: usize = 400;
    const SEEDS: u64 = 300;

    /// A statement that runs on a core.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Running {
        credential: u32,
        /// What the core has promised to acknowledge when it has ended.
        cancelled_by: Option<u64>,
    }

    struct World {
        publisher: Arc<Publisher<Valid>>,
        cores: Vec<SimulatedCore<Valid>>,
        running: Vec<Rc<RefCell<Vec<Running>>>>,
        /// As the control core has them.
        valid: Valid,
        epoch: u64,
        /// Credentials dropped, and the epoch that dropped them.
        dropped: Vec<(u32, u64)>,
    }

    impl World {
        fn new(cores: usize) -> Self {
            let valid: Valid = (0..CREDENTIALS).collect();
            let publisher = Publisher::new(cores, (1, Arc::new(valid.clone())));
            let cores = SimulatedCore::all(&publisher);
            let running: Vec<_> = cores.iter().map(|_| Rc::default()).collect();
            for (core, running) in cores.iter().zip(&running) {
                let running: Rc<RefCell<Vec<Running>>> = Rc::clone(running);
                core.replica().on_adopt(move |_, new| {
                    let mut answer = Acknowledge::Now;
                    for one in &mut *running.borrow_mut() {
                        if !new.contains(&one.credential) && one.cancelled_by.is_none() {
                            one.cancelled_by = Some(new.epoch());
                            answer = Acknowledge::Later;
                        }
                    }
                    answer
                });
            }
            Self {
                publisher,
                cores,
                running,
                valid,
                epoch: 1,
                dropped: Vec::new(),
            }
        }

        fn publish_a_drop(&mut self, schedule: &mut Schedule) {
            let Some(&credential) = self.valid.iter().nth(schedule.choose(CREDENTIALS as usize))
            else {
                return;
            };
            self.epoch += 1;
            self.valid.remove(&credential);
            self.dropped.push((credential, self.epoch));
            self.publisher
                .publish(self.epoch, Arc::new(self.valid.clone()));
        }

        /// Begins a statement if the core's snapshot allows it.
        fn admit(&self, core: usize, schedule: &mut Schedule) {
            let credential = schedule.choose(CREDENTIALS as usize) as u32;
            let current = self.cores[core].replica().current();
            assert_eq!(
                current.epoch(),
                self.epoch,
                "the fence lets nobody behind it"
            );
            if current.contains(&credential) {
                assert!(
                    self.valid.contains(&credential),
                    "admitted what has been dropped"
                );
                self.running[core].borrow_mut().push(Running {
                    credential,
                    cancelled_by: None,
                });
            }
        }

        fn end_a_statement(&self, core: usize, schedule: &mut Schedule) {
            let mut running = self.running[core].borrow_mut();
            if running.is_empty() {
                return;
            }
            let place = schedule.choose(running.len());
            let ended = running.swap_remove(place);
            let still = running
                .iter()
                .any(|one| one.cancelled_by == ended.cancelled_by);
            drop(running);
            if let Some(epoch) = ended.cancelled_by
                && !still
            {
                self.cores[core].replica().acknowledge(epoch);
            }
        }

        /// Where the publisher says that a change is in force, nothing it ended still runs.
        fn check(&self) {
            for &(credential, epoch) in &self.dropped {
                let late = self.publisher.late(epoch);
                for (core, running) in self.cores.iter().zip(&self.running) {
                    let runs = running
                        .borrow()
                        .iter()
                        .any(|one| one.credential == credential);
                    assert!(
                        late.contains(&core.id()) || !runs,
                        "core {} acknowledged epoch {epoch} and runs credential {credential}",
                        core.id()
                    );
                }
            }
        }
    }

    fn play(seed: u64) {
        let mut schedule = Schedule::new(seed);
        let mut world = World::new(1 + schedule.choose(4));
        for _ in 0..STEPS {
            let core = schedule.choose(world.cores.len());
            match schedule.choose(16) {
                0 => world.publish_a_drop(&mut schedule),
                1..=5 => world.admit(core, &mut schedule),
                6..=10 => world.end_a_statement(core, &mut schedule),
                _ => world.cores[core].pass(),
            }
            world.check();
        }
        // In the end everything settles.
        for core in 0..world.cores.len() {
            world.cores[core].pass();
            while !world.running[core].borrow().is_empty() {
                world.end_a_statement(core, &mut schedule);
            }
        }
        assert_eq!(
            world.publisher.wait_adopted(world.epoch, Duration::ZERO),
            []
        );
    }

    #[test]
    fn no_core_admits_or_runs_anything_past_the_epoch_that_dropped_it() {
        for seed in 0..SEEDS {
            let outcome = std::panic::catch_unwind(|| play(seed));
            assert!(outcome.is_ok(), "seed {seed}");
        }
    }

    #[test]
    fn a_schedule_is_repeated_by_its_seed() {
        let choices = |seed| {
            let mut schedule = Schedule::new(seed);
            [(); 32].map(|()| schedule.choose(1000))
        };
        assert_eq!(choices(7), choices(7));
        assert_ne!(choices(7), choices(8));
    }

    #[test]
    #[should_panic(expected = "has its replica already")]
    fn a_core_has_one_replica() {
        let publisher = Publisher::new(1, (1, Arc::new(())));
        let _first = SimulatedCore::all(&publisher);
        let _second = SimulatedCore::all(&publisher);
    }
}
