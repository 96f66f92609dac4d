//! The native protocol (REFERENCE §5): what a client can do with it.

use crate::native_wire::{CLIENT_CAPABILITIES, Native, frame, hello};
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_hello_is_acknowledged_with_what_both_sides_can_do() {
    let server = TestServer::start();
    for (offered, agreed) in [(0x7f, 1), (u64::MAX, 1 << 40 | 0x81), (0, 0)] {
        let mut client = Native::silent(&server);
        client.send(&hello(0, 9, offered));
        client.send(&frame(b"\x93\x02\x01\x92\x01\x80"));
        client.send(&frame(b""));
        let bytes = client.rest();
        assert_eq!(&bytes[..6], b"NDBA\0\x01");
        assert_eq!(bytes[6..14], u64::to_be_bytes(agreed));
        let version = String::from_utf8_lossy(&bytes[15..15 + usize::from(bytes[14])]);
        assert!(version.starts_with("NodeDB/"), "{version}");
        assert_eq!(bytes[15 + version.len()], 1);
    }
}

#[test]
fn the_reference_s_password_frame_logs_in_to_its_database() {
    let server = TestServer::start();
    server.psql("CREATE USER al WITH PASSWORD 'pw'");
    server.psql("CREATE DATABASE db");
    server.psql("GRANT CONNECT ON DATABASE db TO al");
    let mut client = Native::greeted(&server, CLIENT_CAPABILITIES);
    client.send(&frame(
        b"\x93\x01\x01\x92\x01\x82\x01\x92\xa8Password\x92\xa2al\xa2pw\x53\xa2db",
    ));
    assert_eq!(
        client.reply(),
        json!({
            "seq": 1, "status": 0, "columns": null, "rows": null, "rows_affected": null,
            "watermark_lsn": 0, "error": null, "auth": ["al", 0],
        })
    );
    client.send(&frame(
        b"\x93\x20\xcd\x01\x2c\x92\x01\x81\x02\xd9\x23SELECT current_database(), 300 AS n",
    ));
    assert_eq!(
        client.reply(),
        json!({
            "seq": 300, "status": 0, "columns": ["current_database", "n"],
            "rows": [[[4, "db"], [2, 300]]], "rows_affected": null, "command": "SELECT",
            "watermark_lsn": 0, "error": null, "auth": null,
        })
    );
}

#[test]
fn before_auth_only_ping_and_status_are_answered() {
    let server = TestServer::start();
    let mut client = Native::greeted(&server, 0);
    assert_eq!(client.ask(2, json!({}))["status"], 0);
    let status = client.ask(3, json!({}));
    assert_eq!(status["columns"], json!(["status"]));
    assert_eq!(status["rows"], json!([["ok"]]));
    for op in [
        0x20, 0x21, 0x22, 0x30, 0x31, 0x32, 0x40, 0x41, 0x42, 0x10, 0xff,
    ] {
        let reply = client.ask(op, json!({"sql": "SELECT 1"}));
        assert_eq!(reply["status"], 2);
        assert_eq!(reply["error"]["code"], "28000", "{op:02x}");
    }
    let reply = client.auth("nodedb", SUPERUSER_PASSWORD, None);
    assert_eq!(reply["auth"], json!({"username": "nodedb", "tenant_id": 0}));
    assert_eq!(client.rows("SELECT 1"), json!([[1]]));
    assert_eq!(client.ask(2, json!({}))["status"], 0);
    let again = client.auth("nodedb", SUPERUSER_PASSWORD, None);
    assert_eq!(again["error"]["code"], "08P01");
    assert_eq!(client.rows("SELECT 2"), json!([[2]]));
}

#[test]
fn whoever_proves_nothing_is_told_one_thing_and_let_go() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    server.psql("CREATE SERVICE ACCOUNT bot FOR DATABASE nodedb");
    let refused = |auth: Value, database: Option<&str>| {
        let mut client = Native::greeted(&server, CLIENT_CAPABILITIES);
        let reply = client.ask(1, json!({"auth": auth, "database": database}));
        assert_eq!(reply["status"], 2, "{reply}");
        assert!(client.payload().is_none(), "the connection is closed");
        reply["error"].clone()
    };
    let password = |user: &str, password: &str| {
        refused(
            json!({"method": "password", "username": user, "password": password}),
            None,
        )
    };
    let expected = json!({
        "code": "28P01", "message": "authentication failed", "ndb_code": 2002,
    });
    for (user, wrong) in [
        ("alice", "wrong"),
        ("nobody", "wrong"),
        ("bot", "x"),
        ("alice", ""),
    ] {
        assert_eq!(password(user, wrong), expected, "{user}");
    }
    for (auth, code) in [
        (json!({"method": "trust", "username": "nodedb"}), "28000"),
        (json!(null), "28000"),
        (json!({"method": "oidc_bearer", "token": "a.b.c"}), "28000"),
        (json!({"method": "password", "username": "alice"}), "08P01"),
    ] {
        assert_eq!(refused(auth.clone(), None)["code"], code, "{auth}");
    }
    let right = json!({"method": "password", "username": "alice", "password": "right"});
    assert_eq!(refused(right, Some("nowhere"))["code"], "3D000");
}

