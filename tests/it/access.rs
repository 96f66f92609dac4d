//! Who may what, through psql and on the wire: the ladder, grants, databases in reach, tenants;
//! that a change is in force everywhere when its statement has returned, and outlives kill -9.

use crate::server::TestServer;
use crate::wire::{Reply, Wire, query, startup};
use std::fs;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// What psql said: its rows, or its first line of complaint.
fn said(done: &Output) -> String {
    let text = match done.status.success() {
        true => &done.stdout,
        false => &done.stderr,
    };
    let text = String::from_utf8_lossy(text);
    match done.status.success() {
        true => text.trim_end().to_owned(),
        false => text.lines().next().unwrap_or_default().to_owned(),
    }
}

/// psql as this user with password `pw` in `nodedb`.
fn as_user(server: &TestServer, user: &str, sql: &str) -> String {
    said(&server.psql_as(user, "pw", "nodedb", sql))
}

fn try_log_in(server: &TestServer, user: &str, database: &str) -> Result<Wire, Reply> {
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", database)]));
    wire.authenticate("pw").map(|()| wire)
}

fn code(refusal: &Reply) -> String {
    refusal.field(b'C').unwrap_or_default()
}

/// The SQLSTATE of the message that ends a session.
fn end_of(wire: &mut Wire) -> Option<String> {
    let mut last = None;
    while let Some(reply) = wire.try_receive() {
        last = Some(code(&reply));
    }
    last
}

#[test]
fn errors_carry_codes_positions_and_the_missing_statement() {
    let server = TestServer::start();
    let error = server.psql_error("GRANT analyst TO nodedb");
    assert!(
        error.contains("42704: role \"analyst\" does not exist"),
        "{error}"
    );
    assert!(error.contains("HINT:  CREATE ROLE analyst"), "{error}");
    let error = server.psql_error("CREATE USER alice PASSWORD secret");
    assert!(
        error.contains("42601: syntax error at or near \"secret\""),
        "{error}"
    );
    assert!(error.contains("LINE 1:"), "{error}");
    let error = server.psql_error("DROP DATABASE logs");
    assert!(
        error.contains("3D000: database \"logs\" does not exist"),
        "{error}"
    );
    let error = server.psql_error("DROP USER nodedb");
    assert!(
        error.contains("55006: current user cannot be dropped"),
        "{error}"
    );
}

#[test]
fn the_ladder_is_enforced_on_every_statement() {
    let server = TestServer::start();
    for rung in ["readonly", "readwrite", "admin", "tenant_admin"] {
        server.psql(&format!(
            "CREATE USER u_{rung} WITH PASSWORD 'pw' ROLE {rung}"
        ));
    }
    server.psql("CREATE TABLE t (a int PRIMARY KEY)");
    let denied = |what: &str| format!("ERROR:  {what}");
    for (rung, sql, expected) in [
        ("readonly", "SELECT count(*) FROM t", "0".to_owned()),
        (
            "readonly",
            "INSERT INTO t VALUES (1)",
            denied("permission denied for table t"),
        ),
        (
            "readonly",
            "UPDATE t SET a = 2",
            denied("permission denied for table t"),
        ),
        (
            "readonly",
            "DELETE FROM t",
            denied("permission denied for table t"),
        ),
        (
            "readonly",
            "TRUNCATE t",
            denied("permission denied for table t"),
        ),
        (
            "readonly",
            "CREATE TABLE x (a int)",
            denied("permission denied for schema public"),
        ),
        ("readwrite", "INSERT INTO t VALUES (1)", String::new()),
        ("readwrite", "UPDATE t SET a = 2", String::new()),
        ("readwrite", "DELETE FROM t", String::new()),
        (
            "readwrite",
            "CREATE TABLE x (a int)",
            denied("permission denied for schema public"),
        ),
        (
            "readwrite",
            "DROP TABLE t",
            denied("must be owner of table t"),
        ),
        (
            "readwrite",
            "CREATE INDEX ON t (a)",
            denied("must be owner of table t"),
        ),
        (
            "readwrite",
            "SHOW USERS",
            denied("permission denied to show users"),
        ),
        ("admin", "CREATE TABLE x (a int)", String::new()),
        ("admin", "DROP TABLE x", String::new()),
        (
            "admin",
            "CREATE USER x WITH PASSWORD 'yy'",
            denied("permission denied to create role"),
        ),
        (
            "tenant_admin",
            "CREATE USER x WITH PASSWORD 'yy'",
            String::new(),
        ),
        (
            "tenant_admin",
            "CREATE TENANT acme",
            denied("permission denied to create tenant"),
        ),
        (
            "tenant_admin",
            "CREATE USER y WITH PASSWORD 'yy' ROLE superuser",
            denied("must be superuser to create superusers"),
        ),
    ] {
        assert_eq!(
            as_user(&server, &format!("u_{rung}"), sql),
            expected,
            "{rung}: {sql}"
        );
    }
}

