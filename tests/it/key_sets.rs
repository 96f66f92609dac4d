//! Providers' keys, fetched from a provider on this machine that does everything wrong in turn.

use crate::issuer::{Behaviour, Issuer};
use crate::signer::{Kind, Signer};
use nodedb::audit::{Audit, ChainKey, Level, Options};
use nodedb::auth::jwks::{
    DOCUMENT_BYTES_MAX, Followed, KeySets, Requests, Source, SourceError, Terms,
};
use nodedb::auth::jwt::{Checks, LIFETIME_MAX, Refusal, Token, verify};
use nodedb::catalog::PrincipalId;
use nodedb::control::jwks::{AllowedHosts, Fetcher, HttpsSource, Kept, fetch};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const PROVIDER: PrincipalId = PrincipalId(40_000);
const PATIENCE: Duration = Duration::from_secs(5);

/// A provider, its key, and the way to it that an operator has opened.
struct World {
    issuer: Issuer,
    signer: Signer,
    source: HttpsSource,
    directory: TempDir,
}

fn source(hosts: &[String], ca: &[PathBuf]) -> HttpsSource {
    let hosts = AllowedHosts::parse(hosts).expect("hosts");
    HttpsSource::new(hosts, ca).expect("a source")
}

fn followed(issuer: &Issuer) -> Followed {
    Followed {
        id: PROVIDER,
        name: "local".to_owned(),
        issuer: issuer.url(),
        jwks_url: None,
    }
}

impl World {
    fn new() -> World {
        let (issuer, signer) = (Issuer::start(), Signer::new(Kind::Es256, "one"));
        issuer.publish(&[&signer]);
        let directory = tempfile::tempdir().expect("a directory");
        let ca = issuer.write_ca(directory.path());
        World {
            source: source(&[issuer.host()], &[ca]),
            issuer,
            signer,
            directory,
        }
    }

    /// How many keys it has, found as a server finds them.
    fn keys(&self) -> Result<usize, String> {
        let found = fetch(&self.source, &followed(&self.issuer))?;
        Ok(found.fetched.keys.len())
    }

    fn ask(&self, url: &str) -> Result<Vec<u8>, SourceError> {
        self.source.fetch(url, PATIENCE).map(|reply| reply.body)
    }
}

/// Why it failed, which has this in it.
#[track_caller]
fn assert_says(failed: &str, reason: &str) {
    assert!(failed.contains(reason), "{failed}");
}

#[test]
fn keys_are_found_by_discovery_over_tls_and_verify_the_providers_tokens() {
    let world = World::new();
    let found = fetch(&world.source, &followed(&world.issuer)).expect("keys");
    let asked = world.issuer.asked();
    assert_eq!(asked, ["/.well-known/openid-configuration", "/keys"]);
    let claims = world.issuer.claims("42", "nodedb-api");
    let token = world.signer.token(&claims);
    let issuer = world.issuer.url();
    let checks = Checks {
        issuer: &issuer,
        audience: Some("nodedb-api"),
        lifetime_max: LIFETIME_MAX,
    };
    let now = crate::issuer::now() * 1_000_000;
    let token = Token::parse(&token).expect("well-formed");
    let verified = verify(token, &checks, &found.fetched.keys, now).expect("a good token");
    assert_eq!(verified.claims["sub"], "42");
}

#[test]
fn how_long_keys_may_be_kept_is_taken_from_the_answer() {
    let world = World::new();
    let max_age = || {
        let found = fetch(&world.source, &followed(&world.issuer)).expect("keys");
        found.fetched.max_age
    };
    assert_eq!(max_age(), None);
    world.issuer.cache("public, max-age=900");
    assert_eq!(max_age(), Some(900_000_000));
}

#[test]
fn an_issuer_without_a_discovery_document_is_asked_at_the_usual_place() {
    let world = World::new();
    world.issuer.without_discovery();
    assert_eq!(world.keys(), Ok(1));
    let asked = world.issuer.asked();
    let expected = [
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
    ];
    assert_eq!(asked, expected);
}

