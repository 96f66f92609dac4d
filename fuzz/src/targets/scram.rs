//! SASL messages of a log-in: two messages of a stranger, split at the first zero byte, by each mechanism.

use super::texts;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nodedb::auth::scram::mock::Mock;
use nodedb::auth::scram::{
    AwaitClientFirst, ChannelBinding, Credential, Mechanism, Refusal, ScramError, ServerNonce,
};
use nodedb::auth::secret::{MockKey, TlsExporter};

/// RFC 7677's exchange and some that are wrong.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO\0p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "y,,n=,r=abc,x=skipped\0x=skipped,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "n,,n=user,r=abc\0c=biws,r=abc,p=short",
        "p=tls-server-end-point,,n=,r=abc\0p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "p=tls-exporter,,n=,r=abc\0x=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "p=tls-unique,,n=,r=abc\0",
        "p=,,n=,r=abc\0",
        "p=tls-exporter,a=other,n=user,r=abc\0",
        "n,a=other,n=user,r=abc\0",
        "n,,m=must,n=user,r=abc\0",
    ])
}

/// What a client may begin with, by mechanism; the last two bind to a TLS 1.2 and a TLS 1.3 connection.
const HEADERS: [&[&str]; 4] = [
    &["n,,", "y,,"],
    &["n,,"],
    &["p=tls-server-end-point,,"],
    &["p=tls-server-end-point,,", "p=tls-exporter,,"],
];

fn mechanisms() -> [Mechanism; 4] {
    let exporter = TlsExporter::new(EXPORTER);
    [
        Mechanism::Plain,
        Mechanism::PlainInsteadOfPlus,
        Mechanism::Plus(ChannelBinding::new(&END_POINT, None)),
        Mechanism::Plus(ChannelBinding::new(&END_POINT, Some(exporter))),
    ]
}

const END_POINT: [u8; 32] = [1; 32];
const EXPORTER: [u8; 32] = [2; 32];

/// A mock is always refused, and answers the same bytes the same way; nothing begins but as its
/// mechanism has it.
pub fn run(data: &[u8]) {
    let split = data.iter().position(|byte| *byte == 0);
    let (first, rest) = data.split_at(split.unwrap_or(data.len()));
    let last = rest.get(1..).unwrap_or_default();
    let mock = Mock::new(MockKey::new([7; 32]), 4096);
    let begin = |mechanism| {
        let credential = Credential::mock(&mock, "alice", Refusal::UnknownUser);
        AwaitClientFirst::new(credential, mechanism)
            .receive(first, ServerNonce::from_bytes([1; 18]))
    };
    for ((mechanism, again), headers) in mechanisms().into_iter().zip(mechanisms()).zip(HEADERS) {
        let Ok((state, server_first)) = begin(mechanism) else {
            continue;
        };
        let header = headers
            .iter()
            .find(|header| first.starts_with(header.as_bytes()))
            .expect("a header that the mechanism takes");
        let nonce = server_first
            .strip_prefix(b"r=")
            .and_then(|rest| rest.split(|byte| *byte == b',').next())
            .expect("a server-first-message begins with the nonce");
        let (state_again, server_first_again) =
            begin(again).expect("the same bytes, the same answer");
        assert_eq!(server_first, server_first_again);
        assert!(state.receive(last).is_err(), "a mock is always refused");
        // With the nonce and the binding that fit, so that what follows them is reached as well.
        let data: &[u8] = match *header {
            "p=tls-server-end-point,," => &END_POINT,
            "p=tls-exporter,," => &EXPORTER,
            _ => &[],
        };
        let repeated = BASE64_STANDARD.encode([header.as_bytes(), data].concat());
        let fitting = [b"c=", repeated.as_bytes(), b",r=", nonce, b",", last].concat();
        let refused = state_again.receive(&fitting);
        let error = refused.expect_err("a mock is always refused");
        assert!(
            !matches!(
                error,
                ScramError::NonceMismatch
                    | ScramError::ChannelBindingMismatch
                    | ScramError::ChannelBindingFailed
            ),
            "nonce and binding fit: {error}"
        );
    }
}
