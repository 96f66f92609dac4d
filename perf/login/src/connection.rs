//! One login over PostgreSQL's protocol 3.0: connect, SCRAM where the server asks for it, ReadyForQuery,
//! Terminate.
//!
//! Source: PostgreSQL §55.2.1 "Start-up", §55.3.1 "SCRAM-SHA-256 Authentication".

use crate::scram::Keys;
use crate::sources::Sources;
use crate::transport::{Link, Transport};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;
use thiserror::Error;

const PROTOCOL_3_0: i32 = 196_608;

/// The longest reply taken: a login's are far shorter.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// How long a server may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

const AUTHENTICATION_OK: i32 = 0;
const AUTHENTICATION_SASL: i32 = 10;
const AUTHENTICATION_SASL_CONTINUE: i32 = 11;
const AUTHENTICATION_SASL_FINAL: i32 = 12;

/// Why a login failed.
#[derive(Debug, Error)]
pub enum LoginError {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server refused.
    #[error("the server says: {0}")]
    Refused(String),
    /// The server did something else than log us in by SCRAM-SHA-256.
    #[error("the server sent {0}")]
    Unexpected(&'static str),
    /// Nothing to prove.
    #[error("set PGPASSWORD to the password")]
    NoPassword,
    /// TLS cannot begin.
    #[error("TLS: {0}")]
    Tls(String),
}

/// Where to log in, and as whom.
pub struct Target {
    address: SocketAddr,
    transport: Transport,
    startup: Vec<u8>,
    keys: Keys,
    sources: Option<Sources>,
}

impl Target {
    /// Makes the start-up packet once.
    pub fn new(
        address: SocketAddr,
        transport: Transport,
        user: &str,
        database: &str,
        keys: Keys,
    ) -> Target {
        let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
        for text in ["user", user, "database", database] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        let mut startup = length_word(body.len()).to_vec();
        startup.extend_from_slice(&body);
        Target {
            address,
            transport,
            startup,
            keys,
            sources: None,
        }
    }

    /// From these addresses in turn, over IPv4.
    pub fn from_sources(self, sources: Sources) -> Target {
        Target {
            sources: Some(sources),
            ..self
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        match &self.sources {
            None => TcpStream::connect(self.address),
            Some(sources) => sources.connect(self.address),
        }
    }
}

/// Logs in, and ends the session as soon as it is ready.
///
/// # Errors
/// [`LoginError`]
pub fn log_in(target: &Target) -> Result<(), LoginError> {
    session(target)?.send_message(b'X', &[])
}

/// Logs in; the plain connection is ready for a query, and nothing more is on its way.
///
/// # Errors
/// [`LoginError`]
pub fn open(target: &Target) -> Result<TcpStream, LoginError> {
    match session(target)?.link {
        Link::Plain(stream) => Ok(stream),
        Link::Tls(_) => Err(LoginError::Unexpected("an encrypted connection")),
    }
}

fn session(target: &Target) -> Result<Connection, LoginError> {
    let mut connection = Connection::open(target)?;
    connection.send(&target.startup)?;
    match connection.authentication()? {
        (AUTHENTICATION_SASL, _) => by_password(&mut connection, target)?,
        // The certificate of the connection was enough.
        (AUTHENTICATION_OK, _) => {}
        _ => return Err(OTHER),
    }
    while connection.receive()?.0 != b'Z' {}
    Ok(connection)
}

fn by_password(connection: &mut Connection, target: &Target) -> Result<(), LoginError> {
    let (client_first, exchange) = target.keys.begin();
    let mut initial = b"SCRAM-SHA-256\0".to_vec();
    let length = u32::try_from(client_first.len()).expect("a short message");
    initial.extend_from_slice(&length.to_be_bytes());
    initial.extend_from_slice(client_first.as_bytes());
    connection.send_message(b'p', &initial)?;
    let server_first = connection.expect_authentication(AUTHENTICATION_SASL_CONTINUE)?;

    let proof = target.keys.prove(&exchange, text(&server_first)?)?;
    connection.send_message(b'p', proof.message.as_bytes())?;
    let server_final = connection.expect_authentication(AUTHENTICATION_SASL_FINAL)?;
    proof.check(text(&server_final)?)?;
    connection.expect_authentication(AUTHENTICATION_OK)?;
    Ok(())
}

const OTHER: LoginError = LoginError::Unexpected("another message than SCRAM-SHA-256 has here");

struct Connection {
    link: Link,
    received: Vec<u8>,
    /// Bytes of `received` that have been looked at.
    consumed: usize,
}

impl Connection {
    fn open(target: &Target) -> Result<Connection, LoginError> {
        let stream = loop {
            match target.connect() {
                // Every port waits out its last connection: the kernel frees some each moment.
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                    thread::sleep(Duration::from_millis(1));
                }
                connected => break connected?,
            }
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Connection {
            link: target.transport.begin(stream)?,
            received: Vec::with_capacity(1024),
            consumed: 0,
        })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), LoginError> {
        Ok(self.link.write_all(bytes)?)
    }

