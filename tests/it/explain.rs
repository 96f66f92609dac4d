//! EXPLAIN ANALYZE and its JSON, from outside: what operators gave, and nothing that a policy hides.

use crate::server::TestServer;
use crate::wire::{Wire, query, startup};
use serde_json::Value;

fn lines(wire: &mut Wire, text: &str) -> Vec<String> {
    wire.send(&query(text));
    let replies = wire.until_ready();
    let error = replies.iter().find(|reply| reply.tag == 'E');
    assert!(error.is_none(), "{text}: {error:?}");
    let rows = replies.iter().filter(|reply| reply.tag == 'D');
    rows.map(|row| row.row()[0].clone().unwrap_or_default())
        .collect()
}

/// Without the times, which are never the same.
fn untimed(line: &str) -> String {
    let mut parts = line.split("time=");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once(' ').expect("rows follow");
        out.push_str(rest);
    }
    out
}

const TABLES: &str = "CREATE TABLE t (id int PRIMARY KEY, owner text);
    INSERT INTO t SELECT n, CASE WHEN n % 5 = 0 THEN 'reader' ELSE 'other' END
        FROM generate_series(1, 100) n;
    CREATE TABLE u (id int PRIMARY KEY);
    INSERT INTO u SELECT n FROM generate_series(1, 10) n";

#[test]
fn analyze_runs_the_query_and_tells_what_each_operator_gave() {
    let server = TestServer::start();
    server.psql(TABLES);
    let mut wire = Wire::log_in(&server);
    let told = lines(
        &mut wire,
        "EXPLAIN ANALYZE SELECT t.id FROM t JOIN u ON u.id = t.id ORDER BY t.owner DESC LIMIT 3",
    );
    let untimed: Vec<_> = told.iter().map(|line| untimed(line)).collect();
    let has = |what: &str| untimed.iter().any(|line| line.contains(what));
    assert!(has("Seq Scan on t (actual rows=100 loops=1)"), "{told:#?}");
    assert!(has("Seq Scan on u (actual rows=10 loops=1)"), "{told:#?}");
    assert!(has("Hash Semi Join (actual rows=10 loops=1)"), "{told:#?}");
    assert!(untimed[0].ends_with("(actual rows=3 loops=1)"), "{told:#?}");
    assert!(
        told[told.len() - 2].starts_with("Planning Time: "),
        "{told:#?}"
    );
    assert!(
        told[told.len() - 1].starts_with("Execution Time: "),
        "{told:#?}"
    );
    let told = lines(
        &mut wire,
        "EXPLAIN (ANALYZE, TIMING off, SUMMARY off) SELECT * FROM t WHERE id = 7",
    );
    assert_eq!(
        told,
        [
            "Filter (actual rows=1 loops=1)",
            "  Filter: (id = 7)",
            "  ->  Index Scan using t_pkey on t (actual rows=1 loops=1)"
        ]
    );
    // It has run.
    lines(&mut wire, "CREATE SEQUENCE s");
    lines(&mut wire, "EXPLAIN ANALYZE SELECT nextval('s')");
    assert_eq!(lines(&mut wire, "SELECT nextval('s')"), ["2"]);
    lines(&mut wire, "EXPLAIN SELECT nextval('s')");
    assert_eq!(lines(&mut wire, "SELECT nextval('s')"), ["3"]);
}

