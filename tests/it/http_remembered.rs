//! A password over HTTP is hashed once a minute, and what has changed is seen at once.

use crate::http_client::{Client, basic, curl, read_head, status};
use crate::server::{TestServer, UNTHROTTLED};
use std::io::Read;
use std::time::{Duration, Instant};

const BODY: &str = "{\"sql\": \"SELECT 1\"}";

/// Asks so many times over one connection; gives how long that took.
fn ask(server: &TestServer, user: &str, times: usize, expected: &str) -> Duration {
    let mut client = Client::of(server);
    let mut reader = client.reader();
    let begun = Instant::now();
    for _ in 0..times {
        client.send(&format!(
            "POST /v1/query HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{BODY}",
            basic(user),
            BODY.len(),
        ));
        let head = read_head(&mut reader);
        assert_eq!(status(&head), expected);
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().expect("a number");
        reader.read_exact(&mut vec![0; length]).expect("the body");
    }
    begun.elapsed()
}

/// With a hundred thousand rounds each hash takes tens of milliseconds. A wrong password is hashed
/// each time; the right one is asked for a hundred times in less than half of what that would take.
#[test]
fn a_right_password_is_hashed_once_and_a_wrong_one_each_time() {
    let server = TestServer::start_configured("[auth]\nscram_iterations = 100_000\n");
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    let wrong = || ask(&server, "alice:wrong", 1, "HTTP/1.1 401 Unauthorized");
    let hash = (0..5).map(|_| wrong()).min().expect("five times");
    let right = ask(&server, "alice:right", 100, "HTTP/1.1 200 OK");
    assert!(right < hash * 50, "{right:?}, a hash takes {hash:?}");
}

#[test]
fn what_is_remembered_goes_with_the_statement_that_changes_the_user() {
    let file = format!("[server]\ncores = 2\n{UNTHROTTLED}");
    let server = TestServer::start_configured(&file);
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    let asked = |user: &str| {
        // Several connections, so that each core has a say.
        let statuses = (0..6).map(|_| curl(&server, "/v1/query", &["-u", user, "-d", BODY]).0);
        let mut statuses: Vec<u16> = statuses.collect();
        statuses.dedup();
        statuses
    };
    assert_eq!(asked("alice:right"), [200]);
    for (statement, old, new) in [
        ("ALTER USER alice WITH PASSWORD 'new'", 401, 200),
        ("ALTER USER alice WITH PASSWORD 'right'", 200, 401),
        ("ALTER USER alice DISABLE", 401, 401),
        ("ALTER USER alice ENABLE", 200, 401),
        ("ALTER USER alice VALID UNTIL '2020-01-01'", 401, 401),
        ("DROP USER alice", 401, 401),
        ("CREATE USER alice WITH PASSWORD 'new'", 401, 200),
    ] {
        server.psql(statement);
        assert_eq!(asked("alice:right"), [old], "right after {statement}");
        assert_eq!(asked("alice:new"), [new], "new after {statement}");
    }
}
