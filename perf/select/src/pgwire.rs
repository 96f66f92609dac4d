//! PostgreSQL's protocol 3.0 as pgbench speaks it with `-M prepared`: Bind, Describe, Execute, Sync.
//!
//! Source: PostgreSQL §55.2.3 "Extended Query", §55.7 "Message Formats".

use crate::error::DriveError;
use crate::protocol::{Protocol, STATEMENT};
use login_driver::connection::{self, Target};
use std::io::{Read, Write};
use std::net::TcpStream;

/// The prepared statement's name.
const NAME: &[u8] = b"P0\0";

/// The load over PostgreSQL's protocol.
pub struct Pgwire {
    target: Target,
}

impl Pgwire {
    /// For a server and a login.
    pub fn new(target: Target) -> Pgwire {
        Pgwire { target }
    }
}

impl Protocol for Pgwire {
    fn connect(&self) -> Result<TcpStream, DriveError> {
        let mut stream = connection::open(&self.target)?;
        let mut parse = NAME.to_vec();
        parse.extend_from_slice(STATEMENT.as_bytes());
        parse.extend_from_slice(b"$1\0\0\0");
        let mut request = Vec::new();
        message(b'P', &parse, &mut request);
        message(b'S', &[], &mut request);
        stream.write_all(&request)?;
        let mut received = Vec::new();
        while !messages(&received)?.is_ready {
            let mut buffer = [0; 1024];
            match stream.read(&mut buffer)? {
                0 => return Err(DriveError::Unexpected("the end of the connection")),
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(stream)
    }

    fn request(&self, account: u32, out: &mut Vec<u8>) {
        // The unnamed portal; one parameter as text; the result as text.
        let text = account.to_string();
        let mut bind = b"\0".to_vec();
        bind.extend_from_slice(NAME);
        bind.extend_from_slice(b"\0\0\0\x01");
        bind.extend_from_slice(&(text.len() as u32).to_be_bytes());
        bind.extend_from_slice(text.as_bytes());
        bind.extend_from_slice(b"\0\x01\0\0");
        message(b'B', &bind, out);
        message(b'D', b"P\0", out);
        message(b'E', b"\0\0\0\0\0", out);
        message(b'S', &[], out);
    }

    fn reply(&self, received: &[u8]) -> Result<Option<usize>, DriveError> {
        let found = messages(received)?;
        match (found.is_ready, found.rows) {
            (false, _) => Ok(None),
            (true, 1) => Ok(Some(found.bytes)),
            (true, _) => Err(DriveError::Unexpected("another number of rows than one")),
        }
    }
}

/// What the bytes hold up to ReadyForQuery.
struct Messages {
    is_ready: bool,
    rows: usize,
    bytes: usize,
}

fn messages(received: &[u8]) -> Result<Messages, DriveError> {
    let mut found = Messages {
        is_ready: false,
        rows: 0,
        bytes: 0,
    };
    while let Some(([tag, length @ ..], _)) = received[found.bytes..].split_first_chunk::<5>() {
        let end = found.bytes + 1 + u32::from_be_bytes(*length) as usize;
        let Some(message) = received.get(found.bytes..end) else {
            break;
        };
        found.bytes = end;
        match tag {
            b'E' => return Err(DriveError::refused(message)),
            b'D' => found.rows += 1,
            b'Z' => {
                found.is_ready = true;
                break;
            }
            _ => {}
        }
    }
    Ok(found)
}

fn message(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use login_driver::transport::Transport;

    fn pgwire() -> Pgwire {
        let address = "127.0.0.1:1".parse().expect("an address");
        let keys = login_driver::scram::Keys::new(String::new());
        Pgwire::new(Target::new(address, Transport::Plain, "u", "d", keys))
    }

    #[test]
    fn a_request_binds_the_account_as_text() {
        let mut out = Vec::new();
        pgwire().request(42, &mut out);
        assert_eq!(
            out,
            b"B\0\0\0\x16\0P0\0\0\0\0\x01\0\0\0\x0242\0\x01\0\0D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04"
        );
    }

    #[test]
    fn a_reply_is_whole_with_ready_for_query_and_has_one_row() {
        let reply = b"2\0\0\0\x04D\0\0\0\x0b\0\x01\0\0\0\x010Z\0\0\0\x05I";
        for end in 0..reply.len() {
            let so_far = pgwire().reply(&reply[..end]);
            assert!(matches!(so_far, Ok(None)), "{end} bytes");
        }
        let whole = pgwire().reply(reply);
        assert!(matches!(whole, Ok(Some(length)) if length == reply.len()));
        let empty = pgwire().reply(b"2\0\0\0\x04Z\0\0\0\x05I");
        assert!(matches!(empty, Err(DriveError::Unexpected(_))));
        let refused = pgwire().reply(b"E\0\0\0\x08Mno\0Z\0\0\0\x05I");
        assert!(matches!(refused, Err(DriveError::Refused(_))));
    }
}
