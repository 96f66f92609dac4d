//! SCRAM-SHA-256-PLUS by a client that binds, and by those who only say so.

use crate::authority::Authority;
use crate::scram::{Message, Stranger, shape};
use crate::scram_client::ScramClient;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use crate::tls::{SECTION, start};
use crate::tls_reload::{hang_up, until_psql};
use ring::digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const PLUS: &str = "SCRAM-SHA-256-PLUS";
const END_POINT: &str = "p=tls-server-end-point,,";
const EXPORTER: &str = "p=tls-exporter,,";
const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// One TLS connection, before its start-up packet.
struct Inside(StreamOwned<ClientConnection, TcpStream>);

/// A client's memory of sessions is in its configuration.
fn config(
    server: &TestServer,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(server.directory().join("ca.crt"));
    roots.add(authority.expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

impl Inside {
    fn connect(server: &TestServer, config: &Arc<ClientConfig>) -> Inside {
        let mut socket = TcpStream::connect(server.pgwire()).expect("the port listens");
        let patience = Some(Duration::from_secs(60));
        socket.set_read_timeout(patience).expect("a timeout");
        socket
            .write_all(&[0, 0, 0, 8, 4, 210, 22, 47])
            .expect("sent");
        let mut granted = [0];
        socket.read_exact(&mut granted).expect("answered");
        assert_eq!(&granted, b"S");
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        let mut connection = ClientConnection::new(config.clone(), name).expect("a client");
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).expect("a handshake");
        }
        Inside(StreamOwned::new(connection, socket))
    }

    /// The data of a type of binding, as this end has it.
    fn data(&self, header: &str) -> Vec<u8> {
        match header {
            END_POINT => {
                let shown = self.0.conn.peer_certificates().expect("a certificate");
                digest::digest(&digest::SHA256, &shown[0]).as_ref().to_vec()
            }
            EXPORTER => {
                let label = b"EXPORTER-Channel-Binding";
                let exported = self
                    .0
                    .conn
                    .export_keying_material([0_u8; 32], label, Some(b""));
                exported.expect("the handshake is over").to_vec()
            }
            _ => Vec::new(),
        }
    }

    /// The superuser, bound to this connection as it should be.
    fn client(&self, mechanism: &'static str, header: &'static str) -> ScramClient {
        ScramClient {
            mechanism,
            header,
            data: self.data(header),
            password: SUPERUSER_PASSWORD,
        }
    }

    /// All that the server says to this client.
    fn transcript(self, user: &str, client: &ScramClient) -> Vec<Message> {
        let mut stranger = Stranger::over(self.0, user);
        let mut messages = vec![stranger.receive().expect("AuthenticationSASL")];
        stranger.send_initial(client.mechanism, client.first().as_bytes());
        let answer = stranger.receive().expect("an answer");
        let challenge = (answer.0 == b'R').then(|| answer.1[4..].to_vec());
        messages.push(answer);
        if let Some(challenge) = challenge {
            stranger.send(client.last(&challenge).as_bytes());
            stranger.receive_rest(&mut messages);
        }
        messages
    }
}

/// `in`, or the SQLSTATE and the message of the refusal.
fn verdict(messages: &[Message]) -> String {
    let (tag, body) = messages.last().expect("the server answers");
    match tag {
        b'Z' => "in".to_owned(),
        _ => {
            let text = String::from_utf8_lossy(body).into_owned();
            let field = |code: char| text.split('\0').find_map(|field| field.strip_prefix(code));
            let (code, message) = (field('C'), field('M'));
            format!("{} {}", code.unwrap_or("?"), message.unwrap_or("?"))
        }
    }
}

