//! API keys as their users meet them: made in psql, presented over HTTP, narrowed, revoked.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Makes a key; gives its text.
fn make(server: &TestServer, statement: &str) -> String {
    let key = server.psql(statement);
    assert!(key.starts_with("ndb_"), "{statement} gave {key}");
    assert_eq!(key.len(), "ndb_".len() + 11 + 1 + 43, "{key}");
    key
}

/// A request with curl: status and body.
fn curl(server: &TestServer, key: &str, path: &str, arguments: &[&str]) -> (u16, Value) {
    let done = Command::new("curl")
        .args(["-s", "-w", "\n%{http_code}"])
        .args(["-H", &format!("Authorization: Bearer {key}")])
        .args(arguments)
        .arg(format!("http://{}{path}", server.http()))
        .output()
        .expect("curl runs");
    let text = String::from_utf8(done.stdout).expect("curl prints text");
    let (body, status) = text.rsplit_once('\n').expect("the status is the last line");
    let body = serde_json::from_str(body).unwrap_or_else(|_| panic!("{status}: {body}"));
    (status.parse().expect("a status"), body)
}

fn query(server: &TestServer, key: &str, body: &Value) -> (u16, Value) {
    curl(server, key, "/v1/query", &["-d", &body.to_string()])
}

fn sql(server: &TestServer, key: &str, text: &str) -> (u16, Value) {
    query(server, key, &json!({ "sql": text }))
}

/// What whoever presents a key is told when it is not taken.
fn assert_unknown(answer: (u16, Value)) {
    let (status, body) = answer;
    assert_eq!(status, 401, "{body}");
    assert_eq!(
        body,
        json!({"error": {"code": "28000", "message": "authentication failed"}})
    );
}

#[test]
fn the_seeds_statements_work_as_pasted() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'strong_password_here'");
    for database in ["analytics", "logs", "prod"] {
        server.psql(&format!("CREATE DATABASE {database}"));
    }
    let mine = make(&server, "CREATE API KEY 'my-service' ROLE readwrite;");
    server.psql("CREATE SERVICE ACCOUNT 'batch-processor' FOR DATABASE analytics;");
    let batch = make(
        &server,
        "CREATE API KEY 'batch-key' FOR 'batch-processor' WITH DATABASES (analytics);",
    );
    server.psql("ALTER SERVICE ACCOUNT 'batch-processor' SET DATABASES (analytics, logs);");
    server.psql("CREATE SERVICE ACCOUNT service_account FOR DATABASE analytics;");
    server.psql("ALTER SERVICE ACCOUNT service_account SET DATABASES (analytics, logs);");
    let analytics = make(
        &server,
        "CREATE API KEY 'analytics-svc' FOR service_account WITH DATABASES (analytics, logs);",
    );
    server.psql("GRANT CONNECT ON DATABASE prod TO alice;");
    let prod = make(
        &server,
        "CREATE API KEY 'prod-reader' FOR alice WITH DATABASES (prod);",
    );
    let listed = server.psql("SHOW API KEYS;");
    let shown: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split('|').collect())
        .collect();
    let expected = [
        (
            "analytics-svc",
            "service_account",
            "readwrite",
            "analytics, logs",
        ),
        ("batch-key", "batch-processor", "readwrite", "analytics"),
        ("my-service", "nodedb", "readwrite", ""),
        ("prod-reader", "alice", "readwrite", "prod"),
    ];
    assert_eq!(shown.len(), expected.len(), "{listed}");
    for (row, (name, owner, roles, databases)) in shown.iter().zip(expected) {
        assert_eq!(
            (row[0], row[2], row[3], row[4]),
            (name, owner, roles, databases)
        );
    }
    assert_eq!(server.psql("SHOW API KEYS FOR alice").lines().count(), 1);

    // Each leads to its own database, as whoever owns it.
    for (key, username, database) in [
        (&mine, "nodedb", "nodedb"),
        (&batch, "batch-processor", "analytics"),
        (&analytics, "service_account", "analytics"),
        (&prod, "alice", "prod"),
    ] {
        let (status, reply) = curl(&server, key, "/v1/query", &[]);
        assert_eq!(status, 200, "{reply}");
        let row = &reply["rows"][0];
        assert_eq!(
            (&row["username"], &row["database"]),
            (&json!(username), &json!(database))
        );
        assert_eq!(row["auth_method"], "api_key");
    }
    let one = curl(
        &server,
        &analytics,
        "/v1/query",
        &["-d", "{\"sql\":\"SELECT 1 AS one\"}"],
    );
    assert_eq!((one.0, &one.1["rows"]), (200, &json!([{"one": 1}])));

    // On another database: refused by name.
    for (key, database) in [(&prod, "nodedb"), (&batch, "logs"), (&analytics, "nodedb")] {
        let body = json!({"sql": "SELECT 1", "database": database});
        let (status, reply) = query(&server, key, &body);
        assert_eq!(status, 403, "{reply}");
        assert_eq!(reply["error"]["code"], "DATABASE_NOT_AUTHORIZED");
        let message = reply["error"]["message"].as_str().expect("a message");
        assert!(message.starts_with("DATABASE_NOT_AUTHORIZED"), "{message}");
    }
    let body = json!({"sql": "SELECT current_database() AS d", "database": "logs"});
    assert_eq!(
        query(&server, &analytics, &body).1["rows"],
        json!([{"d": "logs"}])
    );

    server.psql("DROP API KEY 'my-service';");
    assert_unknown(sql(&server, &mine, "SELECT 1"));
    assert_eq!(sql(&server, &batch, "SELECT 1").0, 200);
}

