//! A client that speaks the PostgreSQL protocol message by message, for tests of the protocol
//! itself: what it sends is bytes, what it gets is messages.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use rustix::net::{self, AddressFamily, SocketType};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A reply takes at most so long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One message of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub tag: char,
    pub body: Vec<u8>,
}

impl Reply {
    /// A field of ErrorResponse or NoticeResponse.
    pub fn field(&self, code: u8) -> Option<String> {
        assert!("EN".contains(self.tag), "{self:?}");
        self.body
            .split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&code))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    }

    /// The values of a DataRow as text; None is NULL.
    pub fn row(&self) -> Vec<Option<String>> {
        assert_eq!(self.tag, 'D', "{self:?}");
        let mut rest = &self.body[2..];
        let count = u16::from_be_bytes([self.body[0], self.body[1]]);
        (0..count)
            .map(|_| {
                let (length, after) = rest.split_first_chunk::<4>().expect("a length");
                let length = i32::from_be_bytes(*length);
                let Ok(length) = usize::try_from(length) else {
                    rest = after;
                    return None;
                };
                let (value, after) = after.split_at(length);
                rest = after;
                Some(String::from_utf8_lossy(value).into_owned())
            })
            .collect()
    }

    /// The body as text, zero bytes shown as `|`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).replace('\0', "|")
    }
}

/// A connection.
pub struct Wire {
    stream: TcpStream,
    /// BackendKeyData's body.
    pub key_data: Vec<u8>,
    /// What came before the first ReadyForQuery.
    pub welcome: Vec<Reply>,
}

/// A message with a type byte.
pub fn message(tag: char, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag as u8];
    bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A first packet: version and parameters.
