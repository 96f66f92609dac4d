//! Passwords that are replaced without an outage, and what a new one has to be.

use crate::http_client::curl;
use crate::native_wire::Native;
use crate::server::{TestServer, UNTHROTTLED};
use crate::wire::{Wire, startup};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;

/// Whether the password is taken, over each protocol alike. SCRAM's client checks the server's proof.
fn is_taken(server: &TestServer, user: &str, password: &str) -> bool {
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", "nodedb")]));
    let scram = wire.authenticate(password).is_ok();
    let basic = format!("{user}:{password}");
    let body = "{\"sql\": \"SELECT 1\"}";
    let http = curl(server, "/v1/query", &["-u", &basic, "-d", body]).0 == 200;
    let native = Native::greeted(server, 0).auth(user, password, None)["status"] == 0;
    assert_eq!([scram; 2], [http, native], "{user} {password}");
    scram
}

fn taken(server: &TestServer, user: &str, passwords: &[&str]) -> Vec<bool> {
    let each = passwords.iter();
    each.map(|password| is_taken(server, user, password))
        .collect()
}

fn refused(server: &TestServer, statement: &str, code: &str, words: &str) {
    let error = server.psql_error(statement);
    assert!(error.contains(code), "{statement}: {error}");
    assert!(error.contains(words), "{statement}: {error}");
}

#[test]
fn a_password_is_replaced_without_an_outage() {
    let mut server = TestServer::start_configured(UNTHROTTLED);
    server.psql("CREATE USER bob WITH PASSWORD 'first'");
    let all = ["first", "second", "third"];
    refused(
        &server,
        "ALTER USER bob DROP OLD PASSWORD",
        "55000",
        "ALTER USER bob ADD PASSWORD",
    );
    server.psql("ALTER USER bob ADD PASSWORD 'second'");
    assert_eq!(taken(&server, "bob", &all), [true, true, false]);
    refused(
        &server,
        "ALTER USER bob ADD PASSWORD 'third'",
        "55000",
        "ALTER USER bob DROP OLD PASSWORD",
    );
    let explained = server.psql("EXPLAIN AUTHENTICATION FOR USER bob");
    assert!(explained.contains("it has two"), "{explained}");
    // It is kept, and so are both.
    server.kill();
    server.resume();
    assert_eq!(taken(&server, "bob", &all), [true, true, false]);
    server.psql("ALTER USER bob DROP OLD PASSWORD");
    assert_eq!(taken(&server, "bob", &all), [false, true, false]);
    server.psql("ALTER USER bob ADD PASSWORD 'third'");
    server.psql("ALTER USER bob PASSWORD 'first'");
    assert_eq!(taken(&server, "bob", &all), [true, false, false]);
    server.psql("ALTER USER bob PASSWORD NULL");
    assert_eq!(taken(&server, "bob", &all), [false, false, false]);
    server.psql("ALTER USER bob ADD PASSWORD 'second'");
    assert_eq!(taken(&server, "bob", &all), [false, true, false]);
    refused(&server, "ALTER USER bob ADD PASSWORD ''", "22023", "empty");
    refused(&server, "ALTER USER bob ADD PASSWORD NULL", "42601", "");
}

#[test]
fn users_rotate_their_own_passwords_and_nobody_elses() {
    let server = TestServer::start();
    server.psql("CREATE USER bob WITH PASSWORD 'first'");
    server.psql("CREATE USER carol WITH PASSWORD 'hers'");
    let ask = |user, password, statement: &str| {
        let done = server.psql_as(user, password, "nodedb", statement);
        done.status.success()
    };
    assert!(ask("bob", "first", "ALTER USER bob ADD PASSWORD 'second'"));
    assert!(!ask("carol", "hers", "ALTER USER bob DROP OLD PASSWORD"));
    assert!(!ask("carol", "hers", "ALTER USER bob ADD PASSWORD 'mine'"));
    assert!(ask("bob", "second", "ALTER USER bob DROP OLD PASSWORD"));
    assert_eq!(taken(&server, "bob", &["first", "second"]), [false, true]);
}

