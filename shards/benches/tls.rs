//! What TLS costs a core: handshakes beside rustls' own, records beside plain bytes, idle connections.
//!
//! `cargo bench -p shards --bench tls` prints a table. The server is a process of its own, whose CPU time
//! and memory are read from outside; its certificate and its client's are on P-256, TLS is 1.3.

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection, StreamOwned,
};
use shards::{CoreContext, Listener, ListenerId, Options, Runtime, Shard, Stream};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const HANDSHAKES: u32 = 2_048;
/// Connections that are opened at once.
const BATCH: u32 = 64;
const CONNECTIONS: usize = 100;
const ROUNDS: usize = 400;
const IDLE: usize = 1_000;
const MESSAGE_BYTES: usize = 100;

/// Made by the client and given to the server: both know it.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn new() -> Identity {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        Identity::of(cert.der().clone(), &signing_key)
    }

    fn of(certificate: CertificateDer<'static>, key: &KeyPair) -> Identity {
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Identity { certificate, key }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        Arc::new(roots)
    }

    fn server(&self) -> Arc<ServerConfig> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider())
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .expect("a key");
        config.ticketer = rustls::crypto::ring::Ticketer::new().expect("randomness");
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        Arc::new(config)
    }

    fn client(&self) -> ClientConfig {
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_root_certificates(self.roots())
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())
            .expect("a key")
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Full handshakes only.
fn forgetful(identity: &Identity) -> Arc<ClientConfig> {
    let mut config = identity.client();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

fn client_of(config: &Arc<ClientConfig>) -> ClientConnection {
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(config.clone(), name).expect("a client")
}

// The server's process.

struct Echo(Arc<ServerConfig>);

impl Shard for Echo {
    type Message = ();

    fn accepted(self: &Rc<Self>, listener: ListenerId, stream: Stream) {
        let config = (listener == ListenerId(0)).then(|| self.0.clone());
        shards::spawn(async move {
            if let Some(config) = config
                && Box::pin(stream.accept_tls(config)).await.is_err()
            {
                return;
            }
            while let Ok(1..) = stream.fill().await {
                let received = stream.inbox().split();
                stream.outbox().extend_from_slice(&received);
                stream.flush();
            }
            stream.close().await;
        });
    }

    fn message(self: &Rc<Self>, (): ()) {}
    fn drain(self: &Rc<Self>) {}
}

fn serve() {
    let mut line = String::new();
    let mut input = std::io::stdin().lock();
    let mut next = || {
        line.clear();
        input.read_line(&mut line).expect("the other process");
        let text = line.trim().as_bytes();
        let digits = text.chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        });
        digits.collect::<Vec<u8>>()
    };
    let identity = Identity {
        certificate: next().into(),
        key: PrivateKeyDer::Pkcs8(next().into()),
    };
    let config = identity.server();
    let listener = |name| Listener {
        name,
        addresses: vec!["127.0.0.1:0".parse().expect("an address")],
    };
    let options = Options {
        cores: Some(1),
        listeners: vec![listener("tls"), listener("plain")],
        ..Options::default()
    };
    let start = move |_: CoreContext<()>| Echo(config.clone());
    let runtime = Runtime::start(options, start).expect("it starts");
    for listener in [0, 1] {
        println!("{}", runtime.addresses(ListenerId(listener))[0]);
    }
    let _ = input.read_line(&mut String::new());
    runtime.join();
}

// The client's.

struct Server {
    process: Child,
    tls: String,
    plain: String,
}

impl Server {
    fn start(identity: &Identity) -> Server {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let input = process.stdin.as_mut().expect("a pipe");
        for bytes in [&*identity.certificate, identity.key.secret_der()] {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(input, "{digits}").expect("it reads");
        }
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut address = || {
            let mut line = String::new();
            output.read_line(&mut line).expect("it says where");
            line.trim().to_owned()
        };
        let (tls, plain) = (address(), address());
        Server {
            process,
            tls,
            plain,
        }
    }

    fn connect(address: &str) -> TcpStream {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("an option");
        stream
    }

