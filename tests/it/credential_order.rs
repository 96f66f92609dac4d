//! Who somebody is when several credentials are at hand (REFERENCE §3 "Order"), on each protocol: every
//! credential is verified, a bad one fails whatever its place, and the first in order says who it is.

use crate::authority::{Authority, named};
use crate::server::{TestServer, UNTHROTTLED};
use crate::tls_protocols::{connect, inside_with};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::Command;
use tempfile::TempDir;

const CONFIGURATION: &str = r#"
[server.tls]
cert = "server.crt"
key = "server.key"
client_ca = "ca.crt"
[auth.cert]
map = [
    { uri = 'spiffe://example\.org/(\w+)', login = "$1" },
    { email = '(.+)@example\.org', login = "$1" },
]
"#;

/// What the client certificates are called by.
const CERTIFICATES: [(&str, &str, &[&str]); 6] = [
    ("alice", "alice", &[]),
    ("bob", "bob", &[]),
    ("disabled", "dora", &[]),
    ("nobody", "Nobody", &["spiffe://elsewhere.example/alice"]),
    // A service account, by a rule; the common name is another login's, and comes later.
    ("batch", "bob", &["spiffe://example.org/batch"]),
    ("trick", "alice\0.example.org", &[]),
];

/// alice, bob and the disabled dora with passwords, the account batch, and a key each for alice and bob.
struct Story {
    server: TestServer,
    keys: [String; 2],
}

fn begin() -> Story {
    let directory = TempDir::new().expect("a temporary directory");
    let authority = Authority::new("Test CA");
    authority.write_server_files(directory.path());
    for (file, common, alternatives) in CERTIFICATES {
        let mut parameters: CertificateParams = named(common);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uris = alternatives.iter();
        let uris = uris.map(|uri| SanType::URI((*uri).try_into().expect("ASCII")));
        parameters.subject_alt_names = uris.collect();
        authority.issue(&parameters).write(directory.path(), file);
    }
    let file = format!("{CONFIGURATION}\n{UNTHROTTLED}");
    let server = TestServer::start_in_directory(directory, &file);
    for name in ["alice", "bob", "dora"] {
        server.psql(&format!("CREATE USER {name} WITH PASSWORD 'of {name}'"));
    }
    server.psql("ALTER USER dora DISABLE");
    server.psql("CREATE SERVICE ACCOUNT batch FOR DATABASE nodedb");
    let keys = ["alice", "bob"].map(|name| {
        let made = server.psql(&format!("CREATE API KEY 'of {name}' FOR {name}"));
        made.lines().last().unwrap_or_default().to_owned()
    });
    Story { server, keys }
}

/// What is presented beside the certificate.
#[derive(Clone, Copy, Debug)]
enum Beside {
    Nothing,
    Password(&'static str, &'static str),
    Key(usize),
    BadKey,
}

const ALICES_PASSWORD: Beside = Beside::Password("alice", "of alice");
const WRONG_PASSWORD: Beside = Beside::Password("alice", "of bob");
const BOBS_PASSWORD: Beside = Beside::Password("bob", "of bob");

/// Certificate, what stands beside it, and who that is on HTTP and on the native protocol.
const BEARERS: [(&str, Beside, &str); 30] = [
    ("", Beside::Nothing, "refused"),
    ("", ALICES_PASSWORD, "alice by password"),
    ("", WRONG_PASSWORD, "refused"),
    ("", Beside::Key(0), "alice by api_key"),
    ("", Beside::BadKey, "refused"),
    ("nobody", Beside::Nothing, "refused"),
    ("nobody", ALICES_PASSWORD, "alice by password"),
    ("nobody", WRONG_PASSWORD, "refused"),
    ("nobody", Beside::Key(0), "alice by api_key"),
    ("nobody", Beside::BadKey, "refused"),
    ("alice", Beside::Nothing, "alice by certificate"),
    ("alice", ALICES_PASSWORD, "alice by certificate"),
    ("alice", WRONG_PASSWORD, "refused"),
    ("alice", Beside::Key(0), "alice by certificate"),
    ("alice", Beside::BadKey, "refused"),
    ("alice", BOBS_PASSWORD, "alice by certificate"),
    ("alice", Beside::Key(1), "alice by certificate"),
    ("bob", Beside::Nothing, "bob by certificate"),
    ("bob", ALICES_PASSWORD, "bob by certificate"),
    ("bob", Beside::Key(0), "bob by certificate"),
    ("bob", Beside::BadKey, "refused"),
    ("batch", Beside::Nothing, "batch by certificate"),
    ("batch", Beside::Key(0), "batch by certificate"),
    ("batch", WRONG_PASSWORD, "refused"),
    ("disabled", Beside::Nothing, "refused"),
    ("disabled", ALICES_PASSWORD, "refused"),
    ("disabled", Beside::Key(0), "refused"),
    ("trick", Beside::Nothing, "refused"),
    ("trick", ALICES_PASSWORD, "refused"),
    ("trick", Beside::Key(0), "refused"),
];

