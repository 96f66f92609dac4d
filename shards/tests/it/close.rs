//! The ways a connection ends.

use crate::server::{PATIENCE, Server, TestShard, echo, open_descriptors, read_to_end};
use shards::{CoreId, Stream};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Says something long at once and closes.
fn farewell(_shard: Rc<TestShard>, stream: Stream) -> Task {
    Box::pin(async move {
        stream.outbox().extend_from_slice(&vec![b'x'; 4 << 20]);
        stream.close().await;
    })
}

#[test]
fn closing_sends_what_is_in_the_outbox_first() {
    let server = Server::start(farewell);
    let (received, ended) = read_to_end(&mut server.connect());
    ended.expect("ended in order");
    assert_eq!(received.len(), 4 << 20);
}

#[test]
fn a_peer_that_is_still_sending_reads_the_last_words() {
    fn refuse(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            let _ = stream.fill().await;
            stream.outbox().extend_from_slice(b"too much");
            stream.close().await;
        })
    }
    let server = Server::start(refuse);
    let mut stream = server.connect();
    for _ in 0..200 {
        stream
            .write_all(&[0; 16 * 1024])
            .expect("the server takes and forgets it");
    }
    let (received, ended) = read_to_end(&mut stream);
    ended.expect("not reset");
    assert_eq!(received, b"too much");
}

#[test]
fn dropping_the_stream_aborts_the_connection() {
    fn drop_it(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            let _ = stream.fill().await;
        })
    }
    let server = Server::start(drop_it);
    let mut stream = server.connect();
    stream.write_all(b"hello").expect("written");
    assert!(matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_)));
    server.wait_for("the release", |metrics| metrics.connections() == 0);
}

#[test]
fn a_peer_that_does_not_read_is_aborted_when_closing_has_waited_long_enough() {
    fn flood(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            stream.outbox().extend_from_slice(&vec![b'x'; 64 << 20]);
            stream.close().await;
        })
    }
    let server = Server::start(flood);
    let stream = server.connect();
    server.wait_for("the abort", |metrics| {
        metrics
            .collect()
            .iter()
            .map(|core| core.accepted)
            .sum::<u64>()
            == 1
            && metrics.connections() == 0
    });
    drop(stream);
}

#[test]
fn a_peer_that_stops_reading_does_not_stop_others() {
    fn flood_or_echo(shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            let _ = stream.fill().await;
            if !stream.inbox().starts_with(b"flood") {
                stream.outbox().extend_from_slice(b"ok");
                stream.close().await;
                return;
            }
            let _ = shard;
            loop {
                stream.outbox().extend_from_slice(&[b'x'; 64 * 1024]);
                if stream.drained(256 * 1024).await.is_err() {
                    return;
                }
            }
        })
    }
    let server = Server::start(flood_or_echo);
    let mut lazy: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    for stream in &mut lazy {
        stream.write_all(b"flood").expect("written");
    }
    for _ in 0..50 {
        let mut stream = server.connect();
        stream.write_all(b"hello").expect("written");
        assert_eq!(read_to_end(&mut stream).0, b"ok");
    }
    // Back-pressure: what nobody reads stays within the kernel's buffers and ours.
    drop(lazy);
    server.wait_for("the release", |metrics| metrics.connections() == 0);
}

#[test]
fn a_reset_by_the_peer_is_an_error_to_the_session() {
    fn report(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            while let Ok(1..) = stream.fill().await {}
            assert!(stream.is_closed(), "reset, not ended in order");
            assert!(stream.fill().await.is_err());
            assert!(stream.drained(0).await.is_err());
        })
    }
    let server = Server::start(report);
    let mut stream = server.connect();
    stream.write_all(b"hello").expect("written");
    server.wait_for("the receipt", |metrics| {
        metrics
            .collect()
            .iter()
            .map(|core| core.received_bytes)
            .sum::<u64>()
            == 5
    });
    reset(stream);
    server.wait_for("the release", |metrics| metrics.connections() == 0);
    let panics: u64 = server
        .metrics
        .collect()
        .iter()
        .map(|core| core.panics)
        .sum();
    assert_eq!(panics, 0);
}

/// Closes with RST instead of FIN.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("a socket option");
}

