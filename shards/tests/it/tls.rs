//! TLS as sessions and clients see it: rustls' own client at the other end.

use crate::server::{Server, TestShard, options};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use shards::{Options, Stream, TlsError};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Client = StreamOwned<ClientConnection, TcpStream>;

/// One certificate for both ends, its own authority.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let made = made.expect("a certificate");
    Identity {
        certificate: made.cert.der().clone(),
        key: PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
    }
});

fn roots() -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots
        .add(IDENTITY.certificate.clone())
        .expect("a certificate");
    Arc::new(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(), provider())
        .allow_unauthenticated()
        .build();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("both versions")
        .with_client_cert_verifier(verifier.expect("a verifier"))
        .with_single_cert(vec![IDENTITY.certificate.clone()], IDENTITY.key.clone_key())
        .expect("a usable key");
    config.ticketer = rustls::crypto::ring::Ticketer::new().expect("randomness");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = vec![b"test".to_vec()];
    Arc::new(config)
});

/// Without a certificate of its own.
fn anonymous(versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots())
        .with_no_client_auth();
    Arc::new(config)
}

fn over(config: &Arc<ClientConfig>, socket: TcpStream) -> Client {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(config.clone(), name).expect("a client");
    StreamOwned::new(connection, socket)
}

const BOTH: [&[&rustls::SupportedProtocolVersion]; 2] =
    [&[&rustls::version::TLS12], &[&rustls::version::TLS13]];

/// Accepts TLS, says on what terms, then sends back what it receives.
fn told_echo(_shard: Rc<TestShard>, stream: Stream) -> Task {
    Box::pin(async move {
        if stream.accept_tls(SERVER.clone()).await.is_err() {
            return stream.close().await;
        }
        let terms = {
            let tls = stream.tls().expect("accepted");
            let exported: [u8; 4] = tls
                .export_keying_material(b"EXPORTER-test", None)
                .expect("the handshake is over");
            format!(
                "{} {} {} {} {:?} {:?};",
                tls.version(),
                tls.cipher_suite(),
                if tls.is_resumed() { "resumed" } else { "full" },
                tls.peer_certificates().len(),
                exported,
                tls.exporter_binding()
            )
        };
        stream.outbox().extend_from_slice(terms.as_bytes());
        stream.flush();
        while let Ok(1..) = stream.fill().await {
            let received = stream.inbox().split();
            stream.outbox().extend_from_slice(&received);
            drop(received);
            if stream.drained(64 * 1024).await.is_err() {
                return;
            }
        }
        stream.close().await;
    })
}

fn terms(client: &mut Client) -> String {
    let mut told = Vec::new();
    loop {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("told");
        if byte == *b";" {
            return String::from_utf8(told).expect("text");
        }
        told.extend(byte);
    }
}

#[test]
fn both_versions_carry_messages_and_tell_their_terms() {
    let server = Server::start(told_echo);
    for (versions, expected) in BOTH
        .into_iter()
        .zip(["TLSv1.2 TLS_ECDHE", "TLSv1.3 TLS13_"])
    {
        let mut client = over(&anonymous(versions), server.connect());
        let told = terms(&mut client);
        assert!(told.starts_with(expected), "{told}");
        let exported = client
            .conn
            .export_keying_material([0_u8; 4], b"EXPORTER-test", None)
            .expect("the handshake is over");
        let label = b"EXPORTER-Channel-Binding";
        let binding = client.conn.export_keying_material([0_u8; 32], label, None);
        let binding = binding.ok().filter(|_| expected.starts_with("TLSv1.3"));
        assert!(
            told.ends_with(&format!("full 0 {exported:?} {binding:?}")),
            "{told}"
        );
        for message in [&b"hello"[..], &[7; 40_000]] {
            client.write_all(message).expect("written");
            let mut answer = vec![0; message.len()];
            client.read_exact(&mut answer).expect("answered");
            assert!(answer == message);
        }
    }
}

#[test]
fn a_client_with_a_certificate_is_known_by_it_and_resumes_on_every_core() {
    let server = Server::start(told_echo);
    for versions in BOTH {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots())
            .with_client_auth_cert(vec![IDENTITY.certificate.clone()], IDENTITY.key.clone_key())
            .expect("a usable key");
        let config = Arc::new(config);
        let first = terms(&mut over(&config, server.connect()));
        assert!(first.contains(" full 1 "), "{first}");
        // The kernel spreads connections over both cores.
        for _ in 0..16 {
            let again = terms(&mut over(&config, server.connect()));
            assert!(again.contains(" resumed 1 "), "{again}");
        }
    }
}

