//! The credential statements of the seed and of REFERENCE §1, §2 and §7, through psql.

use crate::server::{SUPERUSER_PASSWORD, TestServer, UNTHROTTLED};
use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_string()
}

fn assert_refused(done: &Output, message: &str) {
    assert!(!done.status.success(), "was let in");
    let complaint = text(&done.stderr);
    assert!(complaint.contains(message), "{complaint}");
}

#[test]
fn the_seeds_create_user_forms_work_as_pasted() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'strong_password_here';");
    server.psql("CREATE USER bob WITH PASSWORD 'secret' ROLE readonly;");
    server.psql("CREATE USER service_bot WITH PASSWORD 'key' ROLE readwrite TENANT 42;");
    let users = server.psql("SHOW USERS");
    for row in [
        "alice|0|readwrite|f|active",
        "bob|0|readonly|f|active",
        "nodedb|0|superuser|t|active",
        "service_bot|42|readwrite|f|active",
    ] {
        assert!(users.lines().any(|line| line == row), "{row} in\n{users}");
    }
    assert!(
        server
            .psql("SHOW TENANTS")
            .lines()
            .any(|line| line == "42|tenant_42")
    );
}

#[test]
fn a_login_without_a_database_goes_to_its_default() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'strong_password_here'");
    // libpq sends the user's name as the database when none is named.
    let done = server.psql_as(
        "alice",
        "strong_password_here",
        "alice",
        "SELECT current_user, current_database()",
    );
    assert_eq!(text(&done.stdout), "alice|nodedb", "{}", text(&done.stderr));
    let done = server.psql_as("alice", "strong_password_here", "nowhere", "SELECT 1");
    assert_refused(&done, "database \"nowhere\" does not exist");
}

#[test]
fn an_unknown_name_and_a_wrong_password_look_the_same() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    let wrong = server.psql_as("alice", "wrong", "nodedb", "SELECT 1");
    let unknown = server.psql_as("nobody", "wrong", "nodedb", "SELECT 1");
    assert_refused(&wrong, "password authentication failed for user \"alice\"");
    assert_eq!(
        text(&wrong.stderr).replace("alice", "nobody"),
        text(&unknown.stderr)
    );
}