#[test]
fn few_keys_are_looked_up_and_the_first_rows_of_an_order_are_read_in_it() {
    let server = TestServer::start();
    server.psql(
        "CREATE TABLE big (id int PRIMARY KEY, k int, at timestamp NOT NULL);
         INSERT INTO big SELECT n, n / 2, timestamp '2024-01-01' + n * interval '1 minute'
             FROM generate_series(1, 30000) n;
         CREATE INDEX big_k ON big (k);
         CREATE INDEX big_at ON big (at, id);
         CREATE INDEX big_third ON big ((k % 3));
         CREATE TABLE named (id int PRIMARY KEY, email text UNIQUE, name text UNIQUE);
         INSERT INTO named SELECT n, 'm' || n, 'n' || n FROM generate_series(1, 1000) n;
         CREATE TABLE small (id int PRIMARY KEY, big_id int);
         INSERT INTO small VALUES (1, 777), (2, 29999), (3, NULL)",
    );
    let mut wire = Wire::log_in(&server);
    for (text, scan) in [
        (
            "SELECT * FROM big WHERE id IN (5, 29999, 3, 40000)",
            "Index Scan using big_pkey on big (actual rows=3 loops=1)",
        ),
        (
            "SELECT * FROM big WHERE k = ANY ('{5,7}')",
            "Index Scan using big_k on big (actual rows=4 loops=1)",
        ),
        (
            "SELECT * FROM big WHERE id = 5 OR id = 7",
            "Index Scan using big_pkey on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT * FROM big WHERE k IS NULL",
            "Index Scan using big_k on big (actual rows=0 loops=1)",
        ),
        (
            "SELECT * FROM named WHERE email = 'm7' OR name = 'n9'",
            "Index Scans using named_email_key, named_name_key on named (actual rows=2 loops=1)",
        ),
        (
            "SELECT * FROM named WHERE name LIKE 'n99%'",
            "Index Scan using named_name_key on named (actual rows=11 loops=1)",
        ),
        (
            "SELECT id FROM big WHERE (at, id) < ('2024-01-03', 5) ORDER BY at DESC, id DESC LIMIT 3",
            "Index Scan Backward using big_at on big (actual rows=8 loops=1)",
        ),
        (
            // Most of the table.
            "SELECT * FROM big WHERE k % 3 >= 0",
            "Seq Scan on big (actual rows=30000 loops=1)",
        ),
        (
            "SELECT s.id, b.k FROM small s JOIN big b ON b.id = s.big_id",
            "Seq Scan on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT s.id, b.k FROM big b RIGHT JOIN small s ON b.id = s.big_id",
            "Seq Scan on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT s.id, b.id FROM small s JOIN big b ON b.k = s.big_id",
            "Seq Scan on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT id FROM big WHERE id IN (SELECT big_id FROM small)",
            "Seq Scan on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT id, (SELECT count(*) FROM big b WHERE b.k = s.big_id) FROM small s",
            "Seq Scan on big (actual rows=1 loops=2)",
        ),
        (
            "SELECT id FROM big ORDER BY id DESC LIMIT 3",
            "Index Scan Backward using big_pkey on big (actual rows=3 loops=1)",
        ),
        (
            "SELECT id FROM big ORDER BY at LIMIT 3",
            "Index Scan using big_at on big (actual rows=3 loops=1)",
        ),
        (
            "SELECT max(at) FROM big",
            "Index Scan Backward using big_at on big (actual rows=1 loops=1)",
        ),
        (
            "SELECT a.id, b.k FROM big a JOIN big b ON b.id = a.k ORDER BY a.at DESC LIMIT 3",
            "Index Scan Backward using big_at on big (actual rows=256 loops=1)",
        ),
        (
            "SELECT id FROM big WHERE id = (SELECT max(id) FROM small)",
            "Seq Scan on big (actual rows=1 loops=1)",
        ),
        (
            "SELECT id FROM big WHERE k = ANY (ARRAY (SELECT big_id FROM small))",
            "Seq Scan on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT id, EXISTS (SELECT FROM big b WHERE b.k = s.big_id LIMIT 1) FROM small s",
            "Seq Scan on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT sum((big_id IN (SELECT id FROM big))::int) FROM small",
            "Seq Scan on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT min(id), max(id) FROM big",
            "Append (actual rows=1 loops=2)",
        ),
        (
            // Each leads to 10,000 rows or to one.
            "SELECT id FROM big WHERE k % 3 = 1 AND k = 777",
            "Index Scan using big_k on big (actual rows=2 loops=1)",
        ),
        (
            "SELECT id FROM big WHERE k % 3 = 1 AND at = timestamp '2024-01-02'",
            "Index Scan using big_at on big (actual rows=1 loops=1)",
        ),
        (
            "SELECT id FROM big WHERE k % 3 = 1 ORDER BY id DESC LIMIT 3",
            "Index Scan Backward using big_third on big (actual rows=8 loops=1)",
        ),
    ] {
        let explained = format!("EXPLAIN (ANALYZE, TIMING off, SUMMARY off) {text}");
        let told = lines(&mut wire, &explained);
        assert!(
            told.iter().any(|line| line.ends_with(scan)),
            "{text}: {told:#?}"
        );
    }
}

