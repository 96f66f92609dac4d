//! SCRAM messages and verifiers: two messages of a stranger, split at the first zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nodedb::auth::scram::mock::Mock;
use nodedb::auth::scram::{AwaitClientFirst, Credential, Refusal, ServerNonce, verifier};
use nodedb::auth::secret::MockKey;

fuzz_target!(|data: &[u8]| {
    let split = data.iter().position(|byte| *byte == 0);
    let (first, rest) = data.split_at(split.unwrap_or(data.len()));
    exchange(first, rest.get(1..).unwrap_or_default());
    if let Ok(text) = std::str::from_utf8(data) {
        printing_gives_back_what_was_parsed(text);
    }
});

fn exchange(first: &[u8], last: &[u8]) {
    let mock = Mock::new(MockKey::new([7; 32]), 4096);
    let begin = || {
        let credential = Credential::mock(&mock, "alice", Refusal::UnknownUser);
        AwaitClientFirst::new(credential).receive(first, ServerNonce::from_bytes([1; 18]))
    };
    let Ok((state, server_first)) = begin() else {
        return;
    };
    assert!(server_first.starts_with(b"r="));
    // The nonce that the server knows, so that what follows it is reached as well.
    let nonce = server_first[2..].split(|byte| *byte == b',').next().unwrap();
    let (state_again, server_first_again) = begin().expect("the same bytes, the same answer");
    assert_eq!(server_first, server_first_again);
    let with_nonce = [b"c=biws,r=", nonce, b",", last].concat();
    assert!(state.receive(last).is_err(), "a mock is always refused");
    assert!(state_again.receive(&with_nonce).is_err(), "a mock is always refused");
}

fn printing_gives_back_what_was_parsed(text: &str) {
    if let Some(parsed) = verifier::parse(text) {
        let again = verifier::parse(&verifier::to_text(&parsed));
        assert!(again.as_ref() == Some(&parsed));
    }
}
