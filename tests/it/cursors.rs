//! SQL's cursors over the wire, simple and extended, as psql's FETCH_COUNT and drivers use them.

use crate::server::TestServer;
use crate::wire::{Wire, bind, describe, execute, parse, query, summary, sync};

fn asked(wire: &mut Wire, text: &str) -> String {
    wire.send(&query(text));
    let replies = wire.until_ready();
    let tags: Vec<String> = replies
        .iter()
        .filter(|reply| reply.tag == 'C')
        .map(|reply| reply.text().trim_end_matches('|').to_owned())
        .collect();
    let error = replies.iter().find(|reply| reply.tag == 'E');
    let rows = replies.iter().filter(|reply| reply.tag == 'D').count();
    match error {
        Some(error) => format!(
            "{} {}",
            error.field(b'C').unwrap_or_default(),
            error.field(b'M').unwrap_or_default()
        ),
        None => format!("{} ({rows} rows)", tags.join(", ")),
    }
}

#[test]
fn cursors_go_forward_as_far_as_asked() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    for (text, expected) in [
        (
            "DECLARE c CURSOR FOR SELECT 1",
            "25P01 DECLARE CURSOR can only be used in transaction blocks",
        ),
        ("BEGIN", "BEGIN (0 rows)"),
        (
            "DECLARE c NO SCROLL CURSOR FOR SELECT * FROM generate_series(1, 20000)",
            "DECLARE CURSOR (0 rows)",
        ),
        ("FETCH FORWARD 3 FROM c", "FETCH 3 (3 rows)"),
        ("FETCH c", "FETCH 1 (1 rows)"),
        ("MOVE 10000 IN c", "MOVE 10000 (0 rows)"),
        ("FETCH 9990 c", "FETCH 9990 (9990 rows)"),
        ("FETCH ALL FROM c", "FETCH 6 (6 rows)"),
        ("FETCH NEXT c", "FETCH 0 (0 rows)"),
        ("MOVE ALL IN c", "MOVE 0 (0 rows)"),
        ("CLOSE c", "CLOSE CURSOR (0 rows)"),
        ("SAVEPOINT s", "SAVEPOINT (0 rows)"),
        ("FETCH c", "34000 cursor \"c\" does not exist"),
        ("ROLLBACK TO s", "ROLLBACK (0 rows)"),
        (
            "DECLARE h CURSOR WITH HOLD FOR SELECT 1",
            "0A000 DECLARE CURSOR … WITH HOLD is not supported",
        ),
        ("ROLLBACK TO s", "ROLLBACK (0 rows)"),
        ("DECLARE d CURSOR FOR SELECT 1/0", "DECLARE CURSOR (0 rows)"),
        (
            "DECLARE d CURSOR FOR SELECT 1",
            "42P03 cursor \"d\" already exists",
        ),
        ("ROLLBACK", "ROLLBACK (0 rows)"),
        ("FETCH d", "34000 cursor \"d\" does not exist"),
    ] {
        assert_eq!(asked(&mut wire, text), expected, "{text}");
    }
}

#[test]
fn fetch_is_described_before_it_is_executed() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    asked(&mut wire, "BEGIN");
    asked(
        &mut wire,
        "DECLARE \"C x\" CURSOR FOR SELECT n, 'a' AS t FROM generate_series(1, 5) n",
    );
    wire.send(&parse("", "FETCH 2 FROM \"C x\""));
    wire.send(&describe('S', ""));
    wire.send(&bind("", ""));
    wire.send(&execute("", 0));
    wire.send(&sync());
    let told = summary(&wire.until_ready());
    assert!(told.contains('T'), "RowDescription: {told}");
    assert!(told.contains("FETCH 2"), "{told}");
}
