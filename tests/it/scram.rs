//! Password logins as clients and strangers see them (REFERENCE §3, invariant 6).

use crate::server::TestServer;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One message of the server's: its type and body.
pub type Message = (u8, Vec<u8>);

/// A connection that begins a login by hand.
pub struct Stranger<S>(S);

impl Stranger<TcpStream> {
    fn connect(server: &TestServer, user: &str) -> Stranger<TcpStream> {
        let stream = TcpStream::connect(server.pgwire()).expect("the port listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout can be set");
        Stranger::over(stream, user)
    }
}

impl<S: Read + Write> Stranger<S> {
    /// Sends the start-up packet.
    pub fn over(stream: S, user: &str) -> Stranger<S> {
        let mut stranger = Stranger(stream);
        let mut body = 196_608i32.to_be_bytes().to_vec();
        body.extend_from_slice(format!("user\0{user}\0\0").as_bytes());
        let length = i32::try_from(body.len() + 4).expect("it is short");
        stranger.write(&[&length.to_be_bytes(), body.as_slice()].concat());
        stranger
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("it is sent");
    }

    pub fn send(&mut self, body: &[u8]) {
        let length = i32::try_from(body.len() + 4).expect("it is short");
        self.write(&[b"p", length.to_be_bytes().as_slice(), body].concat());
    }

    pub fn send_initial(&mut self, mechanism: &str, message: &[u8]) {
        let length = i32::try_from(message.len()).expect("it is short");
        let length = length.to_be_bytes();
        self.send(&[mechanism.as_bytes(), b"\0", &length, message].concat());
    }

    pub fn receive(&mut self) -> Option<Message> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length - 4];
        self.0.read_exact(&mut body).expect("a whole message");
        Some((head[0], body))
    }

    /// All that comes until the server closes or is ready.
    pub fn receive_rest(&mut self, messages: &mut Vec<Message>) {
        while let Some(message) = self.receive() {
            let ready = message.0 == b'Z';
            messages.push(message);
            if ready {
                break;
            }
        }
    }
}

/// All that the server sends to a login with this password, until it closes or is ready.
fn transcript(server: &TestServer, user: &str, password: &str) -> Vec<Message> {
    let mut stranger = Stranger::connect(server, user);
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let mut messages = vec![stranger.receive().expect("AuthenticationSASL")];
    stranger.send_initial("SCRAM-SHA-256", scram.message());
    let challenge = stranger.receive().expect("AuthenticationSASLContinue");
    scram.update(&challenge.1[4..]).expect("a challenge");
    stranger.send(scram.message());
    messages.push(challenge);
    stranger.receive_rest(&mut messages);
    messages
}

/// What does not differ between two exchanges: types, lengths, and the final error's text.
pub fn shape(messages: &[Message], user: &str) -> Vec<(char, usize, String)> {
    messages
        .iter()
        .map(|(tag, body)| {
            let text = match tag {
                b'E' => String::from_utf8_lossy(body).replace(user, "<user>"),
                _ => String::new(),
            };
            let length = if *tag == b'E' { text.len() } else { body.len() };
            (char::from(*tag), length, text)
        })
        .collect()
}

/// `s=…,i=…` of a challenge.
fn salt_and_iterations(messages: &[Message]) -> String {
    let text = String::from_utf8_lossy(&messages[1].1[4..]).into_owned();
    text.split_once(",s=").expect("a salt").1.to_owned()
}

#[test]
fn a_name_that_cannot_log_in_cannot_be_told_from_a_wrong_password() {
    let server = TestServer::start_with(&[]);
    server.psql("CREATE USER known WITH PASSWORD 'right'");
    server.psql("CREATE USER disabled WITH PASSWORD 'right'");
    server.psql("ALTER USER disabled DISABLE");
    server.psql("CREATE USER expired WITH PASSWORD 'right'");
    server.psql("ALTER USER expired VALID UNTIL '2001-01-01'");
    server.psql("CREATE USER without WITH PASSWORD 'right'");
    server.psql("ALTER USER without PASSWORD NULL");

    let wrong = transcript(&server, "known", "wrong");
    let expected = shape(&wrong, "known");
    let (tag, _, error) = expected.last().expect("an error");
    assert_eq!(*tag, 'E');
    assert!(error.contains("C28P01\0"), "{error:?}");
    assert!(
        error.contains("Mpassword authentication failed for user \"<user>\"\0"),
        "{error:?}"
    );
    for user in ["nobody", "disabled", "expired", "without"] {
        let refused = transcript(&server, user, "right");
        assert_eq!(shape(&refused, user), expected, "{user}");
        let again = transcript(&server, user, "right");
        assert_eq!(
            salt_and_iterations(&refused),
            salt_and_iterations(&again),
            "{user}: a real user's salt stays the same too"
        );
    }
    let ready = transcript(&server, "known", "right");
    assert_eq!(ready.last().map(|message| message.0), Some(b'Z'));
}

#[test]
fn mock_challenges_stay_the_same_over_a_restart() {
    let mut server = TestServer::start();
    let before = salt_and_iterations(&transcript(&server, "nobody", "x"));
    server.terminate();
    server.resume();
    let after = salt_and_iterations(&transcript(&server, "nobody", "x"));
    assert_eq!(before, after);
}

#[test]
fn a_mock_names_the_configured_iterations() {
    let server = TestServer::start_with(&[]);
    let of_known = salt_and_iterations(&transcript(&server, "nodedb", "x"));
    let of_unknown = salt_and_iterations(&transcript(&server, "nobody", "x"));
    let iterations = |text: &str| text.split_once(",i=").expect("a count").1.to_owned();
    assert_eq!(iterations(&of_known), "4096");
    assert_eq!(iterations(&of_unknown), "4096");
}

#[test]
fn verifiers_are_stored_as_they_are_and_md5_is_refused() {
    let server = TestServer::start();
    // RFC 7677 §3's password `pencil`, as psql's \password would send it.
    server.psql(
        "CREATE USER ready WITH PASSWORD 'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
         WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='",
    );
    let messages = transcript(&server, "ready", "pencil");
    assert_eq!(
        salt_and_iterations(&messages),
        "W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    assert_eq!(messages.last().map(|message| message.0), Some(b'Z'));
    for password in [
        "md5deadbeefdeadbeefdeadbeefdeadbeef",
        "SCRAM-SHA-256$100:W22ZaJ0SNY7soEsUEjb6gQ==$\
         WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    ] {
        let error = server.psql_error(&format!("CREATE USER x WITH PASSWORD '{password}'"));
        assert!(error.contains("ERROR:  22023:"), "{error}");
    }
}

#[test]
fn an_empty_password_is_none() {
    let server = TestServer::start();
    server.psql("CREATE USER empty WITH PASSWORD ''");
    let refused = transcript(&server, "empty", "");
    assert_eq!(refused.last().map(|message| message.0), Some(b'E'));
}

#[test]
fn passwords_beyond_ascii_are_prepared_as_clients_prepare_them() {
    let server = TestServer::start();
    // Each pair is one password to SASLprep (RFC 4013): no-break space, NFKC, soft hyphen.
    for (index, (set, typed)) in [("a\u{A0}b", "a b"), ("\u{2168}", "IX"), ("I\u{AD}X", "IX")]
        .into_iter()
        .enumerate()
    {
        let user = format!("user{index}");
        server.psql(&format!("CREATE USER {user} WITH PASSWORD '{set}'"));
        for password in [set, typed] {
            let done = server.psql_as(&user, password, "nodedb", "SHOW SESSION");
            assert!(done.status.success(), "{password:?}: {done:?}");
        }
    }
}
