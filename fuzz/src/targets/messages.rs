//! Frames and messages of a PostgreSQL session, one after the other as they would arrive.

use nodedb::wire::pgwire::frame::{Front, HEADER_BYTES, front};
use nodedb::wire::pgwire::message::{Message, decode};

const MESSAGE_BYTES_MAX: usize = 4096;

/// Conversations.
pub fn seeds() -> Vec<Vec<u8>> {
    let message = |tag: u8, body: &[u8]| {
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    };
    let extended = [
        message(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"),
        message(
            b'B',
            b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x2a\xff\xff\xff\xff\0\x02\0\x01\0\0",
        ),
        message(b'D', b"Pp\0"),
        message(b'E', b"p\0\0\0\0\x0a"),
        message(b'C', b"Ss\0"),
        message(b'H', b""),
        message(b'S', b""),
    ]
    .concat();
    let copy = [
        message(b'd', b"1\ttwo\n"),
        message(b'c', b""),
        message(b'f', b"gave up\0"),
    ]
    .concat();
    vec![
        message(b'Q', "SELECT 'é'\0".as_bytes()),
        extended,
        copy,
        message(b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        message(b'X', b""),
        b"Q\0\0\0\x03".to_vec(),
        b"Q\x7f\xff\xff\xff".to_vec(),
    ]
}

/// Every frame moves on and stays within the limit; Bind's counts are true.
pub fn run(data: &[u8]) {
    let mut inbox = data;
    while let Ok(Front::Whole(frame)) = front(inbox, MESSAGE_BYTES_MAX) {
        assert!(frame.bytes >= HEADER_BYTES, "every frame moves on");
        assert!(
            frame.bytes <= inbox.len(),
            "consumed at most what was given"
        );
        assert!(frame.bytes <= MESSAGE_BYTES_MAX + 1, "within the limit");
        let (message, rest) = inbox.split_at(frame.bytes);
        match decode(frame.tag, &message[HEADER_BYTES..]) {
            Ok(Message::Bind(bind)) => {
                assert_eq!(bind.parameters().count(), bind.parameter_count());
            }
            Ok(Message::Parse(parse)) => {
                assert!(parse.parameter_types().len() * 4 <= frame.bytes);
            }
            Ok(_) | Err(_) => {}
        }
        inbox = rest;
    }
}
