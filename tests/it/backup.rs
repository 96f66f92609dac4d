//! `nodedb backup DIR` on a running server: whole, of one moment, and started on; or nothing.

use crate::full_disk::SmallDisk;
use crate::http_client::curl;
use crate::pgbench::{assert_balanced, bench_server, pgbench};
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn command(server: &TestServer, directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodedb"));
    command
        .env("NODEDB_DATA_DIR", server.data_dir())
        .current_dir(server.directory())
        .arg("backup")
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn complaint(done: &Output) -> String {
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn back_up(server: &TestServer, directory: &Path) -> String {
    let done = command(server, directory).output().expect("it runs");
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{done:?}\n{}", server.log());
    printed
}

/// A server of its own on a directory.
fn started_on(directory: &Path) -> TestServer {
    let directory = directory.to_str().expect("a temporary path is UTF-8");
    TestServer::start_with(&[("NODEDB_DATA_DIR", directory)])
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it can be read");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A backup that has begun to write rows, and is stopped there.
struct Halted {
    process: Child,
    pid: Pid,
    unfinished: PathBuf,
}

impl Halted {
    fn begin(server: &TestServer, directory: &Path) -> Halted {
        let process = command(server, directory).spawn().expect("it starts");
        let pid = Pid::from_child(&process);
        let name = directory.file_name().expect("it has a name");
        let name = format!("{}.unfinished-{}", name.display(), process.id());
        let unfinished = directory.with_file_name(name);
        let rows = unfinished.join("rows/data.mdb");
        let deadline = Instant::now() + PATIENCE;
        while !rows.exists() {
            assert!(Instant::now() < deadline, "no rows come\n{}", server.log());
            thread::yield_now();
        }
        kill_process(pid, Signal::STOP).expect("it is there");
        Halted {
            process,
            pid,
            unfinished,
        }
    }

    fn send(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it is there");
    }

    /// Lets it go on to its end.
    fn finish(self) -> Output {
        self.send(Signal::CONT);
        self.process.wait_with_output().expect("it ends")
    }
}

/// More rows than the ways between them hold, so that a halted command halts the server's half.
fn server_with_rows() -> TestServer {
    let server = TestServer::start();
    server.psql("CREATE TABLE body (id int PRIMARY KEY, text text)");
    server.psql("INSERT INTO body SELECT i, repeat('x', 4000) FROM generate_series(1, 5000) i");
    server
}

#[test]
fn a_backup_under_pgbench_starts_balanced_with_its_users_keys_and_policies() {
    let server = bench_server();
    assert!(pgbench(&server, &["-i", "-q", "-s", "1"]).status.success());
    server.psql("CREATE USER alice WITH PASSWORD 'wonderland'");
    server.psql("CREATE TABLE notes (id int PRIMARY KEY, owner text, note text)");
    server.psql("INSERT INTO notes VALUES (1, 'alice', 'mine'), (2, 'bob', 'his')");
    server.psql("CREATE RLS POLICY own ON notes FOR ALL USING (owner = $auth.username)");
    server.psql("GRANT SELECT ON notes TO alice");
    server.psql("CREATE SEQUENCE numbers");
    server.psql("SELECT nextval('numbers')");
    let key = server.psql("CREATE API KEY 'service' FOR alice");
    let mut load = server
        .client("pgbench", "bench", "secret")
        .args([
            "-n", "-c", "8", "-j", "2", "-T", "300", "-M", "prepared", "nodedb",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pgbench starts");
    server.until_metric("storage_commits_total", |commits| commits > 500);

    let place = server.directory().join("monday");
    let printed = back_up(&server, &place);
    let commits = server.metric("storage_commits_total");
    server.until_metric("storage_commits_total", |now| now > commits + 100);
    assert!(
        load.try_wait().expect("its state").is_none(),
        "it serves on"
    );
    load.kill().expect("it ends");
    load.wait().expect("it ended");
    assert!(printed.contains("data_dir = "), "{printed}");
    let label = fs::read_to_string(place.join("backup_label")).expect("it says what it is");
    assert!(
        label.contains("epoch: ") && label.contains("of: 20"),
        "{label}"
    );
    assert!(!place.join("superuser_password").exists());
    assert!(!place.join("backup.socket").exists());

    let copy = started_on(&place);
    assert_balanced(&copy);
    let history: u64 = (copy.psql("SELECT count(*) FROM pgbench_history").parse()).unwrap();
    let later: u64 = (server.psql("SELECT count(*) FROM pgbench_history").parse()).unwrap();
    assert!(0 < history && history < later, "{history} of {later}");
    let notes = copy.psql_as("alice", "wonderland", "nodedb", "SELECT note FROM notes");
    assert_eq!(
        String::from_utf8_lossy(&notes.stdout),
        "mine\n",
        "{notes:?}"
    );
    let bearer = format!("Authorization: Bearer {key}");
    let asked = [
        "-H",
        &bearer,
        "-d",
        r#"{"sql":"SELECT count(*) AS n FROM notes"}"#,
    ];
    let (status, body) = curl(&copy, "/v1/query", &asked);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("1"), "{body}");
    let next: u64 = (copy.psql("SELECT nextval('numbers')").parse()).unwrap();
    assert!(next > 1, "a number is given once: {next}");

    // It is a server as any other, and so is the one that it was made of.
    let more = ["-n", "-c", "4", "-t", "50"];
    assert!(pgbench(&copy, &more).status.success());
    assert_balanced(&copy);
    copy.psql("CREATE USER carol WITH PASSWORD 'x-carol-x'");
    assert_balanced(&server);
}

/// Makes and drops users and their tables, databases and theirs, until told to stop.
fn storm(server: &TestServer, stop: &AtomicBool) -> u32 {
    let run = |user: &str, password: &str, database: &str, sql: &str| {
        let done = server.psql_as(user, password, database, sql);
        assert!(done.status.success(), "{sql}: {done:?}");
    };
    let root = |sql: &str| run("nodedb", SUPERUSER_PASSWORD, "nodedb", sql);
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let (user, database) = (format!("u{round}"), format!("d{round}"));
        root(&format!(
            "CREATE USER {user} WITH PASSWORD 'storm-storm' ROLE admin"
        ));
        let table = format!("CREATE TABLE t{round} (id int); INSERT INTO t{round} VALUES (1)");
        run(&user, "storm-storm", "nodedb", &table);
        root(&format!("CREATE DATABASE {database}"));
        let kept = "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)";
        run("nodedb", SUPERUSER_PASSWORD, &database, kept);
        if round >= 2 {
            let old = round - 2;
            root(&format!("DROP TABLE t{old}"));
            root(&format!("DROP USER u{old}"));
            root(&format!("DROP DATABASE d{old}"));
        }
        round += 1;
    }
    round
}

/// What must hold of every moment of the storm.
fn assert_consistent(copy: &TestServer) {
    let orphans = copy.psql(
        "SELECT count(*) FROM pg_class c LEFT JOIN pg_roles r ON r.oid = c.relowner
         WHERE c.relkind = 'r' AND r.oid IS NULL",
    );
    assert_eq!(orphans, "0", "every table has its owner");
    let tables = copy.psql("SELECT relname FROM pg_class WHERE relname LIKE 't%' AND relkind = 'r' AND relnamespace = 2200");
    for table in tables.lines() {
        // Its rows were committed with it.
        assert_eq!(copy.psql(&format!("SELECT count(*) FROM {table}")), "1");
    }
    let numbered = |sql: &str| -> Vec<u32> {
        let found = copy.psql(sql);
        let numbers = found.lines().filter_map(|name| name.get(1..)?.parse().ok());
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        numbers
    };
    let users = numbered("SELECT rolname FROM pg_roles WHERE rolname LIKE 'u%'");
    assert!(users.len() <= 4, "dropped users are gone: {users:?}");
    let databases = numbered("SELECT datname FROM pg_database WHERE datname LIKE 'd%'");
    // The last one may not have been given its table yet; any other has had it as long as it was.
    for database in databases.iter().rev().skip(1) {
        let count = "SELECT count(*) FROM kept";
        let kept = copy.psql_as("nodedb", SUPERUSER_PASSWORD, &format!("d{database}"), count);
        assert_eq!(
            String::from_utf8_lossy(&kept.stdout),
            "1\n",
            "d{database}: {kept:?}"
        );
    }
}

#[test]
fn every_backup_made_in_a_storm_of_credential_statements_and_definitions_is_of_one_moment() {
    let server = TestServer::start();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let raging = scope.spawn(|| storm(&server, &stop));
        for number in 0..6 {
            thread::sleep(Duration::from_millis(700 + 137 * number));
            let place = server.directory().join(format!("backup-{number}"));
            back_up(&server, &place);
            let mut copy = started_on(&place);
            assert_consistent(&copy);
            assert_eq!(copy.terminate(), Some(0));
        }
        stop.store(true, Ordering::Relaxed);
        let rounds = raging.join().expect("the storm had no error");
        assert!(rounds > 6, "it was a storm: {rounds} rounds");
    });
}

#[test]
fn a_server_killed_in_the_middle_leaves_no_backup() {
    let mut server = server_with_rows();
    let place = server.directory().join("monday");
    let halted = Halted::begin(&server, &place);
    let unfinished = halted.unfinished.clone();
    server.kill();
    let complaint = complaint(&halted.finish());
    assert!(
        complaint.contains("did not send the backup to its end"),
        "{complaint}"
    );
    assert!(
        !place.exists() && !unfinished.exists(),
        "{:?}",
        names(server.directory())
    );
    // The socket that it left behind is in nobody's way.
    let gone = command(&server, &place).output().expect("it runs");
    assert!(self::complaint(&gone).contains("no server is running on the data directory"));
    server.resume();
    back_up(&server, &place);
}

#[test]
fn a_command_killed_in_the_middle_leaves_nothing_that_a_server_starts_on() {
    let server = server_with_rows();
    let place = server.directory().join("monday");
    let mut halted = Halted::begin(&server, &place);
    halted.process.kill().expect("it is there");
    halted.process.wait().expect("it ended");
    assert!(!place.exists());
    let refused = Command::new(env!("CARGO_BIN_EXE_nodedb"))
        .env("NODEDB_DATA_DIR", &halted.unfinished)
        .env("NODEDB_PORT_PGWIRE", "0")
        .current_dir(server.directory())
        .output()
        .expect("it runs");
    let text = complaint(&refused);
    assert!(
        text.contains("is neither empty nor a NodeDB data directory"),
        "{text}"
    );
    // The server has noticed: another is taken.
    let deadline = Instant::now() + PATIENCE;
    while !command(&server, &place)
        .output()
        .expect("it runs")
        .status
        .success()
    {
        assert!(Instant::now() < deadline, "{}", server.log());
    }
    assert_eq!(started_on(&place).psql("SELECT count(*) FROM body"), "5000");
}

#[test]
fn one_that_is_interrupted_leaves_nothing() {
    let server = server_with_rows();
    let before = names(server.directory());
    for signal in [Signal::INT, Signal::TERM] {
        let halted = Halted::begin(&server, &server.directory().join("monday"));
        halted.send(signal);
        let complaint = complaint(&halted.finish());
        assert!(
            complaint.contains("stopped; nothing of the backup was kept"),
            "{complaint}"
        );
        assert_eq!(names(server.directory()), before);
    }
}

#[test]
fn a_second_one_at_once_is_refused_and_the_first_is_whole() {
    let server = server_with_rows();
    let (first, second) = (
        server.directory().join("first"),
        server.directory().join("second"),
    );
    let halted = Halted::begin(&server, &first);
    let refused = command(&server, &second).output().expect("it runs");
    let text = complaint(&refused);
    assert!(text.contains("another backup is under way"), "{text}");
    assert!(!second.exists());
    // Rows written meanwhile are not in it.
    server.psql("DELETE FROM body");
    let done = halted.finish();
    assert!(done.status.success(), "{done:?}");
    assert_eq!(started_on(&first).psql("SELECT count(*) FROM body"), "5000");
}

#[test]
fn a_server_that_ends_gives_the_backup_up_and_does_not_wait_for_it() {
    let mut server = server_with_rows();
    let place = server.directory().join("monday");
    let halted = Halted::begin(&server, &place);
    assert_eq!(server.terminate(), Some(0));
    let complaint = complaint(&halted.finish());
    assert!(complaint.contains("backup"), "{complaint}");
    assert!(!place.exists());
    assert!(!server.data_dir().join("backup.socket").exists());
}

#[test]
fn a_full_disk_is_told_before_or_while_it_is_written_to() {
    let server = server_with_rows();
    let disk = match SmallDisk::mount(&server.directory().join("disk")) {
        Ok(disk) => disk,
        Err(error) => return crate::full_disk::skipped(&error),
    };
    let place = disk.path().join("monday");
    let halted = Halted::begin(&server, &place);
    let rest = vec![0_u8; 48 << 20];
    fs::write(disk.path().join("rest"), rest).expect_err("the disk is full now");
    let text = complaint(&halted.finish());
    assert!(text.contains("is full after"), "{text}");
    // The server finds out a moment later that the first command has gone.
    let text = loop {
        let again = command(&server, &place).output().expect("it runs");
        let text = complaint(&again);
        if !text.contains("another backup is under way") {
            break text;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(
        text.contains("the backup needs") && text.contains("left"),
        "{text}"
    );
    assert_eq!(names(disk.path()), ["rest"]);
}

#[test]
fn a_directory_that_holds_something_is_left_as_it_is_and_a_long_path_is_no_matter() {
    let server = TestServer::start();
    let taken = server.directory().join("taken");
    fs::create_dir(&taken).expect("it can be made");
    fs::write(taken.join("letter"), "dear").expect("it can be written");
    let refused = command(&server, &taken).output().expect("it runs");
    let text = complaint(&refused);
    assert!(text.contains("is not empty"), "{text}");
    assert_eq!(names(&taken), ["letter"]);
    // An address of a socket has 107 bytes.
    let long = server.directory().join("d".repeat(150));
    back_up(&server, &long);
    let copy = started_on(&long);
    let mut again = command(&copy, Path::new("again"));
    again.env("NODEDB_DATA_DIR", &long);
    let done = again.output().expect("it runs");
    assert!(done.status.success(), "{done:?}");
    assert!(copy.directory().join("again/lock").exists());
}

#[test]
fn who_has_taken_a_backup_stands_in_the_audit_log() {
    let server = TestServer::start();
    back_up(&server, &server.directory().join("copy"));
    let deadline = Instant::now() + PATIENCE;
    let entry = loop {
        let log = server.psql("SHOW AUDIT LOG");
        if let Some(entry) = log.lines().find(|line| line.contains("|backup|")) {
            break entry.to_owned();
        }
        assert!(Instant::now() < deadline, "{log}");
        thread::sleep(Duration::from_millis(20));
    };
    assert!(entry.contains("\"outcome\":\"sent\""), "{entry}");
    assert!(entry.contains("\"uid\":\""), "{entry}");
}
