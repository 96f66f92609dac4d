//! The PostgreSQL protocol, message by message, on a real server.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use crate::wire::{
    Wire, bind, close, describe, execute, message, parse, query, startup, summary, sync,
};
use std::time::Duration;

#[test]
fn encryption_is_declined_and_the_log_in_goes_on_however_it_is_cut() {
    let server = TestServer::start();
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&[0, 0, 0, 8, 4, 210, 22, 48]);
    assert_eq!(wire.receive_byte(), b'N');
    wire.dribble(&[0, 0, 0, 8, 4, 210, 22, 47]);
    assert_eq!(wire.receive_byte(), b'N');
    wire.dribble(&startup(
        0,
        &[("user", "nodedb"), ("application_name", "t")],
    ));
    wire.authenticate(SUPERUSER_PASSWORD).expect("logged in");
    assert_eq!(wire.key_data.len(), 8, "a number and 3.0's key");
    let told: Vec<String> = wire.welcome.iter().map(|reply| reply.text()).collect();
    for expected in [
        "server_version|15.0 (NodeDB ",
        "server_encoding|UTF8|",
        "client_encoding|UTF8|",
        "DateStyle|ISO, MDY|",
        "IntervalStyle|postgres|",
        "TimeZone|UTC|",
        "integer_datetimes|on|",
        "standard_conforming_strings|on|",
        "application_name|t|",
        "is_superuser|on|",
        "session_authorization|nodedb|",
        "in_hot_standby|off|",
        "default_transaction_read_only|off|",
    ] {
        assert!(
            told.iter().any(|text| text.starts_with(expected)),
            "{expected} in {told:?}"
        );
    }
    wire.dribble(&query(""));
    assert_eq!(summary(&wire.until_ready()), "I Z:I");
}

#[test]
fn newer_minor_versions_are_negotiated_and_3_2_has_long_cancel_keys() {
    let server = TestServer::start();
    let user = ("user", "nodedb");
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(2, &[user]));
    wire.authenticate(SUPERUSER_PASSWORD).expect("logged in");
    assert_eq!(wire.key_data.len(), 4 + 32);
    assert!(wire.welcome.iter().all(|reply| reply.tag != 'v'));

    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(9999, &[user, ("_pq_.wonder", "1")]));
    wire.authenticate(SUPERUSER_PASSWORD).expect("logged in");
    let negotiated = wire.welcome.iter().find(|reply| reply.tag == 'v');
    let negotiated = negotiated.expect("NegotiateProtocolVersion");
    assert_eq!(negotiated.body, b"\0\x03\0\x02\0\0\0\x01_pq_.wonder\0");
    assert_eq!(wire.key_data.len(), 4 + 32);
}

#[test]
fn malformed_first_packets_get_one_error_and_a_closed_connection() {
    let server = TestServer::start();
    for (packet, code) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "08P01"),
        (vec![0, 0, 0, 7, 0, 3, 0], "08P01"),
        (vec![0, 1, 0, 1, 0, 3, 0, 0], "08P01"),
        (vec![0, 0, 0, 9, 0, 2, 0, 0, 0], "0A000"),
        (vec![0, 0, 0, 10, 0, 3, 0, 0, b'u', b's'], "08P01"),
        (startup(0, &[("database", "nodedb")]), "28000"),
        (startup(0, &[("user", "a"), ("options", "-x")]), "42601"),
        (vec![0x16, 3, 1, 0, 5], "08P01"),
    ] {
        let mut wire = Wire::connect(server.pgwire());
        wire.send(&packet);
        let last = wire.closed_after();
        assert_eq!(summary(&last), format!("E:{code}"), "{packet:?}");
        assert_eq!(last[0].field(b'S').as_deref(), Some("FATAL"));
    }
}

