//! pg_stat_activity, pg_terminate_backend and pg_cancel_backend: who is seen and ended by whom.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use crate::wire::{Wire, query, startup};

fn log_in(server: &TestServer, user: &str, password: &str) -> Wire {
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", "nodedb")]));
    wire.authenticate(password).expect("the password is right");
    wire
}

/// The columns of each row, or `CODE message`, with warnings in front.
fn asked(wire: &mut Wire, text: &str) -> String {
    wire.send(&query(text));
    answer(wire)
}

fn answer(wire: &mut Wire) -> String {
    let replies = wire.until_ready();
    let words = replies.iter().filter_map(|reply| match reply.tag {
        'D' => {
            let columns = reply.row().into_iter().map(Option::unwrap_or_default);
            Some(columns.collect::<Vec<_>>().join("|"))
        }
        'N' => reply.field(b'M'),
        'E' => Some(format!(
            "{} {}",
            reply.field(b'C').unwrap_or_default(),
            reply.field(b'M').unwrap_or_default()
        )),
        _ => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

fn pid(wire: &Wire) -> i32 {
    i32::from_be_bytes(wire.key_data[..4].try_into().expect("four bytes"))
}

#[test]
fn whoever_is_here_is_listed_as_far_as_the_asker_may_see() {
    let server = TestServer::start();
    server.psql("CREATE USER alice PASSWORD 'pw' ROLE readwrite");
    let mut superuser = Wire::log_in(&server);
    let mut alice = log_in(&server, "alice", "pw");
    let mut again = log_in(&server, "alice", "pw");
    asked(&mut again, "BEGIN");
    let who = "SELECT usename, datname, state, backend_type, client_addr FROM pg_stat_activity \
               ORDER BY usename, state";
    assert_eq!(
        asked(&mut superuser, who),
        "alice|nodedb|idle|client backend|127.0.0.1, \
         alice|nodedb|idle in transaction|client backend|127.0.0.1, \
         nodedb|nodedb|active|client backend|127.0.0.1"
    );
    assert_eq!(
        asked(&mut alice, who),
        "alice|nodedb|active|client backend|127.0.0.1, \
         alice|nodedb|idle in transaction|client backend|127.0.0.1"
    );
    let own = "SELECT pid = pg_backend_pid(), backend_start <= now() FROM pg_stat_activity \
               WHERE pid = pg_backend_pid()";
    assert_eq!(asked(&mut alice, own), "t|t");
}

#[test]
fn sessions_are_ended_and_statements_stopped_by_those_who_may() {
    let server = TestServer::start();
    server.psql("CREATE USER alice PASSWORD 'pw' ROLE readwrite");
    server.psql("CREATE USER bob PASSWORD 'pw' ROLE tenant_admin");
    let mut superuser = log_in(&server, "nodedb", SUPERUSER_PASSWORD);
    let mut alice = log_in(&server, "alice", "pw");
    let mut bob = log_in(&server, "bob", "pw");
    let none = "PID 99 is not a PostgreSQL backend process, f";
    for (text, expected) in [
        ("SELECT pg_terminate_backend(99)", none),
        ("SELECT pg_cancel_backend(99)", none),
        ("SELECT pg_terminate_backend(NULL)", ""),
        (
            "SELECT pg_terminate_backend(99, -1)",
            "22003 \"timeout\" must not be negative",
        ),
    ] {
        assert_eq!(asked(&mut superuser, text), expected, "{text}");
    }
    let end = |wire: &Wire| format!("SELECT pg_terminate_backend({})", pid(wire));
    let unseen = format!("PID {} is not a PostgreSQL backend process, f", pid(&bob));
    assert_eq!(asked(&mut alice, &end(&bob)), unseen);
    assert_eq!(
        asked(&mut bob, &end(&superuser)),
        "42501 must be a superuser to terminate superuser process"
    );
    superuser.send(&query("SELECT pg_sleep(600)"));
    let busy =
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'nodedb'";
    let mut other = Wire::log_in(&server);
    while asked(&mut other, busy) != "2" {}
    let cancel = format!("SELECT pg_cancel_backend({})", pid(&superuser));
    assert_eq!(
        asked(&mut bob, &cancel),
        "42501 must be a superuser to cancel superuser query"
    );
    assert_eq!(asked(&mut other, &cancel), "t");
    assert_eq!(
        answer(&mut superuser),
        "57014 canceling statement due to user request"
    );
    // Waited for, it is gone.
    let waited = format!("SELECT pg_terminate_backend({}, 5000)", pid(&alice));
    assert_eq!(asked(&mut bob, &waited), "t");
    assert!(alice.text_to_end().contains("57P01"));
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice'";
    assert_eq!(asked(&mut bob, left), "0");
    other.send(&query("SELECT pg_terminate_backend(pg_backend_pid())"));
    assert!(other.text_to_end().contains("57P01"));
}