    /// CPU time that it has used.
    fn cpu(&self) -> Duration {
        let tasks = format!("/proc/{}/task", self.process.id());
        let threads = std::fs::read_dir(tasks).expect("procfs");
        let nanoseconds = threads.map(|thread| {
            let path = thread.expect("procfs").path().join("schedstat");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let first = text.split(' ').next().unwrap_or_default();
            first.parse::<u64>().unwrap_or(0)
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    fn pss_kib(&self) -> f64 {
        let path = format!("/proc/{}/smaps_rollup", self.process.id());
        let text = std::fs::read_to_string(path).expect("procfs");
        let line = text.lines().find(|line| line.starts_with("Pss:"));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        value
            .and_then(|value| value.parse().ok())
            .expect("a figure")
    }

    /// Microseconds of its CPU for each of so many.
    fn each(&self, count: u32, mut work: impl FnMut()) -> f64 {
        let before = self.cpu();
        (0..count).for_each(|_| work());
        std::thread::sleep(Duration::from_millis(200));
        (self.cpu() - before).as_secs_f64() * 1e6 / f64::from(count)
    }
}

/// Connections with one message each: microseconds of the server's CPU for one of them. They are opened
/// in batches, and each flight of a batch is sent at once: a core that waits for a client's arithmetic
/// looks around for a while, which is no cost of the handshake's.
fn connections(server: &Server, configs: &[Arc<ClientConfig>], expected: HandshakeKind) -> f64 {
    batch(server, configs);
    let cost = server.each(HANDSHAKES / BATCH, || {
        for kind in batch(server, configs) {
            assert_eq!(kind, Some(expected));
        }
    });
    cost / f64::from(BATCH)
}

fn batch(server: &Server, configs: &[Arc<ClientConfig>]) -> Vec<Option<HandshakeKind>> {
    let opened = configs
        .iter()
        .map(|config| (client_of(config), Server::connect(&server.tls)));
    let mut opened: Vec<(ClientConnection, TcpStream)> = opened.collect();
    send_all(&mut opened);
    for (client, socket) in &mut opened {
        while client.is_handshaking() {
            client.read_tls(socket).expect("answered");
            client.process_new_packets().expect("a handshake");
        }
        client.writer().write_all(b"x").expect("memory");
    }
    send_all(&mut opened);
    for (client, socket) in &mut opened {
        while client.reader().read(&mut [0]).is_err() {
            client.read_tls(socket).expect("answered");
            client.process_new_packets().expect("an answer");
        }
    }
    let kinds = opened.iter().map(|(client, _)| client.handshake_kind());
    kinds.collect()
}

fn send_all(opened: &mut [(ClientConnection, TcpStream)]) {
    let flights: Vec<Vec<u8>> = (opened.iter_mut())
        .map(|(client, _)| {
            let mut flight = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut flight).expect("memory");
            }
            flight
        })
        .collect();
    for ((_, socket), flight) in opened.iter_mut().zip(flights) {
        socket.write_all(&flight).expect("sent");
    }
}

/// As many plain connections with one message each.
fn plain_connections(server: &Server) -> f64 {
    let cost = server.each(HANDSHAKES / BATCH, || {
        let opened = (0..BATCH).map(|_| Server::connect(&server.plain));
        let mut opened: Vec<TcpStream> = opened.collect();
        for socket in &mut opened {
            socket.write_all(b"x").expect("sent");
        }
        for socket in &mut opened {
            socket.read_exact(&mut [0]).expect("answered");
        }
    });
    cost / f64::from(BATCH)
}

/// CPU time of this thread.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).expect("a time"),
        u32::try_from(time.tv_nsec).expect("below a second"),
    )
}