#[test]
fn a_message_larger_than_all_buffers_comes_back_whole() {
    let server = Server::start(told_echo);
    let mut client = over(&anonymous(BOTH[1]), server.connect());
    terms(&mut client);
    let part: Vec<u8> = (0..1_u32 << 16).map(|index| (index >> 3) as u8).collect();
    for _ in 0..64 {
        client.write_all(&part).expect("written");
        let mut answer = vec![0; part.len()];
        client.read_exact(&mut answer).expect("answered");
        assert!(answer == part);
    }
}

#[test]
fn a_reply_longer_than_one_send_is_sent_whole_and_then_the_end_is_said() {
    fn farewell(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            if stream.accept_tls(SERVER.clone()).await.is_ok() {
                stream.outbox().extend_from_slice(&vec![b'x'; 4 << 20]);
            }
            stream.close().await;
        })
    }
    let server = Server::start(farewell);
    for versions in BOTH {
        let mut client = over(&anonymous(versions), server.connect());
        let mut received = Vec::new();
        client.read_to_end(&mut received).expect("ended in order");
        assert_eq!(received.len(), 4 << 20);
    }
}

/// The counters of a session's end: the test reads them from the metrics of panics.
fn expects(wanted: fn(io::Result<usize>) -> bool, stream: Stream) -> Task {
    Box::pin(async move {
        stream.accept_tls(SERVER.clone()).await.expect("a client");
        stream.outbox().extend_from_slice(b".");
        stream.flush();
        let ended = stream.fill().await;
        assert!(wanted(ended), "not so");
        assert!(stream.peer_closed());
        stream.close().await;
    })
}

#[test]
fn an_end_that_was_said_is_told_from_a_connection_that_was_cut() {
    fn said(_shard: Rc<TestShard>, stream: Stream) -> Task {
        expects(|ended| matches!(ended, Ok(0)), stream)
    }
    fn cut(_shard: Rc<TestShard>, stream: Stream) -> Task {
        let cut = |ended: io::Result<usize>| {
            ended.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
        };
        expects(cut, stream)
    }
    for (says_so, session) in [(true, said as fn(_, _) -> _), (false, cut)] {
        let server = Server::start(session);
        let mut client = over(&anonymous(BOTH[1]), server.connect());
        client.read_exact(&mut [0]).expect("served");
        if says_so {
            client.conn.send_close_notify();
            client.flush().expect("sent");
        } else {
            let socket = client.get_ref().try_clone().expect("a second handle");
            socket
                .shutdown(std::net::Shutdown::Write)
                .expect("connected");
        }
        let mut rest = Vec::new();
        client
            .read_to_end(&mut rest)
            .expect("the server says its end");
        server.wait_for("the release", |metrics| metrics.connections() == 0);
        assert!(server.metrics.collect().iter().all(|core| core.panics == 0));
    }
}

#[test]
fn a_session_that_works_learns_that_its_peer_has_gone() {
    fn work(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            stream.accept_tls(SERVER.clone()).await.expect("a client");
            stream.outbox().extend_from_slice(b".");
            stream.flush();
            stream.peer_gone().await;
            stream.close().await;
        })
    }
    let server = Server::start(work);
    let mut client = over(&anonymous(BOTH[1]), server.connect());
    client.read_exact(&mut [0]).expect("served");
    client.write_all(b"unread").expect("written");
    drop(client);
    server.wait_for("the release", |metrics| metrics.connections() == 0);
}

#[test]
fn what_is_no_handshake_is_answered_with_an_alert_and_the_end() {
    fn refused(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            let refused = stream.accept_tls(SERVER.clone()).await;
            assert!(matches!(
                refused,
                Err(TlsError::Refused(_) | TlsError::PeerGone)
            ));
            stream.close().await;
        })
    }
    let server = Server::start(refused);
    let not_tls: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3],
        &[0x16, 3, 1, 0, 4, 1, 0, 0, 0],
        &[0x80, 0x2e, 1, 0, 2, 0, 0x15],
        &[0x17, 3, 3, 0, 1, 0],
    ];
    for bytes in not_tls {
        let mut socket = server.connect();
        socket.write_all(bytes).expect("written");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("ended in order");
        assert_eq!(answer.first(), Some(&0x15), "{bytes:x?}: {answer:x?}");
    }
    drop(server.connect());
    server.wait_for("the release", |metrics| metrics.connections() == 0);
    assert!(server.metrics.collect().iter().all(|core| core.panics == 0));
}

