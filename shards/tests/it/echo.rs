//! Requests and replies.

use crate::server::{Server, echo, read_to_end};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

fn exchange(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(message).expect("the server reads");
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer).expect("the server answers");
    assert_eq!(answer, message);
}

#[test]
fn a_message_comes_back() {
    let server = Server::start(echo);
    let mut stream = server.connect();
    exchange(&mut stream, b"hello");
    exchange(&mut stream, b"again");
}

#[test]
fn both_addresses_of_a_listener_are_served() {
    let server = Server::start(echo);
    let addresses = server.runtime().addresses(shards::ListenerId(0)).to_vec();
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        exchange(
            &mut TcpStream::connect(address).expect("listening"),
            b"hello",
        );
    }
}

#[test]
fn a_message_larger_than_all_buffers_comes_back_whole() {
    let server = Server::start(echo);
    let stream = server.connect();
    let message: Vec<u8> = (0..8_u32 << 20)
        .map(|index| ((index * 7) >> 3) as u8)
        .collect();
    let mut writer = stream.try_clone().expect("a second handle");
    let sent = message.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&sent).expect("the server reads");
        writer.shutdown(Shutdown::Write).expect("still connected");
    });
    let mut reader = stream;
    let (received, ended) = read_to_end(&mut reader);
    writing.join().expect("written");
    ended.expect("ended in order");
    assert!(
        received == message,
        "{} of {} bytes",
        received.len(),
        message.len()
    );
}

#[test]
fn a_thousand_connections_on_two_cores_are_served_at_once() {
    const THREADS: usize = 4;
    const EACH: usize = 250;
    let server = Server::start(echo);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let server = &server;
            scope.spawn(move || {
                let mut streams: Vec<_> = (0..EACH).map(|_| server.connect()).collect();
                for round in 0..20 {
                    // All are asked before the first is listened to.
                    let message = |index: usize| format!("{thread} {index} {round}");
                    for (index, stream) in streams.iter_mut().enumerate() {
                        stream
                            .write_all(message(index).as_bytes())
                            .expect("written");
                    }
                    for (index, stream) in streams.iter_mut().enumerate() {
                        let expected = message(index);
                        let mut answer = vec![0; expected.len()];
                        stream.read_exact(&mut answer).expect("answered");
                        assert_eq!(answer, expected.as_bytes());
                    }
                }
                assert!(server.metrics.connections() >= EACH);
            });
        }
    });
    server.wait_for("the end of all connections", |metrics| {
        metrics.connections() == 0
    });
}

#[test]
fn a_peer_that_ends_its_side_still_gets_its_answers() {
    let server = Server::start(echo);
    let mut stream = server.connect();
    stream.write_all(b"last words").expect("written");
    stream.shutdown(Shutdown::Write).expect("connected");
    let (received, ended) = read_to_end(&mut stream);
    ended.expect("ended in order");
    assert_eq!(received, b"last words");
}

/// A session that fills in a length after it has written what it measures would otherwise find
/// the place for it gone.
#[test]
fn what_is_not_flushed_is_not_sent_when_an_earlier_send_completes() {
    fn two_parts(
        _shard: std::rc::Rc<crate::server::TestShard>,
        stream: shards::Stream,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            stream.outbox().extend_from_slice(b"first;");
            stream.flush();
            shards::yield_now().await;
            stream.outbox().extend_from_slice(b"?econd");
            while stream.unsent() > 6 {
                shards::yield_now().await;
            }
            shards::sleep(std::time::Duration::from_millis(5)).await;
            assert_eq!(stream.unsent(), 6);
            stream.outbox()[0] = b's';
            stream.close().await;
        })
    }
    let server = Server::start(two_parts);
    let (received, ended) = read_to_end(&mut server.connect());
    ended.expect("ended in order");
    assert_eq!(received, b"first;second");
}
