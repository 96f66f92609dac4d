//! Failed log-ins as those who make them meet them, and those who do not: over all three protocols.

use crate::http_client::curl;
use crate::native_wire::Native;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use crate::wire::{Reply, Wire, startup};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const BODY: &str = "{\"sql\": \"SELECT 1\"}";

/// Loopback has more addresses than one.
fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 7, number)
}

/// A log-in over PostgreSQL's protocol from an address.
fn log_in(server: &TestServer, from: Ipv4Addr, user: &str, password: &str) -> Result<Wire, Reply> {
    let mut wire = Wire::connect_from(from, server.pgwire());
    wire.send(&startup(0, &[("user", user), ("database", "nodedb")]));
    wire.authenticate(password).map(|()| wire)
}

/// The code that a log-in is refused with, and what it is told to do.
fn refusal(
    server: &TestServer,
    from: Ipv4Addr,
    user: &str,
    password: &str,
) -> (String, Option<String>) {
    let error = log_in(server, from, user, password).map(|_| ());
    let error = error.expect_err("it is refused");
    assert_eq!(error.field(b'S').as_deref(), Some("FATAL"));
    (error.field(b'C').expect("a code"), error.field(b'H'))
}

/// A request with a name and a password over HTTP from an address: its status, and Retry-After.
fn ask(server: &TestServer, from: Ipv4Addr, user: &str) -> (u16, Option<u32>) {
    let from = from.to_string();
    let arguments = ["-i", "--interface", &from, "-u", user, "-d", BODY];
    let (status, reply) = curl(server, "/v1/query", &arguments);
    let after = reply
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "));
    let after = after.map(|it| it.trim().parse().expect("a number"));
    (status, after)
}

#[test]
fn ten_wrong_passwords_close_a_name_for_an_address_and_for_no_other() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    let here = host(1);
    for user in ["alice", "nobody"] {
        for _ in 0..10 {
            let (code, _) = refusal(&server, here, user, "wrong");
            assert_eq!(code, "28P01");
        }
        for password in ["wrong", "right"] {
            let (code, hint) = refusal(&server, here, user, password);
            assert_eq!(code, "53300", "{user} {password}");
            let hint = hint.expect("a hint");
            let seconds = hint.strip_prefix("Try again in ").expect("a time");
            let seconds: u32 = seconds
                .split(' ')
                .next()
                .expect("a number")
                .parse()
                .expect("a number");
            assert!((1..=60).contains(&seconds), "{hint}");
        }
    }
    // The same count over the other protocols.
    let (status, after) = ask(&server, here, "alice:right");
    assert_eq!(status, 429);
    assert!(
        after.is_some_and(|seconds| (2..=60).contains(&seconds)),
        "{after:?}"
    );
    assert!(log_in(&server, host(2), "alice", "right").is_ok());
    assert!(log_in(&server, here, "nodedb", SUPERUSER_PASSWORD).is_ok());
    assert_eq!(server.psql("SELECT 1"), "1");
}

#[test]
fn the_native_protocol_and_http_count_together_and_the_window_ends() {
    let server =
        TestServer::start_configured("[auth.throttle]\nper_name_failures = 4\nwindow_secs = 3\n");
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    let began = Instant::now();
    let native = |password: &str| {
        let reply = Native::greeted(&server, 0).auth("alice", password, None);
        reply["error"]["code"].as_str().map(str::to_owned)
    };
    let home = Ipv4Addr::LOCALHOST;
    for _ in 0..2 {
        assert_eq!(native("wrong").as_deref(), Some("28P01"));
        assert_eq!(ask(&server, home, "alice:wrong").0, 401);
    }
    let closed = native("right");
    let (status, after) = ask(&server, home, "alice:right");
    // On a machine so slow that the window has ended meanwhile there is nothing to see.
    if began.elapsed() < Duration::from_secs(2) {
        assert_eq!(closed.as_deref(), Some("53300"));
        assert_eq!(status, 429);
        assert!(after.is_some_and(|seconds| seconds <= 3), "{after:?}");
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while native("right").is_some() {
        assert!(Instant::now() < deadline, "the window never ends");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(ask(&server, home, "alice:right").0, 200);
}

#[test]
fn bad_keys_close_an_address_for_passwords_it_does_not_know_and_good_ones_go_on() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    server.psql("CREATE USER bob WITH PASSWORD 'right'");
    let key = server.psql("CREATE API KEY 'mine' FOR alice");
    let here = host(1);
    assert!(log_in(&server, here, "alice", "right").is_ok());
    let from = here.to_string();
    let by_key = |key: &str| {
        let field = format!("Authorization: Bearer {key}");
        let arguments = ["--interface", &from, "-H", &field, "-d", BODY];
        curl(&server, "/v1/query", &arguments).0
    };
    let (id, _) = key.split_once('.').expect("an id and a secret");
    let bad = format!("{id}.{}", "A".repeat(43));
    for _ in 0..30 {
        assert_eq!(by_key(&bad), 401);
    }
    assert_eq!(by_key(&bad), 429);
    assert_eq!(by_key("no.token"), 429);
    assert_eq!(refusal(&server, here, "bob", "right").0, "53300");
    // Somebody else's failures lock nobody out.
    assert_eq!(by_key(&key), 200);
    assert!(log_in(&server, here, "alice", "right").is_ok());
    assert!(log_in(&server, host(2), "bob", "right").is_ok());
}

#[test]
fn guesses_from_elsewhere_delay_the_answer_and_lock_nobody_out() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    assert!(log_in(&server, host(200), "alice", "right").is_ok());
    // At once, or the window would end before their delays do.
    std::thread::scope(|scope| {
        for number in 0..60 {
            let server = &server;
            scope.spawn(move || {
                let (code, _) = refusal(server, host(number), "alice", "wrong");
                assert_eq!(code, "28P01");
            });
        }
    });
    let timed = |from, user: &str, password: &str| {
        let began = Instant::now();
        let is_in = log_in(&server, from, user, password).is_ok();
        (is_in, began.elapsed())
    };
    let (is_in, took) = timed(host(100), "alice", "right");
    assert!(is_in, "she is");
    assert!(took >= Duration::from_millis(1_900), "{took:?}");
    let (is_in, took) = timed(host(101), "alice", "wrong");
    assert!(!is_in);
    assert!(
        took >= Duration::from_millis(1_900),
        "a guess learns nothing: {took:?}"
    );
    // Where she has logged in from, and whoever nobody guesses at.
    let (is_in, took) = timed(host(200), "alice", "right");
    assert!(is_in && took < Duration::from_millis(1_500), "{took:?}");
    let (is_in, took) = timed(host(102), "nodedb", SUPERUSER_PASSWORD);
    assert!(is_in && took < Duration::from_millis(1_500), "{took:?}");
}