#[test]
fn a_handshake_in_single_bytes_is_a_handshake() {
    struct Slowly(TcpStream);
    impl Read for Slowly {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Slowly {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_micros(100));
            self.0.write(&bytes[..bytes.len().min(1)])
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let server = Server::start(told_echo);
    for versions in BOTH {
        let socket = server.connect();
        socket.set_nodelay(true).expect("an option");
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(anonymous(versions), name).expect("a client");
        let mut client = StreamOwned::new(connection, Slowly(socket));
        client.write_all(b"hello").expect("written");
        let mut told = Vec::new();
        while !told.ends_with(b";hello") {
            let mut byte = [0];
            client.read_exact(&mut byte).expect("answered");
            told.extend(byte);
        }
    }
}

#[test]
fn a_record_that_was_changed_on_its_way_ends_the_connection() {
    fn broken(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            stream.accept_tls(SERVER.clone()).await.expect("a client");
            stream.outbox().extend_from_slice(b".");
            stream.flush();
            let filled = stream.fill().await;
            let kind = filled.map_err(|error| error.kind());
            assert_eq!(kind, Err(io::ErrorKind::InvalidData));
            stream.outbox().extend_from_slice(b"nobody can read this");
            stream.close().await;
        })
    }
    let server = Server::start(broken);
    let mut client = over(&anonymous(BOTH[1]), server.connect());
    client.read_exact(&mut [0]).expect("served");
    let mut forged = vec![0x17, 3, 3, 0, 32];
    forged.extend([9; 32]);
    client.sock.write_all(&forged).expect("written");
    let ended = client.read(&mut [0; 64]).expect_err("no more is said");
    assert!(ended.to_string().contains("BadRecordMac"), "{ended}");
    server.wait_for("the release", |metrics| metrics.connections() == 0);
    assert!(server.metrics.collect().iter().all(|core| core.panics == 0));
}

/// Records of application data that the server sends, by their headers: TLS 1.2 shows their type.
#[test]
fn what_a_slice_flushes_in_pieces_goes_in_one_record_and_the_rest_waits() {
    fn pieces(_shard: Rc<TestShard>, stream: Stream) -> Task {
        Box::pin(async move {
            stream.accept_tls(SERVER.clone()).await.expect("a client");
            for piece in [&b"one "[..], b"two ", b"three"] {
                stream.outbox().extend_from_slice(piece);
                stream.flush();
            }
            shards::yield_now().await;
            stream.outbox().extend_from_slice(b"?four");
            while stream.unsent() > 5 {
                shards::yield_now().await;
            }
            shards::sleep(Duration::from_millis(5)).await;
            assert_eq!(stream.unsent(), 5, "sent although it was not flushed");
            stream.outbox()[0] = b' ';
            stream.close().await;
        })
    }
    /// Keeps a copy of what is read.
    struct Copied(TcpStream, Vec<u8>);
    impl Read for Copied {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.read(buffer)?;
            self.1.extend_from_slice(&buffer[..bytes]);
            Ok(bytes)
        }
    }
    impl Write for Copied {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    let server = Server::start(pieces);
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(anonymous(BOTH[0]), name).expect("a client");
    let mut client = StreamOwned::new(connection, Copied(server.connect(), Vec::new()));
    let mut text = Vec::new();
    client.read_to_end(&mut text).expect("ended in order");
    assert_eq!(text, b"one two three four");
    let (mut records, mut rest) = (0, &client.sock.1[..]);
    while let [kind, _, _, high, low, behind @ ..] = rest {
        records += usize::from(*kind == 0x17);
        rest = &behind[usize::from(*high) << 8 | usize::from(*low)..];
    }
    assert_eq!(records, 2);
}

#[test]
fn a_peer_that_does_not_read_holds_its_session_back() {
    let small = Options {
        outbox_bytes_max: 64 * 1024,
        ..options()
    };
    let server = Server::start_with(small, told_echo);
    let client = over(&anonymous(BOTH[1]), server.connect());
    let (mut connection, mut socket) = client.into_parts();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).expect("a handshake");
    }
    socket
        .set_write_timeout(Some(Duration::from_millis(500)))
        .expect("a timeout");
    let sent = (0..1024).take_while(|_| {
        let _ = connection.writer().write_all(&[0; 32 * 1024]);
        while connection.wants_write() {
            if connection.write_tls(&mut socket).is_err() {
                return false;
            }
        }
        true
    });
    let sent = sent.count();
    assert!(
        sent < 1000,
        "32 MiB were taken from a peer that reads nothing"
    );
    drop(socket);
    server.wait_for("the release", |metrics| metrics.connections() == 0);
}
