//! pgbench as its users run it: every way to load, every mode, no error and no warning that
//! PostgreSQL would not give.

use crate::server::TestServer;
use std::process::Output;

const PASSWORD: &str = "secret";

/// A server with the `bench` user of the README.
pub fn bench_server() -> TestServer {
    bench_server_of(TestServer::start())
}

/// That server, with the `bench` user of the README.
pub fn bench_server_of(server: TestServer) -> TestServer {
    server.psql("CREATE USER bench WITH PASSWORD 'secret' ROLE admin");
    server
}

/// Runs pgbench as `bench` in `nodedb`.
pub fn pgbench(server: &TestServer, arguments: &[&str]) -> Output {
    server
        .client("pgbench", "bench", PASSWORD)
        .args(arguments)
        .arg("nodedb")
        .output()
        .expect("pgbench is installed")
}

/// Runs pgbench and expects success without a complaint.
fn runs_clean(server: &TestServer, arguments: &[&str]) -> String {
    let done = pgbench(server, arguments);
    let printed = String::from_utf8_lossy(&done.stdout).to_string();
    let complaints = String::from_utf8_lossy(&done.stderr).to_string();
    assert!(
        done.status.success(),
        "pgbench {arguments:?}:\n{complaints}\n{}",
        server.log()
    );
    for word in ["ERROR", "error:", "WARNING", "warning:", "aborted"] {
        assert!(
            !complaints.contains(word),
            "pgbench {arguments:?} complains:\n{complaints}"
        );
    }
    if !arguments.contains(&"-i") {
        assert!(
            printed.contains("number of failed transactions: 0 "),
            "{printed}"
        );
    }
    printed
}

/// What must hold of the tables whatever ran: the sums of TPC-B (simple-update leaves tellers and
/// branches alone, so that they agree with each other only).
pub fn assert_balanced(server: &TestServer) {
    let sums = server.psql(
        "SELECT (SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts),
                (SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers),
                (SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches),
                (SELECT coalesce(sum(delta), 0) FROM pgbench_history)",
    );
    let sums: Vec<&str> = sums.split('|').collect();
    let [accounts, tellers, branches, history] = sums[..] else {
        panic!("four sums: {sums:?}");
    };
    assert_eq!(accounts, history, "accounts and history: {sums:?}");
    assert_eq!(tellers, branches, "tellers and branches: {sums:?}");
}

#[test]
fn loads_with_rows_made_by_the_client() {
    let server = bench_server();
    runs_clean(&server, &["-i", "-I", "dtgvp", "-s", "1"]);
    assert_eq!(
        server.psql("SELECT count(*), min(aid), max(aid) FROM pgbench_accounts"),
        "100000|1|100000"
    );
    runs_clean(
        &server,
        &["-i", "-I", "dtgvpf", "--foreign-keys", "-s", "1"],
    );
}

#[test]
fn loads_with_rows_made_by_the_server() {
    let server = bench_server();
    runs_clean(&server, &["-i", "-I", "dtGvp", "-s", "1"]);
    assert_eq!(
        server.psql("SELECT count(*), min(aid), max(aid) FROM pgbench_accounts"),
        "100000|1|100000"
    );
    assert_eq!(server.psql("SELECT count(*) FROM pgbench_tellers"), "10");
}

#[test]
fn runs_every_built_in_script_in_every_mode() {
    let server = bench_server();
    runs_clean(&server, &["-i", "-q", "-s", "1"]);
    for script in ["tpcb-like", "simple-update", "select-only"] {
        for mode in ["simple", "extended", "prepared"] {
            runs_clean(
                &server,
                &[
                    "-n", "-b", script, "-M", mode, "-c", "8", "-j", "2", "-t", "50",
                ],
            );
            assert_balanced(&server);
        }
    }
}

#[test]
fn vacuums_before_a_run_unless_told_not_to() {
    let server = bench_server();
    runs_clean(&server, &["-i", "-q", "-s", "1"]);
    runs_clean(&server, &["-c", "2", "-t", "10"]);
    assert_eq!(server.psql("SELECT count(*) FROM pgbench_history"), "20");
}

#[test]
fn connects_anew_for_each_transaction() {
    let server = bench_server();
    runs_clean(&server, &["-i", "-q", "-s", "1"]);
    runs_clean(&server, &["-n", "-C", "-c", "4", "-j", "2", "-t", "20"]);
    assert_balanced(&server);
}

#[test]
fn keeps_foreign_keys_under_load() {
    let server = bench_server();
    runs_clean(&server, &["-i", "-q", "-s", "1", "--foreign-keys"]);
    runs_clean(
        &server,
        &["-n", "-c", "8", "-j", "2", "-t", "50", "-M", "prepared"],
    );
    assert_balanced(&server);
}

#[test]
fn runs_a_script_of_the_users_own() {
    let server = bench_server();
    runs_clean(&server, &["-i", "-q", "-s", "1"]);
    let script = server.directory().join("own.sql");
    std::fs::write(
        &script,
        "\\set aid random(1, 100000)\n\
         BEGIN;\n\
         SELECT abalance FROM pgbench_accounts WHERE aid = :aid FOR UPDATE;\n\
         UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n\
         END;\n\
         SELECT count(*) FROM pgbench_branches;\n",
    )
    .expect("the script can be written");
    let script = script.to_str().expect("a temporary path is UTF-8");
    for mode in ["simple", "extended", "prepared"] {
        runs_clean(
            &server,
            &[
                "-n", "-f", script, "-M", mode, "-c", "4", "-j", "2", "-t", "20",
            ],
        );
    }
    assert_eq!(
        server.psql("SELECT sum(abalance) FROM pgbench_accounts"),
        "240"
    );
}
