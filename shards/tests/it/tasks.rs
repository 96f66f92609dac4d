//! Tasks and timers.

use crate::server::{PATIENCE, Server, echo};
use shards::CoreId;
use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[test]
fn a_timeout_gives_the_result_when_it_comes_in_time() {
    let server = Server::start(echo);
    let (done, answer) = mpsc::channel();
    server.on_core(CoreId(0), move |_| {
        shards::spawn(async move {
            let in_time = shards::timeout(Duration::from_secs(60), async { 1 }).await;
            let never = std::future::pending::<()>();
            let too_late = shards::timeout(Duration::from_millis(20), never).await;
            done.send((in_time, too_late)).expect("the test listens");
        });
    });
    let (in_time, too_late) = answer.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!(in_time, Ok(1));
    assert_eq!(too_late, Err(shards::Elapsed));
}

#[test]
fn sleeping_takes_at_least_as_long_as_asked() {
    let server = Server::start(echo);
    let (done, answer) = mpsc::channel();
    server.on_core(CoreId(0), move |_| {
        shards::spawn(async move {
            let begun = Instant::now();
            shards::sleep(Duration::from_millis(50)).await;
            done.send(begun.elapsed()).expect("the test listens");
        });
    });
    let slept = answer.recv_timeout(PATIENCE).expect("an answer");
    assert!(slept >= Duration::from_millis(50));
}

#[test]
fn a_spawned_task_does_not_run_inside_its_parent() {
    let server = Server::start(echo);
    let inside = server.on_core(CoreId(0), |_| {
        let ran = Rc::new(Cell::new(false));
        let child = Rc::clone(&ran);
        shards::spawn(async move { child.set(true) });
        ran.get()
    });
    assert!(!inside);
}

/// A task that always has more to do starved timers and sockets, for the executor's reactor
/// runs only when no task is runnable: yielding has to step aside for them.
#[test]
fn a_task_that_only_yields_starves_neither_sockets_nor_timers() {
    let server = Server::start(echo);
    let (stop, mut stopped) = futures::channel::oneshot::channel::<()>();
    let (done, answer) = mpsc::channel();
    server.on_core(CoreId(0), move |_| {
        shards::spawn(async move {
            while let Ok(None) = stopped.try_recv() {
                shards::yield_now().await;
            }
        });
        shards::spawn(async move {
            for _ in 0..20 {
                shards::sleep(Duration::from_millis(1)).await;
            }
            done.send(()).expect("the test listens");
        });
    });
    answer.recv_timeout(PATIENCE).expect("timers run");
    for _ in 0..20 {
        let mut stream = server.connect();
        stream.write_all(b"!").expect("written");
        stream.read_exact(&mut [0]).expect("answered");
    }
    stop.send(()).expect("the task runs");
}
