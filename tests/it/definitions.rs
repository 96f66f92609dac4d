//! Definitions that change under others' statements, and owners who go while they are committed.

use crate::held_commits::HeldCommits;
use crate::server::TestServer;
use crate::wire::{Wire, bind, execute, message, parse, query, summary, sync};

/// A statement that was planned, and waited for whoever changed its table, ran the old plan and
/// failed with 40001 at COMMIT, or read the rows that TRUNCATE had left behind. Now it is planned
/// again once it has the table.
#[test]
fn what_waited_for_a_change_of_its_table_is_planned_again() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY, n int)");
    server.psql("INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g");
    let mut changer = Wire::log_in(&server);
    let mut prepared = Wire::log_in(&server);
    prepared.exchange(&[parse("s", "SELECT count(*) FROM t"), sync()].concat());
    let texts = [
        "INSERT INTO t VALUES (1, 7)",
        "INSERT INTO t SELECT g, 0 FROM generate_series(2, 4) g",
        "UPDATE t SET n = n + 1 WHERE n > 500",
        "DELETE FROM t WHERE id = 900",
        "SELECT n FROM t WHERE id = 800",
        "COPY t TO STDOUT",
    ];
    let mut waiting: Vec<Wire> = texts.iter().map(|_| Wire::log_in(&server)).collect();
    let mut copier = Wire::log_in(&server);

    changer.run("BEGIN");
    changer.run("TRUNCATE t");
    for (at, (wire, text)) in waiting.iter_mut().zip(texts).enumerate() {
        wire.run("BEGIN");
        wire.send(&query(text));
        server.until_lock_waits(at as u64 + 1);
    }
    prepared.send(&[bind("", "s"), execute("", 0), sync()].concat());
    copier.send(&query("COPY t FROM STDIN"));
    server.until_lock_waits(texts.len() as u64 + 2);
    changer.run("ALTER TABLE t ADD COLUMN c int");
    assert_eq!(changer.run("COMMIT"), "C:COMMIT Z:I");

    let told: Vec<String> = waiting
        .iter_mut()
        .map(|wire| summary(&wire.until_ready()))
        .collect();
    assert_eq!(
        told,
        [
            "C:INSERT 0 1 Z:T",
            "C:INSERT 0 3 Z:T",
            "C:UPDATE 0 Z:T",
            "C:DELETE 0 Z:T",
            "T C:SELECT 0 Z:T",
            "H c C:COPY 0 Z:T",
        ]
    );
    let told = prepared.until_ready();
    assert_eq!(summary(&told), "2 D C:SELECT 1 Z:I");
    assert_eq!(told[1].row(), [Some("0".to_owned())]);
    assert_eq!(copier.receive().tag, 'G');
    copier.send(&message('d', b"9\t9\t9\n"));
    copier.send(&message('c', b""));
    assert_eq!(summary(&copier.until_ready()), "C:COPY 1 Z:I");
    for wire in &mut waiting {
        assert_eq!(wire.run("COMMIT"), "C:COMMIT Z:I");
    }
    assert_eq!(
        server.psql("SELECT * FROM t ORDER BY id"),
        "1|7|\n2|0|\n3|0|\n4|0|\n9|9|9"
    );
}

#[test]
fn what_waited_for_a_drop_finds_no_table_and_a_rollback_leaves_its_plan_good() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    let mut changer = Wire::log_in(&server);
    let mut reader = Wire::log_in(&server);
    for (end, expected) in [
        ("ROLLBACK", "T D C:SELECT 1 Z:I"),
        ("COMMIT", "E:42P01 Z:I"),
    ] {
        changer.run("BEGIN");
        changer.run("DROP TABLE t");
        reader.send(&query("SELECT id FROM t"));
        server.until_lock_waits(1);
        changer.run(end);
        assert_eq!(summary(&reader.until_ready()), expected, "{end}");
    }
}

