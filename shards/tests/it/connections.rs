//! Many connections: the limit, the balance, what an idle one costs.

use crate::server::{Server, TestShard, echo, options, read_to_end};
use shards::{Admission, Options, Stream};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::rc::Rc;

type Task = Pin<Box<dyn Future<Output = ()>>>;

#[test]
fn connections_are_balanced_between_the_cores() {
    let server = Server::start(echo);
    let mut streams: Vec<_> = (0..64).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"!").expect("written");
        stream.read_exact(&mut [0]).expect("answered");
    }
    let cores = server.metrics.collect();
    let even = 64 / cores.len() as u64;
    assert!(
        cores
            .iter()
            .all(|core| core.connections.abs_diff(even) <= 2),
        "{cores:?}"
    );
}

#[test]
fn a_connection_past_the_limit_is_told_so() {
    fn polite(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            if stream.admission() == Admission::OverLimit {
                stream.outbox().extend_from_slice(b"too many");
                stream.close().await;
                return;
            }
            stream.outbox().extend_from_slice(b"welcome");
            stream.flush();
            while let Ok(1..) = stream.fill().await {}
        })
    }
    let limited = Options {
        connections_max: 3,
        ..options()
    };
    let server = Server::start_with(limited, polite);
    let mut admitted: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for stream in &mut admitted {
        let mut word = [0; 7];
        stream.read_exact(&mut word).expect("answered");
        assert_eq!(&word, b"welcome");
    }
    let (word, ended) = read_to_end(&mut server.connect());
    ended.expect("ended in order");
    assert_eq!(word, b"too many");
    drop(admitted);
    server.wait_for("the release", |metrics| metrics.connections() == 0);
    let mut word = [0; 7];
    server.connect().read_exact(&mut word).expect("answered");
    assert_eq!(&word, b"welcome");
}

#[test]
fn past_the_excess_a_connection_is_closed_without_a_word() {
    let limited = Options {
        connections_max: 1,
        ..options()
    };
    let server = Server::start_with(limited, echo);
    let _held: Vec<_> = (0..65).map(|_| server.connect()).collect();
    server.wait_for("the sessions", |metrics| metrics.connections() == 65);
    let mut refused = server.connect();
    assert!(read_to_end(&mut refused).0.is_empty());
    let refusals: u64 = server
        .metrics
        .collect()
        .iter()
        .map(|core| core.refused)
        .sum();
    assert_eq!(refusals, 1);
}

/// As many as the descriptors of this process allow, both ends being in it, at most 10,000.
fn many(server: &Server) -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let descriptors = descriptors.current.unwrap_or(u64::MAX).min(1 << 20) as usize;
    let possible = (descriptors - 600) / 2;
    possible.min(10_000).min(server.runtime().connections_max())
}

#[test]
fn ten_thousand_connections_are_served_and_cost_little_when_idle() {
    let server = Server::start(echo);
    let count = many(&server);
    let mut streams = Vec::with_capacity(count);
    let before = resident_bytes();
    while streams.len() < count {
        // From several addresses: one has too few ports for as many as this.
        let from = [127, 0, 0, 1 + (streams.len() / 5000) as u8];
        streams.push(connect_from(from, server.address));
    }
    for _ in 0..2 {
        for stream in &mut streams {
            stream.write_all(&[b'x'; 100]).expect("written");
        }
        for stream in &mut streams {
            stream.read_exact(&mut [0; 100]).expect("answered");
        }
    }
    assert_eq!(server.metrics.connections(), count);
    let each = resident_bytes().saturating_sub(before) / count;
    println!("{count} connections, {each} bytes each (client side included)");
    // Pools, rings and the test's own streams included.
    assert!(each < 2048, "{each} bytes for each idle connection");
    drop(streams);
    server.wait_for("the release", |metrics| metrics.connections() == 0);
}

fn connect_from(from: [u8; 4], to: std::net::SocketAddr) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = std::net::SocketAddr::from((from, 0));
    socket.bind(&from.into()).expect("a loopback address");
    socket.connect(&to.into()).expect("somebody listens");
    let stream: TcpStream = socket.into();
    stream
        .set_read_timeout(Some(crate::server::PATIENCE))
        .expect("a timeout");
    stream
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = statm.split(' ').nth(1).expect("a second field");
    pages.parse::<usize>().expect("a number") * rustix::param::page_size()
}