#[test]
fn failing_statements_and_databases_out_of_reach_never_count() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    server.psql("CREATE DATABASE other");
    for _ in 0..40 {
        server.psql_error("CREATE TABLE t (id no_such_type)");
    }
    for _ in 0..12 {
        for database in ["other", "nowhere"] {
            let done = server.psql_as("alice", "right", database, "SELECT 1");
            assert!(!done.status.success());
        }
    }
    assert!(log_in(&server, Ipv4Addr::LOCALHOST, "alice", "right").is_ok());
    assert_eq!(
        refusal(&server, Ipv4Addr::LOCALHOST, "nobody", "x").0,
        "28P01"
    );
}

/// A request over HTTP by what a proxy says of its client: the status.
fn forwarded(server: &TestServer, user: &str, client: &str) -> u16 {
    let field = format!("X-Forwarded-For: {client}");
    curl(server, "/v1/query", &["-u", user, "-H", &field, "-d", BODY]).0
}

#[test]
fn behind_a_trusted_proxy_a_client_counts_for_itself_and_nobody_else_says_where_they_are() {
    let server = TestServer::start_configured("[server.http]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    for _ in 0..10 {
        assert_eq!(forwarded(&server, "alice:wrong", "192.0.2.1"), 401);
    }
    // What a client writes itself stands further left, and counts for nothing.
    assert_eq!(
        forwarded(&server, "alice:right", "192.0.2.9, 192.0.2.1"),
        429
    );
    assert_eq!(forwarded(&server, "alice:right", "192.0.2.2"), 200);
    let key = server.psql("CREATE API KEY k FOR alice WITH IPS ('192.0.2.0/24')");
    let by_key = |client: &str| {
        let fields = [
            format!("X-Forwarded-For: {client}"),
            format!("Authorization: Bearer {key}"),
        ];
        let arguments = ["-H", &fields[0], "-H", &fields[1], "-d", BODY];
        curl(&server, "/v1/query", &arguments).0
    };
    assert_eq!(by_key("192.0.2.2"), 200);
    assert_eq!(by_key("198.51.100.1"), 401);
    let metrics = |client: &str| {
        let field = format!("X-Forwarded-For: {client}");
        curl(&server, "/metrics", &["-H", &field]).0
    };
    assert_eq!(metrics("192.0.2.2"), 401, "it is not of this machine");
    assert_eq!(curl(&server, "/metrics", &[]).0, 200);
    let untrusting = TestServer::start();
    untrusting.psql("CREATE USER alice WITH PASSWORD 'right'");
    for number in 0..10 {
        let client = format!("192.0.2.{number}");
        assert_eq!(forwarded(&untrusting, "alice:wrong", &client), 401);
    }
    assert_eq!(forwarded(&untrusting, "alice:right", "192.0.2.99"), 429);
}

/// A header of the PROXY protocol for a client at this address.
fn proxied(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend(client);
    header.extend([127, 0, 0, 1, 0x12, 0x34, 0x19, 0x20]);
    header
}

#[test]
fn behind_a_proxy_that_sends_headers_every_protocol_knows_its_client() {
    let file = "[server]\nproxy_protocol = [\"127.0.7.0/24\"]\n";
    let server = TestServer::start_configured(file);
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    let through = |client: [u8; 4], password: &str| {
        let mut wire = Wire::connect_from(host(1), server.pgwire());
        wire.send(&proxied(client));
        wire.send(&startup(0, &[("user", "alice"), ("database", "nodedb")]));
        let error = wire.authenticate(password).err();
        error.and_then(|error| error.field(b'C'))
    };
    for _ in 0..10 {
        assert_eq!(through([192, 0, 2, 1], "wrong").as_deref(), Some("28P01"));
    }
    assert_eq!(through([192, 0, 2, 1], "right").as_deref(), Some("53300"));
    assert_eq!(through([192, 0, 2, 2], "right"), None);
    assert!(
        server.log().contains("peer=192.0.2.1:4660"),
        "{}",
        server.log()
    );
    // In one packet with what follows, over another protocol.
    let mut http = Wire::connect_from(host(1), server.http());
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    http.send(&[proxied([192, 0, 2, 2]), request.to_vec()].concat());
    assert!(http.text_to_end().starts_with("HTTP/1.1 401 "));
    // Who comes from there must begin so, and whoever comes from elsewhere must not.
    let mut bare = Wire::connect_from(host(1), server.pgwire());
    bare.send(&startup(0, &[("user", "alice")]));
    assert_eq!(bare.text_to_end(), "");
    let mut forged = Wire::connect(server.http());
    forged.send(&[proxied([192, 0, 2, 2]), request.to_vec()].concat());
    assert!(forged.text_to_end().starts_with("HTTP/1.1 400 "));
}