#[test]
fn a_key_may_what_both_it_and_its_owner_may() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    server.psql("CREATE USER alice WITH PASSWORD 'secret' ROLE readwrite");
    let reads = make(&server, "CREATE API KEY reads FOR alice ROLE readonly");
    let writes = make(&server, "CREATE API KEY writes FOR alice");
    assert_eq!(sql(&server, &reads, "SELECT * FROM t").0, 200);
    let (status, reply) = sql(&server, &reads, "INSERT INTO t VALUES (2)");
    assert_eq!((status, &reply["error"]["code"]), (403, &json!("42501")));
    assert_eq!(sql(&server, &writes, "INSERT INTO t VALUES (2)").0, 200);
    // What the owner loses, every key of its loses with it.
    server.psql("ALTER USER alice SET ROLE readonly");
    assert_eq!(sql(&server, &writes, "INSERT INTO t VALUES (3)").0, 403);
    server.psql("ALTER USER alice DISABLE");
    assert_unknown(sql(&server, &reads, "SELECT 1"));
    server.psql("ALTER USER alice ENABLE");
    assert_eq!(sql(&server, &reads, "SELECT 1").0, 200);
    server.psql("DROP USER alice");
    assert_unknown(sql(&server, &reads, "SELECT 1"));
    assert_eq!(server.psql("SHOW API KEYS"), "");
}

#[test]
fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let server = TestServer::start();
    let key = make(&server, "CREATE API KEY ci");
    let (id, secret) = key.split_once('.').expect("id and secret");
    for wrong in [
        format!("{id}.{}A", &secret[..42]).replace("AA", "BA"),
        format!("ndb_AAAAAAAAAAA.{secret}"),
        format!("{id}."),
        "ndb_".to_owned(),
        format!("{key}x"),
    ] {
        if wrong != key {
            assert_unknown(sql(&server, &wrong, "SELECT 1"));
        }
    }
    let past = server.psql_error("CREATE API KEY old EXPIRES '2020-01-01'");
    assert!(past.contains("22023"), "{past}");
    let elsewhere = make(&server, "CREATE API KEY far WITH IPS ('192.0.2.0/24')");
    assert_unknown(sql(&server, &elsewhere, "SELECT 1"));
    let here = make(
        &server,
        "CREATE API KEY near WITH IPS ('127.0.0.0/8', '::1')",
    );
    assert_eq!(sql(&server, &here, "SELECT 1").0, 200);
    // The log says what it was, and has nobody's secret.
    let log = server.log();
    assert!(
        log.contains("may not be presented from this address"),
        "{log}"
    );
    assert!(!log.contains(secret), "a secret in the log");
    // A key in a URL would land in logs.
    let (status, reply) = curl(&server, &key, &format!("/v1/query?api_key={key}"), &[]);
    assert_eq!(status, 400, "{reply}");
    assert!(!reply.to_string().contains(secret));
}