#[test]
fn private_addresses_are_not_connected_to_unless_they_are_listed() {
    let world = World::new();
    let ca = world.issuer.write_ca(world.directory.path());
    let port = world.issuer.host().split(':').nth(1).map(str::to_owned);
    let port = port.expect("a port");
    let guarded = source(&["localhost:1".to_owned()], &[ca]);
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0",
        "127.1",
        "0x7f.1",
    ] {
        let url = format!("https://{host}:{port}/keys");
        let refused = guarded.fetch(&url, PATIENCE).unwrap_err().to_string();
        assert_says(&refused, "is not an address of the public internet");
    }
    assert!(world.issuer.asked().is_empty());
    assert!(guarded.fetch(&world.issuer.keys_url(), PATIENCE).is_err());
    assert!(world.ask(&world.issuer.keys_url()).is_ok(), "listed, it is");
}

#[test]
fn without_tls_only_a_listed_host_is_asked() {
    let issuer = Issuer::start_plain();
    issuer.publish(&[&Signer::new(Kind::Es384, "one")]);
    let refused = source(&[], &[]).fetch(&issuer.keys_url(), PATIENCE);
    assert_says(&refused.unwrap_err().to_string(), "it is not https");
    let listed = source(&[issuer.host()], &[]);
    assert!(fetch(&listed, &followed(&issuer)).is_ok());
    for url in [
        "ftp://localhost/keys",
        "file:///etc/passwd",
        "keys",
        "",
        "https://",
    ] {
        assert!(listed.fetch(url, PATIENCE).is_err(), "{url}");
    }
    let url = issuer
        .keys_url()
        .replacen("http://", "http://alice:secret@", 1);
    let refused = listed.fetch(&url, PATIENCE).unwrap_err();
    assert_says(&refused.to_string(), "a user's name or password");
}

#[test]
fn a_redirect_is_followed_on_its_own_host_and_nowhere_else() {
    let world = World::new();
    world
        .issuer
        .behave(Behaviour::Redirect("/moved".to_owned()));
    assert!(world.ask(&world.issuer.keys_url()).is_ok());
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = stranger.local_addr().expect("its address").port();
    for to in [
        format!("https://localhost:{port}/moved"),
        "http://localhost/moved".to_owned(),
        format!("{}moved", world.issuer.url().replacen("https", "http", 1)),
        "//169.254.169.254/latest/meta-data".to_owned(),
    ] {
        world.issuer.behave(Behaviour::Redirect(to.clone()));
        let refused = world.ask(&world.issuer.keys_url()).unwrap_err().to_string();
        assert_says(&refused, "it redirects to another host, port or scheme");
    }
    stranger.set_nonblocking(true).expect("a socket");
    assert!(stranger.accept().is_err(), "nobody has come");
    world.issuer.behave(Behaviour::Redirect("/keys".to_owned()));
    let refused = world.ask(&world.issuer.keys_url()).unwrap_err().to_string();
    assert_says(&refused, "it redirects more than 3 times");
}

#[test]
fn a_body_of_a_mebibyte_is_read_and_no_more() {
    let world = World::new();
    let keys = world.ask(&world.issuer.keys_url()).expect("keys").len();
    world
        .issuer
        .behave(Behaviour::Huge(DOCUMENT_BYTES_MAX - keys));
    let whole = world.ask(&world.issuer.keys_url()).expect("at the limit");
    assert_eq!(whole.len(), DOCUMENT_BYTES_MAX);
    for bytes in [DOCUMENT_BYTES_MAX - keys + 1, 64 << 20] {
        world.issuer.behave(Behaviour::Huge(bytes));
        let refused = world.ask(&world.issuer.keys_url()).unwrap_err().to_string();
        assert_says(&refused, "limit");
    }
}

#[test]
fn an_answer_that_does_not_come_or_comes_byte_by_byte_is_given_up_in_time() {
    let world = World::new();
    let within = Duration::from_millis(500);
    for behaviour in [Behaviour::Slow(Duration::from_secs(10)), Behaviour::Drip] {
        world.issuer.behave(behaviour.clone());
        let began = Instant::now();
        let url = world.issuer.keys_url();
        let refused = world.source.fetch(&url, within).unwrap_err().to_string();
        assert_says(&refused, "timeout");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "{behaviour:?}: {took:?}");
    }
}

