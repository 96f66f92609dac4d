//! Enumerations from outside: row policies over them, that they outlive the server, and that none is dropped or
//! renamed under somebody who is making a column of it.

use crate::server::TestServer;
use crate::wire::{Wire, query, startup};

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

#[test]
fn row_policies_over_enumerations_hold_on_every_form_of_statement() {
    const VIOLATED: &str = "42501 new row violates row-level security policy for table \"ticket\"";
    let server = TestServer::start();
    for sql in [
        "CREATE TYPE state AS ENUM ('draft', 'open', 'done')",
        "CREATE TABLE ticket (id int PRIMARY KEY, s state NOT NULL)",
        "INSERT INTO ticket VALUES (1, 'draft'), (2, 'open'), (3, 'done')",
        "CREATE INDEX ON ticket (s)",
        "CREATE USER ann PASSWORD 'pw' ROLE readwrite",
        "CREATE POLICY shown ON ticket USING (s > 'draft') WITH CHECK (s <> 'done'::state)",
        "ALTER TABLE ticket ENABLE ROW LEVEL SECURITY",
    ] {
        server.psql(sql);
    }
    let mut ann = log_in(&server, "ann");
    for (sql, expected) in [
        (
            "SELECT string_agg(s::text, ',' ORDER BY s) FROM ticket",
            "open,done",
        ),
        ("SELECT count(*) FROM ticket WHERE id = 1", "0"),
        ("SELECT s FROM ticket WHERE id = 2", "open"),
        ("SELECT count(*) FROM ticket WHERE s = 'draft'", "0"),
        ("SELECT min(s) FROM ticket", "open"),
        ("UPDATE ticket SET s = 'open' WHERE id = 1 RETURNING id", ""),
        ("DELETE FROM ticket WHERE s = 'draft' RETURNING id", ""),
        ("INSERT INTO ticket VALUES (4, 'done')", VIOLATED),
        ("INSERT INTO ticket VALUES (4, 'open') RETURNING s", "open"),
        ("UPDATE ticket SET s = 'done' WHERE id = 4", VIOLATED),
    ] {
        assert_eq!(value(&mut ann, sql), expected, "{sql}");
    }
    assert_eq!(server.psql("SELECT s FROM ticket WHERE id = 1"), "draft");
    // What a policy names keeps its name, and its type.
    for sql in [
        "ALTER TYPE state RENAME VALUE 'draft' TO 'new'",
        "DROP TYPE state CASCADE",
    ] {
        let refused = server.psql_error(sql);
        assert!(refused.contains("not supported"), "{sql}: {refused}");
    }
    server.psql("ALTER TYPE state ADD VALUE 'late' AFTER 'open'");
    server.psql("INSERT INTO ticket VALUES (5, 'late')");
    assert_eq!(value(&mut ann, "SELECT s FROM ticket WHERE id = 5"), "late");
}

#[test]
fn enumerations_outlive_the_server() {
    let mut server = TestServer::start();
    server.psql("CREATE TYPE mood AS ENUM ('sad', 'happy')");
    server.psql("CREATE TABLE t (m mood PRIMARY KEY); INSERT INTO t VALUES ('happy'), ('sad')");
    server.psql("ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy'");
    server.kill();
    server.resume();
    server.psql("INSERT INTO t VALUES ('ok')");
    let kept = server.psql("SELECT string_agg(m::text, ',' ORDER BY m) FROM t");
    assert_eq!(kept, "sad,ok,happy");
    assert!(server.psql_error("DROP TYPE mood").contains("depend"));
}

#[test]
fn who_drops_or_renames_a_type_waits_for_who_makes_a_column_of_it_and_finds_the_column() {
    let server = TestServer::start();
    server.psql("CREATE USER boss PASSWORD 'pw' ROLE admin");
    server.psql("CREATE TYPE mood AS ENUM ('sad', 'happy')");
    let (mut one, mut two) = (log_in(&server, "boss"), log_in(&server, "boss"));
    for sql in [
        "BEGIN",
        "CREATE TABLE t (m mood)",
        "INSERT INTO t VALUES ('sad')",
    ] {
        assert_eq!(value(&mut one, sql), "", "{sql}");
    }
    let waited = server.metric("storage_lock_waits");
    two.send(&query("ALTER TYPE mood RENAME VALUE 'sad' TO 'low'"));
    server.until_lock_waits(waited + 1);
    assert_eq!(value(&mut one, "COMMIT"), "");
    assert_eq!(first(&mut two), "");
    assert_eq!(value(&mut one, "SELECT m FROM t WHERE m = 'low'"), "low");
    for sql in ["BEGIN", "CREATE TABLE u (m mood)"] {
        assert_eq!(value(&mut one, sql), "", "{sql}");
    }
    server.psql("DROP TABLE t");
    let waited = server.metric("storage_lock_waits");
    two.send(&query("DROP TYPE mood"));
    server.until_lock_waits(waited + 1);
    assert_eq!(value(&mut one, "COMMIT"), "");
    let refused = first(&mut two);
    assert!(refused.starts_with("2BP01"), "{refused}");
}