/// A session of mayfly's that has logged in and now sleeps for a minute.
fn sleeping_session(server: &TestServer) -> Child {
    let mut session = server
        .client("psql", "mayfly", "short")
        .args([
            "-X",
            "-A",
            "-t",
            "-d",
            "nodedb",
            "-c",
            "SELECT 1",
            "-c",
            "SELECT pg_sleep(60)",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("psql starts");
    let mut line = String::new();
    BufReader::new(session.stdout.as_mut().expect("piped"))
        .read_line(&mut line)
        .expect("psql prints");
    assert_eq!(line, "1\n", "it has logged in");
    session
}

#[test]
fn a_dropped_user_is_refused_on_every_core_and_its_sessions_end() {
    let server = TestServer::start_configured(UNTHROTTLED);
    for round in 0..10 {
        server.psql("CREATE USER mayfly WITH PASSWORD 'short'");
        let mut sessions: Vec<_> = (0..6).map(|_| sleeping_session(&server)).collect();
        server.psql("DROP USER mayfly");
        // New connections are spread over the cores: each of them must refuse.
        for _ in 0..6 {
            let done = server.psql_as("mayfly", "short", "nodedb", "SELECT 1");
            assert_refused(&done, "password authentication failed");
        }
        for session in &mut sessions {
            let status = session.wait().expect("psql ends");
            assert!(
                !status.success(),
                "round {round}: a session of a dropped user went on"
            );
        }
    }
}

#[test]
fn disable_shuts_out_and_enable_lets_in_again() {
    let server = TestServer::start();
    server.psql("CREATE USER bob WITH PASSWORD 'secret'");
    server.psql("ALTER USER bob DISABLE");
    assert_refused(
        &server.psql_as("bob", "secret", "nodedb", "SELECT 1"),
        "password authentication failed",
    );
    server.psql("ALTER USER bob ENABLE");
    assert_eq!(
        text(&server.psql_as("bob", "secret", "nodedb", "SELECT 1").stdout),
        "1"
    );
    server.psql("ALTER USER bob WITH PASSWORD 'another'");
    assert_refused(
        &server.psql_as("bob", "secret", "nodedb", "SELECT 1"),
        "password authentication failed",
    );
    assert_eq!(
        text(
            &server
                .psql_as("bob", "another", "nodedb", "SELECT 1")
                .stdout
        ),
        "1"
    );
}

#[test]
fn psqls_password_command_works() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'first'");
    // \password asks a terminal; what it sends is a verifier made by the client.
    let script = "echo \"ALTER USER alice PASSWORD '$(python3 - <<'P'\n\
        import base64, hashlib, hmac\n\
        salt = b'0123456789abcdef'\n\
        salted = hashlib.pbkdf2_hmac('sha256', b'second', salt, 4096)\n\
        stored = hashlib.sha256(hmac.digest(salted, b'Client Key', 'sha256')).digest()\n\
        server = hmac.digest(salted, b'Server Key', 'sha256')\n\
        e = lambda b: base64.b64encode(b).decode()\n\
        print(f'SCRAM-SHA-256$4096:{e(salt)}${e(stored)}:{e(server)}')\nP\n)'\"";
    let statement = std::process::Command::new("bash")
        .args(["-c", script])
        .output()
        .expect("bash and python3");
    server.psql(&text(&statement.stdout));
    assert_eq!(
        text(
            &server
                .psql_as("alice", "second", "nodedb", "SELECT 1")
                .stdout
        ),
        "1"
    );
    assert!(
        server
            .psql_error("ALTER USER alice PASSWORD 'md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'")
            .contains("22023")
    );
}

#[test]
fn credential_statements_are_refused_inside_a_transaction() {
    let server = TestServer::start();
    assert!(
        server
            .psql_error("BEGIN; CREATE USER x WITH PASSWORD 'yy'; COMMIT")
            .contains("25001")
    );
    assert!(
        server
            .psql_error("SELECT 1; CREATE USER x WITH PASSWORD 'yy'")
            .contains("25001")
    );
    server.psql("CREATE USER x WITH PASSWORD 'yy'; CREATE USER z WITH PASSWORD 'yy'");
    assert_eq!(server.psql("SHOW USERS").lines().count(), 3);
}

#[test]
fn errors_carry_their_sqlstate_and_a_hint() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'aa'");
    assert!(
        server
            .psql_error("CREATE USER alice WITH PASSWORD 'aa'")
            .contains("42710")
    );
    assert!(server.psql_error("DROP USER nobody").contains("42704"));
    server.psql("DROP USER IF EXISTS nobody");
    let complaint = server.psql_error("GRANT CONNECT ON DATABASE prod TO alice");
    assert!(
        complaint.contains("3D000")
            && complaint.contains("HINT")
            && complaint.contains("CREATE DATABASE prod"),
        "{complaint}"
    );
    server.psql("CREATE DATABASE prod");
    assert!(server.psql_error("CREATE DATABASE prod").contains("42P04"));
    assert!(server.psql_error("CREATE USR x").contains("42601"));
}

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let server = TestServer::start();
    server.psql("CREATE USER boss WITH PASSWORD 'bb' ROLE tenant_admin");
    server.psql("CREATE USER worker WITH PASSWORD 'ww'");
    let refused = |user: &str, password: &str, sql: &str| {
        let done = server.psql_as(user, password, "nodedb", sql);
        assert!(!done.status.success(), "{user} may not {sql}");
    };
    refused("worker", "ww", "CREATE USER x WITH PASSWORD 'yy'");
    refused("worker", "ww", "SHOW USERS");
    refused("worker", "ww", "CREATE TABLE t (id int)");
    refused(
        "boss",
        "bb",
        "CREATE USER x WITH PASSWORD 'yy' ROLE superuser",
    );
    refused("boss", "bb", "CREATE TENANT other");
    let done = server.psql_as(
        "boss",
        "bb",
        "nodedb",
        "CREATE USER x WITH PASSWORD 'yy' ROLE admin",
    );
    assert!(done.status.success(), "{}", text(&done.stderr));
}