#[test]
fn a_session_learns_that_its_peer_has_gone_without_reading() {
    fn work(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            let _ = stream.fill().await;
            // Working, with unread input: not in `fill`.
            stream.peer_gone().await;
            assert!(stream.peer_closed());
            assert_eq!(&stream.inbox()[..], b"work");
            stream.close().await;
        })
    }
    let server = Server::start(work);
    let mut stream = server.connect();
    stream.write_all(b"work").expect("written");
    drop(stream);
    server.wait_for("the release", |metrics| {
        metrics.connections() == 0 && metrics.collect().iter().any(|core| core.accepted > 0)
    });
    assert!(server.metrics.collect().iter().all(|core| core.panics == 0));
}

#[test]
fn descriptors_are_closed_however_connections_end() {
    let server = Server::start(echo);
    let before = open_descriptors();
    for round in 0..200 {
        let mut stream = server.connect();
        stream.write_all(b"hello").expect("written");
        match round % 3 {
            0 => reset(stream),
            1 => drop(stream),
            _ => {
                stream.read_exact(&mut [0; 5]).expect("answered");
                stream
                    .shutdown(std::net::Shutdown::Write)
                    .expect("connected");
                read_to_end(&mut stream).1.expect("ended in order");
            }
        }
    }
    server.wait_for("the release", |_| open_descriptors() == before);
}

#[test]
fn descriptors_are_closed_when_the_runtime_ends() {
    drop(Server::start(echo));
    let before = open_descriptors();
    let server = Server::start(echo);
    let streams: Vec<_> = (0..20).map(|_| server.connect()).collect();
    server.wait_for("the sessions", |metrics| metrics.connections() == 20);
    drop(server);
    drop(streams);
    // glommio keeps one eventfd for each executor that has ever run.
    let left = |all: Vec<String>| all.into_iter().filter(|one| !one.contains("eventfd"));
    assert!(left(open_descriptors()).eq(left(before)));
}

#[test]
fn draining_waits_for_sessions_and_aborts_those_that_stay() {
    fn polite(shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            let _ = stream.fill().await;
            let polite = stream.inbox().starts_with(b"polite");
            let (sender, draining) = futures::channel::oneshot::channel();
            shard.draining.borrow_mut().push(sender);
            stream.outbox().extend_from_slice(b".");
            stream.flush();
            let _ = draining.await;
            if polite {
                stream.outbox().extend_from_slice(b"bye");
                stream.close().await;
            } else {
                stream.peer_gone().await;
            }
        })
    }
    let mut server = Server::start(polite);
    let mut polite = server.connect();
    let mut stubborn = server.connect();
    for (stream, word) in [(&mut polite, "polite"), (&mut stubborn, "stubborn")] {
        stream.write_all(word.as_bytes()).expect("written");
        stream.read_exact(&mut [0]).expect("the session waits");
    }
    let runtime = server.runtime.take().expect("running");
    let address = server.address;
    let reading = std::thread::spawn(move || read_to_end(&mut polite));
    assert_eq!(runtime.drain(Duration::from_millis(300)), 1);
    let (received, ended) = reading.join().expect("read");
    ended.expect("ended in order");
    assert_eq!(received, b"bye");
    assert!(matches!(stubborn.read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect_timeout(&address, PATIENCE).is_err());
    runtime.join();
}

#[test]
fn a_connection_aborted_from_another_task_ends_its_session() {
    fn waiting(shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            let stream = Rc::new(stream);
            let killer = Rc::clone(&stream);
            let (sender, kill) = futures::channel::oneshot::channel();
            shard.draining.borrow_mut().push(sender);
            shards::spawn(async move {
                let _ = kill.await;
                killer.abort();
            });
            assert!(stream.fill().await.is_err());
        })
    }
    let server = Server::start(waiting);
    let mut stream = server.connect();
    server.wait_for("the session", |metrics| metrics.connections() == 1);
    for core in 0..server.runtime().mesh().cores() {
        server.on_core(CoreId(core as u16), shards::Shard::drain);
    }
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    server.wait_for("the release", |metrics| metrics.connections() == 0);
    assert!(server.metrics.collect().iter().all(|core| core.panics == 0));
}
