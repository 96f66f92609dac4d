//! Statements that applications send every day, where values and errors must be PostgreSQL's.

use crate::server::TestServer;
use crate::wire::{Reply, Wire, message, query};

fn told(wire: &mut Wire, text: &str) -> Vec<Reply> {
    wire.send(&query(text));
    wire.until_ready()
}

fn rows(wire: &mut Wire, text: &str) -> Vec<String> {
    let replies = told(wire, text);
    let shown = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
    replies
        .iter()
        .filter_map(|reply| match reply.tag {
            'D' => Some(
                reply
                    .row()
                    .into_iter()
                    .map(shown)
                    .collect::<Vec<_>>()
                    .join("|"),
            ),
            'E' => Some(format!(
                "{} {}",
                reply.field(b'C').unwrap_or_default(),
                reply.field(b'M').unwrap_or_default()
            )),
            _ => None,
        })
        .collect()
}

#[test]
fn literals_of_an_insert_from_select_take_the_types_of_their_columns() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    rows(
        &mut wire,
        "CREATE TABLE t (id int, name varchar(3), price numeric(6,2), at date)",
    );
    let insert =
        "INSERT INTO t SELECT '5', 'abc', '1.255', '2024-02-29' FROM generate_series(1, 1)";
    assert!(rows(&mut wire, insert).is_empty());
    assert_eq!(
        rows(&mut wire, "SELECT * FROM t"),
        ["5|abc|1.26|2024-02-29"]
    );
    assert_eq!(
        rows(&mut wire, "INSERT INTO t (name) SELECT 'abcd'"),
        ["22001 value too long for type character varying(3)"]
    );
    assert_eq!(
        rows(&mut wire, "INSERT INTO t (id) SELECT 'x'"),
        ["22P02 invalid input syntax for type integer: \"x\""]
    );
}

#[test]
fn violations_of_a_copy_name_the_line() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    rows(
        &mut wire,
        "CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL, CHECK (id < 100)); \
         INSERT INTO t VALUES (7, 'seven')",
    );
    for (data, code) in [
        ("1\ta\n2\tb\n1\tc\n", "23505"),
        ("1\ta\n2\tb\n7\tc\n", "23505"),
        ("1\ta\n2\tb\n3\t\\N\n4\td\n", "23502"),
        ("1\ta\n2\tb\n300\tx\n", "23514"),
    ] {
        wire.send(&query("COPY t FROM STDIN"));
        assert_eq!(wire.receive().tag, 'G');
        wire.send(&message('d', data.as_bytes()));
        wire.send(&message('c', b""));
        let replies = wire.until_ready();
        let error = replies.iter().find(|reply| reply.tag == 'E').expect(data);
        assert_eq!(error.field(b'C').as_deref(), Some(code), "{data:?}");
        assert_eq!(
            error.field(b'W').as_deref(),
            Some("COPY t, line 3"),
            "{data:?}"
        );
    }
}

#[test]
fn functions_of_postgresql_that_are_not_here_are_unsupported_and_others_unknown() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    assert_eq!(
        rows(&mut wire, "SELECT xpath('/x', '<x/>')"),
        ["0A000 function xpath(text, text) is not supported yet"]
    );
    assert_eq!(
        rows(&mut wire, "SELECT * FROM ts_stat('x')"),
        ["0A000 function ts_stat(text) is not supported yet"]
    );
    assert_eq!(
        rows(&mut wire, "SELECT xpaths(1)"),
        ["42883 function xpaths(integer) does not exist"]
    );
}

#[test]
fn spreads_of_exact_numbers_are_exact() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let values =
        "(SELECT i, n, i::float8 AS f FROM (VALUES (1, 1.5), (2, 2.25), (4, 9.75)) v (i, n)) w";
    for (call, expected) in [
        (
            "pg_typeof(stddev(i)), pg_typeof(var_pop(n)), pg_typeof(variance(f))",
            "numeric|numeric|double precision",
        ),
        ("variance(i)", "2.3333333333333333"),
        ("stddev(i)", "1.5275252316519467"),
        ("stddev_pop(n)", "3.7249161064378349"),
        ("var_samp(n)", "20.8125000000000000"),
        (
            "var_pop(f), stddev_samp(f)",
            "1.5555555555555556|1.5275252316519468",
        ),
        (
            "stddev(i) FILTER (WHERE i = 1), var_pop(i) FILTER (WHERE i = 1)",
            "null|0",
        ),
    ] {
        assert_eq!(
            rows(&mut wire, &format!("SELECT {call} FROM {values}")),
            [expected],
            "{call}"
        );
    }
}

#[test]
fn explain_refuses_what_it_does_not_measure() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    for (text, expected) in [
        ("EXPLAIN (COSTS off, VERBOSE) SELECT 1", "Result"),
        ("EXPLAIN (ANALYZE false) SELECT 1", "Result"),
        (
            "EXPLAIN (ANALYZE, BUFFERS) SELECT 1",
            "0A000 EXPLAIN with BUFFERS is not supported",
        ),
        (
            "EXPLAIN (FORMAT yaml) SELECT 1",
            "0A000 EXPLAIN in FORMAT YAML is not supported",
        ),
        (
            "EXPLAIN (NOPE) SELECT 1",
            "42601 unrecognized EXPLAIN option \"nope\"",
        ),
        (
            "EXPLAIN (FORMAT nope) SELECT 1",
            "22023 unrecognized value for EXPLAIN option \"format\": \"nope\"",
        ),
        (
            "EXPLAIN (TIMING) SELECT 1",
            "22023 EXPLAIN option TIMING requires ANALYZE",
        ),
        ("SELECT current_schema", "public"),
    ] {
        let answer = rows(&mut wire, text);
        assert!(answer[0].starts_with(expected), "{text}: {answer:?}");
    }
}

#[test]
fn functions_are_listed_with_their_types() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let listed = "SELECT pg_get_function_result(oid), pg_get_function_arguments(oid) \
                  FROM pg_proc WHERE proname = 'split_part'";
    assert_eq!(rows(&mut wire, listed), ["text|text, text, integer"]);
}
