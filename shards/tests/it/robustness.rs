//! Defects of the program above, and strange peers.

use crate::server::{Server, TestShard, echo, options};
use shards::{CoreId, Options, StartError, Stream};
use std::io::{Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

type Task = Pin<Box<dyn Future<Output = ()>>>;

#[test]
fn a_panic_in_a_session_ends_that_session_only() {
    fn fragile(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            while let Ok(1..) = stream.fill().await {
                let received = stream.inbox().split();
                assert!(&received[..] != b"panic", "as the test asked");
                stream.outbox().extend_from_slice(&received);
                stream.flush();
            }
        })
    }
    let server = Server::start(fragile);
    let mut other = server.connect();
    for _ in 0..5 {
        let mut fragile = server.connect();
        fragile.write_all(b"panic").expect("written");
        assert!(matches!(fragile.read(&mut [0]), Ok(0) | Err(_)));
        other.write_all(b"still there?").expect("written");
        other.read_exact(&mut [0; 12]).expect("answered");
    }
    let panics = || -> u64 {
        let cores = server.metrics.collect();
        cores.iter().map(|core| core.panics).sum()
    };
    // The connection closes a moment before the panic is counted.
    let deadline = Instant::now() + Duration::from_secs(60);
    while panics() < 5 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(panics(), 5);
}

#[test]
fn a_panic_in_a_message_leaves_the_core_running() {
    let server = Server::start(echo);
    let mesh = server.runtime().mesh();
    let job = |_: &Rc<TestShard>| panic!("as the test asked");
    mesh.send(CoreId(0), Box::new(job)).expect("taken");
    assert_eq!(server.on_core(CoreId(0), |_| 7), 7);
}

/// A session that does not read its input must not be given all the server's memory for it.
#[test]
fn a_peer_that_sends_without_end_fills_the_inbox_to_its_limit_only() {
    fn deaf(shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            let (sender, go_on) = futures::channel::oneshot::channel();
            shard.draining.borrow_mut().push(sender);
            let _ = go_on.await;
            // What one pass of the ring may bring beyond the limit.
            let excess = 512 * 4096;
            assert!(stream.inbox().len() <= 256 * 1024 + excess);
            let mut total = 0;
            while let Ok(1..) = stream.fill().await {
                total += stream.inbox().split().len();
            }
            stream
                .outbox()
                .extend_from_slice(&(total as u64).to_be_bytes());
            stream.close().await;
        })
    }
    let server = Server::start(deaf);
    let stream = server.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || {
        for _ in 0..1024 {
            writer.write_all(&[7; 32 * 1024]).expect("taken in the end");
        }
        writer
            .shutdown(std::net::Shutdown::Write)
            .expect("connected");
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    let received: u64 = server
        .metrics
        .collect()
        .iter()
        .map(|core| core.received_bytes)
        .sum();
    assert!(
        received < 4 << 20,
        "{received} bytes were taken from a peer that nobody reads"
    );
    for core in 0..server.runtime().mesh().cores() {
        server.on_core(CoreId(core as u16), shards::Shard::drain);
    }
    let mut total = [0; 8];
    let mut reader = stream;
    reader.read_exact(&mut total).expect("answered");
    writing.join().expect("written");
    assert_eq!(u64::from_be_bytes(total), 32 << 20);
    assert!(server.metrics.collect().iter().all(|core| core.panics == 0));
}

