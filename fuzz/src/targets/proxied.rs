//! The header of the PROXY protocol, from a proxy or whoever claims to be one.

use nodedb::wire::proxied::{HEADER_BYTES_MAX, parse};

/// A header of each kind, and one that is cut.
pub fn seeds() -> Vec<Vec<u8>> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let header = |rest: &[u8]| [signature, rest].concat();
    vec![
        header(b"\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x19\x20"),
        header(&[&b"\x21\x21\x00\x24"[..], &[0x20; 36]].concat()),
        header(b"\x20\x00\x00\x00"),
        header(b"\x21\x11\x00\x13\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x19\x20\x03\x00\x04abcd"),
        header(b"\x21"),
    ]
}

/// A header is within the bytes and the limit, and is the same wherever the bytes are split.
pub fn run(data: &[u8]) {
    let whole = parse(data);
    if let Ok(Some((_, length))) = whole {
        assert!(length <= data.len() && length <= HEADER_BYTES_MAX);
    }
    for end in 0..data.len().min(64) {
        match parse(&data[..end]) {
            Ok(None) => {}
            decided => assert_eq!(decided, whole, "more bytes decide nothing else"),
        }
    }
}
