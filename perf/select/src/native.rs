//! The native protocol in MessagePack (REFERENCE §5): Hello, Auth by API key, then Sql.

use crate::error::DriveError;
use crate::protocol::{Protocol, STATEMENT};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Version 1 and no other; results in parts and MessagePack are understood.
const HELLO: &[u8; 16] = b"NDBH\0\x01\0\x01\0\0\0\0\0\0\0\x81";

/// An Ack up to the length of the server's version, and what follows that text.
const ACK_HEAD_BYTES: usize = 15;
const ACK_TAIL_BYTES: usize = 36;

const AUTH: u8 = 0x01;
const SQL: u8 = 0x20;

const FIELD_AUTH: u8 = 1;
const FIELD_SQL: u8 = 2;
const FIELD_DATABASE: u8 = 83;
const FIELD_PARAMETERS: u8 = 84;

/// How the account is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As $1
    Parameter,
    /// In the text
    Literal,
}

/// The load over the native protocol.
pub struct Native {
    address: SocketAddr,
    auth: Vec<u8>,
    form: Form,
}

impl Native {
    /// For a server, and a key with the database to reach by it.
    pub fn new(address: SocketAddr, key: &str, database: &str, form: Form) -> Native {
        let auth = frame(AUTH, |out| {
            out.extend([0x82, FIELD_AUTH, 0x92]);
            text("ApiKey", out);
            out.push(0x91);
            text(key, out);
            out.push(FIELD_DATABASE);
            text(database, out);
        });
        Native {
            address,
            auth,
            form,
        }
    }
}

impl Protocol for Native {
    fn connect(&self) -> Result<TcpStream, DriveError> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.write_all(HELLO)?;
        let mut head = [0; ACK_HEAD_BYTES];
        stream.read_exact(&mut head)?;
        if !head.starts_with(b"NDBA") {
            return Err(DriveError::refused(&head));
        }
        let rest = usize::from(head[ACK_HEAD_BYTES - 1]) + ACK_TAIL_BYTES;
        stream.read_exact(&mut vec![0; rest])?;
        stream.write_all(&self.auth)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut reply = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut reply)?;
        check_status(&reply)?;
        Ok(stream)
    }

    fn request(&self, account: u32, out: &mut Vec<u8>) {
        out.extend(frame(SQL, |out| match self.form {
            Form::Parameter => {
                out.extend([0x82, FIELD_SQL]);
                text(&format!("{STATEMENT}$1"), out);
                // One value, an integer.
                out.extend([FIELD_PARAMETERS, 0x91, 0x92, 0x02, 0xce]);
                out.extend(account.to_be_bytes());
            }
            Form::Literal => {
                out.extend([0x81, FIELD_SQL]);
                text(&format!("{STATEMENT}{account}"), out);
            }
        }));
    }

    fn reply(&self, received: &[u8]) -> Result<Option<usize>, DriveError> {
        let Some((length, rest)) = received.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        let Some(reply) = rest.get(..length) else {
            return Ok(None);
        };
        check_status(reply)?;
        // An array of one row, its length in one byte or in four.
        let rows = after(reply, b"\xa4rows").unwrap_or_default();
        if !(rows.starts_with(b"\x91") || rows.starts_with(b"\xdd\0\0\0\x01")) {
            return Err(DriveError::Unexpected("another number of rows than one"));
        }
        Ok(Some(4 + length))
    }
}

fn check_status(reply: &[u8]) -> Result<(), DriveError> {
    match after(reply, b"\xa6status") {
        Some([0, ..]) => Ok(()),
        _ => Err(DriveError::refused(reply)),
    }
}

/// What stands behind a key. No value before the two that are looked for can hold such bytes.
fn after<'a>(reply: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = reply.windows(key.len()).position(|bytes| bytes == key)?;
    Some(&reply[at + key.len()..])
}

/// `[operation, 1, [1, fields]]` behind its length.
fn frame(operation: u8, fields: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, 0x93, operation, 1, 0x92, 1];
    fields(&mut out);
    let length = out.len() as u32 - 4;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// A text of at most 255 bytes.
fn text(text: &str, out: &mut Vec<u8>) {
    let length = u8::try_from(text.len()).expect("a short text");
    match length {
        0..32 => out.push(0xa0 | length),
        32.. => out.extend([0xd9, length]),
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(form: Form) -> Native {
        Native::new(
            "127.0.0.1:1".parse().expect("an address"),
            "ndb_k",
            "db",
            form,
        )
    }

    /// After REFERENCE §5's example of a Password.
    #[test]
    fn a_key_is_presented_with_its_database() {
        assert_eq!(
            native(Form::Literal).auth,
            b"\0\0\0\x1a\x93\x01\x01\x92\x01\x82\x01\x92\xa6ApiKey\x91\xa5ndb_k\x53\xa2db"
        );
    }

    #[test]
    fn the_account_is_a_parameter_or_in_the_text() {
        let mut out = Vec::new();
        native(Form::Parameter).request(1000, &mut out);
        let tail = b"aid = $1\x54\x91\x92\x02\xce\0\0\x03\xe8";
        assert!(out.ends_with(tail), "{out:02x?}");
        assert_eq!(out[..4], (out.len() as u32 - 4).to_be_bytes());
        out.clear();
        native(Form::Literal).request(1000, &mut out);
        let text = [STATEMENT, "1000"].concat();
        let expected = [&b"\x81\x02\xd9"[..], &[text.len() as u8], text.as_bytes()].concat();
        assert!(out.ends_with(&expected), "{out:02x?}");
    }

    #[test]
    fn a_reply_is_whole_with_its_frame_and_has_one_row() {
        let native = native(Form::Parameter);
        let reply = b"\0\0\0\x19\x83\xa3seq\x01\xa6status\0\xa4rows\xdd\0\0\0\x01\x90";
        for end in 0..reply.len() {
            assert!(
                matches!(native.reply(&reply[..end]), Ok(None)),
                "{end} bytes"
            );
        }
        let whole = native.reply(reply);
        assert!(matches!(whole, Ok(Some(length)) if length == reply.len()));
        let none = native.reply(b"\0\0\0\x0e\x82\xa6status\0\xa4rows\xc0");
        assert!(matches!(none, Err(DriveError::Unexpected(_))));
        let refused = native.reply(b"\0\0\0\x09\x81\xa6status\x02");
        assert!(matches!(refused, Err(DriveError::Refused(_))));
    }
}