#[test]
fn json_is_a_document_that_tools_read() {
    let server = TestServer::start();
    server.psql(TABLES);
    let mut wire = Wire::log_in(&server);
    let told = lines(
        &mut wire,
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(*) FROM t WHERE owner = 'reader'",
    );
    let document: Value = serde_json::from_str(&told.join("\n")).expect("it is JSON");
    let whole = &document[0];
    assert!(whole["Execution Time"].as_f64().is_some(), "{whole:#}");
    assert_eq!(whole["Plan"]["Actual Rows"], 1, "{whole:#}");
    let mut node = &whole["Plan"];
    while node["Node Type"] != "Seq Scan" {
        node = &node["Plans"][0];
        assert!(node.is_object(), "{whole:#}");
    }
    assert_eq!(node["Relation Name"], "t", "{whole:#}");
    assert_eq!(node["Actual Loops"], 1, "{whole:#}");
    let planned = lines(&mut wire, "EXPLAIN (FORMAT JSON) SELECT 1");
    let document: Value = serde_json::from_str(&planned.join("\n")).expect("it is JSON");
    assert_eq!(document[0]["Plan"]["Actual Rows"], Value::Null);
}

/// Neither the rows that a policy hides nor how many they are.
#[test]
fn rows_that_a_policy_hides_are_not_counted() {
    let server = TestServer::start();
    server.psql("CREATE USER reader PASSWORD 'pw' ROLE readonly");
    server.psql(TABLES);
    server.psql("CREATE RLS POLICY own ON t FOR ALL USING (owner = current_user)");
    let mut reader = Wire::connect(server.pgwire());
    reader.send(&startup(0, &[("user", "reader"), ("database", "nodedb")]));
    reader.authenticate("pw").expect("the password is right");
    let told = lines(
        &mut reader,
        "EXPLAIN (ANALYZE, TIMING off, SUMMARY off) SELECT id FROM t",
    );
    assert_eq!(
        told,
        [
            "Seq Scan on t (actual rows=20 loops=1)",
            "  Row Policies: own"
        ]
    );
    let told = lines(
        &mut reader,
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT id FROM t WHERE id < 50",
    );
    let text = told.join("\n");
    assert!(text.contains("\"Actual Rows\": 9"), "{text}");
    assert!(!text.contains("100"), "{text}");
}

#[test]
fn a_statement_that_writes_stands_above_what_finds_its_rows() {
    let server = TestServer::start();
    server.psql(TABLES);
    let mut wire = Wire::log_in(&server);
    let told = lines(&mut wire, "EXPLAIN UPDATE t SET owner = 'x' WHERE id = 7");
    assert_eq!(told[0], "Update on t");
    assert!(told[1].starts_with("  ->  "), "{told:#?}");
    let index = told
        .iter()
        .any(|line| line.contains("Index Scan using t_pkey on t"));
    assert!(index, "{told:#?}");
    let told = lines(&mut wire, "EXPLAIN DELETE FROM t USING u WHERE u.id = t.id");
    assert_eq!(told[0], "Delete on t");
    assert!(told.iter().any(|line| line.contains("Join")), "{told:#?}");
    let told = lines(&mut wire, "EXPLAIN INSERT INTO u SELECT id + 100 FROM t");
    assert_eq!(told[0], "Insert on u");
    assert!(
        told.iter().any(|line| line.contains("Seq Scan on t")),
        "{told:#?}"
    );
    let document = lines(
        &mut wire,
        "EXPLAIN (FORMAT JSON) DELETE FROM t WHERE id < 5",
    )
    .join("\n");
    let whole: Value = serde_json::from_str(&document).expect("a document");
    let node = &whole[0]["Plan"];
    assert_eq!(node["Node Type"], "ModifyTable", "{whole:#}");
    assert_eq!(node["Operation"], "Delete", "{whole:#}");
    // Nothing of it has run.
    assert_eq!(
        lines(&mut wire, "SELECT count(*) FROM t WHERE owner <> 'x'"),
        ["100"]
    );
    assert_eq!(lines(&mut wire, "SELECT count(*) FROM u"), ["10"]);
}

