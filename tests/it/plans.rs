//! What is planned once and run many times: it follows the settings that its text is read by.

use crate::server::TestServer;
use crate::wire::{Wire, bind, execute, parse, sync};

/// A literal of type timestamptz is folded as the statement is planned; SET TimeZone afterwards
/// must not leave it where it was.
#[test]
fn kept_plans_follow_the_settings_their_text_is_read_by() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY, at timestamptz, b text)");
    let mut wire = Wire::log_in(&server);
    let rows = |wire: &mut Wire, bytes: &[u8]| {
        wire.send(bytes);
        let told = wire.until_ready();
        let row = told.iter().find(|reply| reply.tag == 'D');
        row.map(|row| row.row()[0].clone().unwrap_or_default())
    };
    let insert = "INSERT INTO t SELECT count(*), '2024-06-01 12:00'::timestamptz FROM t";
    let point = "INSERT INTO t VALUES (100, '2024-06-01 12:00') ON CONFLICT DO NOTHING";
    let texts = [
        (
            "selects",
            "SELECT extract(epoch FROM '2024-06-01 12:00'::timestamptz)::int8",
        ),
        ("floats", "SELECT (0.1::float8 + 0.2::float8)::text"),
        ("bytes", "SELECT '\\xff'::bytea::text"),
        ("inserts", insert),
        ("point", point),
    ];
    for (name, text) in texts {
        wire.exchange(&[parse(name, text), sync()].concat());
    }
    let run = |name: &str| [bind("", name), execute("", 0), sync()].concat();
    let noon = 1_717_243_200_i64;
    assert_eq!(rows(&mut wire, &run("selects")), Some(noon.to_string()));
    assert_eq!(
        rows(&mut wire, &run("floats")).as_deref(),
        Some("0.30000000000000004")
    );
    assert_eq!(rows(&mut wire, &run("bytes")).as_deref(), Some("\\xff"));
    wire.exchange(&run("inserts"));
    let in_zone = "SELECT extract(epoch FROM at)::int8 FROM t ORDER BY id DESC LIMIT 1";
    let last = |wire: &mut Wire| rows(wire, &crate::wire::query(in_zone));
    assert_eq!(last(&mut wire), Some(noon.to_string()));

    wire.run("SET TimeZone = 'America/New_York'");
    wire.run("SET extra_float_digits = 0; SET bytea_output = escape");
    let noon = noon + 4 * 3_600;
    assert_eq!(rows(&mut wire, &run("selects")), Some(noon.to_string()));
    assert_eq!(rows(&mut wire, &run("floats")).as_deref(), Some("0.3"));
    assert_eq!(rows(&mut wire, &run("bytes")).as_deref(), Some("\\377"));
    wire.exchange(&run("inserts"));
    assert_eq!(last(&mut wire), Some(noon.to_string()));
    wire.exchange(&run("point"));
    assert_eq!(last(&mut wire), Some(noon.to_string()));
}

#[test]
fn a_kept_plan_looks_for_its_table_along_the_search_path_of_now() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    let mut wire = Wire::log_in(&server);
    for text in [
        "SELECT id FROM t WHERE id = 1",
        "SELECT count(*) FROM t",
        "DELETE FROM t",
    ] {
        let prepare = [parse("s", text), sync()].concat();
        let run = [bind("", "s"), execute("", 0), sync()].concat();
        wire.exchange(&prepare);
        wire.run("SET search_path = pg_catalog");
        assert_eq!(wire.exchange(&run), "2 E:42P01 Z:I", "{text}");
        assert_eq!(wire.run(text), "E:42P01 Z:I", "{text}");
        wire.run("SET search_path = public; DEALLOCATE s");
    }
    assert_eq!(wire.run("SELECT id FROM t"), "T D C:SELECT 1 Z:I");
}
