//! kill -9 at any moment: what was acknowledged is there, nothing is there half.

use crate::pgbench::{assert_balanced, bench_server, pgbench};
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How often the server is killed in each story.
const ROUNDS: u64 = 5;

/// A spread of moments to kill at that is the same in every run.
fn moment(round: u64) -> Duration {
    Duration::from_millis(60 + (round * 137) % 400)
}

#[test]
fn every_acknowledged_transaction_survives_under_pgbench() {
    let mut server = bench_server();
    assert!(pgbench(&server, &["-i", "-q", "-s", "1"]).status.success());
    server.psql("CREATE TABLE ack (id bigint PRIMARY KEY, note text)");
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let mut load = server
            .client("pgbench", "bench", "secret")
            .args([
                "-n", "-c", "8", "-j", "2", "-T", "60", "-M", "prepared", "nodedb",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbench starts");
        let last = Arc::new(AtomicU64::new(acknowledged));
        let stop = Arc::new(AtomicBool::new(false));
        let log = acknowledgements(&server, acknowledged + 1, last.clone(), stop.clone());
        thread::sleep(moment(round) * 3);
        server.kill();
        stop.store(true, Ordering::Relaxed);
        log.join().expect("the log's thread ends");
        let _ = load.kill();
        let _ = load.wait();
        server.resume();
        acknowledged = last.load(Ordering::Relaxed);
        assert_balanced(&server);
        let kept = server.psql("SELECT count(*), coalesce(max(id), 0) FROM ack");
        let (count, max) = kept.split_once('|').expect("two columns");
        assert_eq!(count, max, "round {round}: rows without a gap");
        let max: u64 = max.parse().expect("a number");
        // One more than was acknowledged may be there: its answer was lost with the server.
        assert!(
            max == acknowledged || max == acknowledged + 1,
            "round {round}: {acknowledged} acknowledged, {max} kept"
        );
        acknowledged = max;
    }
    assert!(acknowledged > ROUNDS, "something was written in between");
}

/// Inserts 1, 2, 3 … one transaction each through psql, and records what was acknowledged.
fn acknowledgements(
    server: &TestServer,
    from: u64,
    last: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> thread::JoinHandle<()> {
    let mut psql = server
        .client("psql", "nodedb", SUPERUSER_PASSWORD)
        .args(["-X", "-A", "-t", "-q", "-d", "nodedb"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("psql starts");
    thread::spawn(move || {
        let mut input = psql.stdin.take().expect("piped");
        let mut output = std::io::BufReader::new(psql.stdout.take().expect("piped"));
        let mut id = from;
        while !stop.load(Ordering::Relaxed) {
            let statement = format!("INSERT INTO ack VALUES ({id}, 'x') RETURNING id;\n");
            if input.write_all(statement.as_bytes()).is_err() || input.flush().is_err() {
                break;
            }
            let mut line = String::new();
            let read = std::io::BufRead::read_line(&mut output, &mut line);
            if read.is_err() || line.trim() != id.to_string() {
                break;
            }
            last.store(id, Ordering::Relaxed);
            id += 1;
        }
        let _ = psql.kill();
        let _ = psql.wait();
    })
}

#[test]
fn a_load_that_was_killed_is_there_whole_or_not_at_all() {
    let mut server = bench_server();
    for round in 0..ROUNDS {
        let mut load = server
            .client("pgbench", "bench", "secret")
            .args(["-i", "-q", "-s", "2", "nodedb"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbench starts");
        thread::sleep(moment(round));
        server.kill();
        let _ = load.kill();
        let _ = load.wait();
        server.resume();
        let there = server.psql(
            "SELECT count(*) FROM pg_class WHERE relname = 'pgbench_accounts' AND relkind = 'r'",
        );
        if there == "1" {
            let rows = server.psql("SELECT count(*) FROM pgbench_accounts");
            assert!(
                rows == "0" || rows == "200000",
                "round {round}: {rows} rows of a half load"
            );
        }
    }
    assert!(
        pgbench(&server, &["-i", "-q", "-s", "1"]).status.success(),
        "it loads after all that"
    );
}

#[test]
fn definitions_and_their_rows_come_back_together() {
    let mut server = bench_server();
    for round in 0..ROUNDS {
        let mut psql = server
            .client("psql", "nodedb", SUPERUSER_PASSWORD)
            .args(["-X", "-q", "-d", "nodedb"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql starts");
        let mut script = String::new();
        for step in 0..2_000 {
            script.push_str(&format!(
                "BEGIN; CREATE TABLE r{round}_{step} (id int PRIMARY KEY); INSERT INTO r{round}_{step} VALUES (1), (2); COMMIT;\n"
            ));
        }
        let mut input = psql.stdin.take().expect("piped");
        let writer = thread::spawn(move || {
            let _ = input.write_all(script.as_bytes());
        });
        thread::sleep(moment(round) * 2);
        server.kill();
        let _ = psql.kill();
        let _ = psql.wait();
        let _ = writer.join();
        server.resume();
        let tables = server.psql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'r%\\_%' ORDER BY oid");
        for table in tables.lines().filter(|table| !table.is_empty()) {
            assert_eq!(
                server.psql(&format!("SELECT count(*) FROM {table}")),
                "2",
                "round {round}: {table}"
            );
        }
    }
}
