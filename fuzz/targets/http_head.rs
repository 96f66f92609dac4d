//! The head of an HTTP request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nodedb::wire::http::{Body, HEAD_BYTES_MAX, Parsed, parse};

fuzz_target!(|data: &[u8]| {
    match parse(data) {
        Ok(Parsed::Complete(head, length)) => {
            assert!(length <= data.len() && length <= HEAD_BYTES_MAX);
            assert!(head.body != Body::Length(0), "no bytes are an empty body");
            let alone = parse(&data[..length]);
            assert_eq!(alone, Ok(Parsed::Complete(head, length)), "what follows changes nothing");
            for end in 0..length.min(256) {
                assert_eq!(parse(&data[..end]), Ok(Parsed::Incomplete), "a part is no head");
            }
        }
        Ok(Parsed::Incomplete) => assert!(data.len() < HEAD_BYTES_MAX, "memory is bounded"),
        Err(error) => {
            assert!(error.status().code() >= 400);
        }
    }
});
