//! Snapshots and their adoption.

use crate::server::{PATIENCE, Server, TestShard, echo};
use shards::{Acknowledge, CoreId, Publisher, Replica};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

thread_local! {
    static REPLICA: RefCell<Option<Replica<u64>>> = const { RefCell::new(None) };
}

fn replica() -> Replica<u64> {
    REPLICA.with(|replica| replica.borrow().clone().expect("set up"))
}

fn set_up(server: &Server) -> (Arc<Publisher<u64>>, usize) {
    let cores = server.runtime().mesh().cores();
    let publisher = Publisher::new(cores, (1, Arc::new(100)));
    for core in 0..cores {
        let publisher = Arc::clone(&publisher);
        server.on_core(CoreId(core as u16), move |_: &Rc<TestShard>| {
            REPLICA.with(|replica| *replica.borrow_mut() = Some(publisher.replica()));
        });
    }
    (publisher, cores)
}

#[test]
fn every_core_adopts_and_acknowledges_while_idle() {
    let server = Server::start(echo);
    let (publisher, cores) = set_up(&server);
    for epoch in 2..500 {
        publisher.publish(epoch, Arc::new(100 * epoch));
        assert_eq!(publisher.wait_adopted(epoch, PATIENCE), []);
    }
    for core in 0..cores {
        let seen = server.on_core(CoreId(core as u16), |_| {
            let current = replica().current();
            (current.epoch(), **current.snapshot())
        });
        assert_eq!(seen, (499, 49_900));
    }
}

#[test]
fn a_core_in_a_long_slice_is_late_and_adopts_before_it_admits() {
    let server = Server::start(echo);
    let (publisher, _) = set_up(&server);
    let (begun, begin) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let (done, seen) = mpsc::channel();
    let mesh = server.runtime().mesh();
    let slice = move |_: &Rc<TestShard>| {
        begun.send(()).expect("the test listens");
        wait.recv().expect("the test goes on");
        done.send(replica().current().epoch())
            .expect("the test listens");
    };
    mesh.send(CoreId(0), Box::new(slice)).expect("taken");
    begin.recv_timeout(PATIENCE).expect("the slice runs");
    publisher.publish(2, Arc::new(200));
    let late = publisher.wait_adopted(2, Duration::from_millis(100));
    assert_eq!(late, [CoreId(0)]);
    go_on.send(()).expect("the slice waits");
    assert_eq!(seen.recv_timeout(PATIENCE), Ok(2));
    assert_eq!(publisher.wait_adopted(2, PATIENCE), []);
}

#[test]
fn what_is_acknowledged_later_holds_the_publisher_back() {
    let server = Server::start(echo);
    let (publisher, _) = set_up(&server);
    let (told, tell) = mpsc::channel();
    server.on_core(CoreId(0), move |_| {
        replica().on_adopt(move |old, new| {
            told.send((old.epoch(), new.epoch()))
                .expect("the test listens");
            if new.epoch() == 2 {
                Acknowledge::Later
            } else {
                Acknowledge::Now
            }
        });
    });
    publisher.publish(2, Arc::new(200));
    assert_eq!(tell.recv_timeout(PATIENCE), Ok((1, 2)));
    publisher.publish(3, Arc::new(300));
    assert_eq!(tell.recv_timeout(PATIENCE), Ok((2, 3)));
    for epoch in [2, 3] {
        let late = publisher.wait_adopted(epoch, Duration::from_millis(30));
        assert_eq!(late, [CoreId(0)], "epoch {epoch} is not settled");
    }
    server.on_core(CoreId(0), |_| replica().acknowledge(2));
    assert_eq!(publisher.wait_adopted(3, PATIENCE), []);
}

/// An adoption that failed half-way must not be taken for one that has ended its sessions.
#[test]
fn a_callback_that_panics_leaves_its_core_late() {
    let server = Server::start(echo);
    let (publisher, _) = set_up(&server);
    server.on_core(CoreId(0), |_| {
        replica().on_adopt(|_, _| panic!("as the test asked"));
    });
    publisher.publish(2, Arc::new(200));
    server.wait_for("the panic", |metrics| metrics.collect()[0].panics == 1);
    assert_eq!(publisher.late(2), [CoreId(0)]);
    assert_eq!(server.on_core(CoreId(0), |_| replica().epoch()), 2);
}

#[test]
#[should_panic(expected = "epochs only rise")]
fn an_epoch_that_does_not_rise_is_a_defect() {
    let publisher = Publisher::new(1, (5, Arc::new(0_u64)));
    publisher.publish(5, Arc::new(1));
}
