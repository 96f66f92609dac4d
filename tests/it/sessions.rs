//! Who is here, and who must go: SHOW SESSIONS, KILL SESSION, SHOW REVOCATIONS, and sessions that end by
//! the clock.

use crate::http_client::{Client, basic, status};
use crate::native_wire::Native;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use crate::wire::{Reply, Wire, query, startup};
use serde_json::json;
use std::thread;
use std::time::Duration;

fn two_cores() -> TestServer {
    TestServer::start_with(&[("NODEDB_CORES", "2")])
}

/// A session of this user, whose password is `pw`.
fn log_in(server: &TestServer, user: &str) -> Wire {
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", "nodedb")]));
    wire.authenticate("pw").expect("it is let in");
    wire
}

/// The rows that psql shows this user, a line each.
fn shown(server: &TestServer, user: &str, sql: &str) -> Vec<String> {
    let done = server.psql_as(user, "pw", "nodedb", sql);
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{sql}: {complaint}");
    let rows = String::from_utf8_lossy(&done.stdout);
    rows.lines().map(str::to_owned).collect()
}

/// psql's first line of complaint.
fn refused(server: &TestServer, user: &str, sql: &str) -> String {
    let done = server.psql_as(user, "pw", "nodedb", sql);
    assert!(!done.status.success(), "{sql} was let through");
    let text = String::from_utf8_lossy(&done.stderr);
    text.lines().next().unwrap_or_default().to_owned()
}

/// The rows of SHOW SESSIONS that the superuser sees of a user, each cut into its columns.
fn sessions_of(server: &TestServer, user: &str) -> Vec<Vec<String>> {
    let rows = server.psql("SHOW SESSIONS");
    let rows = rows.lines().map(|row| row.split('|').map(str::to_owned));
    let rows = rows.map(Iterator::collect::<Vec<String>>);
    rows.filter(|row| row[1] == user).collect()
}

/// Waits until the superuser sees exactly so many sessions of a user; gives them.
fn until_sessions(server: &TestServer, user: &str, count: usize) -> Vec<Vec<String>> {
    for _ in 0..400 {
        let found = sessions_of(server, user);
        if found.len() == count {
            return found;
        }
        thread::sleep(Duration::from_millis(25));
    }
    panic!("{:?}", sessions_of(server, user));
}

/// The SQLSTATE and text of the last thing that a session is told before its connection is closed.
fn last_word(wire: &mut Wire) -> (String, String) {
    let mut last: Option<Reply> = None;
    while let Some(reply) = wire.try_receive() {
        last = Some(reply);
    }
    let last = last.expect("it is told why");
    let field = |code| last.field(code).unwrap_or_default();
    (field(b'C'), field(b'M'))
}

#[test]
fn show_sessions_tells_who_is_here_how_they_came_and_what_they_do() {
    let server = two_cores();
    server.psql("CREATE USER alice WITH PASSWORD 'pw'");
    let mut idle = log_in(&server, "alice");
    let mut in_block = log_in(&server, "alice");
    in_block.run("BEGIN");
    let mut failed = log_in(&server, "alice");
    failed.run("BEGIN");
    failed.run("SELECT 1/0");
    let mut native = Native::log_in(&server, "alice", "pw");
    let mut http = Client::of(&server);
    let body = json!({"sql": "SELECT pg_sleep(60)"}).to_string();
    let authorization = basic("alice:pw");
    let length = body.len();
    http.send(&format!(
        "POST /v1/query HTTP/1.1\r\nHost: x\r\n{authorization}Content-Length: {length}\r\n\r\n{body}"
    ));

    let rows = until_sessions(&server, "alice", 5);
    let mut seen: Vec<String> = (rows.iter())
        .map(|row| format!("{} by {} at {}: {}", row[3], row[2], row[5], row[8]))
        .collect();
    seen.sort();
    let expected = [
        "http by password at nodedb: active",
        "native by password at nodedb: idle",
        "pgwire by scram-sha-256 at nodedb: idle",
        "pgwire by scram-sha-256 at nodedb: idle in transaction",
        "pgwire by scram-sha-256 at nodedb: idle in transaction (aborted)",
    ];
    assert_eq!(seen, expected);
    let ids: std::collections::BTreeSet<&String> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(ids.len(), 5, "each has an id of its own");
    for row in &rows {
        assert_eq!(row[4], "127.0.0.1", "{row:?}");
        assert!(["0", "1"].contains(&&*row[6]), "{row:?}");
        assert!(row[7].starts_with("20"), "{row:?}");
        assert!(row[9].parse::<u64>().is_ok(), "{row:?}");
    }
    let cores: std::collections::BTreeSet<&String> = rows.iter().map(|row| &row[6]).collect();
    assert_eq!(cores.len(), 2, "both cores have answered");
    // They come in the order that they came in, whichever core has them.
    assert!(rows.is_sorted_by_key(|row| &row[7]));
    // The same over the other protocols.
    let listed = native.rows("SHOW SESSIONS");
    let listed = listed.as_array().expect("rows");
    assert!(
        listed
            .iter()
            .any(|row| row[8] == "active" && row[3] == "native")
    );
    drop(http);
    until_sessions(&server, "alice", 4);
    assert_eq!(
        idle.run("SELECT 1"),
        "T D C:SELECT 1 Z:I",
        "none is the worse for it"
    );
}

