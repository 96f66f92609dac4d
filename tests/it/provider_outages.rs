//! A provider that fails while a server runs: what its bearers notice, and what whoever looks on sees.

use crate::http_client::curl;
use crate::issuer::{Behaviour, Issuer};
use crate::server::TestServer;
use crate::signer::{Kind, Signer};
use serde_json::json;
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct World {
    server: TestServer,
    issuer: Issuer,
    signer: Signer,
}

impl World {
    /// A server that knows the provider's one key.
    fn new() -> World {
        let (issuer, signer) = (Issuer::start(), Signer::new(Kind::Es256, "one"));
        issuer.publish(&[&signer]);
        let directory = TempDir::new().expect("a temporary directory");
        let ca = issuer.write_ca(directory.path());
        let (host, ca) = (issuer.host(), ca.display());
        let file = format!("[auth.jwks]\nallow_http_hosts = [\"{host}\"]\nca = [\"{ca}\"]\n");
        let server = TestServer::start_in_directory(directory, &file);
        let url = issuer.url();
        server.psql(&format!(
            "CREATE OIDC PROVIDER local WITH (issuer = '{url}', audience = 'nodedb-api')"
        ));
        World {
            server,
            issuer,
            signer,
        }
    }

    /// The status that a new token of this key has, and how long that took.
    fn log_in(&self, signer: &Signer) -> (u16, Duration) {
        let mut claims = self.issuer.claims("al", "nodedb-api");
        // No two tokens are the same, so none is remembered.
        claims["jti"] = json!(format!("{:?}", Instant::now()));
        let bearer = format!("Authorization: Bearer {}", signer.token(&claims));
        let body = json!({"sql": "SELECT 1"}).to_string();
        let began = Instant::now();
        let (status, _) = curl(&self.server, "/v1/query", &["-H", &bearer, "-d", &body]);
        (status, began.elapsed())
    }

    /// What /metrics says of the provider under this name.
    fn metric(&self, name: &str) -> i64 {
        let (status, text) = curl(&self.server, "/metrics", &[]);
        assert_eq!(status, 200);
        let begins = format!("nodedb_provider_{name}{{provider=\"local\",id=\"");
        let mut lines = text.lines().filter(|line| line.starts_with(&begins));
        let line = lines.next().unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(lines.next().is_none(), "{name} stands once");
        let (_, value) = line.rsplit_once(' ').expect("a value");
        value.parse().expect("a number")
    }

    fn refresh(&self) {
        let refresh = "ALTER OIDC PROVIDER local REFRESH JWKS";
        // That it fails is what the test is about.
        let _ = self.server.try_psql(refresh);
    }
}

#[test]
fn whoever_looks_on_sees_a_provider_fail_and_come_back() {
    let world = World::new();
    assert_eq!((world.metric("keys"), world.metric("circuit")), (1, 0));
    assert!((0..60).contains(&world.metric("keys_age_seconds")));
    world.issuer.behave(Behaviour::Status(503));
    for failures in 1..=5 {
        world.refresh();
        // It is tried again by itself, too, where this machine is slow.
        assert!(world.metric("failures_in_a_row") >= failures);
    }
    assert_eq!((world.metric("keys"), world.metric("circuit")), (1, 2));
    let shown = world.server.psql("SHOW OIDC PROVIDERS");
    assert!(shown.contains("|open|"), "{shown}");
    assert!(shown.contains("status 503"), "{shown}");
    assert_eq!(world.log_in(&world.signer).0, 200, "its key is known");
    let log = world.server.log();
    assert!(log.contains("a provider has failed too often"), "{log}");
    world.issuer.behave(Behaviour::Well);
    world.server.psql("ALTER OIDC PROVIDER local REFRESH JWKS");
    assert_eq!(world.metric("circuit"), 0);
    assert_eq!(world.metric("failures_in_a_row"), 0);
}

#[test]
fn a_provider_that_does_not_answer_slows_no_login_with_a_known_key() {
    let world = World::new();
    world
        .issuer
        .behave(Behaviour::Slow(Duration::from_secs(60)));
    let asked = world.issuer.asked().len();
    let stranger = Signer::new(Kind::Es256, "unknown");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| world.log_in(&stranger));
        let began = Instant::now();
        while world.issuer.asked().len() == asked {
            assert!(began.elapsed() < Duration::from_secs(20), "it is asked");
            std::thread::sleep(Duration::from_millis(5));
        }
        for _ in 0..10 {
            let (status, took) = world.log_in(&world.signer);
            assert_eq!(status, 200);
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
        assert!(!waits.is_finished(), "whose key is not known waits for it");
        let (status, took) = waits.join().expect("it has ended");
        assert_eq!(status, 401);
        assert!(took < Duration::from_secs(9), "{took:?}");
    });
    let (status, took) = world.log_in(&stranger);
    assert_eq!(status, 401);
    assert!(took < Duration::from_secs(2), "it was asked a moment ago");
    assert!(world.metric("failures_in_a_row") >= 1);
}
