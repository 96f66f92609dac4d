//! CONNECTION LIMIT and STATEMENT LIMIT of users, tenants and API keys, over all cores.

use crate::http_client::curl;
use crate::native_wire::Native;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use crate::wire::{Reply, Wire, query, startup};
use serde_json::json;
use std::time::{Duration, Instant};

fn log_in(server: &TestServer, user: &str, password: &str) -> Result<Wire, Reply> {
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", "nodedb")]));
    wire.authenticate(password).map(|()| wire)
}

/// The message that a log-in is refused with: 53300, whatever else it says.
fn refusal(server: &TestServer, user: &str) -> String {
    let refused = log_in(server, user, "key").map(|_| ());
    let error = refused.expect_err("it is refused");
    assert_eq!(error.field(b'C').as_deref(), Some("53300"), "{error:?}");
    assert_eq!(error.field(b'S').as_deref(), Some("FATAL"), "{error:?}");
    error.field(b'M').expect("a message")
}

/// Until a log-in is taken again: sessions end a moment after their connections.
fn until_taken(server: &TestServer, user: &str) -> Wire {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(wire) = log_in(server, user, "key") {
            return wire;
        }
        assert!(Instant::now() < deadline, "{user} is never taken again");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_user_has_so_many_connections_on_all_cores_together_and_a_superuser_any_number() {
    let server = TestServer::start_with(&[("NODEDB_CORES", "2")]);
    server.psql("CREATE USER bob WITH PASSWORD 'key' CONNECTION LIMIT 3");
    let mut sessions: Vec<_> = (0..3)
        .map(|_| log_in(&server, "bob", "key").expect("there is room"))
        .collect();
    let full = "too many connections for role \"bob\" (CONNECTION LIMIT 3)";
    for _ in 0..4 {
        assert_eq!(refusal(&server, "bob"), full);
    }
    let native = Native::greeted(&server, 0).auth("bob", "key", None);
    assert_eq!(native["error"]["code"], "53300", "{native}");
    let body = "{\"sql\": \"SELECT 1\"}";
    let http = curl(&server, "/v1/query", &["-u", "bob:key", "-d", body]);
    assert_eq!(http.0, 429, "{}", http.1);
    sessions.pop();
    sessions.push(until_taken(&server, "bob"));
    assert_eq!(refusal(&server, "bob"), full);
    let shown = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'bob'";
    assert_eq!(server.psql(shown), "3");
    server.psql("ALTER USER bob CONNECTION LIMIT -1");
    assert_eq!(server.psql(shown), "-1");
    sessions.push(log_in(&server, "bob", "key").expect("there is no limit"));
    server.psql("ALTER USER bob CONNECTION LIMIT 0");
    assert_eq!(
        refusal(&server, "bob"),
        "too many connections for role \"bob\" (CONNECTION LIMIT 0)"
    );
    let said = sessions[0].run("SELECT 7 AS n");
    assert!(said.contains("C:SELECT 1"), "who is in stays: {said}");
    server.psql("ALTER USER nodedb CONNECTION LIMIT 0 STATEMENT LIMIT 0");
    assert_eq!(server.psql("SELECT 1"), "1");
}

#[test]
fn the_logins_of_a_tenant_share_its_limit() {
    let mut server = TestServer::start();
    for user in ["ann", "ben"] {
        server.psql(&format!("CREATE USER {user} WITH PASSWORD 'key' TENANT 42"));
    }
    server.psql("ALTER TENANT 42 CONNECTION LIMIT 2");
    server.kill();
    server.resume();
    let _ann = log_in(&server, "ann", "key").expect("the first");
    let _ben = log_in(&server, "ben", "key").expect("the second");
    for user in ["ann", "ben"] {
        let full = "too many connections for tenant \"tenant_42\" (CONNECTION LIMIT 2)";
        assert_eq!(refusal(&server, user), full);
    }
    server.psql("CREATE USER bob WITH PASSWORD 'key'");
    let _bob = log_in(&server, "bob", "key").expect("of another tenant");
    let by_admin = "ALTER TENANT 42 CONNECTION LIMIT 9";
    server.psql("ALTER USER ann ROLE tenant_admin");
    let done = server.psql_as("ann", "key", "nodedb", by_admin);
    assert!(!done.status.success());
    server.psql("ALTER TENANT 42 CONNECTION LIMIT 3");
    log_in(&server, "ben", "key").expect("there is room again");
}

#[test]
fn a_key_has_limits_of_its_own_beside_its_owners() {
    let server = TestServer::start();
    server.psql("CREATE USER bob WITH PASSWORD 'key'");
    let first = server.psql("CREATE API KEY 'first' FOR bob CONNECTION LIMIT 1");
    let second = server.psql("CREATE API KEY 'second' FOR bob");
    let by_key = |key: &str| {
        let mut client = Native::greeted(&server, 0);
        let auth = json!({"method": "api_key", "token": key});
        let reply = client.ask(1, json!({ "auth": auth }));
        match reply["status"] == 0 {
            true => Ok(client),
            false => Err(reply["error"]["message"].to_string()),
        }
    };
    let _held = by_key(&first).expect("the first");
    let refused = by_key(&first).map(|_| ()).expect_err("one too many");
    assert!(
        refused.contains("API key \\\"first\\\" (CONNECTION LIMIT 1)"),
        "{refused}"
    );
    let _other = by_key(&second).expect("it has no limit");
    server.psql("ALTER API KEY 'first' CONNECTION LIMIT 2");
    let _again = by_key(&first).expect("there is room");
    server.psql("ALTER USER bob CONNECTION LIMIT 3");
    let refused = by_key(&second)
        .map(|_| ())
        .expect_err("its owner has three");
    assert!(refused.contains("role \\\"bob\\\""), "{refused}");
}

#[test]
fn statements_at_once_are_limited_on_all_cores_together_and_the_session_goes_on() {
    let server = TestServer::start_with(&[("NODEDB_CORES", "2")]);
    server.psql("CREATE USER bob WITH PASSWORD 'key' STATEMENT LIMIT 2");
    let mut sessions: Vec<_> = (0..4)
        .map(|_| log_in(&server, "bob", "key").expect("connections are not limited"))
        .collect();
    for session in &mut sessions[..2] {
        session.send(&query("SELECT pg_sleep(60)"));
        // Until it runs: nobody else may take its place before.
        std::thread::sleep(Duration::from_secs(1));
        assert!(session.is_silent());
    }
    let full = "too many statements at once for role \"bob\" (STATEMENT LIMIT 2)";
    let deadline = Instant::now() + Duration::from_secs(30);
    let refused = |session: &mut Wire, text: &str| {
        session.send(&query(text));
        let replies = session.until_ready();
        let error = replies.iter().find(|reply| reply.tag == 'E');
        error.map(|error| (error.field(b'C'), error.field(b'M')))
    };
    // Until both run.
    while refused(&mut sessions[2], "SELECT 1").is_none() {
        assert!(Instant::now() < deadline, "nothing is ever refused");
        std::thread::sleep(Duration::from_millis(10));
    }
    let expected = Some((Some("53300".to_owned()), Some(full.to_owned())));
    for session in &mut sessions[2..] {
        assert_eq!(refused(session, "SELECT count(*) FROM pg_class"), expected);
        assert_eq!(refused(session, "BEGIN"), None, "it takes nothing");
        assert_eq!(refused(session, "ROLLBACK"), None);
    }
    server.psql("ALTER USER bob STATEMENT LIMIT 4");
    for session in &mut sessions[2..] {
        assert_eq!(refused(session, "SELECT 1"), None);
    }
    server.psql("ALTER USER bob STATEMENT LIMIT 2");
    // One ends with its connection, and there is room for another.
    drop(sessions.remove(0));
    while refused(&mut sessions[1], "SELECT 1").is_some() {
        assert!(Instant::now() < deadline, "it never ends");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(log_in(&server, "nodedb", SUPERUSER_PASSWORD).is_ok());
}
