//! Commits that the disk refuses under TPC-B at scale 1, where every transaction waits for the same
//! row: what was ordered after the last durable commit fails alike, nothing of it is there, and all
//! that was acknowledged is (DESIGN §6).
//!
//! The disk is made to fail by `failing_disk.c`, preloaded into the server.

use crate::pgbench::{assert_balanced, bench_server_of, pgbench};
use crate::server::TestServer;
use crate::wire::{Wire, query};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: u64 = 8;

/// For how long the disk fails, and how long it is well in between.
const SPELL: Duration = Duration::from_millis(150);

fn preloaded(directory: &Path) -> PathBuf {
    let library = directory.join("failing_disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/failing_disk.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .expect("a C compiler is there: LMDB was built with it");
    assert!(built.status.success(), "{built:?}");
    library
}

/// What the clients were told.
#[derive(Default)]
struct Told {
    transactions: AtomicU64,
    failures: AtomicU64,
    sum: parking_lot::Mutex<i64>,
    codes: parking_lot::Mutex<BTreeSet<String>>,
}

/// One TPC-B transaction; Err is the first SQLSTATE.
fn transaction(wire: &mut Wire, account: u64, delta: i64) -> Result<(), String> {
    for statement in [
        "BEGIN".to_owned(),
        format!("UPDATE pgbench_accounts SET abalance = abalance + {delta} WHERE aid = {account}"),
        format!(
            "UPDATE pgbench_tellers SET tbalance = tbalance + {delta} WHERE tid = {}",
            account % 10 + 1
        ),
        format!("UPDATE pgbench_branches SET bbalance = bbalance + {delta} WHERE bid = 1"),
        format!(
            "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, {account}, {delta}, CURRENT_TIMESTAMP)"
        ),
        "COMMIT".to_owned(),
    ] {
        wire.send(&query(&statement));
        let replies = wire.until_ready();
        if let Some(error) = replies.iter().find(|reply| reply.tag == 'E') {
            let code = error.field(b'C').expect("an SQLSTATE");
            wire.exchange(&query("ROLLBACK"));
            return Err(code);
        }
    }
    Ok(())
}

/// Transactions until told to stop, each recorded when it is answered.
fn client(server: &TestServer, number: u64, told: &Told, stop: &AtomicBool) {
    let mut wire = Wire::log_in(server);
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let account = (number * 7919 + round * 104_729) % 100_000 + 1;
        let delta = (account % 9_999) as i64 - 5_000;
        match transaction(&mut wire, account, delta) {
            Ok(()) => {
                told.transactions.fetch_add(1, Ordering::Relaxed);
                *told.sum.lock() += delta;
            }
            Err(code) => {
                told.codes.lock().insert(code);
                told.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Clients at work while the disk fails in this way three times for a while.
fn work_on_a_disk_that_fails(server: &TestServer, control: &Path, how: &str) -> Told {
    let (told, stop) = (Told::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (told, stop) = (&told, &stop);
            scope.spawn(move || client(server, number, told, stop));
        }
        for _ in 0..3 {
            thread::sleep(SPELL);
            std::fs::write(control, how).expect("the control file is written");
            thread::sleep(SPELL);
            until_more(&told.failures);
            std::fs::remove_file(control).expect("the control file is removed");
        }
        thread::sleep(SPELL);
        stop.store(true, Ordering::Relaxed);
    });
    told
}

/// Waits for one more of them: a busy machine may need longer than a spell for it.
fn until_more(count: &AtomicU64) {
    let before = count.load(Ordering::Relaxed);
    let deadline = Instant::now() + Duration::from_secs(60);
    while count.load(Ordering::Relaxed) == before {
        assert!(Instant::now() < deadline, "nothing happens any more");
        thread::sleep(Duration::from_millis(5));
    }
}

fn assert_as_told(server: &TestServer, told: &Told) {
    assert_balanced(server);
    let kept = server.psql(
        "SELECT count(*), coalesce(sum(delta), 0), (SELECT bbalance FROM pgbench_branches) FROM pgbench_history",
    );
    let (count, sum) = (told.transactions.load(Ordering::Relaxed), *told.sum.lock());
    assert_eq!(
        kept,
        format!("{count}|{sum}|{sum}"),
        "{:?}",
        told.codes.lock()
    );
}

fn story(how: &str) -> (TestServer, Told) {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let library = preloaded(directory.path());
    let control = directory.path().join("control");
    let server = bench_server_of(TestServer::start_with(&[
        ("LD_PRELOAD", library.to_str().expect("UTF-8")),
        ("FAILING_DISK", control.to_str().expect("UTF-8")),
    ]));
    assert!(pgbench(&server, &["-i", "-q", "-s", "1"]).status.success());
    let told = work_on_a_disk_that_fails(&server, &control, how);
    let codes: Vec<String> = told.codes.lock().iter().cloned().collect();
    assert!(codes.contains(&"58030".to_owned()), "{codes:?}");
    assert!(
        codes.iter().all(|code| code == "58030" || code == "40001"),
        "one SQLSTATE for what failed, 40001 for who took a value of it: {codes:?}"
    );
    (server, told)
}

#[test]
fn commits_that_cannot_be_synced_fail_alike_and_the_server_goes_on() {
    for how in ["sync", "write"] {
        let (mut server, told) = story(how);
        assert_as_told(&server, &told);
        let more = pgbench(&server, &["-n", "-c", "4", "-j", "2", "-t", "20"]);
        assert!(more.status.success(), "it goes on: {more:?}");
        assert_balanced(&server);
        let before = server.psql("SELECT count(*), sum(delta) FROM pgbench_history");
        server.kill();
        server.resume();
        assert_balanced(&server);
        let after = server.psql("SELECT count(*), sum(delta) FROM pgbench_history");
        assert_eq!(after, before, "after a restart");
    }
}

#[test]
fn a_root_page_that_cannot_be_written_is_refused_until_a_restart_and_loses_nothing() {
    let (mut server, told) = story("meta");
    let error = server.psql_error("SELECT count(*) FROM pgbench_history");
    assert!(error.contains("58030"), "{error}");
    assert!(error.contains("Restart the server"), "{error}");
    assert_eq!(server.terminate(), Some(0), "it still ends in order");
    server.resume();
    assert_as_told(&server, &told);
    let more = pgbench(&server, &["-n", "-c", "4", "-j", "2", "-t", "20"]);
    assert!(more.status.success(), "{more:?}");
    assert_balanced(&server);
}
