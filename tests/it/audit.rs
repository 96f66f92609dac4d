//! The audit log as an operator meets it: what is in it, who reads it, that it holds through kills and full disks,
//! and that nothing secret ever gets into it (REFERENCE §1, §6, §9).

use crate::http_client::curl;
use crate::native_wire::Native;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What the files hold, the oldest first. Recording logins does not wait for the disk: a moment is given.
fn entries(server: &TestServer) -> Vec<Value> {
    let exported = audit(server, &["export"]);
    assert!(exported.status.success(), "{exported:?}");
    let text = String::from_utf8(exported.stdout).expect("UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

/// Waits for an entry.
fn until_recorded(server: &TestServer, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let all = entries(server);
        if let Some(found) = all.iter().find(|entry| is_it(entry)) {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "{what} is not in {all:#?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// `nodedb audit …` over the server's directory.
fn audit(server: &TestServer, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nodedb"))
        .arg("audit")
        .args(arguments)
        .arg(server.data_dir().join("audit"))
        .output()
        .expect("the built program runs")
}

fn verified(server: &TestServer) -> String {
    let done = audit(server, &["verify"]);
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(printed.starts_with("ok: "), "{printed}");
    printed
}

fn is(event: &str, detail: Value) -> impl Fn(&Value) -> bool {
    move |entry| {
        let wanted = detail.as_object().expect("an object");
        let mut pairs = wanted.iter();
        entry["event"] == event && pairs.all(|(name, value)| &entry["detail"][name] == value)
    }
}

#[test]
fn a_login_and_a_refusal_are_recorded_with_the_true_reason_on_each_protocol() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right horse'");
    assert!(
        server
            .psql_as("alice", "right horse", "nodedb", "SELECT 1")
            .status
            .success()
    );
    let wrong = server.psql_as("alice", "wrong horse", "nodedb", "SELECT 1");
    let unknown = server.psql_as("nobody", "wrong horse", "nodedb", "SELECT 1");
    assert!(!wrong.status.success() && !unknown.status.success());
    let (status, _) = curl(
        &server,
        "/v1/query?sql=SELECT+1",
        &["-u", "alice:wrong horse"],
    );
    assert_eq!(status, 401);
    let key = format!(
        "Authorization: Bearer ndb_{}.{}",
        "A".repeat(11),
        "A".repeat(43)
    );
    let (status, _) = curl(&server, "/v1/query?sql=SELECT+1", &["-H", &key]);
    assert_eq!(status, 401);
    let mut native = Native::greeted(&server, 0);
    let reply = native.auth("alice", "right horse", Some("elsewhere"));
    assert_eq!(reply["error"]["code"], "3D000", "{reply}");

    let login = until_recorded(
        &server,
        "the login",
        is(
            "login",
            json!({"user": "alice", "protocol": "pgwire", "method": "scram-sha-256"}),
        ),
    );
    assert_eq!(
        (&login["tenant_id"], &login["database"]),
        (&json!(0), &json!("nodedb"))
    );
    let source = login["source"].as_str().expect("a text");
    assert!(source.starts_with("127.0.0.1:"), "{source}");
    for (protocol, user, reason) in [
        ("pgwire", "alice", "refused: wrong password"),
        ("pgwire", "nobody", "refused: no such user"),
        ("http", "alice", "wrong password"),
    ] {
        let refused = json!({"protocol": protocol, "user": user, "reason": reason});
        let entry = until_recorded(&server, reason, is("login_refused", refused));
        let tenant = if user == "alice" {
            json!(0)
        } else {
            json!(null)
        };
        assert_eq!(entry["tenant_id"], tenant, "{entry}");
    }
    let unknown_key = json!({"method": "api_key", "key": "A".repeat(11)});
    until_recorded(&server, "the key", is("login_refused", unknown_key));
    let denied = json!({"protocol": "native", "user": "alice"});
    let denied = until_recorded(&server, "the database", is("access_refused", denied));
    let reason = denied["detail"]["reason"].as_str().expect("a text");
    assert!(reason.contains("elsewhere"), "{reason}");
    verified(&server);
}

#[test]
fn a_connection_whose_requests_come_from_one_login_has_logged_in_once() {
    let server = TestServer::start();
    let user = format!("nodedb:{SUPERUSER_PASSWORD}");
    let url = format!("http://{}/v1/query?sql=SELECT+1", server.http());
    let arguments = ["-u", &user, &url, &url, &url];
    let (status, _) = curl(&server, "/v1/query?sql=SELECT+1", &arguments);
    assert_eq!(status, 200);
    until_recorded(&server, "it", is("login", json!({"protocol": "http"})));
    let all = entries(&server);
    let logins = all
        .iter()
        .filter(|it| is("login", json!({"protocol": "http"}))(it));
    assert_eq!(logins.count(), 1, "{all:#?}");
}

#[test]
fn credential_statements_and_refusals_are_recorded_by_whom_and_with_what_became_of_them() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right horse' ROLE readonly");
    server.psql("CREATE TABLE t (id int PRIMARY KEY)");
    server.psql("GRANT SELECT ON t TO alice");
    server.psql_error("CREATE USER alice WITH PASSWORD 'another horse'");
    server.psql("ALTER USER alice VALID UNTIL 'infinity'");
    for sql in [
        "CREATE TABLE u (id int)",
        "CREATE USER bob WITH PASSWORD 'a horse of bob'",
    ] {
        let refused = server.psql_as("alice", "right horse", "nodedb", sql);
        assert!(!refused.status.success(), "{sql}");
    }
    server.psql("EXPLAIN ACCESS SELECT ON t FOR USER alice");
    server.psql("DROP USER alice");
    // A statement is answered when its entry is durable: nothing is waited for.
    let all = entries(&server);
    let of = |event: &str| -> Vec<Value> {
        let those = all.iter().filter(|entry| entry["event"] == event);
        those.map(|entry| entry["detail"].clone()).collect()
    };
    let statements = of("credential_statement");
    let seen: Vec<(&str, &str)> = statements
        .iter()
        .map(|it| {
            let text = |name: &str| it[name].as_str().unwrap_or_default();
            (text("statement"), text("outcome"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("CREATE USER", "done"),
            ("GRANT", "done in its transaction"),
            ("CREATE USER", "42710"),
            ("ALTER USER", "done"),
            ("CREATE USER", "42501"),
            ("DROP USER", "done"),
        ],
        "{statements:#?}"
    );
    assert_eq!(statements[0]["user"], "nodedb");
    assert_eq!(statements[0]["name"], "alice");
    assert_eq!(statements[0]["password"], "set");
    assert_eq!(statements[1]["privileges"], "SELECT");
    assert_eq!(statements[4]["user"], "alice");
    let refusals = of("access_refused");
    assert_eq!(
        refusals.len(),
        1,
        "the control core's is not recorded twice: {refusals:?}"
    );
    assert_eq!(refusals[0]["user"], "alice");
    assert_eq!(of("explain")[0]["about"], "alice");
    assert_eq!(of("start").len(), 1);
}

#[test]
fn a_session_that_is_revoked_is_told_apart_from_one_that_ends() {
    let mut server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right horse'");
    let mut alice = Native::log_in(&server, "alice", "right horse");
    assert_eq!(alice.rows("SELECT 1"), json!([[1]]));
    server.psql("DROP USER alice");
    let revoked = json!({"user": "alice", "protocol": "native"});
    let revoked = until_recorded(&server, "it", is("session_revoked", revoked));
    let reason = revoked["detail"]["reason"].as_str().expect("a text");
    assert!(reason.contains("its user was dropped"), "{reason}");
    let ended = json!({"user": "nodedb", "reason": "terminated by the client"});
    until_recorded(&server, "psql's end", is("session_end", ended));
    assert_eq!(server.terminate(), Some(0));
    let all = entries(&server);
    assert_eq!(all.last().expect("entries")["event"], "stop");
    verified(&server);
}

#[test]
fn show_audit_log_tells_a_tenants_admin_of_its_tenant_only_over_all_protocols() {
    let server = TestServer::start();
    server.psql("CREATE USER boss WITH PASSWORD 'of boss' ROLE tenant_admin TENANT 42");
    server.psql("CREATE USER guest WITH PASSWORD 'of guest' ROLE admin TENANT 42");
    server.psql("CREATE USER home WITH PASSWORD 'of home' ROLE tenant_admin");
    assert!(
        !server
            .psql_as("home", "wrong", "", "SELECT 1")
            .status
            .success()
    );
    assert!(
        !server
            .psql_as("guest", "wrong", "", "SELECT 1")
            .status
            .success()
    );
    assert!(
        !server
            .psql_as("nobody", "wrong", "", "SELECT 1")
            .status
            .success()
    );
    until_recorded(
        &server,
        "it",
        is("login_refused", json!({"user": "nobody"})),
    );
    let printed = |user: &str, password: &str| {
        let done = server.psql_as(user, password, "", "SHOW AUDIT LOG LIMIT 1000");
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{errors}");
        String::from_utf8(done.stdout).expect("UTF-8")
    };
    let (boss, home) = (printed("boss", "of boss"), printed("home", "of home"));
    let tenants = |text: &str| -> BTreeSet<String> {
        let cell = |line: &str| line.split('|').nth(3).unwrap_or("?").to_owned();
        text.lines().map(cell).collect()
    };
    assert_eq!(tenants(&boss), BTreeSet::from(["42".to_owned()]), "{boss}");
    assert_eq!(tenants(&home), BTreeSet::from(["0".to_owned()]), "{home}");
    assert!(boss.contains("guest") && !boss.contains("home"), "{boss}");
    let root = printed("nodedb", SUPERUSER_PASSWORD);
    let all = ["", "0", "42"].map(str::to_owned);
    assert_eq!(tenants(&root), BTreeSet::from(all), "{root}");
    let first: Vec<&str> = root.lines().next().expect("a row").split('|').collect();
    let last: Vec<&str> = root.lines().last().expect("a row").split('|').collect();
    assert_eq!((last[0], last[2]), ("1", "audit_file"), "the newest first");
    assert!(first[0].parse::<u64>().expect("a number") > 5, "{first:?}");

    let denied = server.psql_as("guest", "of guest", "", "SHOW AUDIT LOG");
    let denied = String::from_utf8_lossy(&denied.stderr).into_owned();
    assert!(
        denied.contains("permission denied to show the audit log"),
        "{denied}"
    );
    let denied = server.psql_as("boss", "of boss", "", "VERIFY AUDIT CHAIN");
    let denied = String::from_utf8_lossy(&denied.stderr).into_owned();
    assert!(denied.contains("must be superuser"), "{denied}");

    let user = "boss:of boss";
    let (status, reply) = curl(
        &server,
        "/v1/query?sql=SHOW+AUDIT+LOG+LIMIT+2",
        &["-u", user],
    );
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    assert_eq!((status, &reply["row_count"]), (200, &json!(2)), "{reply}");
    assert_eq!(reply["rows"][0]["tenant_id"], 42);
    let mut native = Native::log_in(&server, "boss", "of boss");
    let rows = native.rows("SHOW AUDIT LOG LIMIT 3");
    assert_eq!(rows.as_array().expect("rows").len(), 3);
    let error = server.psql_error("SHOW AUDIT LOG LIMIT 10001");
    assert!(error.contains("22023"), "{error}");
}

#[test]
fn verify_audit_chain_and_the_command_find_the_same_tampering() {
    let mut server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right horse'");
    let whole = server.psql("VERIFY AUDIT CHAIN");
    assert!(whole.starts_with("ok|") && whole.ends_with("||"), "{whole}");
    let statement = until_recorded(&server, "it", is("credential_statement", json!({})));
    let seq = statement["seq"].as_u64().expect("a number");
    let directory = server.data_dir().join("audit");
    let path = directory.join("audit-00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&path).expect("it is there");
    std::fs::write(&path, text.replacen("alice", "mallo", 1)).expect("it is written");
    let broken = server.psql("VERIFY AUDIT CHAIN");
    let expected = format!("broken|{}|{seq}|", seq - 1);
    assert!(broken.starts_with(&expected), "{broken}");
    let done = audit(&server, &["verify"]);
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(
        printed.starts_with(&format!("broken: from entry {seq} on")),
        "{printed}"
    );
    // A copy elsewhere is verified with the key, and only with it.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let copy = elsewhere.path().join("copy.jsonl");
    std::fs::write(&copy, text).expect("it is written");
    let verify_copy = |more: &[&std::ffi::OsStr]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nodedb"));
        command.args(["audit", "verify"]).arg(&copy).args(more);
        command
            .output()
            .expect("the built program runs")
            .status
            .code()
    };
    assert_eq!(verify_copy(&[]), Some(2), "it needs the key");
    let key = server.data_dir().join("audit_key");
    assert_eq!(verify_copy(&["--key".as_ref(), key.as_ref()]), Some(0));
    // What was changed is not mended by a restart.
    assert_eq!(server.terminate(), Some(0));
    server.resume();
    assert!(server.psql("VERIFY AUDIT CHAIN").starts_with(&expected));
}

/// Whether a file below the directory holds one of the texts.
fn holds(directory: &Path, texts: &[&str]) -> Option<String> {
    for entry in std::fs::read_dir(directory).expect("it is read") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("it is read");
        let content = String::from_utf8_lossy(&bytes);
        if let Some(text) = texts.iter().find(|text| content.contains(**text)) {
            return Some(format!("{} holds {text}", path.display()));
        }
    }
    None
}

#[test]
fn no_secret_gets_into_the_log_at_any_level() {
    let mut server = TestServer::start_configured("[audit]\nlevel = \"full\"\n");
    let secrets = [
        "pässwörd-one",
        "password-two",
        "password-three",
        "literal-four",
        "literal-five",
    ];
    server.psql("CREATE USER alice WITH PASSWORD 'pässwörd-one'");
    server.psql("ALTER USER alice PASSWORD $x$password-two$x$");
    server.psql_error("CREATE USER bob WITH PASSWORD \"password-three\"");
    server.psql_error("CREATE USER bob WITH PASSWORD password-three");
    let key = server.psql("CREATE API KEY 'mine' FOR alice");
    let rotated = server.psql("ALTER API KEY 'mine' ROTATE");
    let secret_of = |key: &str| key.split_once('.').expect("two parts").1.to_owned();
    let bearer = format!("Authorization: Bearer {key}");
    let (status, _) = curl(&server, "/v1/query?sql=SELECT+1", &["-H", &bearer]);
    assert_eq!(status, 401, "the old one");
    let bearer = format!("Authorization: Bearer {rotated}");
    let body = json!({"sql": "SELECT $1::text", "params": ["literal-five"]}).to_string();
    let (status, _) = curl(&server, "/v1/query", &["-H", &bearer, "-d", &body]);
    assert_eq!(status, 200);
    assert!(
        !server
            .psql_as("alice", "password-three", "", "SELECT 1")
            .status
            .success()
    );
    server.psql("SELECT 'literal-four' AS it, 'it''s'");
    let mut native = Native::log_in(&server, "alice", "password-two");
    native.rows("SELECT 'literal-four'");
    let shown = json!({"statement": "SELECT ? AS it, ?"});
    until_recorded(&server, "the statement", is("statement", shown));
    until_recorded(
        &server,
        "another",
        is("statement", json!({"statement": "CREATE USER …"})),
    );
    until_recorded(
        &server,
        "one with a parameter",
        is("statement", json!({"statement": "SELECT $1::text"})),
    );
    assert_eq!(server.terminate(), Some(0));
    let (one, two) = (secret_of(&key), secret_of(&rotated));
    let mut all = vec![
        SUPERUSER_PASSWORD,
        one.as_str(),
        two.as_str(),
        "SCRAM-SHA-256$",
    ];
    all.extend(secrets);
    assert_eq!(holds(&server.data_dir().join("audit"), &all), None);
    // The search finds what is there.
    assert!(holds(&server.data_dir().join("audit"), &["alice"]).is_some());
    verified(&server);
}

#[test]
fn a_kill_under_a_storm_loses_no_statement_that_was_answered_and_leaves_a_chain_that_is_whole() {
    let mut server = TestServer::start();
    server.psql("CREATE USER storm WITH PASSWORD 'of storm'");
    let mut acknowledged = BTreeSet::new();
    let logins = AtomicU64::new(0);
    for round in 0..4_u64 {
        let stop = AtomicBool::new(false);
        let made: Vec<String> = thread::scope(|scope| {
            let makers: Vec<_> = (0..3)
                .map(|maker| {
                    let (server, stop) = (&server, &stop);
                    scope.spawn(move || {
                        let mut made = Vec::new();
                        for number in 0.. {
                            let name = format!("u{round}x{maker}x{number}");
                            // What psql was not told of is not asked for again.
                            match server.try_psql(&format!("CREATE ROLE {name}")) {
                                Ok(_) => made.push(name),
                                Err(_) if stop.load(Ordering::SeqCst) => break,
                                Err(error) => panic!("{error}"),
                            }
                        }
                        made
                    })
                })
                .collect();
            for _ in 0..2 {
                let (server, stop, logins) = (&server, &stop, &logins);
                scope.spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        let done = server.psql_as("storm", "of storm", "", "SELECT 1");
                        logins.fetch_add(u64::from(done.status.success()), Ordering::SeqCst);
                    }
                });
            }
            thread::sleep(Duration::from_millis(700 + 170 * round));
            stop.store(true, Ordering::SeqCst);
            let killed = std::process::Command::new("kill")
                .args(["-9", &server.pid().to_string()])
                .status();
            assert!(killed.expect("kill runs").success());
            makers
                .into_iter()
                .flat_map(|maker| maker.join().expect("it ends"))
                .collect()
        });
        assert!(!made.is_empty());
        acknowledged.extend(made);
        server.kill();
        let stopped = audit(&server, &["verify"]);
        assert_eq!(
            stopped.status.code(),
            Some(0),
            "before the restart: {stopped:?}"
        );
        server.resume();
        assert!(server.psql("VERIFY AUDIT CHAIN").starts_with("ok|"));
    }
    assert!(
        logins.load(Ordering::SeqCst) > 0,
        "there were logins in between"
    );
    let recorded: BTreeSet<String> = entries(&server)
        .iter()
        .filter(|it| is("credential_statement", json!({"statement": "CREATE ROLE"}))(it))
        .map(|it| it["detail"]["name"].as_str().expect("a name").to_owned())
        .collect();
    let lost: Vec<_> = acknowledged.difference(&recorded).collect();
    assert!(lost.is_empty(), "{lost:?}");
    verified(&server);
}

#[test]
fn a_second_program_reads_the_log_beside_the_server() {
    let server = TestServer::start();
    for _ in 0..5 {
        server.psql("SELECT 1");
        verified(&server);
    }
    let since = audit(&server, &["export", "--since", "2999-01-01"]);
    assert_eq!((since.status.code(), since.stdout.len()), (Some(0), 0));
    let wrong = audit(&server, &["export", "--since", "yesterday"]);
    assert!(!wrong.status.success());
    let nothing = Command::new(env!("CARGO_BIN_EXE_nodedb"))
        .args(["audit", "verify", "/nowhere"])
        .output()
        .expect("the built program runs");
    assert_eq!(nothing.status.code(), Some(2));
}