#[test]
fn a_provider_whose_certificate_has_ended_or_is_nobodys_is_not_believed() {
    let world = World::new();
    world.issuer.behave(Behaviour::ExpiredTls);
    let refused = world.ask(&world.issuer.keys_url()).unwrap_err().to_string();
    assert_says(&refused, "certificate");
    world.issuer.behave(Behaviour::Well);
    let stranger = source(&[world.issuer.host()], &[]);
    let refused = stranger.fetch(&world.issuer.keys_url(), PATIENCE);
    assert_says(&refused.unwrap_err().to_string(), "certificate");
    assert!(world.issuer.asked().is_empty());
}

#[test]
fn an_authority_file_that_is_of_no_use_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.crt");
    let unfit = || {
        let refused = HttpsSource::new(AllowedHosts::default(), std::slice::from_ref(&path));
        refused.err().expect("it is of no use").to_string()
    };
    assert_says(&unfit(), "No such file");
    std::fs::write(&path, "no certificate").expect("written");
    assert_says(&unfit(), "there is no certificate in it");
    assert_says(&unfit(), "ca.crt");
}

/// A fetcher on the real clock.
fn fetcher(world: &World) -> (Requests, KeySets) {
    let (requests, inbox) = Requests::channel();
    let sets = KeySets::default();
    let ca = world.issuer.write_ca(world.directory.path());
    let audit = Audit::start(
        &world.directory.path().join("audit"),
        ChainKey::new(&[1; 32]),
        Level::Standard,
        Options::default(),
    );
    let fetcher = Fetcher {
        terms: Terms::default(),
        kept: Kept::new(world.directory.path().join("jwks")),
        source: Arc::new(source(&[world.issuer.host()], &[ca])),
        sets: sets.clone(),
        clock: Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.expect("after 1970").as_micros() as i64
        }),
        audit: audit.expect("an audit log").0,
    };
    fetcher.spawn(inbox).expect("a thread");
    requests.follow(followed(&world.issuer));
    (requests, sets)
}

fn refresh(requests: &Requests) -> Result<usize, String> {
    futures::executor::block_on(requests.refresh(PROVIDER))
}

#[test]
fn whatever_a_provider_answers_its_known_keys_go_on_verifying_until_it_takes_them_away() {
    let world = World::new();
    let (requests, sets) = fetcher(&world);
    assert_eq!(refresh(&requests), Ok(1));
    let before = sets
        .of(PROVIDER)
        .and_then(|it| it.keys.clone())
        .expect("keys");
    let faults = [
        (Behaviour::Down, ""),
        (Behaviour::Status(500), "status 500"),
        (Behaviour::Status(404), "nothing there"),
        (Behaviour::Page, "it is not JSON"),
        (Behaviour::Huge(DOCUMENT_BYTES_MAX), "limit"),
        (
            Behaviour::Redirect("https://localhost:1/".to_owned()),
            "another host",
        ),
        (
            Behaviour::Impostor("https://id.example/".to_owned()),
            "another issuer",
        ),
        (Behaviour::ExpiredTls, "certificate"),
    ];
    for (fault, reason) in faults {
        world.issuer.behave(fault.clone());
        let refused = refresh(&requests).unwrap_err();
        assert!(refused.contains(reason), "{fault:?}: {refused}");
        let now = sets.of(PROVIDER).expect("followed");
        assert_eq!(now.status.reason.as_deref(), Some(&*refused));
        let keys = now.keys.clone().expect("the old ones");
        assert!(Arc::ptr_eq(&keys, &before), "{fault:?}");
    }
    world.issuer.behave(Behaviour::Well);
    let newer = Signer::new(Kind::Rs256, "two");
    world.issuer.publish(&[&newer]);
    assert_eq!(refresh(&requests), Ok(1));
    let after = sets
        .of(PROVIDER)
        .and_then(|it| it.keys.clone())
        .expect("keys");
    let url = world.issuer.url();
    let judge = |signer: &Signer| {
        let token = signer.token(&world.issuer.claims("42", "nodedb-api"));
        let checks = Checks {
            issuer: &url,
            audience: None,
            lifetime_max: LIFETIME_MAX,
        };
        let token = Token::parse(&token).expect("well-formed");
        verify(token, &checks, &after, crate::issuer::now() * 1_000_000)
    };
    assert_eq!(
        judge(&world.signer),
        Err(Refusal::UnknownKid(1)),
        "it has vanished"
    );
    assert!(judge(&newer).is_ok());
}
