//! The first packets of a PostgreSQL connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nodedb::wire::pgwire::startup::parse;

fuzz_target!(|data: &[u8]| {
    match parse(data) {
        Ok(Some((packet, length))) => {
            assert!(length <= data.len(), "consumed at most what was given");
            let alone = parse(&data[..length]);
            assert_eq!(alone, Ok(Some((packet, length))), "what follows changes nothing");
            for end in 0..length.min(64) {
                assert!(!matches!(parse(&data[..end]), Ok(Some(_))), "a part is no packet");
            }
        }
        Ok(None) | Err(_) => {}
    }
});