    fn send_message(&mut self, tag: u8, body: &[u8]) -> Result<(), LoginError> {
        let mut message = vec![tag];
        message.extend_from_slice(&length_word(body.len()));
        message.extend_from_slice(body);
        self.send(&message)
    }

    /// The rest of an Authentication message of this kind.
    fn expect_authentication(&mut self, kind: i32) -> Result<Vec<u8>, LoginError> {
        match self.authentication()? {
            (found, rest) if found == kind => Ok(rest),
            _ => Err(OTHER),
        }
    }

    /// An Authentication message: its kind and the rest.
    fn authentication(&mut self) -> Result<(i32, Vec<u8>), LoginError> {
        let (tag, body) = self.receive()?;
        match body.split_first_chunk::<4>() {
            Some((kind, rest)) if tag == b'R' => Ok((i32::from_be_bytes(*kind), rest.to_vec())),
            _ => Err(OTHER),
        }
    }

    /// The next message; an ErrorResponse is an error.
    fn receive(&mut self) -> Result<(u8, Vec<u8>), LoginError> {
        loop {
            let waiting = &self.received[self.consumed..];
            if let Some(([tag, length @ ..], rest)) = waiting.split_first_chunk::<5>() {
                let length = u32::from_be_bytes(*length) as usize;
                if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
                    return Err(LoginError::Unexpected("a message of a bad length"));
                }
                if let Some(body) = rest.get(..length - 4) {
                    let message = (*tag, body.to_vec());
                    self.consumed += 1 + length;
                    if message.0 == b'E' {
                        return Err(LoginError::Refused(error_message(&message.1)));
                    }
                    return Ok(message);
                }
            }
            let mut buffer = [0; 4096];
            match self.link.read(&mut buffer)? {
                0 => return Err(LoginError::Unexpected("the end of the connection")),
                count => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

fn length_word(body_bytes: usize) -> [u8; 4] {
    let length = u32::try_from(body_bytes + 4).expect("a short message");
    length.to_be_bytes()
}

fn text(bytes: &[u8]) -> Result<&str, LoginError> {
    std::str::from_utf8(bytes).map_err(|_| LoginError::Unexpected("a message that is not text"))
}

/// Field M of an ErrorResponse.
fn error_message(body: &[u8]) -> String {
    body.split(|byte| *byte == 0)
        .find_map(|field| field.strip_prefix(b"M"))
        .map_or_else(
            || "an error without a message".to_owned(),
            |message| String::from_utf8_lossy(message).into_owned(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_error_is_its_field_m() {
        let body = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0";
        assert_eq!(error_message(body), "password authentication failed");
        assert_eq!(error_message(b"\0"), "an error without a message");
    }
}