#[test]
fn a_rotated_key_has_two_secrets_until_its_grace_ends() {
    let server = TestServer::start();
    let first = make(&server, "CREATE API KEY ci");
    let second = make(&server, "ALTER API KEY ci ROTATE GRACE 10 MINUTES");
    let (old_id, new_id) = (first.split('.').next(), second.split('.').next());
    assert_eq!(old_id, new_id, "the same key");
    assert_eq!(sql(&server, &first, "SELECT 1").0, 200);
    assert_eq!(sql(&server, &second, "SELECT 1").0, 200);
    let row = server.psql("SHOW API KEYS FOR nodedb");
    assert!(!row.ends_with('|'), "grace_until is shown: {row}");
    let third = make(&server, "ALTER API KEY ci ROTATE");
    assert_unknown(sql(&server, &first, "SELECT 1"));
    assert_unknown(sql(&server, &second, "SELECT 1"));
    assert_eq!(sql(&server, &third, "SELECT 1").0, 200);
    let missing = server.psql_error("ALTER API KEY nobody ROTATE");
    assert!(
        missing.contains("42704: API key \"nobody\" does not exist"),
        "{missing}"
    );
    let id = old_id
        .and_then(|text| text.strip_prefix("ndb_"))
        .expect("an id");
    server.psql(&format!("REVOKE API KEY {id}"));
    assert_unknown(sql(&server, &third, "SELECT 1"));
}

#[test]
fn queries_under_way_are_given_up_when_their_key_is_dropped() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1)");
    let key = make(&server, "CREATE API KEY ci");
    let ask = |text: &str| {
        Command::new("curl")
            .args(["-s", "-H", &format!("Authorization: Bearer {key}")])
            .args(["-d", &json!({ "sql": text }).to_string()])
            .arg(format!("http://{}/v1/query", server.http()))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("curl runs")
    };
    // Two that cross: one of them holds the row and sleeps, the other waits for it.
    let text = "UPDATE t SET n = n + 1; SELECT pg_sleep(60)";
    let running = [ask(text), ask(text)];
    server.until_lock_waits(1);
    server.psql("DROP API KEY ci");
    for request in running {
        let done = request.wait_with_output().expect("it ends");
        let reply: Value = serde_json::from_slice(&done.stdout).expect("an answer");
        assert_eq!(reply["error"]["code"], "57P01", "{reply}");
    }
    assert_eq!(server.psql("SELECT n FROM t"), "1", "rolled back");
}

#[test]
fn the_last_use_is_shown_within_seconds_and_kept() {
    let mut server = TestServer::start();
    let key = make(&server, "CREATE API KEY ci");
    let used = |server: &TestServer| {
        let row = server.psql("SHOW API KEYS");
        row.split('|').nth(7).expect("last_used_at").to_owned()
    };
    assert_eq!(used(&server), "");
    assert_eq!(sql(&server, &key, "SELECT 1").0, 200);
    let until = Instant::now() + Duration::from_secs(30);
    while used(&server).is_empty() {
        assert!(Instant::now() < until, "it is told");
        std::thread::sleep(Duration::from_millis(50));
    }
    let before = used(&server);
    assert!(before.starts_with("20"), "{before}");
    // And it outlives the server.
    assert_eq!(server.terminate(), Some(0));
    server.resume();
    assert_eq!(used(&server), before);
}

#[test]
fn keys_are_kept_over_a_restart_and_their_secrets_nowhere() {
    let mut server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'an unmistakable password'");
    let keys: Vec<_> = (0..5)
        .map(|number| make(&server, &format!("CREATE API KEY k{number} FOR alice")))
        .collect();
    let rotated = make(&server, "ALTER API KEY k0 ROTATE GRACE 5 MINUTES");
    // Long enough lists to have the log compacted into its snapshot.
    let scopes: Vec<_> = (0..450).map(|it| format!("'{it:0>250}'")).collect();
    let scopes = scopes.join(", ");
    for number in 0..10 {
        make(
            &server,
            &format!("CREATE API KEY long{number} WITH SCOPES ({scopes})"),
        );
    }
    for key in keys.iter().chain([&rotated]) {
        assert_eq!(sql(&server, key, "SELECT 1").0, 200);
    }
    assert_unknown(sql(&server, &format!("{}x", keys[1]), "SELECT 1"));
    server.kill();
    server.resume();
    for key in keys.iter().chain([&rotated]) {
        assert_eq!(sql(&server, key, "SELECT 1").0, 200);
    }
    let listed = server.psql("SHOW API KEYS");
    assert_eq!(server.terminate(), Some(0));
    let mut secrets: Vec<&str> = keys.iter().map(|key| secret_of(key)).collect();
    secrets.extend([secret_of(&rotated), "an unmistakable password"]);
    secrets.push(SUPERUSER_PASSWORD);
    let log = server.log();
    let mut files = 0;
    for secret in &secrets {
        assert!(!log.contains(secret), "a secret in the log");
        assert!(!listed.contains(secret), "a secret in the listing");
        files = grep(&server.data_dir(), secret.as_bytes());
    }
    assert!(files >= 3, "the catalog and the rows were looked at");
    let snapshot = server.data_dir().join("catalog/catalog.snapshot");
    assert!(
        snapshot.exists(),
        "and the snapshot that is mapped at start"
    );
}