#[test]
fn whoever_looks_sees_no_more_than_their_own_tenant_and_the_lowest_their_own_sessions() {
    let server = two_cores();
    for statement in [
        "CREATE USER alice WITH PASSWORD 'pw' ROLE readonly",
        "CREATE USER bob WITH PASSWORD 'pw'",
        "CREATE USER overseer WITH PASSWORD 'pw' ROLE admin",
        "CREATE USER far WITH PASSWORD 'pw' ROLE tenant_admin TENANT 42",
        "CREATE USER farther WITH PASSWORD 'pw' TENANT 42",
    ] {
        server.psql(statement);
    }
    let _sessions = ["alice", "bob", "farther"].map(|user| log_in(&server, user));
    let seen_by = |user: &str| {
        let rows = shown(&server, user, "SHOW SESSIONS");
        let names = rows.iter().filter_map(|row| row.split('|').nth(1));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names.join(" ")
    };
    assert_eq!(seen_by("alice"), "alice");
    assert_eq!(seen_by("bob"), "bob");
    assert_eq!(seen_by("overseer"), "alice bob overseer");
    assert_eq!(seen_by("far"), "far farther");
    let all = server.psql("SHOW SESSIONS");
    for user in ["alice", "bob", "farther", "nodedb"] {
        assert!(all.contains(&format!("|{user}|")), "{all}");
    }
    // Another tenant's session cannot be told from one that is not there.
    let of_farther = &sessions_of(&server, "farther")[0][0];
    let of_nobody = "3fffff.1";
    for user in ["alice", "overseer"] {
        for id in [&**of_farther, of_nobody] {
            assert_eq!(
                refused(&server, user, &format!("KILL SESSION '{id}'")),
                format!("ERROR:  session \"{id}\" does not exist")
            );
        }
    }
}

#[test]
fn kill_session_ends_it_whatever_it_is_doing() {
    let server = two_cores();
    server.psql("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0)");
    server.psql("CREATE USER alice WITH PASSWORD 'pw'");
    let holder = &mut Wire::log_in(&server);
    holder.run("BEGIN");
    holder.run("UPDATE t SET n = 1");

    let mut idle = log_in(&server, "alice");
    let mut in_block = log_in(&server, "alice");
    in_block.run("BEGIN");
    let mut sleeping = log_in(&server, "alice");
    sleeping.send(&query("SELECT pg_sleep(60)"));
    let mut waiting = log_in(&server, "alice");
    waiting.send(&query("UPDATE t SET n = 2"));
    let mut copying = log_in(&server, "alice");
    copying.send(&query("COPY t FROM STDIN"));
    // Reads nothing of what it is sent.
    let mut slow = log_in(&server, "alice");
    slow.send(&query(
        "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)",
    ));
    server.until_lock_waits(1);
    for session in until_sessions(&server, "alice", 6) {
        server.psql(&format!("KILL SESSION '{}'", session[0]));
    }
    assert_eq!(sessions_of(&server, "alice"), Vec::<Vec<String>>::new());
    for (wire, doing) in [
        (&mut idle, "idle"),
        (&mut in_block, "idle in transaction"),
        (&mut sleeping, "running"),
        (&mut waiting, "waiting for a lock"),
        (&mut copying, "in COPY"),
    ] {
        let (code, message) = last_word(wire);
        assert_eq!(code, "57P01", "{doing}");
        let expected = "terminating connection due to administrator command";
        assert_eq!(message, expected, "{doing}");
    }
    holder.run("COMMIT");
    assert_eq!(
        server.psql("SELECT n FROM t"),
        "1",
        "what they began is undone"
    );
}