/// Neither must a peer that sends requests and reads no answers: its session gets no more input.
#[test]
fn a_peer_that_reads_no_answers_fills_the_outbox_to_its_limit_only() {
    fn answer_everything(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            while let Ok(1..) = stream.fill().await {
                let received = stream.inbox().split();
                stream.outbox().extend_from_slice(&received);
                stream.flush();
                // The limit, and the answers to what had come in meanwhile.
                assert!(stream.unsent() < 3 << 20, "{}", stream.unsent());
            }
            stream.close().await;
        })
    }
    let server = Server::start(answer_everything);
    let stream = server.connect();
    let mut writer = stream.try_clone().expect("a second handle");
    let writing = std::thread::spawn(move || {
        for _ in 0..1024 {
            writer.write_all(&[7; 32 * 1024]).expect("taken in the end");
        }
        writer
            .shutdown(std::net::Shutdown::Write)
            .expect("connected");
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    let mut reader = stream;
    let (received, ended) = crate::server::read_to_end(&mut reader);
    ended.expect("ended in order");
    writing.join().expect("written");
    assert_eq!(received.len(), 32 << 20);
    assert!(server.metrics.collect().iter().all(|core| core.panics == 0));
}

#[test]
fn a_port_in_use_refuses_the_start_and_names_the_address() {
    let server = Server::start(echo);
    let mut taken = options();
    taken.listeners[0].addresses = vec![server.address];
    let outcome = shards::Runtime::start(taken, |_| Nothing);
    let Err(StartError::Listen {
        address, listener, ..
    }) = outcome
    else {
        panic!("the port is in use");
    };
    assert_eq!((address, listener), (server.address, "test"));
}

struct Nothing;

impl shards::Shard for Nothing {
    type Message = ();
    fn accepted(self: &Rc<Self>, _: shards::ListenerId, _: Stream) {}
    fn message(self: &Rc<Self>, (): ()) {}
    fn drain(self: &Rc<Self>) {}
}

#[test]
fn a_shard_that_panics_while_it_is_built_fails_the_start() {
    let outcome = shards::Runtime::start(options(), |_| -> Nothing { panic!("as asked") });
    let Err(StartError::Core { reason, .. }) = outcome else {
        panic!("a shard could not be built");
    };
    assert_eq!(reason, "as asked");
}

#[test]
fn floods_of_small_messages_exhaust_the_buffers_without_loss() {
    const STREAMS: usize = 100;
    let server = Server::start_with(
        Options {
            cores: Some(1),
            ..options()
        },
        echo,
    );
    let mut streams: Vec<_> = (0..STREAMS).map(|_| server.connect()).collect();
    let message = vec![9; 48 * 1024];
    for _ in 0..5 {
        for stream in &mut streams {
            stream.write_all(&message).expect("written");
        }
        for stream in &mut streams {
            let mut answer = vec![0; message.len()];
            stream.read_exact(&mut answer).expect("answered");
            assert!(answer == message);
        }
    }
}

/// Without a pause a core out of descriptors would do nothing but fail to accept.
#[test]
fn a_core_out_of_descriptors_accepts_again_when_there_are_some() {
    // In a process of its own, because the limit is the process's.
    let this = std::env::current_exe().expect("this program");
    let child = std::process::Command::new(this)
        .args(["--exact", "--ignored", "robustness::out_of_descriptors"])
        .output()
        .expect("it runs");
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && output.contains("1 passed"),
        "{output}"
    );
}

#[test]
#[ignore = "part of a_core_out_of_descriptors_accepts_again_when_there_are_some"]
fn out_of_descriptors() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    const DESCRIPTORS: Option<u64> = Some(512);
    let few = Rlimit {
        current: DESCRIPTORS,
        maximum: DESCRIPTORS,
    };
    setrlimit(Resource::Nofile, few).expect("lowered");
    let server = Server::start(echo);
    let mut served = server.connect();
    server.wait_for("the session", |metrics| metrics.connections() == 1);
    let mut held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    held.pop();
    // This takes the last one; the server's side waits in the kernel.
    let mut waiting = server.connect();
    waiting.write_all(b"!").expect("the kernel takes it");
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(server.metrics.connections(), 1);
    served.write_all(b"!").expect("written");
    served
        .read_exact(&mut [0])
        .expect("a session is served all the same");
    drop(held);
    waiting.read_exact(&mut [0]).expect("accepted in the end");
}