#[test]
fn both_types_bind_and_what_does_not_fit_is_refused() {
    let server = start("");
    let newest = config(&server, &[&rustls::version::TLS13]);
    let older = config(&server, &[&rustls::version::TLS12]);
    let unsupported = "08P01 unsupported SCRAM channel-binding type";
    let downgrade = "28000 SCRAM channel binding negotiation error";
    let malformed = "08P01 malformed SCRAM message";
    for (config, mechanism, header, expected) in [
        (&newest, PLUS, END_POINT, "in"),
        (&newest, PLUS, EXPORTER, "in"),
        (&older, PLUS, END_POINT, "in"),
        (&older, PLUS, EXPORTER, unsupported),
        (&newest, PLUS, "p=tls-unique,,", unsupported),
        (&newest, PLUS, "n,,", malformed),
        (&newest, PLUS, "y,,", malformed),
        (&newest, "SCRAM-SHA-256", "n,,", "in"),
        (&newest, "SCRAM-SHA-256", "y,,", downgrade),
        (&older, "SCRAM-SHA-256", "y,,", downgrade),
        (&newest, "SCRAM-SHA-256", END_POINT, malformed),
        (&newest, "SCRAM-SHA-256", EXPORTER, malformed),
    ] {
        let inside = Inside::connect(&server, config);
        let client = inside.client(mechanism, header);
        let messages = inside.transcript("nodedb", &client);
        let offered = String::from_utf8_lossy(&messages[0].1[4..]).into_owned();
        assert_eq!(offered, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
        assert_eq!(verdict(&messages), expected, "{mechanism} {header}");
    }
    let log = server.log();
    let told = log.lines().filter(|line| {
        line.contains("login refused") && line.contains("SCRAM channel binding negotiation error")
    });
    assert_eq!(told.count(), 2, "{log}");
}

#[test]
fn whoever_is_bound_to_another_connection_is_refused_whatever_the_password_and_the_name() {
    let server = start("");
    let config = config(&server, BOTH);
    for header in [END_POINT, EXPORTER] {
        let elsewhere = match header {
            // As if the certificate had been another's.
            END_POINT => vec![7; 32],
            // A session of the same client with the same server.
            _ => Inside::connect(&server, &config).data(header),
        };
        for (user, password) in [
            ("nodedb", SUPERUSER_PASSWORD),
            ("nodedb", "wrong"),
            ("nobody", "wrong"),
        ] {
            let inside = Inside::connect(&server, &config);
            let data = elsewhere.clone();
            let client = ScramClient {
                data,
                password,
                ..inside.client(PLUS, header)
            };
            let refused = inside.transcript(user, &client);
            assert_eq!(
                verdict(&refused),
                "28000 SCRAM channel binding check failed",
                "{header} {user}"
            );
        }
    }
}

#[test]
fn a_name_that_cannot_log_in_cannot_be_told_from_a_wrong_password_when_bound_either() {
    let server = start("");
    server.psql("CREATE USER known WITH PASSWORD 'right'");
    server.psql("CREATE USER disabled WITH PASSWORD 'right'");
    server.psql("ALTER USER disabled DISABLE");
    let config = config(&server, BOTH);
    for header in [END_POINT, EXPORTER] {
        let transcript = |user: &str, password| {
            let inside = Inside::connect(&server, &config);
            let client = ScramClient {
                password,
                ..inside.client(PLUS, header)
            };
            inside.transcript(user, &client)
        };
        let wrong = transcript("known", "wrong");
        let refusal = "28P01 password authentication failed for user \"known\"";
        assert_eq!(verdict(&wrong), refusal);
        for user in ["nobody", "disabled"] {
            let refused = transcript(user, "right");
            assert_eq!(shape(&refused, user), shape(&wrong, "known"), "{user}");
        }
        assert_eq!(verdict(&transcript("known", "right")), "in");
    }
}

#[test]
fn a_log_in_is_bound_to_the_certificate_that_its_client_was_shown() {
    let directory = TempDir::new().expect("a temporary directory");
    let authority = Authority::new("Test CA");
    authority.write_server_files(directory.path());
    let server = TestServer::start_in_directory(directory, SECTION);
    let remembering = config(&server, BOTH);
    let log_in = |inside: Inside| {
        let client = inside.client(PLUS, END_POINT);
        verdict(&inside.transcript("nodedb", &client))
    };
    assert_eq!(log_in(Inside::connect(&server, &remembering)), "in");
    let resumed = Inside::connect(&server, &remembering);
    let kind = resumed.0.conn.handshake_kind();
    assert_eq!(kind, Some(HandshakeKind::Resumed));
    assert_eq!(log_in(resumed), "in");

    let begun = Inside::connect(&server, &remembering);
    let first = begun.data(END_POINT);
    let before = server.psql("SHOW TLS");
    authority.server().write(server.directory(), "server");
    hang_up(&server);
    until_psql(&server, "SHOW TLS", Duration::from_secs(5), |shown| {
        shown != before
    });
    // Its handshake was over before the new certificate came into force.
    assert_eq!(log_in(begun), "in");
    // A ticket of before would stand for a certificate that is in force no more.
    let remembered = Inside::connect(&server, &remembering);
    let kind = remembered.0.conn.handshake_kind();
    assert_ne!(kind, Some(HandshakeKind::Resumed));
    assert_ne!(remembered.data(END_POINT), first);
    assert_eq!(log_in(remembered), "in");
}
