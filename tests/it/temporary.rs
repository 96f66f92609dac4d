//! Temporary tables from outside: whose they are, who does not see them, and that they go with their session,
//! however it ends.

use crate::server::TestServer;
use crate::wire::{Wire, bind, execute, parse, query, startup, sync};
use std::time::{Duration, Instant};

fn log_in(server: &TestServer, user: &str) -> Wire {
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", "nodedb")]));
    wire.authenticate("pw").expect("the password is right");
    wire
}

/// The first row's first value of a simple query, or its SQLSTATE and message.
fn value(wire: &mut Wire, sql: &str) -> String {
    wire.send(&query(sql));
    first(wire)
}

fn first(wire: &mut Wire) -> String {
    let replies = wire.until_ready();
    if let Some(error) = replies.iter().find(|reply| reply.tag == 'E') {
        let field = |code| error.field(code).unwrap_or_default();
        return format!("{} {}", field(b'C'), field(b'M'));
    }
    let row = replies.iter().find(|reply| reply.tag == 'D');
    row.map_or_else(String::new, |row| row.row()[0].clone().unwrap_or_default())
}

/// Whether nothing is left that somebody owns: a user who owns a table is not dropped.
fn is_dropped_soon(server: &TestServer, user: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if server.try_psql(&format!("DROP USER {user}")).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn nobody_else_sees_or_names_a_temporary_table() {
    let server = TestServer::start();
    server.psql("CREATE USER ann PASSWORD 'pw' ROLE readwrite");
    server.psql("CREATE USER ben PASSWORD 'pw' ROLE readwrite");
    let (mut ann, mut ben) = (log_in(&server, "ann"), log_in(&server, "ben"));
    let mut second = log_in(&server, "ann");
    assert_eq!(value(&mut ann, "CREATE TEMP TABLE secret (a int)"), "");
    assert_eq!(value(&mut ann, "INSERT INTO secret VALUES (7)"), "");
    let schema = value(&mut ann, "SELECT 'pg_temp_' || pg_backend_pid()");
    assert_eq!(
        value(&mut ann, &format!("SELECT a FROM {schema}.secret")),
        "7"
    );
    for other in [&mut ben, &mut second] {
        for (sql, expected) in [
            (
                "SELECT a FROM secret",
                "42P01 relation \"secret\" does not exist".to_owned(),
            ),
            (
                &format!("SELECT a FROM {schema}.secret"),
                format!("42P01 relation \"{schema}.secret\" does not exist"),
            ),
            (
                &format!("INSERT INTO {schema}.secret VALUES (1)"),
                format!("42P01 relation \"{schema}.secret\" does not exist"),
            ),
            (
                "SELECT count(*) FROM pg_class WHERE relname = 'secret'",
                "0".to_owned(),
            ),
            (
                "SELECT count(*) FROM pg_attribute WHERE attname = 'a'",
                "0".to_owned(),
            ),
            (
                "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'pg_temp%'",
                "0".to_owned(),
            ),
            (
                "SELECT count(*) FROM information_schema.tables WHERE table_name = 'secret'",
                "0".to_owned(),
            ),
        ] {
            assert_eq!(value(other, sql), expected, "{sql}");
        }
    }
    let dropped = value(&mut ben, &format!("DROP TABLE {schema}.secret"));
    assert!(
        dropped.starts_with("42P01") || dropped.starts_with("3F000"),
        "{dropped}"
    );
}

#[test]
fn a_plan_is_not_shared_with_who_has_a_temporary_table_of_the_name() {
    let server = TestServer::start();
    server.psql("CREATE USER ann PASSWORD 'pw' ROLE readwrite");
    server.psql("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'kept')");
    let (mut one, mut two) = (log_in(&server, "ann"), log_in(&server, "ann"));
    let look = "SELECT a FROM t WHERE id = 1";
    let both = |wire: &mut Wire| {
        let simple = value(wire, look);
        let messages = [parse("", look), bind("", ""), execute("", 0), sync()];
        wire.send(&messages.concat());
        (simple, first(wire))
    };
    let kept = || ("kept".to_owned(), "kept".to_owned());
    assert_eq!(both(&mut one), kept());
    assert_eq!(both(&mut two), kept());
    value(&mut one, "CREATE TEMP TABLE t (id int PRIMARY KEY, a text)");
    value(&mut one, "INSERT INTO t VALUES (1, 'mine')");
    for _ in 0..2 {
        assert_eq!(both(&mut one), ("mine".to_owned(), "mine".to_owned()));
        assert_eq!(both(&mut two), kept());
    }
    value(&mut one, "DROP TABLE t");
    assert_eq!(both(&mut one), kept());
}

#[test]
fn who_may_write_makes_temporary_tables_and_owns_them_and_who_may_only_read_does_not() {
    let server = TestServer::start();
    server.psql("CREATE USER ann PASSWORD 'pw' ROLE readwrite");
    server.psql("CREATE USER reader PASSWORD 'pw' ROLE readonly");
    let (mut ann, mut reader) = (log_in(&server, "ann"), log_in(&server, "reader"));
    for sql in [
        "CREATE TEMP TABLE t (a int)",
        "CREATE INDEX ON t (a)",
        "ALTER TABLE t ADD COLUMN b text",
        "INSERT INTO t VALUES (1, 'x')",
        "TRUNCATE t",
        "DROP TABLE t",
    ] {
        assert_eq!(value(&mut ann, sql), "", "{sql}");
    }
    let refused = "42501 permission denied for schema public";
    assert_eq!(value(&mut ann, "CREATE TABLE t (a int)"), refused);
    let refused = "42501 permission denied to create temporary tables in database \"nodedb\"";
    assert_eq!(value(&mut reader, "CREATE TEMP TABLE t (a int)"), refused);
}

#[test]
fn temporary_tables_go_with_their_session_and_a_crash_leaves_none() {
    let mut server = TestServer::start();
    for user in ["ann", "ben", "cat"] {
        server.psql(&format!("CREATE USER {user} PASSWORD 'pw' ROLE readwrite"));
    }
    let make = "CREATE TEMP TABLE t (a serial PRIMARY KEY, b text UNIQUE)";
    let mut ann = log_in(&server, "ann");
    assert_eq!(value(&mut ann, make), "");
    assert!(server.try_psql("DROP USER ann").is_err(), "it owns a table");
    drop(ann);
    assert!(is_dropped_soon(&server, "ann"));
    // A session that is ended by another.
    let mut ben = log_in(&server, "ben");
    assert_eq!(value(&mut ben, make), "");
    let pid = value(&mut ben, "SELECT pg_backend_pid()");
    server.psql(&format!("SELECT pg_terminate_backend({pid})"));
    assert!(is_dropped_soon(&server, "ben"));
    // A server that is killed.
    let mut cat = log_in(&server, "cat");
    assert_eq!(value(&mut cat, make), "");
    assert_eq!(value(&mut cat, "INSERT INTO t (b) VALUES ('x')"), "");
    server.kill();
    server.resume();
    assert!(server.try_psql("DROP USER cat").is_ok());
}
