//! Messages between cores, and from other threads.

use crate::server::{PATIENCE, Server, TestShard, echo, on_core};
use shards::CoreId;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

#[test]
fn messages_of_one_sender_arrive_in_order() {
    let server = Server::start(echo);
    let (seen, order) = mpsc::channel();
    let mesh = server.runtime().mesh();
    for number in 0..10_000 {
        let seen = seen.clone();
        let job = move |_: &Rc<TestShard>| seen.send(number).expect("the test listens");
        mesh.send(CoreId(0), Box::new(job)).expect("taken");
    }
    for number in 0..10_000 {
        assert_eq!(order.recv_timeout(PATIENCE), Ok(number));
    }
}

#[test]
fn a_sleeping_core_is_woken_by_every_message() {
    let server = Server::start(echo);
    for round in 0..2_000 {
        let core = CoreId(round % server.runtime().mesh().cores() as u16);
        assert_eq!(server.on_core(core, |shard| shard.context.core), core);
    }
}

#[test]
fn many_threads_lose_no_message() {
    let server = Server::start(echo);
    let received = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mesh = server.runtime().mesh();
                for number in 0..5_000_u16 {
                    let received = Arc::clone(&received);
                    let job = move |_: &Rc<TestShard>| {
                        received.fetch_add(1, Ordering::Relaxed);
                    };
                    let core = CoreId(number % mesh.cores() as u16);
                    mesh.send(core, Box::new(job)).expect("taken");
                    if number % 64 == 0 {
                        on_core(&mesh, core, |_| ());
                    }
                }
            });
        }
    });
    server.wait_for("every message", |_| {
        received.load(Ordering::Relaxed) == 20_000
    });
}

#[test]
fn cores_answer_each_other() {
    let server = Server::start(echo);
    if server.runtime().mesh().cores() < 2 {
        return;
    }
    let (done, answer) = mpsc::channel();
    let ask = move |shard: &Rc<TestShard>| {
        let mesh = shard.context.mesh.clone();
        let back = mesh.clone();
        let question = move |other: &Rc<TestShard>| {
            let from = other.context.core;
            let report = move |_: &Rc<TestShard>| done.send(from).expect("the test listens");
            back.send(CoreId(0), Box::new(report)).expect("taken");
        };
        mesh.send(CoreId(1), Box::new(question)).expect("taken");
    };
    server.on_core(CoreId(0), ask);
    assert_eq!(answer.recv_timeout(PATIENCE), Ok(CoreId(1)));
}

#[test]
fn a_oneshot_of_another_thread_wakes_a_task() {
    let server = Server::start(echo);
    let (wake, woken) = futures::channel::oneshot::channel::<u32>();
    let (done, answer) = mpsc::channel();
    server.on_core(CoreId(0), move |_| {
        shards::spawn(async move {
            done.send(woken.await).expect("the test listens");
        });
    });
    std::thread::sleep(std::time::Duration::from_millis(5));
    wake.send(7).expect("the task waits");
    assert_eq!(answer.recv_timeout(PATIENCE), Ok(Ok(7)));
}