#[test]
fn malformed_sasl_messages_get_one_error_and_a_closed_connection() {
    let server = TestServer::start();
    for (sasl, code) in [
        (message('p', b"SCRAM-SHA-1\0\0\0\0\x03n,,"), "08P01"),
        (message('p', b"SCRAM-SHA-256\0\0\0\0\x03n,,"), "08P01"),
        (message('p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"), "08P01"),
        (message('p', b""), "08P01"),
        (message('Q', b"SELECT 1\0"), "08P01"),
        (vec![b'p', 0, 1, 0, 1], "08P01"),
        (vec![b'p', 0, 0, 0, 3], "08P01"),
    ] {
        let mut wire = Wire::connect(server.pgwire());
        wire.send(&startup(0, &[("user", "nodedb")]));
        assert_eq!(wire.receive().tag, 'R');
        wire.send(&sasl);
        assert_eq!(
            summary(&wire.closed_after()),
            format!("E:{code}"),
            "{sasl:?}"
        );
    }
}

#[test]
fn unknown_users_get_the_same_messages_as_a_wrong_password() {
    let server = TestServer::start();
    let refusal = |user: &str| {
        let mut wire = Wire::connect(server.pgwire());
        wire.send(&startup(0, &[("user", user)]));
        let refusal = wire.authenticate("wrong").expect_err("refused");
        assert!(wire.closed_after().is_empty());
        (
            refusal.field(b'C'),
            refusal.field(b'M').map(|text| text.replace(user, "?")),
        )
    };
    let known = refusal("nodedb");
    assert_eq!(known.0.as_deref(), Some("28P01"));
    assert_eq!(known, refusal("nobody"));
}

#[test]
fn a_protocol_violation_after_the_log_in_ends_the_session() {
    let server = TestServer::start();
    for bytes in [message('~', b""), vec![b'Q', 0, 0, 0, 3]] {
        let mut wire = Wire::log_in(&server);
        wire.send(&bytes);
        assert_eq!(summary(&wire.closed_after()), "E:08P01", "{bytes:?}");
    }
    let mut wire = Wire::log_in(&server);
    wire.send(&[b'Q', 0x7f, 0xff, 0xff, 0xff]);
    let last = wire.closed_after();
    assert_eq!(summary(&last), "E:08P01");
    let said = last[0].field(b'M').expect("a message");
    assert!(said.contains("exceeds the limit"), "{said}");
}

#[test]
fn a_message_with_a_bad_body_is_an_error_and_the_session_goes_on() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let bad_query = message('Q', b"no zero byte");
    assert_eq!(wire.exchange(&bad_query), "E:08P01 Z:I");
    let bad_text = message('Q', b"SELECT '\xff'\0");
    assert_eq!(wire.exchange(&bad_text), "E:22021 Z:I");
    let bad_bind = [message('B', b"\0\0\0\x09"), execute("", 0), sync()].concat();
    assert_eq!(wire.exchange(&bad_bind), "E:08P01 Z:I");
    assert_eq!(wire.exchange(&message('F', b"\0\0\0\x01")), "E:0A000 Z:I");
    assert_eq!(wire.exchange(&query("SHOW timezone")), "T D C:SHOW Z:I");
}

#[test]
fn stray_copy_messages_are_passed_over() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let stray = [message('d', b"x"), message('c', b""), message('f', b"x\0")].concat();
    assert_eq!(wire.exchange(&[stray, query("")].concat()), "I Z:I");
}

#[test]
fn a_pipeline_is_answered_in_order_and_an_error_skips_to_sync() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let good = [
        parse("s", "SHOW timezone"),
        describe('S', "s"),
        bind("", "s"),
        describe('P', ""),
        execute("", 0),
        close('S', "s"),
        sync(),
    ]
    .concat();
    assert_eq!(wire.exchange(&good), "1 t T 2 T D C:SHOW 3 Z:I");
    let bad = [
        parse("", "SHOW nothing_of_the_kind"),
        bind("", ""),
        execute("", 0),
        parse("never", "SHOW timezone"),
        sync(),
        parse("", "SHOW timezone"),
        bind("", ""),
        execute("", 0),
        sync(),
    ]
    .concat();
    assert_eq!(wire.exchange(&bad), "1 2 E:42704 Z:I");
    assert_eq!(summary(&wire.until_ready()), "1 2 D C:SHOW Z:I");
    let skipped = [describe('S', "never"), sync()].concat();
    assert_eq!(wire.exchange(&skipped), "E:26000 Z:I");
}

