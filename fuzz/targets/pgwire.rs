//! Frames and messages of a PostgreSQL session, one after the other as they would arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nodedb::wire::pgwire::frame::{Front, HEADER_BYTES, front};
use nodedb::wire::pgwire::message::{Message, decode};

const MESSAGE_BYTES_MAX: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let mut inbox = data;
    while let Ok(Front::Whole(frame)) = front(inbox, MESSAGE_BYTES_MAX) {
        assert!(frame.bytes >= HEADER_BYTES, "every frame moves on");
        assert!(frame.bytes <= inbox.len(), "consumed at most what was given");
        assert!(frame.bytes <= MESSAGE_BYTES_MAX + 1, "within the limit");
        let (message, rest) = inbox.split_at(frame.bytes);
        if let Ok(Message::Bind(bind)) = decode(frame.tag, &message[HEADER_BYTES..]) {
            assert_eq!(bind.parameters().count(), bind.parameter_count());
        }
        inbox = rest;
    }
});
