//! The head of an HTTP request.

use super::texts;
use nodedb::wire::http::{Body, HEAD_BYTES_MAX, Parsed, parse};

/// Requests, and the shapes that smuggling uses.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST /v1/query HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "GET /metrics?x=%20 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        "GET / HTTP/1.1\nHost : a\n\n",
    ])
}

/// What follows a head changes nothing, a part of one is none, and memory is bounded.
pub fn run(data: &[u8]) {
    match parse(data) {
        Ok(Parsed::Complete(head, length)) => {
            assert!(length <= data.len() && length <= HEAD_BYTES_MAX);
            assert!(head.body != Body::Length(0), "no bytes are an empty body");
            let alone = parse(&data[..length]);
            assert_eq!(
                alone,
                Ok(Parsed::Complete(head, length)),
                "what follows changes nothing"
            );
            for end in 0..length.min(256) {
                assert_eq!(
                    parse(&data[..end]),
                    Ok(Parsed::Incomplete),
                    "a part is no head"
                );
            }
        }
        Ok(Parsed::Incomplete) => assert!(data.len() < HEAD_BYTES_MAX, "memory is bounded"),
        Err(error) => assert!(error.status().code() >= 400),
    }
}