/// rustls alone, its server's side of a handshake: microseconds.
fn rustls_alone(identity: &Identity, config: &Arc<ClientConfig>) -> f64 {
    let server_config = identity.server();
    let mut spent = Duration::ZERO;
    for round in 0..=HANDSHAKES {
        let mut client = client_of(config);
        let begun = thread_cpu();
        let mut server = ServerConnection::new(server_config.clone()).expect("a server");
        let mut taken = thread_cpu() - begun;
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
            wire.clear();
            while client.wants_write() {
                client.write_tls(&mut wire).expect("memory");
            }
            let begun = thread_cpu();
            let mut rest = &wire[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).expect("memory");
                server.process_new_packets().expect("a handshake");
            }
            let mut answer = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answer).expect("memory");
            }
            taken += thread_cpu() - begun;
            let mut rest = &answer[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).expect("memory");
                client.process_new_packets().expect("a handshake");
            }
        }
        // The first fills caches and, where tickets are kept, brings the first of them.
        if round > 0 {
            spent += taken;
        }
    }
    spent.as_secs_f64() * 1e6 / f64::from(HANDSHAKES)
}

fn messages<S: Read + Write>(server: &Server, mut streams: Vec<S>) -> f64 {
    let message = [7; MESSAGE_BYTES];
    let mut answer = [0; MESSAGE_BYTES];
    let mut round = || {
        for stream in &mut streams {
            stream.write_all(&message).expect("sent");
        }
        for stream in &mut streams {
            stream.read_exact(&mut answer).expect("answered");
        }
    };
    round();
    let rounds = u32::try_from(ROUNDS).expect("few");
    server.each(rounds, round) / CONNECTIONS as f64
}

fn tls_stream(
    server: &Server,
    config: &Arc<ClientConfig>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut stream = StreamOwned::new(client_of(config), Server::connect(&server.tls));
    stream.write_all(b"x").expect("sent");
    stream.read_exact(&mut [0]).expect("answered");
    stream
}

/// KiB for each idle connection.
fn idle<S>(server: &Server, connect: impl Fn() -> S) -> f64 {
    let before = server.pss_kib();
    let held: Vec<S> = (0..IDLE).map(|_| connect()).collect();
    std::thread::sleep(Duration::from_millis(500));
    let after = server.pss_kib();
    drop(held);
    std::thread::sleep(Duration::from_secs(3));
    (after - before) / IDLE as f64
}

fn main() {
    if std::env::args().any(|argument| argument == "serve") {
        return serve();
    }
    let identity = Identity::new();
    let mut server = Server::start(&identity);
    let plain = || {
        let mut stream = Server::connect(&server.plain);
        stream.write_all(b"x").expect("sent");
        stream.read_exact(&mut [0]).expect("answered");
        stream
    };
    let full = forgetful(&identity);
    let resuming = Arc::new(identity.client());
    println!("server CPU, µs, TLS 1.3, P-256, with a client certificate");
    let alone = rustls_alone(&identity, &full);
    let alone_resumed = rustls_alone(&identity, &resuming);
    println!("  rustls alone: full {alone:.0}, resumed {alone_resumed:.0}");
    let bare = plain_connections(&server);
    let same: Vec<_> = (0..BATCH).map(|_| full.clone()).collect();
    let ours = connections(&server, &same, HandshakeKind::Full);
    // Each with tickets of its own: a client keeps few of one server's.
    let own: Vec<_> = (0..BATCH).map(|_| Arc::new(identity.client())).collect();
    let ours_resumed = connections(&server, &own, HandshakeKind::Resumed);
    println!(
        "  a connection with one message: plain {bare:.0}, full {ours:.0}, resumed {ours_resumed:.0}"
    );
    println!(
        "  handshake beside rustls alone: full {:.2}, resumed {:.2}; full beside resumed {:.1}",
        (ours - bare) / alone,
        (ours_resumed - bare) / alone_resumed,
        (ours - bare) / (ours_resumed - bare)
    );
    let plain_message = messages(&server, (0..CONNECTIONS).map(|_| plain()).collect());
    let streams = (0..CONNECTIONS).map(|_| tls_stream(&server, &full));
    let tls_message = messages(&server, streams.collect());
    println!(
        "an echo of {MESSAGE_BYTES} bytes on {CONNECTIONS} connections: plain {plain_message:.2}, TLS {tls_message:.2}"
    );
    let idle_plain = idle(&server, plain);
    let idle_tls = idle(&server, || tls_stream(&server, &full));
    println!("an idle connection, KiB of PSS: plain {idle_plain:.1}, TLS {idle_tls:.1}");
    drop(server.process.stdin.take());
    let _ = server.process.wait();
}