#[test]
fn a_statement_that_changes_rows_is_explained_and_not_done() {
    let server = TestServer::start();
    server.psql(TABLES);
    server.psql("CREATE USER reader PASSWORD 'pw' ROLE readonly");
    server.psql("CREATE RLS POLICY own ON t FOR ALL USING (owner = current_user)");
    let mut wire = Wire::log_in(&server);
    let told = lines(
        &mut wire,
        "EXPLAIN VERBOSE DELETE FROM t WHERE owner = 'reader' RETURNING id",
    );
    assert_eq!(told[..2], ["Delete on t", "  Output: id"], "{told:#?}");
    assert!(
        told.iter().any(|line| line.contains("->  Seq Scan on t")),
        "{told:#?}"
    );
    assert_eq!(lines(&mut wire, "SELECT count(*) FROM t"), ["100"]);
    let told = lines(
        &mut wire,
        "EXPLAIN (VERBOSE, FORMAT JSON) INSERT INTO u SELECT id + 100 FROM t RETURNING u.id",
    );
    let document: Value = serde_json::from_str(&told.join("\n")).expect("it is JSON");
    let node = &document[0]["Plan"];
    assert_eq!(node["Node Type"], "ModifyTable", "{document:#}");
    assert_eq!(node["Operation"], "Insert", "{document:#}");
    assert_eq!(node["Output"][0], "id", "{document:#}");
    wire.send(&query("EXPLAIN ANALYZE UPDATE t SET owner = 'x'"));
    let replies = wire.until_ready();
    let error = replies
        .iter()
        .find(|reply| reply.tag == 'E')
        .expect("it would be done");
    assert_eq!(error.field(b'C').as_deref(), Some("0A000"));
    let mut reader = Wire::connect(server.pgwire());
    reader.send(&startup(0, &[("user", "reader"), ("database", "nodedb")]));
    reader.authenticate("pw").expect("the password is right");
    reader.send(&query("EXPLAIN UPDATE t SET owner = 'x'"));
    let replies = reader.until_ready();
    let error = replies
        .iter()
        .find(|reply| reply.tag == 'E')
        .expect("it may not");
    assert_eq!(error.field(b'C').as_deref(), Some("42501"));
}

/// Drivers take from it which columns an outer join leaves NULL: those of the second side.
#[test]
fn the_side_of_an_outer_join_that_may_be_null_is_the_inner_one() {
    let server = TestServer::start();
    server.psql(TABLES);
    let mut wire = Wire::log_in(&server);
    for statement in [
        "SELECT t.id, u.id FROM t LEFT JOIN u ON u.id = t.id",
        "SELECT t.id, u.id FROM u RIGHT JOIN t ON u.id = t.id",
    ] {
        lines(&mut wire, &format!("PREPARE asked AS {statement}"));
        let told = lines(&mut wire, "EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE asked");
        let document: Value = serde_json::from_str(&told.join("\n")).expect("it is JSON");
        let node = &document[0]["Plan"];
        assert_eq!(node["Join Type"], "Left", "{document:#}");
        assert_eq!(node["Output"][1], "u.id", "{document:#}");
        let inner = &node["Plans"][1];
        assert_eq!(inner["Parent Relationship"], "Inner", "{document:#}");
        assert_eq!(inner["Output"][0], "u.id", "{document:#}");
        lines(&mut wire, "DEALLOCATE asked");
    }
}

#[test]
fn numbers_of_every_type_are_looked_up_by_their_key_and_shown_without_it() {
    let server = TestServer::start();
    server.psql(
        "CREATE TABLE n (k numeric PRIMARY KEY, f float8 UNIQUE);
         INSERT INTO n SELECT i, i FROM generate_series(1, 100) i;
         CREATE INDEX ON n (f)",
    );
    let mut wire = Wire::log_in(&server);
    for (prepared, parameter, shown) in [
        ("k > $1", "1.5", "Filter: (k > 1.5)"),
        ("f > $1", "1.5", "Filter: (f > 1.5)"),
        ("f > $1", "0", "Filter: (f > 0)"),
        ("f = 2 AND $1 = 1", "1", "f = 2"),
    ] {
        let text = format!("PREPARE p AS SELECT count(*) FROM n WHERE {prepared}");
        lines(&mut wire, &text);
        let told = lines(&mut wire, &format!("EXPLAIN EXECUTE p({parameter})"));
        let told = told.join("\n");
        assert!(told.contains("Index Scan"), "{prepared}: {told}");
        assert!(told.contains(shown), "{prepared}: {told}");
        lines(&mut wire, "DEALLOCATE p");
    }
}
