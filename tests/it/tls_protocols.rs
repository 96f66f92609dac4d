//! TLS byte by byte, where no well-behaved program goes.

use crate::server::TestServer;
use crate::tls::start;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the port listens");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a timeout");
    stream
}

fn read_to_end(mut stream: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    // A connection that is cut is as good as one that is closed.
    let _ = stream.read_to_end(&mut all);
    all
}

/// A client inside TLS.
fn inside(server: &TestServer, socket: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    inside_with(server, socket, None)
}

/// A client inside TLS, with the certificate of these files if any.
pub fn inside_with(
    server: &TestServer,
    socket: TcpStream,
    certificate: Option<&str>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let path = server.directory().join("ca.crt");
    let authority = CertificateDer::from_pem_file(path);
    roots.add(authority.expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let file = |name: &str, extension| server.directory().join(format!("{name}.{extension}"));
    let config = match certificate {
        None => config.with_no_client_auth(),
        Some(name) => {
            let certificate = CertificateDer::from_pem_file(file(name, "crt")).expect("PEM");
            let key = PrivateKeyDer::from_pem_file(file(name, "key")).expect("PEM");
            let config = config.with_client_auth_cert(vec![certificate], key);
            config.expect("a certificate and its key")
        }
    };
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(connection, socket)
}

#[test]
fn bytes_smuggled_in_behind_ssl_request_are_refused() {
    // CVE-2021-23222: what somebody in the middle puts behind SSLRequest must not be taken for what
    // the client says inside TLS.
    let server = start("");
    let mut socket = connect(server.pgwire());
    let smuggled = crate::wire::startup(0, &[("user", "nodedb")]);
    socket
        .write_all(&[&SSL_REQUEST[..], &smuggled].concat())
        .expect("sent");
    let answer = read_to_end(socket);
    assert_eq!(answer[0], b'E', "{answer:x?}");
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.contains("received unencrypted data after SSL request"),
        "{text}"
    );
    assert!(text.contains("08P01"), "{text}");
}

#[test]
fn nothing_is_encrypted_twice() {
    let server = start("");
    let mut socket = connect(server.pgwire());
    socket.write_all(&SSL_REQUEST).expect("sent");
    let mut granted = [0];
    socket.read_exact(&mut granted).expect("answered");
    assert_eq!(&granted, b"S");
    let mut client = inside(&server, socket);
    client.write_all(&SSL_REQUEST).expect("sent");
    let text = read_to_end(&mut client);
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("too many encryption requests"), "{text}");
}

#[test]
fn plain_bytes_instead_of_a_handshake_end_with_an_alert_and_a_log_line() {
    let server = start("");
    let mut socket = connect(server.pgwire());
    socket.write_all(&SSL_REQUEST).expect("sent");
    let mut granted = [0];
    socket.read_exact(&mut granted).expect("answered");
    socket
        .write_all(&crate::wire::startup(0, &[("user", "nodedb")]))
        .expect("sent");
    let answer = read_to_end(socket);
    assert_eq!(answer.first(), Some(&0x15), "{answer:x?}");

    for address in [server.pgwire(), server.native(), server.http()] {
        let mut socket = connect(address);
        socket
            .write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3])
            .expect("sent");
        let answer = read_to_end(socket);
        assert_eq!(answer.first(), Some(&0x15), "{address}: {answer:x?}");
    }
    let log = server.log();
    // The test's own look at whether the server answers begins a handshake and goes away.
    let failed = log.lines().filter(|line| {
        line.contains("a TLS handshake has failed") && !line.contains("the peer has gone")
    });
    assert_eq!(failed.count(), 4, "{log}");
    assert_eq!(server.psql("SELECT 1"), "1", "the server goes on");
}

#[test]
fn a_handshake_where_there_is_no_tls_is_refused_with_an_alert() {
    let server = TestServer::start();
    for address in [server.native(), server.http()] {
        let mut socket = connect(address);
        socket.write_all(&[0x16, 3, 1, 0, 5, 1]).expect("sent");
        assert_eq!(read_to_end(socket), [0x15, 3, 1, 0, 2, 2, 40], "{address}");
    }
    assert!(server.log().contains("no TLS is configured"));
}

#[test]
fn a_handshake_that_stalls_ends_with_the_time_of_a_log_in() {
    let server = start("[server]\nlogin_deadline = \"1s\"\n");
    for address in [server.pgwire(), server.native(), server.http()] {
        let mut socket = connect(address);
        socket.write_all(&[0x16, 3, 1, 1]).expect("sent");
        let begun = std::time::Instant::now();
        read_to_end(socket);
        let took = begun.elapsed();
        let expected = Duration::from_millis(900)..Duration::from_secs(30);
        assert!(expected.contains(&took), "{address}: {took:?}");
    }
}

#[test]
fn the_native_protocol_runs_inside_tls_and_is_refused_in_plain_where_that_is_required() {
    const HELLO: &[u8; 16] = b"NDBH\0\x01\0\x01\0\0\0\0\0\0\0\x80";
    let server = start("require_tls = true\n");
    let mut client = inside(&server, connect(server.native()));
    client.write_all(HELLO).expect("sent");
    let mut ack = [0; 4];
    client.read_exact(&mut ack).expect("answered");
    assert_eq!(&ack, b"NDBA");

    let mut socket = connect(server.native());
    socket.write_all(HELLO).expect("sent");
    assert_eq!(read_to_end(socket), b"NDBE\x02\x18this server requires TLS");
}
