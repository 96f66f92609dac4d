//! Transactions larger than the memory they may have.

use crate::server::TestServer;
use crate::wire::{Wire, bind, execute, parse, query, sync};

/// Private memory of the server, in MiB: what it has allocated, without files mapped.
fn private_mib(server: &TestServer) -> u64 {
    let path = format!("/proc/{}/status", server.pid());
    let status = std::fs::read_to_string(path).expect("the server runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = kib.and_then(|kib| kib.parse().ok()).expect("Linux says it");
    kib / 1_024
}

fn row(wire: &mut Wire, text: &str) -> Vec<Option<String>> {
    wire.send(&query(text));
    let told = wire.until_ready();
    let row = told.iter().find(|reply| reply.tag == 'D');
    row.unwrap_or_else(|| panic!("no row of {text}: {told:?}"))
        .row()
}

/// Write sets were kept in memory whole: a large UPDATE took as much as it changed.
#[test]
fn a_transaction_of_many_times_its_memory_comes_back_to_a_savepoint_and_commits() {
    const ROWS: u32 = 10_000;
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    wire.run("CREATE TABLE t (id int PRIMARY KEY, n int, b text)");
    wire.run("BEGIN");
    let before = private_mib(&server);
    let mut most = before;
    for from in (1..=ROWS).step_by(1_000) {
        let text = format!(
            "INSERT INTO t SELECT g, 0, repeat('x', 20000) FROM generate_series({from}, {}) g",
            from + 999
        );
        assert_eq!(wire.run(&text), "C:INSERT 0 1000 Z:T");
        most = most.max(private_mib(&server));
    }
    wire.run("SAVEPOINT s");
    assert_eq!(
        wire.run("UPDATE t SET n = 1, b = b || 'y'"),
        "C:UPDATE 10000 Z:T"
    );
    most = most.max(private_mib(&server));
    let sums = "SELECT count(*), sum(n), sum(length(b)) FROM t";
    let some = |values: [&str; 3]| values.map(|value| Some(value.to_owned())).to_vec();
    assert_eq!(row(&mut wire, sums), some(["10000", "10000", "200010000"]));
    assert_eq!(wire.run("ROLLBACK TO s"), "C:ROLLBACK Z:T");
    assert_eq!(row(&mut wire, sums), some(["10000", "0", "200000000"]));
    assert_eq!(
        wire.run("UPDATE t SET n = 2 WHERE id <= 5000"),
        "C:UPDATE 5000 Z:T"
    );
    most = most.max(private_mib(&server));
    // 400 MB were written; 64 MiB of rows, the keys and a query's batches were in memory.
    assert!(most - before < 256, "{before} MiB grew to {most} MiB");
    assert_eq!(wire.run("COMMIT"), "C:COMMIT Z:I");
    let mut other = Wire::log_in(&server);
    assert_eq!(row(&mut other, sums), some(["10000", "10000", "200000000"]));
}

#[test]
fn past_transaction_bytes_max_it_is_54000_and_the_transaction_can_be_rolled_back() {
    let server = TestServer::start_configured("[storage]\ntransaction_bytes_max = \"90 MiB\"\n");
    let mut wire = Wire::log_in(&server);
    wire.run("CREATE TABLE t (id int PRIMARY KEY, b text)");
    wire.run("BEGIN");
    let insert = |from: u32| {
        let rows = format!("generate_series({from}, {})", from + 999);
        format!("INSERT INTO t SELECT g, repeat('x', 40000) FROM {rows} g")
    };
    assert_eq!(wire.run(&insert(1)), "C:INSERT 0 1000 Z:T");
    wire.run("SAVEPOINT s");
    assert_eq!(
        wire.run(&insert(1_001)),
        "C:INSERT 0 1000 Z:T",
        "past 64 MiB"
    );
    assert_eq!(wire.run(&insert(2_001)), "E:54000 Z:E");
    assert_eq!(wire.run("ROLLBACK TO s"), "C:ROLLBACK Z:T");
    assert_eq!(
        row(&mut wire, "SELECT count(*) FROM t")[0].as_deref(),
        Some("1000")
    );
    assert_eq!(wire.run(&insert(1_001)), "C:INSERT 0 1000 Z:T");
    assert_eq!(wire.run(&insert(2_001)), "E:54000 Z:E");
    assert_eq!(wire.run("ROLLBACK"), "C:ROLLBACK Z:I");
    assert_eq!(
        row(&mut wire, "SELECT count(*) FROM t")[0].as_deref(),
        Some("0")
    );
}

/// RETURNING was collected without a bound.
#[test]
fn returning_more_than_a_statement_may_hold_is_53200_and_much_of_it_is_given() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    wire.run("CREATE TABLE t (id int PRIMARY KEY, n int)");
    wire.send(&query(
        "INSERT INTO t SELECT g, g FROM generate_series(1, 5000) g RETURNING id",
    ));
    let told = wire.until_ready();
    let rows: Vec<_> = told.iter().filter(|reply| reply.tag == 'D').collect();
    assert_eq!(rows.len(), 5_000);
    assert_eq!(rows[4_999].row(), [Some("5000".to_owned())]);
    assert_eq!(
        wire.run("UPDATE t SET n = 0 RETURNING repeat('x', 100000)"),
        "E:53200 Z:I"
    );
    assert_eq!(
        row(&mut wire, "SELECT min(n) FROM t")[0].as_deref(),
        Some("1")
    );
}

/// A portal whose client never came back kept its snapshot, and the file grew, for ever.
#[test]
fn an_idle_portal_gives_its_snapshot_up_when_it_is_too_old() {
    let server = TestServer::start_configured("[storage]\nsnapshot_age_max = \"1s\"\n");
    server.psql("CREATE TABLE t (id int PRIMARY KEY)");
    server.psql("INSERT INTO t SELECT g FROM generate_series(1, 60000) g");
    for isolation in ["READ COMMITTED", "REPEATABLE READ"] {
        let mut wire = Wire::log_in(&server);
        wire.run(&format!("BEGIN ISOLATION LEVEL {isolation}"));
        let begin = [
            parse("", "SELECT id FROM t"),
            bind("p", ""),
            execute("p", 3),
            sync(),
        ];
        assert_eq!(wire.exchange(&begin.concat()), "1 2 D D D s Z:T");
        let expired = server.metric("storage_snapshots_expired_total");
        server.until_metric("storage_snapshots_expired_total", |now| now > expired);
        // Nobody holds it any more, though the portal is there still.
        server.until_metric("storage_oldest_snapshot_milliseconds", |age| age < 1_000);
        let told = wire.exchange(&[execute("p", 0), sync()].concat());
        assert!(
            told.ends_with("D E:72000 Z:E"),
            "{isolation}: …{}",
            &told[told.len() - 30..]
        );
        assert_eq!(wire.run("ROLLBACK"), "C:ROLLBACK Z:I");
    }
}