#[test]
fn an_empty_text_is_an_empty_statement_in_both_protocols() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    for text in ["", ";", " -- nothing\n ;;"] {
        assert_eq!(wire.exchange(&query(text)), "I Z:I", "{text:?}");
        let extended = [
            parse("", text),
            bind("", ""),
            describe('P', ""),
            execute("", 0),
            sync(),
        ]
        .concat();
        assert_eq!(wire.exchange(&extended), "1 2 n I Z:I", "{text:?}");
    }
}

#[test]
fn names_of_statements_and_portals_follow_the_protocol() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let twice = [
        parse("s", "SHOW timezone"),
        parse("s", "SHOW timezone"),
        sync(),
    ]
    .concat();
    assert_eq!(wire.exchange(&twice), "1 E:42P05 Z:I");
    assert_eq!(
        wire.exchange(&[bind("p", "nothing"), sync()].concat()),
        "E:26000 Z:I"
    );
    assert_eq!(
        wire.exchange(&[execute("nothing", 0), sync()].concat()),
        "E:34000 Z:I"
    );
    assert_eq!(
        wire.exchange(&[close('S', "nothing"), close('P', "nothing"), sync()].concat()),
        "3 3 Z:I"
    );
    let two = [parse("", "SHOW timezone; SHOW timezone"), sync()].concat();
    assert_eq!(wire.exchange(&two), "E:42601 Z:I");
    assert_eq!(wire.exchange(&query("DEALLOCATE s")), "C:DEALLOCATE Z:I");
}

#[test]
fn the_limit_of_prepared_statements_is_an_error_and_not_a_leak() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    for number in 0..1_024 {
        wire.send(&parse(&format!("s{number}"), "SHOW timezone"));
    }
    let replies = wire.exchange(&sync());
    assert!(replies.starts_with("1 1 ") && replies.ends_with("1 Z:I"));
    let past = [parse("one_more", "SHOW timezone"), sync()].concat();
    assert_eq!(wire.exchange(&past), "E:54000 Z:I");
    assert_eq!(
        wire.exchange(&query("DEALLOCATE ALL")),
        "C:DEALLOCATE ALL Z:I"
    );
    let again = [parse("one_more", "SHOW timezone"), sync()].concat();
    assert_eq!(wire.exchange(&again), "1 Z:I");
}

#[test]
fn blocks_fail_and_end_as_in_postgres() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    assert_eq!(wire.exchange(&query("BEGIN")), "C:BEGIN Z:T");
    assert_eq!(wire.exchange(&query("BEGIN")), "N:25001 C:BEGIN Z:T");
    assert_eq!(wire.exchange(&query("SHOW nothing")), "E:42704 Z:E");
    assert_eq!(wire.exchange(&query("SHOW timezone")), "E:25P02 Z:E");
    let extended = [parse("", "SHOW timezone"), sync()].concat();
    assert_eq!(wire.exchange(&extended), "E:25P02 Z:E");
    let rollback = [parse("", "ROLLBACK"), bind("", ""), execute("", 0), sync()].concat();
    assert_eq!(wire.exchange(&rollback), "1 2 C:ROLLBACK Z:I");
    assert_eq!(wire.exchange(&query("COMMIT")), "N:25P01 C:COMMIT Z:I");
    let text = "BEGIN; SAVEPOINT a; SHOW nothing";
    assert_eq!(
        wire.exchange(&query(text)),
        "C:BEGIN C:SAVEPOINT E:42704 Z:E"
    );
    assert_eq!(wire.exchange(&query("ROLLBACK TO a")), "C:ROLLBACK Z:T");
    assert_eq!(wire.exchange(&query("RELEASE a")), "C:RELEASE Z:T");
    assert_eq!(wire.exchange(&query("ROLLBACK TO a")), "E:3B001 Z:E");
    assert_eq!(wire.exchange(&query("COMMIT")), "C:ROLLBACK Z:I");
    let serializable = "BEGIN ISOLATION LEVEL SERIALIZABLE";
    assert_eq!(wire.exchange(&query(serializable)), "E:0A000 Z:I");
}

