//! kill -9 at any moment: every acknowledged transaction is there afterwards, none half.

use super::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Names the directory of the store for the child.
const DIRECTORY: &str = "NODEDB_TEST_CRASH_DIRECTORY";

const ROWS_PER_TRANSACTION: u32 = 5;

/// Acknowledgements after which a child is killed.
const KILLED_AFTER: [usize; 4] = [1, 17, 60, 150];

/// Not a test: the process that is killed. It commits transactions of several rows from two threads
/// and prints the number of each when it is acknowledged.
#[test]
#[ignore = "the crash test runs it in a process of its own"]
fn child_that_commits_until_it_is_killed() {
    let Some(path) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let storage = Storage::open(Options {
        map_size_bytes: 256 << 20,
        readers_max: 64,
        ..Options::new(path, 2)
    })
    .unwrap();
    std::thread::scope(|scope| {
        for core in 0..2u32 {
            let storage = storage.clone();
            scope.spawn(move || {
                for round in 0.. {
                    let number = round * 2 + core;
                    commit_numbered(&storage, core as usize, number);
                    writeln!(std::io::stdout(), "acknowledged {number}").unwrap();
                }
            });
        }
    });
}

fn commit_numbered(storage: &Storage, core: usize, number: u32) {
    let mut transaction = storage.begin(core, Isolation::ReadCommitted);
    for row in 0..ROWS_PER_TRANSACTION {
        let key = [number.to_be_bytes(), row.to_be_bytes()].concat();
        transaction.put(TABLE, &key, &[7; 200]).unwrap();
    }
    // And one row that everybody changes.
    wait(transaction.lock(TABLE, b"hot", LockMode::Update, LockWait::Block)).unwrap();
    transaction
        .put(TABLE, b"hot", &number.to_be_bytes())
        .unwrap();
    wait(transaction.commit()).unwrap();
}

/// Runs a child, kills it after so many acknowledgements, and says which those were.
fn kill_after(directory: &TempDir, acknowledgements: usize) -> Vec<u32> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "storage::tests::crash::child_that_commits_until_it_is_killed",
        ])
        .args(["--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines.map_while(Result::ok) {
        if let Some(number) = line.strip_prefix("acknowledged ") {
            acknowledged.push(number.parse().unwrap());
        }
        if acknowledged.len() == acknowledgements {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

#[test]
fn every_acknowledged_transaction_survives_a_kill_and_none_is_half_there() {
    for acknowledgements in KILLED_AFTER {
        let directory = tempfile::tempdir().unwrap();
        let acknowledged = kill_after(&directory, acknowledgements);
        assert!(acknowledged.len() >= acknowledgements);
        let storage = Storage::open(options(&directory)).unwrap();
        let store = Store { storage, directory };
        let last = acknowledged.iter().max().unwrap();
        for number in 0..last + 64 {
            let rows = (0..ROWS_PER_TRANSACTION)
                .filter(|row| {
                    let key = [number.to_be_bytes(), row.to_be_bytes()].concat();
                    store.get(&key).is_some()
                })
                .count() as u32;
            assert!(
                rows == 0 || rows == ROWS_PER_TRANSACTION,
                "{number} is half there"
            );
            assert!(
                rows > 0 || !acknowledged.contains(&number),
                "{number} was acknowledged"
            );
        }
    }
}