/// Certificate, whether the password is right, and who that is to PostgreSQL's clients that come as
/// alice.
const AS_ALICE: [(&str, bool, &str); 14] = [
    ("", true, "alice by scram-sha-256"),
    ("", false, "28P01"),
    ("nobody", true, "alice by scram-sha-256"),
    ("nobody", false, "28P01"),
    // Nobody is asked for a password then.
    ("alice", true, "alice by certificate"),
    ("alice", false, "alice by certificate"),
    ("bob", true, "28000"),
    ("bob", false, "28000"),
    ("batch", true, "28000"),
    ("batch", false, "28000"),
    ("disabled", true, "28000"),
    ("disabled", false, "28000"),
    ("trick", true, "28000"),
    ("trick", false, "28000"),
];

fn over_http(story: &Story, certificate: &str, beside: Beside) -> String {
    let port = story.server.http().port();
    let url = format!("https://127.0.0.1:{port}/v1/query");
    let mut curl = Command::new("curl");
    curl.current_dir(story.server.directory())
        .args(["--silent", "--show-error", "--cacert", "ca.crt", &url])
        .args(["--data", r#"{"sql":"SHOW SESSION"}"#]);
    if !certificate.is_empty() {
        let (file, key) = (format!("{certificate}.crt"), format!("{certificate}.key"));
        curl.args(["--cert", &file, "--key", &key]);
    }
    match beside {
        Beside::Nothing => &mut curl,
        Beside::Password(name, password) => curl.args(["--user", &format!("{name}:{password}")]),
        Beside::Key(number) => curl.args(["--oauth2-bearer", &story.keys[number]]),
        Beside::BadKey => curl.args(["--oauth2-bearer", &bad_key(story)]),
    };
    let done = curl.output().expect("curl is installed");
    let reply: Value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr)));
    match reply["error"]["code"].as_str() {
        Some("28000" | "28P01") => "refused".to_owned(),
        Some(other) => other.to_owned(),
        None => who(
            &reply["rows"][0]["username"],
            &reply["rows"][0]["auth_method"],
        ),
    }
}

fn bad_key(story: &Story) -> String {
    let mut key = story.keys[0].clone();
    // Not the very last, whose low bits are padding.
    let place = key.len() - 2..key.len() - 1;
    let other = if &key[place.clone()] == "A" { "B" } else { "A" };
    key.replace_range(place, other);
    key
}

fn who(name: &Value, method: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{} by {}", text(name), text(method))
}