pub fn startup(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = vec![0, 3];
    body.extend_from_slice(&minor.to_be_bytes());
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

/// Query
pub fn query(text: &str) -> Vec<u8> {
    message('Q', format!("{text}\0").as_bytes())
}

/// Parse of a statement without declared parameters.
pub fn parse(name: &str, text: &str) -> Vec<u8> {
    message('P', format!("{name}\0{text}\0\0\0").as_bytes())
}

/// Bind without parameters, results as text.
pub fn bind(portal: &str, statement: &str) -> Vec<u8> {
    let body = format!("{portal}\0{statement}\0\0\0\0\0\0\0");
    message('B', body.as_bytes())
}

/// Describe; `kind` is S or P.
pub fn describe(kind: char, name: &str) -> Vec<u8> {
    message('D', format!("{kind}{name}\0").as_bytes())
}

/// Close; `kind` is S or P.
pub fn close(kind: char, name: &str) -> Vec<u8> {
    message('C', format!("{kind}{name}\0").as_bytes())
}

/// Execute.
pub fn execute(portal: &str, rows_max: u32) -> Vec<u8> {
    let mut body = format!("{portal}\0").into_bytes();
    body.extend_from_slice(&rows_max.to_be_bytes());
    message('E', &body)
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message('S', b"")
}

impl Wire {
    /// A connection that has said nothing yet.
    pub fn connect(address: SocketAddr) -> Wire {
        Wire::over(TcpStream::connect(address).expect("the server listens"))
    }

    /// A connection from one of this machine's addresses: all of 127.0.0.0/8 are.
    pub fn connect_from(from: Ipv4Addr, address: SocketAddr) -> Wire {
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        net::bind(&socket, &SocketAddr::from((from, 0))).expect("an address of this machine");
        net::connect(&socket, &address).expect("the server listens");
        Wire::over(TcpStream::from(socket))
    }

    fn over(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Wire {
            stream,
            key_data: Vec::new(),
            welcome: Vec::new(),
        }
    }

    /// Logged in as the superuser.
    pub fn log_in(server: &TestServer) -> Wire {
        let user = ("user", "nodedb");
        let mut wire = Wire::connect(server.pgwire());
        wire.send(&startup(0, &[user]));
        wire.authenticate(SUPERUSER_PASSWORD)
            .expect("the password is right");
        wire
    }

    /// After the start-up packet: SCRAM, and everything up to ReadyForQuery.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn authenticate(&mut self, password: &str) -> Result<(), Reply> {
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let reply = self.receive();
            match (reply.tag, reply.body.get(..4)) {
                ('E', _) => return Err(reply),
                ('R', Some([0, 0, 0, 10])) => {
                    let first = scram.message();
                    let mut body = b"SCRAM-SHA-256\0".to_vec();
                    body.extend_from_slice(&(first.len() as u32).to_be_bytes());
                    body.extend_from_slice(first);
                    self.send(&message('p', &body));
                }
                ('R', Some([0, 0, 0, 11])) => {
                    scram.update(&reply.body[4..]).expect("server-first");
                    let last = scram.message().to_vec();
                    self.send(&message('p', &last));
                }
                ('R', Some([0, 0, 0, 12])) => {
                    scram.finish(&reply.body[4..]).expect("server-final");
                }
                ('K', _) => self.key_data = reply.body,
                ('Z', _) => return Ok(()),
                _ => self.welcome.push(reply),
            }
        }
    }

    /// All that comes until the server closes, or cuts, the connection.
    pub fn text_to_end(&mut self) -> String {
        let mut text = Vec::new();
        match self.stream.read_to_end(&mut text) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Sends bytes one at a time, each in a packet of its own.
    pub fn dribble(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// The next message.
    pub fn receive(&mut self) -> Reply {
        self.try_receive().expect("the server answers")
    }

    /// The next message; None when the server has closed the connection.
    pub fn try_receive(&mut self) -> Option<Reply> {
        let mut header = [0; 5];
        if !self.read(&mut header) {
            return None;
        }
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        let mut body = vec![0; length - 4];
        assert!(self.read(&mut body), "a message was cut short");
        Some(Reply {
            tag: header[0] as char,
            body,
        })
    }

    /// One byte: the answer to an encryption request.
    pub fn receive_byte(&mut self) -> u8 {
        let mut byte = [0];
        assert!(self.read(&mut byte), "the server answers");
        byte[0]
    }

    fn read(&mut self, buffer: &mut [u8]) -> bool {
        match self.stream.read_exact(buffer) {
            Ok(()) => true,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether nothing has come that was not received.
    pub fn is_silent(&self) -> bool {
        self.stream.set_nonblocking(true).expect("it can be set");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("it can be set");
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Sends a simple query and gives the summary of its replies.
    pub fn run(&mut self, text: &str) -> String {
        self.exchange(&query(text))
    }

    /// Messages up to and with ReadyForQuery.
    pub fn until_ready(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            let reply = self.receive();
            let ready = reply.tag == 'Z';
            replies.push(reply);
            if ready {
                return replies;
            }
        }
    }

    /// Sends, and gives the types of the replies up to ReadyForQuery, such as `1 2 T D C Z:I`,
    /// with the SQLSTATE of errors and the status of ReadyForQuery.
    pub fn exchange(&mut self, bytes: &[u8]) -> String {
        self.send(bytes);
        let replies = self.until_ready();
        summary(&replies)
    }

    /// Whether the server has closed the connection, after at most these last messages.
    pub fn closed_after(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        while let Some(reply) = self.try_receive() {
            replies.push(reply);
        }
        replies
    }
}

/// The types of some replies.
pub fn summary(replies: &[Reply]) -> String {
    let one = |reply: &Reply| match reply.tag {
        'E' | 'N' => format!("{}:{}", reply.tag, reply.field(b'C').unwrap_or_default()),
        'Z' => format!("Z:{}", reply.text()),
        'C' => format!("C:{}", reply.text().trim_end_matches('|')),
        'S' => format!("S:{}", reply.text()),
        tag => tag.to_string(),
    };
    replies.iter().map(one).collect::<Vec<_>>().join(" ")
}
