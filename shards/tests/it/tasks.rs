//! Tasks and timers.

use crate::server::{PATIENCE, Server, echo};
use futures::task::AtomicWaker;
use shards::CoreId;
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
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

/// Row locks and commits are handed over by wakes from other threads: one that is lost is a session
/// that waits for ever.
#[test]
fn no_wake_from_another_thread_is_lost() {
    const THREADS: usize = 4;
    const WAKES: usize = 20_000;
    let server = Server::start(echo);
    let woken = Arc::new((AtomicUsize::new(0), AtomicWaker::new()));
    let (done, answer) = mpsc::channel();
    let seen = Arc::clone(&woken);
    server.on_core(CoreId(0), move |_| {
        shards::spawn(async move {
            poll_fn(|context| {
                seen.1.register(context.waker());
                match seen.0.load(Ordering::Acquire) == THREADS * WAKES {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            done.send(()).expect("the test listens");
        });
    });
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for wake in 0..WAKES {
                    woken.0.fetch_add(1, Ordering::Release);
                    woken.1.wake();
                    if wake % 1_000 == 0 {
                        // Long enough for the core to go to sleep now and then.
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
            });
        }
    });
    answer.recv_timeout(PATIENCE).expect("the last wake came");
}

#[test]
fn a_wake_that_comes_after_its_task_has_ended_wakes_nobody_else() {
    let server = Server::start(echo);
    let (sender, wakers) = mpsc::channel();
    server.on_core(CoreId(0), move |_| {
        shards::spawn(poll_fn(move |context| {
            let _ = sender.send(context.waker().clone());
            Poll::Ready(())
        }));
    });
    let stale = wakers.recv_timeout(PATIENCE).expect("the task ran");
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    server.on_core(CoreId(0), move |_| {
        shards::spawn(poll_fn(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        }));
    });
    let first_polled = |_: &_| polls.load(Ordering::Relaxed) == 1;
    server.wait_for("the second task's first slice", first_polled);
    stale.wake();
    // Two round trips: the core has looked at what was left for it in between.
    server.on_core(CoreId(0), |_| ());
    server.on_core(CoreId(0), |_| ());
    assert_eq!(polls.load(Ordering::Relaxed), 1);
}