/// DROP USER between the commit of a CREATE TABLE and its publication left a table without an
/// owner.
#[test]
fn the_owner_of_a_table_that_is_being_committed_cannot_be_dropped() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'pw' ROLE admin");
    let mut alice = Wire::connect(server.pgwire());
    alice.send(&crate::wire::startup(0, &[("user", "alice")]));
    alice.authenticate("pw").expect("the password is right");
    alice.run("BEGIN");
    alice.run("CREATE TABLE hers (id int)");
    let held = HeldCommits::hold(&server);
    alice.send(&query("COMMIT"));
    let mut root = Wire::log_in(&server);
    server.until_metric("storage_overlay_versions", |versions| versions > 0);
    assert_eq!(root.run("DROP USER alice"), "E:2BP01 Z:I");
    held.release();
    assert_eq!(summary(&alice.until_ready()), "C:COMMIT Z:I");
    assert_eq!(root.run("DROP USER alice"), "E:2BP01 Z:I", "she owns it");
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'hers'";
    assert_eq!(server.psql(owner), "alice");
    root.run("DROP TABLE hers");
    let dropped = root.run("DROP USER alice");
    assert_eq!(
        dropped, "N:00000 C:DROP ROLE Z:I",
        "it says that her session has ended"
    );
}

/// Rows that others had deleted since the snapshot came back with the rebuilt table.
#[test]
fn a_table_changed_since_a_repeatable_read_snapshot_is_not_rebuilt_from_it() {
    let server = TestServer::start();
    let mut session = Wire::log_in(&server);
    for (table, change, told) in [
        ("kept", None, "C:ALTER TABLE Z:T"),
        (
            "deleted",
            Some("DELETE FROM deleted WHERE id = 7"),
            "E:40001 Z:E",
        ),
        (
            "updated",
            Some("UPDATE updated SET n = 0 WHERE id = 7"),
            "E:40001 Z:E",
        ),
        (
            "grown",
            Some("INSERT INTO grown VALUES (1001, 1)"),
            "E:40001 Z:E",
        ),
    ] {
        server.psql(&format!("CREATE TABLE {table} (id int NOT NULL, n int)"));
        server.psql(&format!(
            "INSERT INTO {table} SELECT g, g FROM generate_series(1, 1000) g"
        ));
        session.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
        session.run(&format!("SELECT count(*) FROM {table}"));
        if let Some(change) = change {
            server.psql(change);
        }
        let alter = format!("ALTER TABLE {table} ADD PRIMARY KEY (id)");
        assert_eq!(session.run(&alter), told, "{table}");
        session.run("ROLLBACK");
    }
}

#[test]
fn an_index_on_an_expression_or_a_part_of_the_rows_is_used_where_the_statement_implies_it() {
    let server = TestServer::start();
    for sql in [
        "CREATE TABLE t (id int PRIMARY KEY, name text, rank int, deleted_at timestamp)",
        "CREATE INDEX by_lower ON t (lower(name))",
        "CREATE INDEX by_sum ON t ((rank + id))",
        "CREATE INDEX by_rank ON t (rank) WHERE deleted_at IS NULL",
    ] {
        server.psql(sql);
    }
    let uses = |index: &str, filter: &str| {
        let plan = server.psql(&format!("EXPLAIN SELECT id FROM t WHERE {filter}"));
        plan.contains(&format!("Index Scan using {index} "))
    };
    assert!(uses("by_lower", "lower(name) = 'ann'"));
    assert!(uses(
        "by_lower",
        "lower(t.name) > 'a' AND lower(name) < 'b'"
    ));
    assert!(uses("by_sum", "rank + id = 5"));
    assert!(uses("by_rank", "rank = 5 AND deleted_at IS NULL"));
    assert!(!uses("by_rank", "rank = 5"));
    assert!(!uses("by_rank", "rank = 5 AND deleted_at IS NOT NULL"));
    assert!(!uses("by_lower", "upper(name) = 'ANN'"));
}