#[test]
fn kill_session_is_for_ones_own_for_a_tenants_admin_and_for_superusers() {
    let server = two_cores();
    for statement in [
        "CREATE USER alice WITH PASSWORD 'pw'",
        "CREATE USER bob WITH PASSWORD 'pw'",
        "CREATE USER overseer WITH PASSWORD 'pw' ROLE admin",
        "CREATE USER head WITH PASSWORD 'pw' ROLE tenant_admin",
    ] {
        server.psql(statement);
    }
    let mut of_alice = log_in(&server, "alice");
    let _of_root = Wire::log_in(&server);
    let alices = sessions_of(&server, "alice").remove(0).remove(0);
    let roots = sessions_of(&server, "nodedb").remove(0).remove(0);
    for user in ["bob", "overseer"] {
        let said = refused(&server, user, &format!("KILL SESSION '{alices}'"));
        assert_eq!(said, format!("ERROR:  session \"{alices}\" does not exist"));
    }
    assert_eq!(
        refused(&server, "head", &format!("KILL SESSION '{roots}'")),
        "ERROR:  must be superuser to end the session of a superuser"
    );
    let error = server.psql_error("KILL SESSION 'alice'");
    assert!(
        error.contains("22023: invalid session id: \"alice\""),
        "{error}"
    );
    assert!(error.contains("HINT:  SHOW SESSIONS lists"), "{error}");
    let error = server.psql_error("KILL SESSION");
    assert!(error.contains("42601"), "{error}");
    // Her own, from another of her sessions; then a tenant_admin's word for hers.
    shown(&server, "alice", &format!("KILL SESSION '{alices}'"));
    assert_eq!(last_word(&mut of_alice).0, "57P01");
    let mut of_alice = log_in(&server, "alice");
    let alices = until_sessions(&server, "alice", 1).remove(0).remove(0);
    shown(&server, "head", &format!("KILL SESSION '{alices}'"));
    assert_eq!(last_word(&mut of_alice).0, "57P01");
    // Killing oneself ends as any other end does.
    let mut own = Wire::log_in(&server);
    own.send(&query("SHOW SESSIONS"));
    let rows = own.until_ready();
    let newest = rows.iter().rfind(|it| it.tag == 'D');
    let id = newest
        .expect("its own at least")
        .row()
        .remove(0)
        .expect("an id");
    own.send(&query(&format!("KILL SESSION '{id}'")));
    assert_eq!(last_word(&mut own).0, "57P01");
}

#[test]
fn a_revoking_statement_says_how_many_sessions_it_has_ended_and_show_revocations_keeps_it() {
    let server = two_cores();
    server.psql("CREATE USER head WITH PASSWORD 'pw' ROLE tenant_admin TENANT 42");
    server.psql("CREATE USER carol WITH PASSWORD 'pw' TENANT 42");
    server.psql("CREATE USER alice WITH PASSWORD 'pw'");
    let notice_of = |sql: &str| {
        let done = server.psql_as("nodedb", SUPERUSER_PASSWORD, "nodedb", sql);
        assert!(done.status.success(), "{sql}: {done:?}");
        String::from_utf8_lossy(&done.stderr).trim_end().to_owned()
    };
    let _many: Vec<Wire> = (0..8).map(|_| log_in(&server, "alice")).collect();
    let told = notice_of("ALTER USER alice DISABLE");
    let (told, time) = told.split_once(" in ").expect("it says how long it took");
    assert_eq!(told, "NOTICE:  8 sessions ended on 2 cores");
    assert!(time.ends_with(" ms"), "{time}");
    assert_eq!(notice_of("DROP USER alice"), "", "nobody was here");
    let _one = log_in(&server, "carol");
    let told = notice_of("DROP USER carol");
    assert!(
        told.starts_with("NOTICE:  1 session ended on 2 cores"),
        "{told}"
    );
    let _one = log_in(&server, "head");
    let killed = sessions_of(&server, "head").remove(0).remove(0);
    server.psql(&format!("KILL SESSION '{killed}'"));

    let rows = server.psql("SHOW REVOCATIONS");
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split('|').collect()).collect();
    let brief: Vec<String> = (rows.iter())
        .map(|row| {
            format!(
                "{} {} by {} in {}: {}",
                row[1], row[2], row[3], row[4], row[6]
            )
        })
        .collect();
    let expected = [
        format!("KILL SESSION {killed} of head by nodedb in 42: 1"),
        "DROP USER carol by nodedb in 0: 1".to_owned(),
        "DROP USER alice by nodedb in 0: 0".to_owned(),
        "ALTER USER alice DISABLE by nodedb in 0: 8".to_owned(),
    ];
    assert_eq!(brief, expected);
    let disabled = &rows[3];
    assert!(
        disabled[5].parse::<u64>().is_ok(),
        "the epoch: {disabled:?}"
    );
    assert!(
        disabled[8].parse::<f64>().is_ok_and(|took| took > 0.0),
        "{disabled:?}"
    );
    let cores = disabled[9];
    assert!(
        cores.starts_with("0: ") && cores.contains(", 1: "),
        "{cores}"
    );
    assert!(server.metric("revocation_seconds_count") >= 2);
    // A tenant's own are its tenant_admin's business, and nobody's below.
    let seen = shown(&server, "head", "SHOW REVOCATIONS");
    assert_eq!(seen.len(), 1, "{seen:?}");
    server.psql("CREATE USER bob WITH PASSWORD 'pw' ROLE admin");
    let said = refused(&server, "bob", "SHOW REVOCATIONS");
    assert_eq!(said, "ERROR:  permission denied to show revocations");
}

