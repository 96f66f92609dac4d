//! Peers and sessions that do anything at any time, from a seed.

use crate::server::{Server, TestShard, open_descriptors};
use shards::Stream;
use shards::sim::Schedule;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

const SEEDS: std::ops::Range<u64> = 0..6;
const THREADS: u64 = 3;
const CONNECTIONS: usize = 120;

/// What the peer's first byte asks the session to do.
const BEHAVIOURS: &[u8] = b"ecdapfsw";

fn obedient(_shard: Rc<TestShard>, stream: Stream) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let Ok(1..) = stream.fill().await else {
            return;
        };
        let behaviour = stream.inbox()[0];
        match behaviour {
            b'c' => {
                stream.outbox().extend_from_slice(b"closing");
                stream.close().await;
            }
            b'd' => {}
            b'a' => {
                stream.outbox().extend_from_slice(&[0; 100_000]);
                stream.flush();
                shards::yield_now().await;
                stream.abort();
                assert!(stream.fill().await.is_err() && stream.drained(0).await.is_err());
            }
            b'p' => panic!("as the peer asked"),
            b'f' => while flood(&stream).await {},
            b's' => {
                shards::sleep(Duration::from_millis(3)).await;
                stream.close().await;
            }
            b'w' => {
                let bound = Duration::from_millis(30);
                let _ = shards::timeout(bound, stream.peer_gone()).await;
                stream.close().await;
            }
            _ => echo(&stream).await,
        }
    })
}

async fn flood(stream: &Stream) -> bool {
    stream.outbox().extend_from_slice(&[7; 10_000]);
    let bound = Duration::from_millis(20);
    matches!(
        shards::timeout(bound, stream.drained(50_000)).await,
        Ok(Ok(()))
    )
}

async fn echo(stream: &Stream) {
    loop {
        let received = stream.inbox().split();
        stream.outbox().extend_from_slice(&received);
        stream.flush();
        if !matches!(stream.fill().await, Ok(1..)) {
            return stream.close().await;
        }
    }
}

/// One peer; errors are what it has asked for.
fn misbehave(mut stream: TcpStream, schedule: &mut Schedule) {
    let behaviour = BEHAVIOURS[schedule.choose(BEHAVIOURS.len())];
    let length = 1 + schedule.choose(30_000);
    let patience = Duration::from_millis(1 + schedule.choose(20) as u64);
    stream.set_read_timeout(Some(patience)).expect("a timeout");
    stream.set_write_timeout(Some(patience)).expect("a timeout");
    let _ = stream.write_all(&vec![behaviour; length]);
    if schedule.choose(2) == 0 {
        let _ = stream.read(&mut vec![0; 1 + schedule.choose(60_000)]);
    }
    match schedule.choose(4) {
        0 => {
            let linger = Some(Duration::ZERO);
            let _ = socket2::SockRef::from(&stream).set_linger(linger);
        }
        1 => {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut [0; 1000]);
        }
        2 => {
            let _ = stream.shutdown(Shutdown::Read);
            let _ = stream.write_all(&[behaviour; 100]);
        }
        _ => {}
    }
}

#[test]
fn whatever_peers_and_sessions_do_nothing_is_lost_and_others_are_served() {
    let server = Server::start(obedient);
    let before = open_descriptors();
    for seed in SEEDS {
        println!("seed {seed}");
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let server = &server;
                scope.spawn(move || {
                    let mut schedule = Schedule::new((seed << 8) | thread);
                    for _ in 0..CONNECTIONS {
                        misbehave(server.connect(), &mut schedule);
                    }
                });
            }
        });
        let mut polite = server.connect();
        polite.write_all(b"echo").expect("written");
        let mut answer = [0; 4];
        polite.read_exact(&mut answer).expect("answered");
        assert_eq!(&answer, b"echo");
    }
    server.wait_for("the release", |metrics| metrics.connections() == 0);
    server.wait_for("the descriptors' end", |_| open_descriptors() == before);
    let cores = server.metrics.collect();
    assert!(cores.iter().all(|core| core.connections == 0), "{cores:?}");
}