#[test]
fn values_have_their_kinds_in_both_encodings() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    let text = "SELECT NULL::int, true, 7::int2, -5000000000, 1.5::float8, 0.5::float4, \
                'é'::text, '\\x00ff'::bytea, ARRAY[1, NULL, 300], 12.50::numeric(6, 2), \
                DATE '2024-01-31', '{\"a\": 1}'::jsonb, 'NaN'::float8, 9007199254740993, \
                ARRAY[true], ARRAY['x', 'y'], 200";
    assert_eq!(
        client.rows(text),
        json!([[
            null,
            true,
            7,
            -5000000000_i64,
            1.5,
            0.5,
            "é",
            "AP8=",
            [1, null, 300],
            "12.50",
            "2024-01-31",
            "{\"a\": 1}",
            "NaN",
            "9007199254740993",
            [true],
            ["x", "y"],
            200
        ]])
    );
    let text = text.replace("'NaN'::float8, ", "");
    let mut payload = b"\x93\x20\x01\x92\x01\x81\x02\xda".to_vec();
    payload.extend(u16::try_from(text.len()).expect("short").to_be_bytes());
    payload.extend(text.as_bytes());
    client.send(&frame(&payload));
    assert_eq!(
        client.reply()["rows"],
        json!([[
            [0],
            [1, true],
            [2, 7],
            [2, -5000000000_i64],
            [3, 1.5],
            [3, 0.5],
            [4, "é"],
            [5, [0, 255]],
            [6, [[2, 1], [0], [2, 300]]],
            [4, "12.50"],
            [4, "2024-01-31"],
            [4, "{\"a\": 1}"],
            [2, 9007199254740993_i64],
            [6, [[1, true]]],
            [6, [[4, "x"], [4, "y"]]],
            [2, 200]
        ]])
    );
}

#[test]
fn statements_say_what_they_did_and_the_last_one_answers() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    let reply = client.ask(
        0x21,
        json!({"sql": "CREATE TABLE t (id int PRIMARY KEY, name text)"}),
    );
    assert_eq!(reply["command"], "CREATE TABLE");
    assert_eq!(reply["rows"], json!(null));
    let reply =
        client.sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'); SELECT 1; UPDATE t SET name = 'c'");
    assert_eq!(
        (&reply["command"], &reply["rows_affected"]),
        (&json!("UPDATE"), &json!(2))
    );
    let reply = client.sql("DELETE FROM t WHERE id = 1 RETURNING id, name");
    assert_eq!(
        (&reply["command"], &reply["rows_affected"]),
        (&json!("DELETE"), &json!(1))
    );
    assert_eq!(reply["rows"], json!([[1, "c"]]));
    assert_eq!(
        client.code("INSERT INTO t VALUES (3, 'x'); SELECT 1 / 0"),
        "22012"
    );
    assert_eq!(client.rows("SELECT id FROM t"), json!([[2]]));
    let empty = client.sql(" ; ");
    assert_eq!(
        (&empty["status"], &empty["rows"]),
        (&json!(0), &json!(null))
    );
    assert_eq!(client.rows("SELECT id FROM t WHERE false"), json!([]));
    let reply = client.sql("INSERT INTO t VALUES (2, 'twice')");
    assert_eq!(reply["error"]["code"], "23505");
    assert_eq!(reply["error"]["ndb_code"], 1000);
    assert_eq!(
        reply["warnings"],
        json!(["DETAIL: Key (id)=(2) already exists."])
    );
    assert_eq!(client.code("COPY t TO STDOUT"), "0A000");
    assert_eq!(client.ask(0x10, json!({}))["error"]["code"], "0A000");
    assert_eq!(client.ask(0x20, json!({}))["error"]["code"], "08P01");
}

