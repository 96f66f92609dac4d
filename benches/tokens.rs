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
use std::time::Instant;

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
            // A server keeps the claims: that they are dropped is no part of it.
            bench.iter_with_large_drop(|| {
                let token = Token::parse(black_box(&token)).expect("well-formed");
                verify(token, &CHECKS, &keys, NOW).expect("a good token")
            });
        });
        group.bench_function(BenchmarkId::new("read only", name), |bench| {
            bench.iter(|| Token::parse(black_box(&token)).is_ok());
        });
        group.finish();
        ratio(
            name,
            || {
                assert!(
                    key.verify(black_box(message.as_bytes()), &signature)
                        .is_ok()
                )
            },
            || {
                let token = Token::parse(black_box(&token)).expect("well-formed");
                verify(token, &CHECKS, &keys, NOW).expect("a good token")
            },
        );
        again(&mut criterion, name, &token, keys);
    }
    criterion.final_summary();
}

/// What a new token costs beside ring alone: both in turn, so that whatever else the machine does
/// falls on both, and the median of many rounds.
fn ratio<T>(name: &str, alone: impl Fn(), new: impl Fn() -> T) {
    const ROUNDS: usize = 1_000;
    const TIMES: usize = 10;
    let mut ratios = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        (0..TIMES).for_each(|_| alone());
        let ring = began.elapsed();
        let mut kept = Vec::with_capacity(TIMES);
        let began = Instant::now();
        kept.extend((0..TIMES).map(|_| new()));
        ratios.push(began.elapsed().as_secs_f64() / ring.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "token/new beside ring alone/{name} {:.3}",
        ratios[ROUNDS / 2]
    );
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
