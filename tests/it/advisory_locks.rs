//! Advisory locks, from outside, as sqlx's and Prisma's migrators take them: waits are lock waits.

use crate::server::TestServer;
use crate::wire::{Wire, bind, execute, parse, query, startup, sync};
use std::time::{Duration, Instant};

/// The first column of each row, or `CODE message`, with warnings in front.
fn asked(wire: &mut Wire, text: &str) -> String {
    wire.send(&query(text));
    answer(wire)
}

fn answer(wire: &mut Wire) -> String {
    let replies = wire.until_ready();
    let words = replies.iter().filter_map(|reply| match reply.tag {
        'D' => Some(reply.row()[0].clone().unwrap_or_default()),
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

fn cancel(server: &TestServer, wire: &Wire) {
    let mut request = vec![0, 0, 0, 16, 4, 210, 22, 46];
    request.extend_from_slice(&wire.key_data);
    let mut sender = Wire::connect(server.pgwire());
    sender.send(&request);
    assert!(sender.closed_after().is_empty(), "nothing is answered");
}

fn is_waited_for(wire: &mut Wire, waits: usize) {
    let began = Instant::now();
    let text = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    while asked(wire, text) != waits.to_string() {
        assert!(began.elapsed() < Duration::from_secs(10), "nobody waits");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_lock_is_held_as_often_as_it_was_taken_and_listed() {
    let server = TestServer::start();
    let (mut one, mut other) = (Wire::log_in(&server), Wire::log_in(&server));
    let locks = "SELECT mode || ' ' || classid || ' ' || objid || ' ' || objsubid \
                 FROM pg_locks WHERE locktype = 'advisory' AND granted ORDER BY 1";
    for (text, expected) in [
        ("SELECT pg_advisory_lock(5)", ""),
        ("SELECT pg_advisory_lock(5)", ""),
        ("SELECT pg_advisory_lock_shared(-1)", ""),
        ("SELECT pg_advisory_lock(3, -4)", ""),
        (
            locks,
            "ExclusiveLock 0 5 1, ExclusiveLock 3 4294967292 2, ShareLock 4294967295 4294967295 1",
        ),
        ("SELECT pg_advisory_unlock(5)", "t"),
    ] {
        assert_eq!(asked(&mut one, text), expected, "{text}");
    }
    for (text, expected) in [
        ("SELECT pg_try_advisory_lock(5)", "f"),
        ("SELECT pg_try_advisory_lock(3, -4)", "f"),
        ("SELECT pg_try_advisory_lock(4)", "t"),
        ("SELECT pg_try_advisory_lock_shared(-1)", "t"),
        ("SELECT pg_try_advisory_lock(-1)", "f"),
        ("SELECT pg_advisory_lock(NULL)", ""),
        (
            "SELECT pg_advisory_unlock(5)",
            "you don't own a lock of type ExclusiveLock, f",
        ),
        (
            "SELECT pg_advisory_unlock_shared(4)",
            "you don't own a lock of type ShareLock, f",
        ),
    ] {
        assert_eq!(asked(&mut other, text), expected, "{text}");
    }
    assert_eq!(asked(&mut one, "SELECT pg_advisory_unlock(5)"), "t");
    assert_eq!(asked(&mut other, "SELECT pg_try_advisory_lock(5)"), "t");
    assert_eq!(asked(&mut one, "SELECT pg_advisory_unlock_all()"), "");
    assert_eq!(asked(&mut other, "SELECT pg_try_advisory_lock(3, -4)"), "t");
    asked(&mut other, "DISCARD ALL");
    assert_eq!(asked(&mut one, "SELECT pg_try_advisory_lock(3, -4)"), "t");
}

#[test]
fn a_transactions_lock_goes_with_it_and_with_its_savepoint() {
    let server = TestServer::start();
    let (mut one, mut other) = (Wire::log_in(&server), Wire::log_in(&server));
    for text in [
        "BEGIN",
        "SELECT pg_advisory_xact_lock(1)",
        "SAVEPOINT s",
        "SELECT pg_advisory_xact_lock(2)",
        "SELECT pg_advisory_lock(3)",
    ] {
        assert_eq!(asked(&mut one, text), "", "{text}");
    }
    // The session's own and the transaction's do not stand in each other's way.
    assert_eq!(asked(&mut one, "SELECT pg_try_advisory_lock(1)"), "t");
    assert_eq!(asked(&mut one, "SELECT pg_advisory_unlock(1)"), "t");
    let mut free = |keys: [i32; 3]| {
        keys.map(|key| {
            let got = asked(&mut other, &format!("SELECT pg_try_advisory_lock({key})"));
            asked(&mut other, "SELECT pg_advisory_unlock_all()");
            got == "t"
        })
    };
    assert_eq!(free([1, 2, 3]), [false, false, false]);
    asked(&mut one, "ROLLBACK TO s");
    assert_eq!(free([1, 2, 3]), [false, true, false]);
    asked(&mut one, "SELECT 1/0");
    assert_eq!(free([1, 2, 3]), [false, true, false]);
    asked(&mut one, "ROLLBACK");
    assert_eq!(free([1, 2, 3]), [true, true, false]);
    asked(&mut one, "SELECT pg_advisory_xact_lock(1)");
    assert_eq!(free([1, 2, 3]), [true, true, false]);
    drop(one);
    let began = Instant::now();
    while free([1, 2, 3]) != [true, true, true] {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the end releases all"
        );
    }
}

/// Many wait, each on its core; whoever unlocks needs the query pool and finds it free.
#[test]
fn any_number_of_sessions_wait_and_go_on_one_after_the_other() {
    const WAITERS: usize = 150;
    let server = TestServer::start();
    let mut holder = Wire::log_in(&server);
    asked(&mut holder, "SELECT pg_advisory_lock(7)");
    let mut waiters: Vec<_> = (0..WAITERS).map(|_| Wire::log_in(&server)).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        match number % 2 {
            0 => waiter.send(&query("BEGIN; SELECT pg_advisory_xact_lock(7); COMMIT")),
            _ => {
                waiter.send(&parse("", "SELECT pg_advisory_xact_lock(7)"));
                waiter.send(&bind("", ""));
                waiter.send(&execute("", 0));
                waiter.send(&sync());
            }
        }
    }
    is_waited_for(&mut holder, WAITERS);
    assert_eq!(asked(&mut holder, "SELECT pg_advisory_unlock(7)"), "t");
    for waiter in &mut waiters {
        assert_eq!(answer(waiter), "");
    }
}

#[test]
fn a_wait_ends_by_lock_timeout_by_a_cancel_and_by_the_holders_end() {
    let server = TestServer::start();
    let (mut holder, mut waiter) = (Wire::log_in(&server), Wire::log_in(&server));
    asked(
        &mut holder,
        "SELECT pg_advisory_lock(7), pg_advisory_lock(8)",
    );
    for text in [
        "SELECT pg_advisory_lock(7)",
        // Not to be told beforehand: it waits on the pool.
        "SELECT pg_advisory_lock(6 + 1)",
        "SELECT pg_advisory_lock_shared(n) FROM generate_series(7, 8) n",
    ] {
        asked(&mut waiter, "SET lock_timeout = '50ms'");
        assert_eq!(
            asked(&mut waiter, text),
            "55P03 canceling statement due to lock timeout",
            "{text}"
        );
        asked(
            &mut waiter,
            "SET lock_timeout = 0; SET statement_timeout = '80ms'",
        );
        assert_eq!(
            asked(&mut waiter, text),
            "57014 canceling statement due to statement timeout",
            "{text}"
        );
        asked(&mut waiter, "SET statement_timeout = 0");
        waiter.send(&query(text));
        is_waited_for(&mut holder, 1);
        cancel(&server, &waiter);
        assert_eq!(
            answer(&mut waiter),
            "57014 canceling statement due to user request",
            "{text}"
        );
    }
    waiter.send(&query("SELECT pg_advisory_lock(7)"));
    is_waited_for(&mut holder, 1);
    drop(holder);
    assert_eq!(answer(&mut waiter), "");
    assert_eq!(
        asked(&mut waiter, "SELECT count(*) FROM pg_locks WHERE granted"),
        "1"
    );
}

/// One waits for a row, the other for the lock: neither would ever go on.
#[test]
fn a_deadlock_of_an_advisory_lock_and_a_row_is_found() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0)");
    let (mut one, mut other) = (Wire::log_in(&server), Wire::log_in(&server));
    for text in ["SELECT pg_advisory_lock(7)", "BEGIN"] {
        asked(&mut one, text);
    }
    for text in ["BEGIN", "UPDATE t SET n = 1 WHERE id = 1"] {
        asked(&mut other, text);
    }
    one.send(&query("UPDATE t SET n = 2 WHERE id = 1"));
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    other.send(&query("SELECT pg_advisory_xact_lock(7)"));
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let got = answer(&mut one);
            asked(&mut one, "ROLLBACK; SELECT pg_advisory_unlock_all()");
            got
        });
        let second = scope.spawn(|| {
            let got = answer(&mut other);
            asked(&mut other, "ROLLBACK");
            got
        });
        (
            first.join().expect("it ends"),
            second.join().expect("it ends"),
        )
    });
    let deadlocks = [&first, &second].map(|got| usize::from(got.starts_with("40P01")));
    assert_eq!(deadlocks.iter().sum::<usize>(), 1, "{first:?} {second:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn each_database_has_locks_of_its_own() {
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
    asked(&mut here, "SELECT pg_advisory_lock(1)");
    assert_eq!(asked(&mut there, "SELECT pg_try_advisory_lock(1)"), "t");
    assert_eq!(asked(&mut there, "SELECT count(*) FROM pg_locks"), "1");
}