#[test]
fn parameters_are_of_the_statement_s_types_or_of_their_own() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    client.rows(
        "CREATE TABLE t (id int8 PRIMARY KEY, price numeric(8, 2), at timestamptz, raw bytea, \
         tags text[], doc jsonb, name text)",
    );
    let reply = client.ask(
        0x20,
        json!({
            "sql": "INSERT INTO t VALUES ($1, $2, $3, '\\x01', $4, $5, $6)",
            "sql_params": [7, 1.25, "2024-01-31 10:00:00+00", ["a", "b\"c", null],
                           {"k": [1, "x"]}, 42],
        }),
    );
    assert_eq!(reply["rows_affected"], 1, "{reply}");
    let read = "SELECT price, at = '2024-01-31 10:00:00+00', tags, doc, name FROM t WHERE id = $1";
    let reply = client.ask(0x20, json!({"sql": read, "sql_params": [7]}));
    assert_eq!(
        reply["rows"],
        json!([[
            "1.25",
            true,
            ["a", "b\"c", null],
            "{\"k\": [1, \"x\"]}",
            "42"
        ]]),
        "{reply}"
    );
    let own = json!({"sql": "SELECT $1, $2, $3, $4", "sql_params": [5, true, "t", null]});
    assert_eq!(client.ask(0x20, own)["rows"], json!([[5, true, "t", null]]));
    let text = json!({"sql": "SELECT count(*) FROM t WHERE name = $1", "sql_params": [42]});
    assert_eq!(client.ask(0x20, text)["rows"], json!([[1]]));
    for (sql, parameters, code) in [
        ("SELECT $1::int", json!(["x"]), "22P02"),
        ("SELECT $1", json!([1, 2]), "08P01"),
        ("SELECT $2::int + $1", json!([1]), "08P01"),
        ("SELECT $1; SELECT 2", json!([1]), "42601"),
        ("", json!([1]), "08P01"),
        ("SELEC $1", json!([1]), "42601"),
    ] {
        let reply = client.ask(0x20, json!({"sql": sql, "sql_params": parameters}));
        assert_eq!(reply["error"]["code"], code, "{sql}: {reply}");
    }
    // MessagePack: bytes for bytea.
    client.send(&frame(
        b"\x93\x20\x01\x92\x01\x82\x02\xbfUPDATE t SET raw = $1 WHERE $2\x54\x92\x92\x05\xc4\x02\0\xff\x92\x01\xc3",
    ));
    assert_eq!(
        client.reply()["error"]["code"],
        "08P01",
        "31 bytes announced, 30 sent"
    );
    client.send(&frame(
        b"\x93\x20\x01\x92\x01\x82\x02\xbeUPDATE t SET raw = $1 WHERE $2\x54\x92\x92\x05\xc4\x02\0\xff\x92\x01\xc3",
    ));
    assert_eq!(client.reply()["rows_affected"], 1);
    assert_eq!(server.psql("SELECT raw FROM t"), "\\x00ff");
}

#[test]
fn a_transaction_is_begun_committed_and_rolled_back_by_operations() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    client.rows("CREATE TABLE t (id int PRIMARY KEY)");
    assert_eq!(client.ask(0x40, json!({}))["command"], "BEGIN");
    client.rows("INSERT INTO t VALUES (1)");
    assert_eq!(server.psql("SELECT count(*) FROM t"), "0");
    assert_eq!(client.ask(0x41, json!({}))["command"], "COMMIT");
    assert_eq!(server.psql("SELECT count(*) FROM t"), "1");

    client.ask(0x40, json!({}));
    client.rows("INSERT INTO t VALUES (2)");
    assert_eq!(client.ask(0x42, json!({}))["command"], "ROLLBACK");
    assert_eq!(client.rows("SELECT count(*) FROM t"), json!([[1]]));

    // A client that looks at the status alone must not believe that this was committed.
    client.ask(0x40, json!({}));
    client.rows("INSERT INTO t VALUES (3)");
    assert_eq!(client.code("INSERT INTO t VALUES (1)"), "23505");
    assert_eq!(client.code("SELECT 1"), "25P02");
    assert_eq!(
        client.ask(0x31, json!({"key": "tenant"}))["error"]["code"],
        "25P02"
    );
    let reply = client.ask(0x41, json!({}));
    assert_eq!(reply["error"]["code"], "25P02", "{reply}");
    assert_eq!(client.rows("SELECT count(*) FROM t"), json!([[1]]));

    let reply = client.ask(0x41, json!({}));
    assert_eq!(
        reply["warnings"],
        json!(["WARNING: there is no transaction in progress"])
    );
}