fn secret_of(key: &str) -> &str {
    key.split_once('.').expect("id and secret").1
}

/// Looks for the bytes in every file below; gives how many there are.
fn grep(directory: &Path, secret: &[u8]) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files += grep(&path, secret);
            continue;
        }
        let bytes = std::fs::read(&path).expect("a file");
        let found = memchr::memmem::find(&bytes, secret).is_some();
        assert!(!found, "a secret in {}", path.display());
        files += 1;
    }
    files
}

#[test]
fn a_driver_that_prepares_gets_the_key_as_a_row() {
    let server = TestServer::start();
    // \gset takes one row of named columns, which Describe has told of.
    let script = server.directory().join("key.sql");
    std::fs::write(&script, "CREATE API KEY prepared \\gset\n").expect("a script");
    let done = server
        .client("pgbench", "nodedb", SUPERUSER_PASSWORD)
        .args(["-n", "-M", "prepared", "-t", "1", "-f"])
        .arg(&script)
        .arg("nodedb")
        .output()
        .expect("pgbench runs");
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{complaint}");
    assert_eq!(server.psql("SHOW API KEYS").lines().count(), 1);
}

#[test]
fn a_rate_holds_for_all_cores_together() {
    let server = TestServer::start_with(&[("NODEDB_CORES", "2")]);
    let key = make(&server, "CREATE API KEY slow WITH RATE 5 PER SECOND");
    let address = format!("http://{}/v1/query", server.http());
    // One burst over connections of their own, which the cores share out.
    let done = Command::new("curl")
        .args(["-s", "-Z", "--parallel-max", "20", "-o", "/dev/null"])
        .args(["-w", "%{http_code} %header{retry-after}\n"])
        .args(["-H", &format!("Authorization: Bearer {key}")])
        .args(["-H", "Connection: close"])
        .arg(format!("{address}?n=[1-40]").replace("?n=", "?sql=SELECT%20"))
        .output()
        .expect("curl runs");
    let text = String::from_utf8(done.stdout).expect("curl prints text");
    let taken = text.lines().filter(|line| line.starts_with("200")).count();
    let refused: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("429"))
        .collect();
    assert_eq!(taken + refused.len(), 40, "{text}");
    assert!(taken >= 1 && refused.len() >= 10, "{text}");
    assert!(
        refused.iter().all(|line| *line == "429 1"),
        "with Retry-After: {text}"
    );
    let listed = server.psql("SHOW API KEYS");
    assert_eq!(listed.split('|').nth(10), Some("5"), "{listed}");
}

#[test]
fn a_request_may_go_on_in_another_database_that_its_key_opens() {
    let server = TestServer::start();
    server.psql("CREATE DATABASE logs");
    server.psql("CREATE DATABASE prod");
    let key = make(&server, "CREATE API KEY ci WITH DATABASES (nodedb, logs)");
    let (status, reply) = sql(
        &server,
        &key,
        "USE DATABASE logs; SELECT current_database() AS d",
    );
    assert_eq!(
        (status, &reply["rows"]),
        (200, &json!([{"d": "logs"}])),
        "{reply}"
    );
    let (status, reply) = sql(&server, &key, "USE DATABASE prod");
    assert_eq!(
        (status, &reply["error"]["code"]),
        (403, &json!("DATABASE_NOT_AUTHORIZED"))
    );
    assert_eq!(sql(&server, &key, "USE DATABASE nowhere").0, 404);
    let (status, reply) = sql(&server, &key, "CREATE TABLE t (id int); USE DATABASE logs");
    assert_eq!((status, &reply["error"]["code"]), (500, &json!("25001")));
    let error = server.psql_error("USE DATABASE logs");
    assert!(error.contains("0A000"), "{error}");
    assert!(
        error.contains("HINT:  Connect to the database: \\c in psql."),
        "{error}"
    );
}