#[test]
fn table_grants_extend_a_lower_rung_and_are_transactional() {
    let server = TestServer::start();
    server.psql("CREATE USER bob WITH PASSWORD 'pw' ROLE readonly");
    server.psql("CREATE ROLE writer");
    server.psql("CREATE TABLE t (a int PRIMARY KEY)");
    server.psql("GRANT INSERT ON t TO writer");
    server.psql("GRANT writer TO bob");
    assert_eq!(as_user(&server, "bob", "INSERT INTO t VALUES (1)"), "");
    assert_eq!(
        as_user(&server, "bob", "DELETE FROM t"),
        "ERROR:  permission denied for table t"
    );
    assert_eq!(
        as_user(&server, "bob", "SHOW GRANTS FOR bob"),
        "bob|role|readonly|MEMBER\nbob|role|writer|MEMBER"
    );
    server.psql("REVOKE INSERT ON t FROM writer");
    assert_eq!(
        as_user(&server, "bob", "INSERT INTO t VALUES (2)"),
        "ERROR:  permission denied for table t"
    );
    server.psql("BEGIN; GRANT DELETE ON t TO bob; ROLLBACK");
    assert_eq!(
        as_user(&server, "bob", "DELETE FROM t"),
        "ERROR:  permission denied for table t"
    );
}

#[test]
fn a_database_is_reached_by_grant_and_its_end_ends_its_sessions() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'pw'");
    server.psql("CREATE DATABASE logs");
    let refusal = try_log_in(&server, "alice", "logs")
        .err()
        .expect("out of reach");
    assert_eq!(code(&refusal), "42501");
    let refusal = try_log_in(&server, "alice", "nothing")
        .err()
        .expect("unknown");
    assert_eq!(code(&refusal), "3D000");
    server.psql("GRANT CONNECT ON DATABASE logs TO alice");
    let mut first = try_log_in(&server, "alice", "logs").expect("it is open now");
    server.psql("REVOKE CONNECT ON DATABASE logs FROM alice");
    assert_eq!(end_of(&mut first).as_deref(), Some("57P01"));
    server.psql("GRANT CONNECT ON DATABASE logs TO alice");
    server.psql("ALTER USER alice SET DEFAULT DATABASE logs");
    let mut second = try_log_in(&server, "alice", "alice").expect("her default");
    server.psql("DROP DATABASE logs");
    assert_eq!(end_of(&mut second).as_deref(), Some("57P01"));
    let mut third = try_log_in(&server, "alice", "alice").expect("the tenant's default again");
    assert!(
        third
            .exchange(&query("SHOW DATABASES"))
            .starts_with("T D C:")
    );
}

#[test]
fn a_disabled_or_expired_user_is_out_at_once_and_back_when_enabled() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'pw'");
    for (out, back) in [
        ("ALTER USER alice DISABLE", "ALTER USER alice ENABLE"),
        (
            "ALTER USER alice VALID UNTIL '2001-01-01'",
            "ALTER USER alice VALID UNTIL 'infinity'",
        ),
    ] {
        let mut wire = try_log_in(&server, "alice", "nodedb").expect("she may");
        server.psql(out);
        assert_eq!(end_of(&mut wire).as_deref(), Some("57P01"), "{out}");
        let refusal = try_log_in(&server, "alice", "nodedb").err().expect(out);
        assert_eq!(code(&refusal), "28P01", "{out}");
        server.psql(back);
        assert!(try_log_in(&server, "alice", "nodedb").is_ok(), "{back}");
    }
    server.psql("ALTER USER alice PASSWORD NULL");
    assert!(try_log_in(&server, "alice", "nodedb").is_err());
}

#[test]
fn a_user_changes_their_own_password_and_nobody_elses() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'pw' ROLE readonly");
    server.psql("CREATE USER bob WITH PASSWORD 'pw' ROLE readonly");
    assert_eq!(
        as_user(&server, "alice", "ALTER USER alice PASSWORD 'new'"),
        ""
    );
    assert!(try_log_in(&server, "alice", "nodedb").is_err());
    let done = server.psql_as("alice", "new", "nodedb", "ALTER USER bob PASSWORD 'xx'");
    assert_eq!(said(&done), "ERROR:  permission denied");
}

