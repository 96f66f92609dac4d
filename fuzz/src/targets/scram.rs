//! SASL messages of a log-in: two messages of a stranger, split at the first zero byte.

use super::texts;
use nodedb::auth::scram::mock::Mock;
use nodedb::auth::scram::{AwaitClientFirst, Credential, Refusal, ServerNonce};
use nodedb::auth::secret::MockKey;

/// RFC 7677's exchange and some that are wrong.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO\0p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "y,,n=,r=abc,x=skipped\0x=skipped,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "n,,n=user,r=abc\0c=biws,r=abc,p=short",
        "p=tls-server-end-point,,n=,r=abc\0",
        "n,a=other,n=user,r=abc\0",
        "n,,m=must,n=user,r=abc\0",
    ])
}

/// A mock is always refused, and answers the same bytes the same way.
pub fn run(data: &[u8]) {
    let split = data.iter().position(|byte| *byte == 0);
    let (first, rest) = data.split_at(split.unwrap_or(data.len()));
    let last = rest.get(1..).unwrap_or_default();
    let mock = Mock::new(MockKey::new([7; 32]), 4096);
    let begin = || {
        let credential = Credential::mock(&mock, "alice", Refusal::UnknownUser);
        AwaitClientFirst::new(credential).receive(first, ServerNonce::from_bytes([1; 18]))
    };
    let Ok((state, server_first)) = begin() else {
        return;
    };
    let nonce = server_first
        .strip_prefix(b"r=")
        .and_then(|rest| rest.split(|byte| *byte == b',').next())
        .expect("a server-first-message begins with the nonce");
    let (state_again, server_first_again) = begin().expect("the same bytes, the same answer");
    assert_eq!(server_first, server_first_again);
    // With the nonce that only the server knows, so that what follows it is reached as well.
    let with_nonce = [b"c=biws,r=", nonce, b",", last].concat();
    assert!(state.receive(last).is_err(), "a mock is always refused");
    assert!(
        state_again.receive(&with_nonce).is_err(),
        "a mock is always refused"
    );
}
