//! What a token costs a session core: presented again, and new, beside ring's verification alone.

use criterion::{BenchmarkId, Criterion};
use nodedb::auth::jwks::KeySet;
use nodedb::auth::jwt::{Checks, LIFETIME_MAX, Remembered, Token, Trace, verify};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Value, json};
use signer::{Kind, Signer, key_set};
use std::hint::black_box;
use std::sync::Arc;

#[path = "../tests/it/signer.rs"]
#[allow(dead_code, reason = "shared with the black-box tests")]
mod signer;

/// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: i64 = 1_800_000_000_000_000;
const ISSUER: &str = "https://your-domain.auth0.com/";
const CHECKS: Checks<'_> = Checks {
    issuer: ISSUER,
    audience: Some("nodedb-api"),
    lifetime_max: LIFETIME_MAX,
};

/// An access token as the common providers make them.
fn claims() -> Value {
    json!({"iss": ISSUER, "aud": ["nodedb-api", "https://your-domain.auth0.com/userinfo"],
        "sub": "auth0|65f1c0ffee65f1c0ffee65f1", "iat": 1_799_999_990, "exp": 1_800_003_590,
        "azp": "qwertyuiopasdfghjklzxcvbnm012345", "org_id": "org_0123456789abcdef",
        "scope": "openid profile email read:orders write:orders", "role": "admin",
        "email": "alice@example.org", "jti": "b2c7a9a0-97c5-4e5a-9f33-2d2b4c1f6a10"})
}

fn ring_algorithm(kind: Kind) -> &'static dyn VerificationAlgorithm {
    match kind {
        Kind::Es256 => &ECDSA_P256_SHA256_FIXED,
        Kind::Es384 => &ECDSA_P384_SHA384_FIXED,
        Kind::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for kind in [Kind::Es256, Kind::Es384, Kind::Rs256] {
        let signer = Signer::new(kind, "one");
        let name = signer.algorithm();
        let keys = KeySet::parse(key_set(&[&signer]).as_bytes()).expect("a key set");
        let token = signer.token(&claims());
        let (message, _) = token.rsplit_once('.').expect("three parts");
        let signature = signer.signature(message.as_bytes());
        let key = UnparsedPublicKey::new(ring_algorithm(kind), signer.public());
        let mut group = criterion.benchmark_group("token");
        group.bench_function(BenchmarkId::new("ring alone", name), |bench| {
            bench.iter(|| {
                key.verify(black_box(message.as_bytes()), &signature)
                    .is_ok()
            });
        });
        group.bench_function(BenchmarkId::new("new", name), |bench| {
            bench.iter(|| {
                let token = Token::parse(black_box(&token)).expect("well-formed");
                verify(token, &CHECKS, &keys, NOW).expect("a good token")
            });
        });
        group.bench_function(BenchmarkId::new("read only", name), |bench| {
            bench.iter(|| Token::parse(black_box(&token)).is_ok());
        });
        group.finish();
        again(&mut criterion, name, &token, keys);
    }
    criterion.final_summary();
}

/// Presented again, among as many as a busy core remembers.
fn again(criterion: &mut Criterion, name: &str, token: &str, keys: KeySet) {
    let (provider, keys) = (Arc::new("auth0"), Arc::new(keys));
    let mut remembered = Remembered::default();
    for number in 0..5_000 {
        let trace = Trace::of(&format!("{number}"));
        remembered.keep(trace, provider.clone(), keys.clone(), number, i64::MAX);
    }
    let trace = Trace::of(token);
    remembered.keep(trace, provider.clone(), keys.clone(), 7, i64::MAX);
    let bytes = token.len();
    criterion.bench_function(&format!("token/again/{name}, {bytes} bytes"), |bench| {
        bench.iter(|| {
            let trace = Trace::of(black_box(token));
            let in_force = |_: &_| Some((provider.clone(), keys.clone()));
            remembered.find(&trace, NOW, in_force).copied()
        });
    });
}