#[test]
fn settings_are_transactional_and_reported() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let set = query("SET TimeZone = 'Asia/Tokyo'");
    assert_eq!(wire.exchange(&set), "C:SET S:TimeZone|Asia/Tokyo| Z:I");
    assert_eq!(wire.exchange(&query("BEGIN")), "C:BEGIN Z:T");
    assert_eq!(
        wire.exchange(&query("SET LOCAL TimeZone = 'Europe/Paris'")),
        "C:SET S:TimeZone|Europe/Paris| Z:T"
    );
    assert_eq!(
        wire.exchange(&query("SET application_name = 'x'")),
        "C:SET S:application_name|x| Z:T"
    );
    assert_eq!(
        wire.exchange(&query("COMMIT")),
        "C:COMMIT S:TimeZone|Asia/Tokyo| Z:I"
    );
    assert_eq!(
        wire.exchange(&query("BEGIN; SET application_name = 'y'; ROLLBACK")),
        "C:BEGIN C:SET C:ROLLBACK Z:I"
    );
    wire.send(&query("SHOW application_name"));
    assert_eq!(wire.until_ready()[1].row(), [Some("x".to_owned())]);
    assert_eq!(
        wire.exchange(&query("RESET ALL")),
        "C:RESET S:application_name|| S:TimeZone|UTC| Z:I"
    );
}

#[test]
fn idle_sessions_end_when_their_time_is_over() {
    let server = TestServer::start();
    let mut idle = Wire::log_in(&server);
    let mut block = Wire::log_in(&server);
    idle.exchange(&query("SET idle_session_timeout = '50ms'"));
    let set = "SET idle_in_transaction_session_timeout = '50ms'";
    block.exchange(&query(set));
    block.exchange(&query("BEGIN"));
    assert_eq!(summary(&idle.closed_after()), "E:57P05");
    assert_eq!(summary(&block.closed_after()), "E:25P03");
}

#[test]
fn dropping_a_user_ends_its_sessions_with_57p01() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'pw'");
    let mut wires: Vec<Wire> = (0..8)
        .map(|_| {
            let mut wire = Wire::connect(server.pgwire());
            wire.send(&startup(0, &[("user", "alice")]));
            wire.authenticate("pw").expect("alice logs in");
            wire
        })
        .collect();
    server.psql("DROP USER alice");
    for wire in &mut wires {
        assert_eq!(summary(&wire.closed_after()), "E:57P01");
    }
    let mut late = Wire::connect(server.pgwire());
    late.send(&startup(0, &[("user", "alice")]));
    let refusal = late.authenticate("pw").expect_err("dropped");
    assert_eq!(refusal.field(b'C').as_deref(), Some("28P01"));
}

#[test]
fn credential_statements_stand_alone() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let mixed = "CREATE USER a WITH PASSWORD 'xx'; SHOW timezone; BEGIN";
    assert_eq!(wire.exchange(&query(mixed)), "E:25001 Z:I");
    wire.exchange(&query("BEGIN"));
    let inside = query("CREATE USER a WITH PASSWORD 'xx'");
    assert_eq!(wire.exchange(&inside), "E:25001 Z:E");
    wire.exchange(&query("ROLLBACK"));
    let several = "CREATE USER a WITH PASSWORD 'xx'; CREATE USER a WITH PASSWORD 'xx'";
    assert_eq!(wire.exchange(&query(several)), "C:CREATE ROLE E:42710 Z:I");
    let prepared = [
        parse("", "DROP USER a"),
        bind("", ""),
        execute("", 0),
        sync(),
    ]
    .concat();
    assert_eq!(wire.exchange(&prepared), "1 2 C:DROP ROLE Z:I");
}

