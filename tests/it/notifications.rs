//! LISTEN and NOTIFY, from outside: in the order of commits, on every core, and bounded.

use crate::server::TestServer;
use crate::wire::{Reply, Wire, bind, execute, parse, query, startup, sync};
use std::time::{Duration, Instant};

/// What a statement came to: its tag, `CODE message`, and notifications as `channel=payload`.
fn asked(wire: &mut Wire, text: &str) -> String {
    wire.send(&query(text));
    told(&wire.until_ready())
}

fn told(replies: &[Reply]) -> String {
    let words = replies.iter().filter_map(|reply| match reply.tag {
        'C' => Some(reply.text().trim_end_matches('|').to_owned()),
        'E' => Some(format!(
            "{} {}",
            reply.field(b'C').unwrap_or_default(),
            reply.field(b'M').unwrap_or_default()
        )),
        'A' => Some(notification(reply)),
        _ => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

fn notification(reply: &Reply) -> String {
    assert_eq!(reply.tag, 'A', "{reply:?}");
    let text = String::from_utf8_lossy(&reply.body[4..]).into_owned();
    let (channel, payload) = text.split_once('\0').expect("a channel");
    format!("{channel}={}", payload.trim_end_matches('\0'))
}

/// Sessions enough that every core has some.
fn sessions(server: &TestServer, count: usize) -> Vec<Wire> {
    (0..count).map(|_| Wire::log_in(server)).collect()
}

#[test]
fn a_notification_is_told_once_committed_to_idle_sessions_of_every_core() {
    let server = TestServer::start();
    let mut all = sessions(&server, 12);
    for listener in &mut all {
        assert_eq!(asked(listener, "LISTEN news"), "LISTEN");
    }
    let mut teller = Wire::log_in(&server);
    assert_eq!(asked(&mut teller, "BEGIN"), "BEGIN");
    assert_eq!(asked(&mut teller, "NOTIFY news, 'one'"), "NOTIFY");
    assert_eq!(asked(&mut teller, "NOTIFY news, 'one'"), "NOTIFY");
    assert_eq!(
        asked(
            &mut teller,
            "SELECT pg_notify('news', 'two'), pg_notify('other', 'x')"
        ),
        "SELECT 1"
    );
    assert_eq!(asked(&mut teller, "SAVEPOINT s"), "SAVEPOINT");
    assert_eq!(asked(&mut teller, "NOTIFY news, 'never'"), "NOTIFY");
    assert_eq!(asked(&mut teller, "ROLLBACK TO s"), "ROLLBACK");
    assert_eq!(asked(&mut teller, "NOTIFY news"), "NOTIFY");
    assert_eq!(asked(&mut teller, "COMMIT"), "COMMIT");
    for listener in &mut all {
        let heard: Vec<_> = (0..3).map(|_| notification(&listener.receive())).collect();
        assert_eq!(heard, ["news=one", "news=two", "news="]);
        assert_eq!(asked(listener, "SELECT 1"), "SELECT 1", "and nothing else");
    }
}

#[test]
fn a_session_hears_itself_and_in_a_block_only_after_it() {
    let server = TestServer::start();
    let mut one = Wire::log_in(&server);
    let mut other = Wire::log_in(&server);
    for (text, expected) in [
        ("BEGIN", "BEGIN"),
        ("LISTEN a", "LISTEN"),
        ("SELECT 1 FROM pg_listening_channels()", "SELECT 0"),
        ("NOTIFY a, 'mine'", "NOTIFY"),
        ("COMMIT", "COMMIT, a=mine"),
        ("SELECT 1 FROM pg_listening_channels()", "SELECT 1"),
        ("NOTIFY a, '1'; NOTIFY a, '2'", "NOTIFY, NOTIFY, a=1, a=2"),
        ("BEGIN", "BEGIN"),
    ] {
        assert_eq!(asked(&mut one, text), expected, "{text}");
    }
    assert_eq!(asked(&mut other, "NOTIFY a, 'theirs'"), "NOTIFY");
    assert_eq!(asked(&mut one, "SELECT 2"), "SELECT 1");
    assert_eq!(asked(&mut one, "ROLLBACK"), "ROLLBACK, a=theirs");
    // A LISTEN or NOTIFY that is rolled back never was.
    for (text, expected) in [
        ("BEGIN", "BEGIN"),
        ("LISTEN b", "LISTEN"),
        ("UNLISTEN a", "UNLISTEN"),
        ("NOTIFY a, 'x'", "NOTIFY"),
        ("SELECT 1/0", "22012 division by zero"),
        ("ROLLBACK", "ROLLBACK"),
        ("NOTIFY b, 'y'; NOTIFY a, 'z'", "NOTIFY, NOTIFY, a=z"),
        ("UNLISTEN *", "UNLISTEN"),
        ("NOTIFY a, 'w'", "NOTIFY"),
        ("LISTEN \"A b\"", "LISTEN"),
        ("NOTIFY \"A b\", 'quoted'", "NOTIFY, A b=quoted"),
        ("DISCARD ALL", "DISCARD ALL"),
        ("NOTIFY \"A b\", 'gone'", "NOTIFY"),
    ] {
        assert_eq!(asked(&mut one, text), expected, "{text}");
    }
    // In the extended protocol they come with ReadyForQuery, as those of a block do.
    asked(&mut one, "LISTEN c");
    for text in ["NOTIFY c, 'p'", "SELECT 1"] {
        one.send(&parse("", text));
        one.send(&bind("", ""));
        one.send(&execute("", 0));
    }
    one.send(&sync());
    assert_eq!(told(&one.until_ready()), "NOTIFY, SELECT 1, c=p");
}

#[test]
fn what_is_no_channel_or_too_long_is_refused() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let long = "x".repeat(64);
    let much = "y".repeat(8_000);
    for (text, expected) in [
        (format!("LISTEN {long}"), "22023 channel name too long"),
        (format!("NOTIFY {long}"), "22023 channel name too long"),
        (
            format!("NOTIFY a, '{much}'"),
            "22023 payload string too long",
        ),
        (
            format!("SELECT pg_notify('a', '{much}')"),
            "22023 payload string too long",
        ),
        (
            "SELECT pg_notify('', 'x')".to_owned(),
            "22023 channel name cannot be empty",
        ),
        (
            "SELECT pg_notify(NULL, 'x')".to_owned(),
            "22023 channel name cannot be empty",
        ),
        ("SELECT pg_notify('a', NULL)".to_owned(), "SELECT 1"),
        (
            "SELECT pg_notify('a', repeat('z', 7000) || n) FROM generate_series(1, 5000) n"
                .to_owned(),
            "54000 too many notifications in the NOTIFY queue",
        ),
    ] {
        assert_eq!(asked(&mut wire, &text), expected, "{text:.60}");
    }
}

#[test]
fn another_database_hears_nothing() {
    let server = TestServer::start();
    server.psql("CREATE DATABASE elsewhere");
    let mut here = Wire::log_in(&server);
    let mut there = Wire::connect(server.pgwire());
    there.send(&startup(
        0,
        &[("user", "nodedb"), ("database", "elsewhere")],
    ));
    there
        .authenticate(crate::server::SUPERUSER_PASSWORD)
        .expect("the password is right");
    asked(&mut there, "LISTEN a");
    asked(&mut here, "LISTEN a");
    assert_eq!(asked(&mut here, "NOTIFY a, 'x'"), "NOTIFY, a=x");
    assert_eq!(asked(&mut there, "NOTIFY a, 'y'"), "NOTIFY, a=y");
    assert_eq!(asked(&mut here, "SELECT 1"), "SELECT 1");
}

/// Whoever commits later on the same row is heard later, whichever cores they are on.
#[test]
fn notifications_come_in_the_order_of_commits() {
    const SESSIONS: usize = 6;
    const TURNS: usize = 40;
    let server = TestServer::start();
    server.psql("CREATE TABLE turn (id int PRIMARY KEY, n int); INSERT INTO turn VALUES (1, 0)");
    let mut listeners = sessions(&server, 4);
    for listener in &mut listeners {
        asked(listener, "LISTEN t");
    }
    std::thread::scope(|scope| {
        for mut wire in sessions(&server, SESSIONS) {
            scope.spawn(move || {
                for _ in 0..TURNS {
                    asked(&mut wire, "BEGIN");
                    wire.send(&query("UPDATE turn SET n = n + 1 RETURNING n"));
                    let replies = wire.until_ready();
                    let row = replies.iter().find(|reply| reply.tag == 'D');
                    let n = row.expect("a row").row()[0].clone().expect("a number");
                    asked(&mut wire, &format!("NOTIFY t, '{n}'"));
                    assert_eq!(asked(&mut wire, "COMMIT"), "COMMIT");
                }
            });
        }
    });
    for listener in &mut listeners {
        for n in 1..=SESSIONS * TURNS {
            assert_eq!(notification(&listener.receive()), format!("t={n}"));
        }
    }
}

/// One that does not read costs a bounded number of bytes, holds nobody up, and is told why it ends.
#[test]
fn a_listener_that_does_not_take_its_notifications_is_ended() {
    let server = TestServer::start();
    let mut idle = Wire::log_in(&server);
    asked(&mut idle, "LISTEN flood");
    let mut blocked = Wire::log_in(&server);
    asked(&mut blocked, "LISTEN flood");
    asked(&mut blocked, "BEGIN");
    let mut teller = Wire::log_in(&server);
    let began = Instant::now();
    let pid = |wire: &Wire| i32::from_be_bytes(wire.key_data[..4].try_into().expect("four bytes"));
    let gone = [pid(&idle), pid(&blocked)];
    let text = "SELECT pg_notify('flood', repeat('x', 7000) || n) FROM generate_series(1, 1000) n";
    let listed = |teller: &mut Wire| {
        teller.send(&query("SHOW SESSIONS"));
        let replies = teller.until_ready();
        let rows = replies.iter().filter(|reply| reply.tag == 'D');
        let ids: Vec<_> = rows
            .map(|row| row.row()[0].clone().unwrap_or_default())
            .collect();
        gone.iter()
            .filter(|pid| ids.iter().any(|id| id.starts_with(&format!("{pid:x}."))))
            .count()
    };
    while listed(&mut teller) > 0 {
        assert_eq!(asked(&mut teller, text), "SELECT 1000");
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it is still there"
        );
    }
    let last = blocked.text_to_end();
    assert!(
        last.contains("too many notifications wait for it"),
        "{last:.200}"
    );
    assert!(
        server.log().contains("does not take its notifications"),
        "it is logged"
    );
}