#[test]
fn settings_are_set_shown_and_reset_by_operations() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    let show = |client: &mut Native, key: &str| {
        let reply = client.ask(0x31, json!({"key": key}));
        assert_eq!(reply["status"], 0, "{reply}");
        reply["rows"][0][0].clone()
    };
    assert_eq!(show(&mut client, "application_name"), "native");
    let set = json!({"key": "application_name", "value": "a 'b'"});
    assert_eq!(client.ask(0x30, set)["command"], "SET");
    assert_eq!(show(&mut client, "application_name"), "a 'b'");
    assert_eq!(
        client.ask(0x32, json!({"key": "application_name"}))["command"],
        "RESET"
    );
    assert_eq!(show(&mut client, "application_name"), "native");
    client.ask(0x30, json!({"key": "statement_timeout", "value": "100"}));
    assert_eq!(client.code("SELECT pg_sleep(60)"), "57014");
    assert_eq!(client.ask(0x32, json!({}))["command"], "RESET");
    assert_eq!(show(&mut client, "statement_timeout"), "0");
    let all = client.ask(0x31, json!({}));
    assert!(all["rows"].as_array().expect("rows").len() > 20);
    assert_eq!(
        client.ask(0x31, json!({"key": "nothing"}))["error"]["code"],
        "42704"
    );
    assert_eq!(
        client.ask(0x30, json!({"key": "x"}))["error"]["code"],
        "08P01"
    );
}

#[test]
fn explain_explains_one_statement_and_runs_none() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    client.rows("CREATE TABLE t (id int PRIMARY KEY)");
    let reply = client.ask(0x22, json!({"sql": "SELECT * FROM t WHERE id = 1"}));
    assert_eq!(reply["columns"], json!(["QUERY PLAN"]), "{reply}");
    let with_parameters = json!({"sql": "SELECT * FROM t WHERE id = $1", "sql_params": [1]});
    assert_eq!(client.ask(0x22, with_parameters)["status"], 0);
    let two = client.ask(0x22, json!({"sql": "SELECT 1; DROP TABLE t"}));
    assert_eq!(two["error"]["code"], "42601");
    assert_eq!(client.rows("SELECT count(*) FROM t"), json!([[0]]));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    client.rows("CREATE TABLE t (id int PRIMARY KEY)");
    let mut pipeline = Vec::new();
    for seq in 100..200 {
        let sql = match seq % 3 {
            0 => format!("INSERT INTO t VALUES ({seq})"),
            1 => "SELECT count(*) FROM t".to_owned(),
            _ => "SELECT 1 / 0".to_owned(),
        };
        let payload = json!({"op": 0x20, "seq": seq, "sql": sql}).to_string();
        pipeline.extend(frame(payload.as_bytes()));
    }
    client.send(&pipeline);
    let mut inserted = 0;
    for seq in 100..200 {
        let reply = client.reply();
        assert_eq!(reply["seq"], seq);
        match seq % 3 {
            0 => inserted += 1,
            1 => assert_eq!(reply["rows"], json!([[inserted]])),
            _ => assert_eq!(reply["error"]["code"], "22012"),
        }
    }
}

#[test]
fn a_reply_does_not_wait_for_the_statement_behind_it() {
    let server = TestServer::start();
    let mut client = Native::connect(&server);
    let started = Instant::now();
    let ask = |seq: u64, sql: &str| {
        let payload = json!({"op": 0x20, "seq": seq, "sql": sql}).to_string();
        frame(payload.as_bytes())
    };
    client.send(&[ask(1, "SELECT 1"), ask(2, "SELECT pg_sleep(50)")].concat());
    assert_eq!(client.reply()["seq"], 1);
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[test]
fn large_results_come_in_parts_to_those_who_take_them() {
    let server = TestServer::start();
    let text = "SELECT i, repeat('x', 1000) FROM generate_series(1, 20000) AS g(i)";
    let mut client = Native::connect(&server);
    client.request(0x20, json!({"sql": text}));
    let (mut parts, mut next) = (0, 1);
    loop {
        let reply = client.reply();
        let named = if parts == 0 {
            json!(["i", "repeat"])
        } else {
            json!(null)
        };
        assert_eq!(reply["columns"], named);
        for row in reply["rows"].as_array().expect("rows") {
            assert_eq!(row[0], next);
            next += 1;
        }
        parts += 1;
        if reply["status"] == 0 {
            assert_eq!(reply["command"], "SELECT");
            break;
        }
        assert_eq!(reply["status"], 1);
    }
    assert_eq!(next, 20_001);
    assert!(parts > 100, "{parts} parts");
    // A statement that fails after some of its rows have gone ends with an error all the same.
    client.request(
        0x20,
        json!({"sql": "SELECT repeat('x', 1000), 1 / (5000 - i) FROM generate_series(1, 5000) AS g(i)"}),
    );
    let last = loop {
        let reply = client.reply();
        if reply["status"] != 1 {
            break reply;
        }
    };
    assert_eq!(last["error"]["code"], "22012");
    assert_eq!(client.rows("SELECT 1"), json!([[1]]));

    let mut whole = Native::greeted(&server, 0);
    whole.auth("nodedb", SUPERUSER_PASSWORD, None);
    let half = text.replace("20000", "10000");
    assert_eq!(whole.rows(&half).as_array().expect("rows").len(), 10_000);
    assert_eq!(whole.code(text), "54000");
    assert_eq!(whole.rows("SELECT 1"), json!([[1]]));
}

#[test]
fn a_session_whose_user_is_dropped_is_told_57p01_and_closed() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'secret'");
    let mut idle = Native::log_in(&server, "alice", "secret");
    let mut busy = Native::log_in(&server, "alice", "secret");
    let mut other = Native::connect(&server);
    busy.request(0x20, json!({"sql": "SELECT pg_sleep(60)"}));
    server.psql("DROP USER alice");
    let told = idle.reply();
    assert_eq!(
        (&told["seq"], &told["error"]["code"]),
        (&json!(0), &json!("57P01")),
        "{told}"
    );
    assert!(idle.payload().is_none(), "the connection is closed");
    let told = busy.reply();
    assert_eq!(told["error"]["code"], "57P01", "{told}");
    assert!(busy.payload().is_none(), "the connection is closed");
    assert_eq!(other.rows("SELECT 1"), json!([[1]]));
}