fn over_native(story: &Story, certificate: &str, beside: Beside) -> String {
    const HELLO: &[u8; 16] = b"NDBH\0\x01\0\x01\0\0\0\0\0\0\0\x80";
    let certificate = Some(certificate).filter(|it| !it.is_empty());
    let socket = connect(story.server.native());
    let mut client = inside_with(&story.server, socket, certificate);
    client.write_all(HELLO).expect("sent");
    // What the server can do: its version's length is the last of these bytes, and limits follow.
    let mut ack = [0; 15];
    client.read_exact(&mut ack).expect("answered");
    assert_eq!(&ack[..4], b"NDBA");
    let mut limits = vec![0; usize::from(ack[14]) + 36];
    client.read_exact(&mut limits).expect("answered");
    let mut ask = |request: Value| -> Option<Value> {
        let payload = request.to_string();
        let length = (payload.len() as u32).to_be_bytes();
        client.write_all(&length).expect("sent");
        client.write_all(payload.as_bytes()).expect("sent");
        let mut length = [0; 4];
        client.read_exact(&mut length).ok()?;
        let mut reply = vec![0; u32::from_be_bytes(length) as usize];
        client.read_exact(&mut reply).ok()?;
        serde_json::from_slice(&reply).ok()
    };
    let auth = match beside {
        Beside::Nothing => None,
        Beside::Password(name, password) => {
            Some(json!({"method": "password", "username": name, "password": password}))
        }
        Beside::Key(number) => Some(json!({"method": "api_key", "token": story.keys[number]})),
        Beside::BadKey => Some(json!({"method": "api_key", "token": bad_key(story)})),
    };
    if let Some(auth) = auth {
        let answer = ask(json!({"op": 1, "seq": 1, "auth": auth})).expect("a reply");
        if !answer["error"].is_null() {
            let code = answer["error"]["code"].as_str();
            assert!(matches!(code, Some("28000" | "28P01")), "{answer}");
            return "refused".to_owned();
        }
    }
    let shown = ask(json!({"op": 0x20, "seq": 2, "sql": "SHOW SESSION"})).expect("a reply");
    if shown["error"]["code"] == "28000" {
        return "refused".to_owned();
    }
    let columns = shown["columns"].as_array().expect("columns");
    let value = |wanted: &str| {
        let place = columns.iter().position(|it| it == wanted).expect(wanted);
        &shown["rows"][0][place]
    };
    who(value("username"), value("auth_method"))
}

fn over_pgwire(story: &Story, certificate: &str, password_is_right: bool) -> String {
    let password = match password_is_right {
        true => "of alice",
        false => "another",
    };
    let mut psql = story.server.client("psql", "alice", password);
    let files = match certificate {
        "" => "sslcert=none".to_owned(),
        name => format!("sslcert={name}.crt sslkey={name}.key"),
    };
    let address =
        format!("host=127.0.0.1 dbname=nodedb sslmode=verify-full sslrootcert=ca.crt {files}");
    let done = psql
        .args(["-X", "-A", "-t", "-q", &address, "-c", "SHOW SESSION"])
        .output()
        .expect("psql is installed");
    let told = String::from_utf8_lossy(&done.stderr);
    if told.contains("certificate authentication failed for user \"alice\"") {
        return "28000".to_owned();
    }
    if told.contains("password authentication failed for user \"alice\"") {
        return "28P01".to_owned();
    }
    let shown = String::from_utf8_lossy(&done.stdout);
    let fields: Vec<_> = shown.trim_end().split('|').collect();
    assert_eq!(fields.len(), 7, "{told}{shown}");
    format!("{} by {}", fields[0], fields[5])
}

#[test]
fn the_first_credential_in_order_says_who_it_is_and_a_bad_one_fails_wherever_it_stands() {
    let story = begin();
    for (certificate, beside, expected) in BEARERS {
        let found = over_http(&story, certificate, beside);
        assert_eq!(found, expected, "HTTP: {certificate:?} and {beside:?}");
        let found = over_native(&story, certificate, beside);
        assert_eq!(found, expected, "native: {certificate:?} and {beside:?}");
    }
    for (certificate, password_is_right, expected) in AS_ALICE {
        let found = over_pgwire(&story, certificate, password_is_right);
        assert_eq!(found, expected, "{certificate:?}, {password_is_right}");
    }
    let log = story.server.log();
    for told in [
        "two credentials of different logins were presented",
        "the client certificate is of another login",
        "the login of the client certificate is disabled",
        "a name in the client certificate is malformed",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
}

#[test]
fn the_certificate_of_a_login_that_is_gone_leaves_the_decision_to_the_next_credential() {
    let story = begin();
    assert_eq!(
        over_http(&story, "bob", Beside::Nothing),
        "bob by certificate"
    );
    story.server.psql("DROP USER bob");
    assert_eq!(over_http(&story, "bob", Beside::Nothing), "refused");
    assert_eq!(
        over_http(&story, "bob", ALICES_PASSWORD),
        "alice by password"
    );
}
