//! The server's two SCRAM steps: what a login costs a session core (DESIGN §5).
//!
//! The client pays for PBKDF2. Here stand two HMACs and a hash, a look-up and a mock's HMAC.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nodedb::auth::scram::mock::Mock;
use nodedb::auth::scram::{
    AwaitClientFirst, Credential, Mechanism, Refusal, ServerNonce, verifier,
};
use nodedb::auth::secret::{MockKey, Password};
use nodedb::catalog::PrincipalId;
use nodedb::catalog::snapshot::Principals;
use nodedb::catalog::verifier::Verifier;
use ring::{digest, hmac, pbkdf2};
use std::hint::black_box;
use std::num::NonZeroU32;

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT: [u8; 16] = [3; 16];
const NONCE: [u8; 18] = [5; 18];
const CLIENT_FIRST: &[u8] = b"n,,n=,r=rOprNGfwEbeRWgbNEkqOabcd";

fn verifier() -> Verifier {
    verifier::derive(&Password::new("secret".to_owned()), &SALT, ITERATIONS)
}

fn begin(credential: Credential) -> (nodedb::auth::scram::AwaitClientFinal, Vec<u8>) {
    AwaitClientFirst::new(credential, Mechanism::Plain)
        .receive(CLIENT_FIRST, ServerNonce::from_bytes(NONCE))
        .expect("a good message")
}

fn known() -> Credential {
    Credential::known(PrincipalId(1), verifier())
}

/// The client's side of RFC 5802 §3.
fn client_final(server_first: &[u8]) -> Vec<u8> {
    let server_first = std::str::from_utf8(server_first).expect("ASCII");
    let nonce = server_first[2..].split(',').next().expect("a nonce");
    let unsigned = format!("c=biws,r={nonce}");
    let bare = std::str::from_utf8(&CLIENT_FIRST[3..]).expect("ASCII");
    let transcript = format!("{bare},{server_first},{unsigned}");
    let mut salted = [0; 32];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS,
        &SALT,
        b"secret",
        &mut salted,
    );
    let salted = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let stored_key = hmac::Key::new(hmac::HMAC_SHA256, stored_key.as_ref());
    let signature = hmac::sign(&stored_key, transcript.as_bytes());
    let proof: Vec<u8> = client_key
        .as_ref()
        .iter()
        .zip(signature.as_ref())
        .map(|(key, mask)| key ^ mask)
        .collect();
    format!("{unsigned},p={}", BASE64_STANDARD.encode(proof)).into_bytes()
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scram");
    let (_, server_first) = begin(known());
    let good = client_final(&server_first);
    assert!(begin(known()).0.receive(&good).is_ok(), "the proof fits");

    let ready = verifier();
    group.bench_function("client-first to server-first", |bencher| {
        bencher.iter_batched(
            || Credential::known(PrincipalId(1), ready.clone()),
            |credential| black_box(begin(credential)),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("client-final to server-final", |bencher| {
        bencher.iter_batched(
            || begin(Credential::known(PrincipalId(1), ready.clone())).0,
            |state| black_box(state.receive(&good).is_ok()),
            BatchSize::SmallInput,
        );
    });

    let mock = Mock::new(MockKey::new([7; 32]), ITERATIONS.get());
    let principals = Principals::default();
    group.bench_function("look-up of an unknown name", |bencher| {
        bencher.iter(|| black_box(Credential::look_up(&principals, "nobody", 0, &mock)));
    });
    group.bench_function("client-final of an unknown name", |bencher| {
        bencher.iter_batched(
            || begin(Credential::mock(&mock, "nobody", Refusal::UnknownUser)).0,
            |state| black_box(state.receive(&good).is_err()),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