#[test]
fn shutdown_tells_idle_sessions_with_57p01() {
    let mut server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(summary(&wire.closed_after()), "E:57P01");
}

#[test]
fn a_client_that_goes_away_during_the_log_in_is_forgotten() {
    let server = TestServer::start();
    for cut in [0, 3, 8, 12] {
        let mut wire = Wire::connect(server.pgwire());
        wire.send(&startup(0, &[("user", "nodedb")])[..cut]);
    }
    let mut wire = Wire::connect(server.pgwire());
    wire.send(&startup(0, &[("user", "nodedb")]));
    assert_eq!(wire.receive().tag, 'R');
    drop(wire);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(Wire::log_in(&server).exchange(&query("")), "I Z:I");
}

#[test]
fn a_message_far_longer_than_the_inbox_is_answered() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let long = format!("SELECT length('{}')", "x".repeat(3 << 20));
    wire.send(&query(&long));
    let replies = wire.until_ready();
    assert_eq!(summary(&replies), "T D C:SELECT 1 Z:I");
    assert_eq!(replies[1].row(), [Some((3 << 20).to_string())]);
}

#[test]
fn portals_give_their_rows_in_portions() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let text = "SELECT * FROM generate_series(1, 5) AS n";
    let begin = [
        query("BEGIN"),
        parse("", text),
        bind("p", ""),
        execute("p", 2),
        execute("p", 2),
        execute("p", 2),
        execute("p", 2),
        sync(),
    ]
    .concat();
    assert_eq!(wire.exchange(&begin), "C:BEGIN Z:T");
    assert_eq!(
        summary(&wire.until_ready()),
        "1 2 D D s D D s D C:SELECT 1 C:SELECT 0 Z:T"
    );
    // The portal lives until its transaction ends.
    let again = [query("COMMIT"), execute("p", 0), sync()].concat();
    assert_eq!(wire.exchange(&again), "C:COMMIT Z:I");
    assert_eq!(summary(&wire.until_ready()), "E:34000 Z:I");
}

#[test]
fn a_pipeline_is_one_transaction_until_sync() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    wire.exchange(&query("CREATE TABLE t (a int PRIMARY KEY)"));
    let insert = |value: &str| {
        let text = format!("INSERT INTO t VALUES ({value})");
        [parse("", &text), bind("", ""), execute("", 0)].concat()
    };
    let failing = [insert("1"), insert("2"), insert("1"), sync()].concat();
    assert_eq!(
        wire.exchange(&failing),
        "1 2 C:INSERT 0 1 1 2 C:INSERT 0 1 1 2 E:23505 Z:I"
    );
    let count = "SELECT count(*) FROM t";
    wire.send(&query(count));
    assert_eq!(wire.until_ready()[1].row(), [Some("0".to_owned())]);
    wire.exchange(&[insert("1"), sync()].concat());
    let several = "INSERT INTO t VALUES (2); INSERT INTO t VALUES (2)";
    assert_eq!(wire.exchange(&query(several)), "C:INSERT 0 1 E:23505 Z:I");
    wire.send(&query(count));
    assert_eq!(wire.until_ready()[1].row(), [Some("1".to_owned())]);
}