#[test]
fn a_session_that_has_gone_to_where_it_was_ends_with_its_user_all_the_same() {
    let server = two_cores();
    server.psql("CREATE USER boss WITH PASSWORD 'pw' ROLE superuser");
    let mut wire = log_in(&server, "boss");
    assert_eq!(wire.run("SET tenant = 0"), "C:SET Z:I");
    server.psql("ALTER USER boss DISABLE");
    let (code, message) = last_word(&mut wire);
    assert_eq!(code, "57P01");
    let expected = "terminating connection because its user was disabled";
    assert_eq!(message, expected);
}

#[test]
fn a_statement_whose_rights_are_narrowed_is_counted_apart_from_sessions() {
    let server = two_cores();
    server.psql("CREATE USER alice WITH PASSWORD 'pw' ROLE admin");
    let mut running = log_in(&server, "alice");
    running.send(&query("SELECT pg_sleep(60)"));
    let is_active = || sessions_of(&server, "alice")[0][8] == "active";
    while !is_active() {
        thread::sleep(Duration::from_millis(10));
    }
    let sql = "ALTER USER alice SET ROLE readonly";
    let done = server.psql_as("nodedb", SUPERUSER_PASSWORD, "nodedb", sql);
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(
        told.starts_with("NOTICE:  1 statement cancelled on 2 cores in "),
        "{told}"
    );
    let replies = running.until_ready();
    assert_eq!(
        replies[replies.len() - 2].field(b'C').as_deref(),
        Some("57014")
    );
}

#[test]
fn sessions_end_at_valid_until_without_anybody_asking_and_one_that_is_put_off_goes_on() {
    let server = two_cores();
    server.psql("CREATE USER alice WITH PASSWORD 'pw'");
    server.psql("CREATE USER bob WITH PASSWORD 'pw'");
    let in_two_seconds = "ALTER USER %u VALID UNTIL ";
    let until = |user: &str, time: &str| {
        let time = server.psql(&format!("SELECT ({time})::text"));
        server.psql(&(in_two_seconds.replace("%u", user) + &format!("'{time}'")));
    };
    until("alice", "now() + interval '2 seconds'");
    until("bob", "now() + interval '2 seconds'");
    let mut of_alice = log_in(&server, "alice");
    let mut of_bob = log_in(&server, "bob");
    let mut busy = log_in(&server, "alice");
    busy.send(&query("SELECT pg_sleep(60)"));
    until("bob", "now() + interval '1 hour'");
    let (code, message) = last_word(&mut of_alice);
    let expected = "terminating connection because its credential has expired";
    assert_eq!((&*code, &*message), ("57P01", expected));
    assert_eq!(last_word(&mut busy).0, "57P01");
    assert_eq!(of_bob.run("SELECT 1"), "T D C:SELECT 1 Z:I");
    // Nobody's revocation counts what the clock has ended.
    let told = server.psql("SHOW REVOCATIONS");
    assert!(
        told.lines().all(|row| row.split('|').nth(6) == Some("0")),
        "{told}"
    );
    let mut refused = Client::of(&server);
    let body = json!({"sql": "SELECT 1"}).to_string();
    let (authorization, length) = (basic("alice:pw"), body.len());
    refused.send(&format!(
        "POST /v1/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\
         Content-Length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(status(&refused.read_to_end()), "HTTP/1.1 401 Unauthorized");
}