#[test]
fn a_key_logs_in_to_its_databases_at_its_rate_until_it_is_dropped() {
    let server = TestServer::start();
    for database in ["prod", "logs"] {
        server.psql(&format!("CREATE DATABASE {database}"));
    }
    server.psql("CREATE USER alice WITH PASSWORD 'secret'");
    server.psql("GRANT CONNECT ON DATABASE prod TO alice");
    server.psql("GRANT CONNECT ON DATABASE logs TO alice");
    let key = server.psql("CREATE API KEY 'reader' FOR alice WITH DATABASES (prod)");
    let log_in = |token: &str, database: &str| {
        let mut client = Native::greeted(&server, CLIENT_CAPABILITIES);
        let auth = json!({"method": "api_key", "token": token});
        let reply = client.ask(1, json!({"auth": auth, "database": database}));
        (client, reply)
    };
    let (mut client, reply) = log_in(&key, "prod");
    assert_eq!(reply["auth"]["username"], "alice", "{reply}");
    let session = client.rows("SHOW SESSION");
    assert!(session.to_string().contains("api_key"), "{session}");
    let (_, elsewhere) = log_in(&key, "logs");
    assert_eq!(elsewhere["error"]["code"], "42501", "{elsewhere}");
    let message = elsewhere["error"]["message"].as_str().expect("a text");
    assert!(message.starts_with("DATABASE_NOT_AUTHORIZED"), "{message}");
    let (id, secret) = key.split_once('.').expect("an id and a secret");
    let another = if secret.starts_with('A') { 'B' } else { 'A' };
    let wrong = format!("{id}.{another}{}", &secret[1..]);
    for token in [wrong.as_str(), "ndb_", "", "secret"] {
        let (_, refused) = log_in(token, "prod");
        assert_eq!(refused["error"]["code"], "28000", "{refused}");
        assert_eq!(refused["error"]["message"], "authentication failed");
    }
    server.psql("DROP API KEY 'reader'");
    let told = client.reply();
    assert_eq!(told["error"]["code"], "57P01", "{told}");
    assert!(client.payload().is_none(), "the connection is closed");
    assert_eq!(log_in(&key, "prod").1["error"]["code"], "28000");

    let slow =
        server.psql("CREATE API KEY 'slow' FOR alice WITH DATABASES (prod) WITH RATE 5 PER SECOND");
    let (mut client, _) = log_in(&slow, "prod");
    let limited = (0..100).any(|_| client.sql("SELECT 1")["error"]["code"] == "53300");
    assert!(limited, "a hundred statements in less than twenty seconds");
    assert_eq!(client.ask(2, json!({}))["status"], 0, "a ping is free");
}

#[test]
fn the_server_says_which_port_it_is() {
    let server = TestServer::start();
    let named = format!("native=[127.0.0.1:{}]", server.native().port());
    // The line is written a moment after the ports listen.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !server.log().contains(&named) {
        assert!(Instant::now() < deadline, "{}", server.log());
        thread::sleep(Duration::from_millis(20));
    }
}