#[test]
fn a_ready_verifier_is_added_only_with_the_salt_of_the_first() {
    let server = TestServer::start();
    let verifier = |salt: u8, key: u8| {
        let keys = BASE64_STANDARD.encode([key; 32]);
        let salt = BASE64_STANDARD.encode([salt; 16]);
        format!("SCRAM-SHA-256$4096:{salt}${keys}:{keys}")
    };
    server.psql(&format!(
        "CREATE USER bob WITH PASSWORD '{}'",
        verifier(1, 1)
    ));
    let add = |verifier: &str| format!("ALTER USER bob ADD PASSWORD '{verifier}'");
    refused(
        &server,
        &add(&verifier(2, 2)),
        "22023",
        "Give the password itself",
    );
    server.psql(&add(&verifier(1, 2)));
    server.psql("ALTER USER bob DROP OLD PASSWORD");
}

#[test]
fn an_account_past_its_end_takes_neither_of_its_passwords() {
    let server = TestServer::start();
    server.psql("CREATE USER bob WITH PASSWORD 'first'");
    server.psql("ALTER USER bob ADD PASSWORD 'second'");
    server.psql("ALTER USER bob VALID UNTIL '2020-01-01'");
    assert_eq!(taken(&server, "bob", &["first", "second"]), [false, false]);
    server.psql("ALTER USER bob VALID UNTIL 'infinity'");
    assert_eq!(taken(&server, "bob", &["first", "second"]), [true, true]);
}

#[test]
fn a_policy_is_asked_of_every_new_password_and_of_no_old_one() {
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::write(directory.path().join("common"), "Password123\nletmein99\n").expect("written");
    let policy = "[auth.password]\nmin_length = 8\nreuse = 2\ndenylist = \"common\"\n";
    let mut server = TestServer::start_in_directory(directory, policy);
    for (statement, words) in [
        ("CREATE USER bob WITH PASSWORD 'short'", "shorter than 8"),
        ("CREATE USER bob WITH PASSWORD 'PASSWORD123'", "on the list"),
    ] {
        refused(&server, statement, "22023", words);
    }
    server.psql("CREATE USER bob WITH PASSWORD 'password one'");
    let set = |number: &str| format!("ALTER USER bob PASSWORD 'password {number}'");
    refused(&server, &set("one"), "22023", "used before");
    server.psql(&set("two"));
    server.psql(&set("three"));
    server.kill();
    server.resume();
    for earlier in ["one", "two", "three"] {
        refused(&server, &set(earlier), "22023", "used before");
    }
    refused(
        &server,
        "ALTER USER bob ADD PASSWORD 'password two'",
        "22023",
        "used before",
    );
    server.psql(&set("four"));
    server.psql(&set("one"));
    assert_eq!(
        taken(&server, "bob", &["password one", "password four"]),
        [true, false]
    );
}

#[test]
fn verifiers_are_refused_where_the_policy_says_so() {
    let keys = BASE64_STANDARD.encode([7; 32]);
    let verifier = format!("SCRAM-SHA-256$4096:{keys}${keys}:{keys}");
    let create = format!("CREATE USER bob WITH PASSWORD '{verifier}'");
    let strict = TestServer::start_configured("[auth.password]\nallow_verifiers = false\n");
    refused(&strict, &create, "22023", "a verifier");
    strict.psql("CREATE USER bob WITH PASSWORD 'key'");
    TestServer::start().psql(&create);
}

#[test]
fn a_list_that_cannot_be_read_stops_the_start() {
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::write(directory.path().join("common"), "x\n").expect("written");
    let policy = "[auth.password]\ndenylist = \"common\"\n";
    let mut server = TestServer::start_in_directory(directory, policy);
    server.kill();
    std::fs::remove_file(server.directory().join("common")).expect("it is there");
    let status = server.command().status().expect("it runs");
    assert!(!status.success());
    assert!(server.log().contains("denylist"), "{}", server.log());
}