#[test]
fn no_password_reaches_the_log_or_the_data_directory() {
    let server = TestServer::start();
    let secrets = ["pellucid-zebra-41", "argent-walrus-97"];
    server.psql(&format!("CREATE USER quiet WITH PASSWORD '{}'", secrets[0]));
    server.psql(&format!("ALTER USER quiet PASSWORD '{}'", secrets[1]));
    server.psql_error(&format!("CREATE USER quiet WITH PASSWORD '{}'", secrets[0]));
    let _ = server.psql_as("quiet", secrets[0], "nodedb", "SELECT 1");
    let mut pending = vec![server.data_dir(), server.directory().join("log")];
    let mut searched = 0;
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                std::fs::read_dir(path)
                    .expect("readable")
                    .map(|entry| entry.expect("an entry").path()),
            );
            continue;
        }
        if !path.is_file() {
            // The socket of backups.
            continue;
        }
        let content = std::fs::read(&path).expect("readable");
        searched += 1;
        for secret in secrets.iter().chain([&SUPERUSER_PASSWORD]) {
            let found = content
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a password", path.display());
        }
    }
    assert!(searched > 2, "the data directory was searched");
}

#[test]
fn a_dropped_database_leaves_neither_names_nor_rows_behind() {
    let mut server = TestServer::start();
    server.psql("CREATE DATABASE brief");
    let inside = |server: &TestServer, sql: &str| {
        let done = server.psql_as("nodedb", SUPERUSER_PASSWORD, "brief", sql);
        assert!(done.status.success(), "{sql}: {}", text(&done.stderr));
        text(&done.stdout)
    };
    inside(
        &server,
        "CREATE TABLE t (id serial PRIMARY KEY, name text UNIQUE); INSERT INTO t (name) VALUES ('a')",
    );
    let done = server.psql_as(
        "nodedb",
        SUPERUSER_PASSWORD,
        "nodedb",
        "DROP DATABASE brief",
    );
    assert!(
        done.status.success() && text(&done.stderr).is_empty(),
        "{}",
        text(&done.stderr)
    );
    server.psql("CREATE DATABASE brief");
    assert_eq!(
        inside(&server, "SELECT count(*) FROM pg_class WHERE relname = 't'"),
        "0"
    );
    assert_eq!(server.terminate(), Some(0));
    server.resume();
    inside(&server, "CREATE TABLE t (id int PRIMARY KEY)");
    assert_eq!(inside(&server, "SELECT count(*) FROM t"), "0");
}

#[test]
fn the_seeds_service_account_forms_work_as_pasted() {
    let server = TestServer::start();
    server.psql("CREATE DATABASE analytics; CREATE DATABASE logs;");
    server.psql("CREATE SERVICE ACCOUNT 'batch-processor' FOR DATABASE analytics;");
    server.psql("ALTER SERVICE ACCOUNT 'batch-processor' SET DATABASES (analytics, logs);");
    server.psql("CREATE SERVICE ACCOUNT service_account FOR DATABASE analytics ROLE readonly;");
    let accounts = server.psql("SHOW SERVICE ACCOUNTS;");
    let rows: Vec<_> = accounts
        .lines()
        .map(|row| row.rsplit_once('|').expect("five columns").0)
        .collect();
    assert_eq!(
        rows,
        [
            "batch-processor|0|readwrite|analytics, logs",
            "service_account|0|readonly|analytics"
        ]
    );
    let users = server.psql("SHOW USERS");
    assert!(!users.contains("batch-processor"), "{users}");
    server.psql("DROP SERVICE ACCOUNT 'batch-processor'");
    assert!(!server.psql("SHOW SERVICE ACCOUNTS").contains("batch"));
}

#[test]
fn a_service_account_looks_like_an_unknown_name_to_who_tries_a_password() {
    let server = TestServer::start();
    server.psql("CREATE SERVICE ACCOUNT bot FOR DATABASE nodedb");
    let account = server.psql_as("bot", "guess", "nodedb", "SELECT 1");
    let unknown = server.psql_as("not", "guess", "nodedb", "SELECT 1");
    assert_refused(&account, "password authentication failed for user \"bot\"");
    assert_eq!(
        text(&account.stderr).replace("bot", "not"),
        text(&unknown.stderr)
    );
    // A password in the statement is refused, and not repeated.
    let done = server.psql_as(
        "nodedb",
        SUPERUSER_PASSWORD,
        "nodedb",
        "CREATE SERVICE ACCOUNT other FOR DATABASE nodedb PASSWORD 'hidden-word'",
    );
    assert_refused(&done, "a service account cannot have a password");
    assert!(
        !text(&done.stderr)
            .lines()
            .next()
            .unwrap_or_default()
            .contains("hidden-word")
    );
}