#[test]
fn copy_in_takes_data_cut_anywhere_and_gives_up_as_it_is_told() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    wire.exchange(&query("CREATE TABLE t (a int, b text)"));
    let data = |bytes: &[u8]| message('d', bytes);
    wire.send(&query("COPY t FROM STDIN"));
    assert_eq!(wire.receive().body, [0, 0, 2, 0, 0, 0, 0], "CopyInResponse");
    for byte in b"1\tone\n2\t\\N\n" {
        wire.send(&data(&[*byte]));
    }
    assert_eq!(wire.exchange(&message('c', b"")), "C:COPY 2 Z:I");
    let given_up = [
        query("COPY t FROM STDIN"),
        data(b"3\tx\n"),
        message('f', b"enough\0"),
    ]
    .concat();
    wire.send(&given_up);
    let replies = wire.until_ready();
    assert_eq!(summary(&replies), "G E:57014 Z:I");
    let said = replies[1].field(b'M');
    assert_eq!(said.as_deref(), Some("COPY from stdin failed: enough"));
    let bad = [
        query("COPY t FROM STDIN"),
        data(b"x\ty\n"),
        data(b"4\tz\n"),
        message('c', b""),
    ]
    .concat();
    assert_eq!(wire.exchange(&bad), "G E:22P02 Z:I");
    let other = [query("COPY t FROM STDIN"), query("")].concat();
    assert_eq!(wire.exchange(&other), "G E:08P01 Z:I");
    wire.send(&query("COPY t TO STDOUT"));
    let replies = wire.until_ready();
    assert_eq!(summary(&replies), "H d d c C:COPY 2 Z:I");
    assert_eq!(replies[1].body, b"1\tone\n");
    assert_eq!(replies[2].body, b"2\t\\N\n");
}

#[test]
fn statements_are_cancelled_by_key_by_time_and_when_their_client_goes() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    wire.send(&query("SELECT pg_sleep(600)"));
    std::thread::sleep(Duration::from_millis(200));
    let mut request = vec![0, 0, 0, 16, 4, 210, 22, 46];
    request.extend_from_slice(&wire.key_data);
    let mut forged = request.clone();
    forged[15] ^= 1;
    for packet in [&forged, &request] {
        let mut cancel = Wire::connect(server.pgwire());
        cancel.send(packet);
        assert!(cancel.closed_after().is_empty(), "nothing is answered");
    }
    let cancelled = summary(&wire.until_ready());
    assert!(cancelled.ends_with("E:57014 Z:I"), "{cancelled}");
    wire.exchange(&query("SET statement_timeout = '50ms'"));
    let timed_out = wire.exchange(&query("SELECT pg_sleep(600)"));
    assert!(timed_out.ends_with("E:57014 Z:I"), "{timed_out}");
    wire.exchange(&query(
        "SET statement_timeout = 0; CREATE TABLE t (a int PRIMARY KEY)",
    ));
    // Its lock is free once the server has noticed that the client is gone.
    let mut holder = Wire::log_in(&server);
    holder.exchange(&query("BEGIN; INSERT INTO t VALUES (1)"));
    holder.send(&query("SELECT pg_sleep(600)"));
    std::thread::sleep(Duration::from_millis(100));
    drop(holder);
    assert_eq!(
        wire.exchange(&query("INSERT INTO t VALUES (1)")),
        "C:INSERT 0 1 Z:I"
    );
}

#[test]
fn parameters_and_results_go_in_text_and_binary() {
    let server = TestServer::start();
    let mut wire = Wire::log_in(&server);
    let typed = message('P', b"s\0SELECT $1 + 1, $2\0\0\x02\0\0\0\x17\0\0\0\x19");
    let mut body = b"\0s\0\0\x02\0\x01\0\0\0\x02\0\0\0\x04\0\0\0\x29\0\0\0\x02hi".to_vec();
    body.extend_from_slice(b"\0\x02\0\x01\0\0");
    let bind_both = message('B', &body);
    wire.send(&[typed, bind_both, execute("", 0), sync()].concat());
    let replies = wire.until_ready();
    assert_eq!(summary(&replies), "1 2 D C:SELECT 1 Z:I");
    assert_eq!(
        replies[2].body, b"\0\x02\0\0\0\x04\0\0\0\x2a\0\0\0\x02hi",
        "int4 in binary, text as it is"
    );
    let short = message('B', b"\0s\0\0\0\0\x01\xff\xff\xff\xff\0\0");
    assert_eq!(wire.exchange(&[short, sync()].concat()), "E:08P01 Z:I");
}