#[test]
fn tenants_see_nothing_of_each_other() {
    let server = TestServer::start();
    server.psql("CREATE USER boss WITH PASSWORD 'pw' ROLE tenant_admin TENANT 42");
    server.psql("CREATE USER alice WITH PASSWORD 'pw'");
    server.psql("CREATE TABLE secrets (a int PRIMARY KEY)");
    server.psql("CREATE DATABASE prod");
    assert_eq!(
        as_user(&server, "boss", "SHOW USERS"),
        "boss|42|tenant_admin|f|active"
    );
    assert_eq!(
        as_user(&server, "boss", "SHOW DATABASES"),
        "nodedb|nodedb|42"
    );
    assert_eq!(
        as_user(&server, "boss", "DROP USER alice"),
        "ERROR:  role \"alice\" does not exist"
    );
    assert_eq!(
        as_user(&server, "boss", "SELECT * FROM secrets"),
        "ERROR:  relation \"secrets\" does not exist"
    );
    let refusal = try_log_in(&server, "boss", "prod")
        .err()
        .expect("unknown there");
    assert_eq!(code(&refusal), "3D000");
    server.psql("DROP TENANT tenant_42 CASCADE");
    assert!(try_log_in(&server, "boss", "nodedb").is_err());
    assert_eq!(server.psql("SHOW TENANTS"), "0|system");
}

/// Connections go to the cores by SO_REUSEPORT: eight reach every one of a few.
const LOG_INS: usize = 8;

#[test]
fn every_core_has_a_change_when_its_statement_returns_under_load() {
    let server = Arc::new(TestServer::start());
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (server, stop) = (server.clone(), stop.clone());
            thread::spawn(move || {
                let mut wire = Wire::log_in(&server);
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(wire.exchange(&query("SHOW timezone")), "T D C:SHOW Z:I");
                }
            })
        })
        .collect();
    let mut control = Wire::log_in(&server);
    for round in 0..4 {
        let create = format!("CREATE USER u{round} WITH PASSWORD 'pw'");
        assert_eq!(control.exchange(&query(&create)), "C:CREATE ROLE Z:I");
        let mut sessions: Vec<_> = (0..LOG_INS)
            .map(|_| {
                try_log_in(&server, &format!("u{round}"), "nodedb")
                    .unwrap_or_else(|refusal| panic!("round {round}: {}", code(&refusal)))
            })
            .collect();
        let drop = format!("DROP USER u{round}");
        let dropped = control.exchange(&query(&drop));
        assert_eq!(dropped, "N:00000 C:DROP ROLE Z:I", "it says what has ended");
        for _ in 0..LOG_INS {
            let refusal = try_log_in(&server, &format!("u{round}"), "nodedb");
            assert_eq!(refusal.err().map(|it| code(&it)).as_deref(), Some("28P01"));
        }
        for session in &mut sessions {
            assert_eq!(end_of(session).as_deref(), Some("57P01"));
        }
    }
    stop.store(true, Ordering::Relaxed);
    for thread in load {
        thread.join().expect("the load met no error");
    }
}

#[test]
fn acknowledged_changes_survive_kill_9_and_a_torn_tail_is_cut_with_a_log_line() {
    let mut server = TestServer::start();
    for number in 0..5 {
        server.psql(&format!("CREATE USER u{number} WITH PASSWORD 'pw'"));
    }
    server.kill();
    let log = server.data_dir().join("catalog").join("catalog.log");
    let mut bytes = fs::read(&log).expect("the log is there");
    let whole = bytes.len();
    bytes.extend_from_slice(&[7; 33]);
    fs::write(&log, &bytes).expect("it can be written");
    server.resume();
    assert_eq!(server.psql("SHOW USERS").lines().count(), 6);
    let logged = server.log();
    assert!(
        logged.contains("it was never acknowledged and is cut"),
        "{logged}"
    );
    assert!(
        logged.contains(&whole.to_string()),
        "it says where: {logged}"
    );
}

#[test]
fn damage_in_the_log_refuses_to_start_and_says_where() {
    let mut server = TestServer::start();
    for number in 0..5 {
        server.psql(&format!("CREATE USER u{number} WITH PASSWORD 'pw'"));
    }
    server.kill();
    let log = server.data_dir().join("catalog").join("catalog.log");
    let mut bytes = fs::read(&log).expect("the log is there");
    bytes[60] ^= 1;
    fs::write(&log, &bytes).expect("it can be written");
    let status = server.command().status().expect("it runs");
    assert!(!status.success());
    let logged = server.log();
    assert!(
        logged.contains("catalog.log is damaged at offset 24"),
        "{logged}"
    );
}

#[test]
fn a_listing_too_long_for_a_session_core_is_complete_and_in_order() {
    let server = TestServer::start();
    // Each in its turn: every statement is a change of its own.
    let roles: Vec<_> = (0..300)
        .map(|number| format!("CREATE ROLE r{number:03};"))
        .collect();
    server.psql(&roles.concat());
    let listed = server.psql("SHOW ROLES");
    let names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split('|').next())
        .filter(|name| name.starts_with('r') && name.len() == 4)
        .collect();
    let expected: Vec<_> = (0..300).map(|number| format!("r{number:03}")).collect();
    assert_eq!(names, expected);
}
