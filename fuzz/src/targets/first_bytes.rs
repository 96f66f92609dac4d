//! The first bytes of a connection, before anybody knows which protocol it is: TLS or plain.

use nodedb::wire::encryption::Beginning;
use nodedb::wire::{native, pgwire};

/// One beginning of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"\x80\x2e\x01\x00\x02".to_vec(),
        b"\x00\x00\x00\x08\x04\xd2\x16\x2f".to_vec(),
        b"NDBH\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x80".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ]
}

/// What is taken for TLS is nothing that any protocol in plain would have taken.
pub fn run(data: &[u8]) {
    let Some(first) = data.first() else {
        return;
    };
    if Beginning::of(*first) == Beginning::Plain {
        return;
    }
    assert!(pgwire::startup::parse(data).is_err(), "a start-up packet");
    assert!(native::handshake::parse(data).is_err(), "a hello");
    let request = nodedb::wire::http::parse(data);
    assert!(
        !matches!(request, Ok(nodedb::wire::http::Parsed::Complete(..))),
        "a request"
    );
}
