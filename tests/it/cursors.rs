//! SQL's cursors over the wire, simple and extended, as psql's FETCH_COUNT and drivers use them.

use crate::server::TestServer;
use crate::wire::{Wire, bind, describe, execute, parse, query, startup, summary, sync};

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
            "DECLARE b BINARY CURSOR FOR SELECT 1",
            "0A000 DECLARE BINARY CURSOR is not supported",
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

/// What has been read stays for going back, in a file past what memory it may take.
#[test]
fn a_scroll_cursor_goes_back_over_more_rows_than_memory_keeps() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let rows = "SELECT n, repeat(md5(n::text), 8) AS t FROM generate_series(1, 150000) n";
    asked(&mut wire, "BEGIN");
    asked(&mut wire, &format!("DECLARE s SCROLL CURSOR FOR {rows}"));
    asked(&mut wire, &format!("DECLARE h CURSOR WITH HOLD FOR {rows}"));
    asked(&mut wire, &format!("DECLARE d CURSOR FOR {rows}"));
    let first = |wire: &mut Wire, text: &str| {
        wire.send(&query(text));
        let replies = wire.until_ready();
        let row = replies.iter().find(|reply| reply.tag == 'D');
        row.and_then(|row| row.row().swap_remove(0))
    };
    for (text, expected) in [
        ("FETCH LAST FROM s", "150000"),
        ("FETCH ABSOLUTE 3 FROM s", "3"),
        ("FETCH ABSOLUTE 140001 FROM s", "140001"),
        ("FETCH BACKWARD 2 FROM s", "140000"),
        ("FETCH ABSOLUTE 100000 FROM d", "100000"),
    ] {
        assert_eq!(first(&mut wire, text).as_deref(), Some(expected), "{text}");
    }
    assert_eq!(
        asked(&mut wire, "FETCH BACKWARD ALL FROM s"),
        "FETCH 139998 (139998 rows)"
    );
    assert_eq!(
        asked(&mut wire, "FETCH ALL FROM s"),
        "FETCH 150000 (150000 rows)"
    );
    // One that was not declared SCROLL has let go of what memory did not hold.
    asked(&mut wire, "SAVEPOINT p");
    assert_eq!(
        asked(&mut wire, "FETCH PRIOR FROM d"),
        "55000 cursor can only scan forward"
    );
    asked(&mut wire, "ROLLBACK TO p");
    assert_eq!(asked(&mut wire, "COMMIT"), "COMMIT (0 rows)");
    assert_eq!(
        asked(&mut wire, "FETCH ALL FROM h"),
        "FETCH 150000 (150000 rows)"
    );
    let second = first(&mut wire, "FETCH ABSOLUTE 2 FROM h");
    assert_eq!(second.as_deref(), Some("2"));
}

/// A cursor's rows are those that a policy lets its user see, whichever way it goes and however long
/// it is held.
#[test]
fn what_a_policy_hides_no_cursor_shows() {
    let server = TestServer::start();
    server.psql("CREATE USER reader PASSWORD 'pw' ROLE readonly");
    server.psql(
        "CREATE TABLE note (id int PRIMARY KEY, owner text);
         INSERT INTO note SELECT n, CASE WHEN n % 2 = 0 THEN 'reader' ELSE 'other' END
             FROM generate_series(1, 6) n;
         CREATE RLS POLICY own ON note FOR ALL USING (owner = current_user)",
    );
    let mut reader = Wire::connect(server.pgwire());
    reader.send(&startup(0, &[("user", "reader"), ("database", "nodedb")]));
    reader.authenticate("pw").expect("the password is right");
    asked(&mut reader, "BEGIN");
    asked(
        &mut reader,
        "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM note ORDER BY id",
    );
    assert_eq!(asked(&mut reader, "FETCH ALL c"), "FETCH 3 (3 rows)");
    assert_eq!(asked(&mut reader, "COMMIT"), "COMMIT (0 rows)");
    assert_eq!(
        asked(&mut reader, "FETCH BACKWARD ALL c"),
        "FETCH 3 (3 rows)"
    );
}

/// As drivers declare them that send parameters apart.
#[test]
fn a_cursor_is_declared_with_parameters_of_bind() {
    tested(async |client| {
        client
            .batch_execute(
                "CREATE TABLE t (id int PRIMARY KEY, name text);
                 INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 9) n; BEGIN",
            )
            .await?;
        let declare = "DECLARE c SCROLL CURSOR FOR SELECT id, name FROM t \
                       WHERE id > $1 AND name <> $2 ORDER BY id";
        let declare = client.prepare(declare).await?;
        client.execute(&declare, &[&4_i32, &"row 6"]).await?;
        let fetched = client.query("FETCH FORWARD 2 FROM c", &[]).await?;
        let ids: Vec<i32> = fetched.iter().map(|row| row.get(0)).collect();
        assert_eq!(ids, [5, 7]);
        let fetched = client.query("FETCH LAST FROM c", &[]).await?;
        assert_eq!(fetched[0].get::<_, &str>(1), "row 9");
        let listed = "SELECT name, statement, is_holdable FROM pg_cursors WHERE name = $1";
        let listed = client.query(listed, &[&"c"]).await?;
        assert!(
            listed[0]
                .get::<_, &str>(1)
                .starts_with("DECLARE c SCROLL CURSOR")
        );
        client.batch_execute("COMMIT").await?;
        // Outside a block WITH HOLD, kept when its statement is over.
        let held = "DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t WHERE id < $1 ORDER BY id";
        client.execute(held, &[&4_i32]).await?;
        let fetched = client.query("FETCH ALL FROM h", &[]).await?;
        assert_eq!(fetched.len(), 3);
        client.batch_execute("CLOSE h").await?;
        Ok(())
    });
}

fn tested<F>(test: impl FnOnce(tokio_postgres::Client) -> F)
where
    F: Future<Output = Result<(), tokio_postgres::Error>>,
{
    let server = TestServer::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let ran = runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(server.pgwire().port())
            .user("nodedb")
            .password(crate::server::SUPERUSER_PASSWORD)
            .dbname("nodedb");
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        test(client).await
    });
    if let Err(error) = ran {
        panic!("{error:?}");
    }
}
