//! Rows as lines: POST /v1/query/stream.

use crate::http_client::{Client, as_superuser, curl, read_chunk, read_head, request, status};
use crate::server::TestServer;
use serde_json::{Value, json};
use std::io::{BufRead, Read};
use std::time::{Duration, Instant};

const STREAM: &str = "/v1/query/stream";

fn stream(server: &TestServer, body: &Value) -> (u16, String) {
    let (user, body) = (as_superuser(), body.to_string());
    curl(server, STREAM, &["-u", &user, "-d", &body])
}

/// All chunks, and whether the last one came.
fn chunks(reader: &mut impl BufRead) -> (String, bool) {
    let mut text = String::new();
    loop {
        match read_chunk(reader) {
            Ok(Some(chunk)) => text.push_str(&chunk),
            Ok(None) => return (text, true),
            Err(_) => return (text, false),
        }
    }
}

#[test]
fn each_row_is_a_line_of_its_own() {
    let server = TestServer::start();
    let text = "SELECT 1; SELECT i, E'a\\nb' AS t, E'{\"a\":\\n1}'::json AS j FROM generate_series(1, 3) i";
    let (status, lines) = stream(&server, &json!({"sql": text}));
    assert_eq!(status, 200, "{lines}");
    let rows: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let expected: Vec<Value> = (1..=3)
        .map(|i| json!({"i": i, "t": "a\nb", "j": {"a": 1}}))
        .collect();
    assert_eq!(rows, expected);
    let body = json!({"sql": "SELECT $1::int AS a, 2 AS b", "params": [1], "row_mode": "array"});
    assert_eq!(stream(&server, &body), (200, "[1,2]\n".to_owned()));
    let body = json!({"sql": "CREATE TABLE t (id int); INSERT INTO t VALUES (1)"});
    assert_eq!(stream(&server, &body), (200, String::new()));
    assert_eq!(server.psql("SELECT count(*) FROM t"), "1");
}

#[test]
fn a_stream_ends_with_its_last_chunk_and_the_connection_goes_on() {
    let server = TestServer::start();
    let mut client = Client::of(&server);
    let many = json!({"sql": "SELECT i FROM generate_series(1, 100000) i"});
    let few = json!({"sql": "SELECT 1 AS one"});
    client.send(&request(STREAM, "1.1", &many));
    client.send(&request(STREAM, "1.1", &few));
    let mut reader = client.reader();
    let head = read_head(&mut reader);
    assert_eq!(status(&head), "HTTP/1.1 200 OK");
    assert!(
        head.contains("content-type: application/x-ndjson\r\n"),
        "{head}"
    );
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    let (lines, ended) = chunks(&mut reader);
    assert!(ended);
    assert_eq!(lines.lines().count(), 100_000);
    assert_eq!(lines.lines().last(), Some("{\"i\":100000}"));
    read_head(&mut reader);
    assert_eq!(chunks(&mut reader), ("{\"one\":1}\n".to_owned(), true));
}

#[test]
fn to_http_1_0_the_stream_ends_with_the_connection() {
    let server = TestServer::start();
    let mut client = Client::of(&server);
    let body = json!({"sql": "SELECT i FROM generate_series(1, 50000) i"});
    client.send(&request(STREAM, "1.0", &body));
    let response = client.read_to_end();
    assert!(!response.contains("transfer-encoding"));
    let lines = response.split_once("\r\n\r\n").expect("a head").1;
    assert_eq!(lines.lines().count(), 50_000);
}

#[test]
fn an_error_before_the_first_rows_are_sent_has_its_status() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY)");
    for (text, expected, code) in [
        ("SELECT * FROM nowhere", 404, "42P01"),
        (
            "SELECT 1 / (3 - i) FROM generate_series(1, 5) i",
            400,
            "22012",
        ),
        (
            "INSERT INTO t SELECT i % 3 FROM generate_series(1, 5) i RETURNING id",
            409,
            "23505",
        ),
    ] {
        let (status, reply) = stream(&server, &json!({"sql": text}));
        assert_eq!(status, expected, "{text}: {reply}");
        let reply: Value = serde_json::from_str(&reply).expect("JSON");
        assert_eq!(reply["error"]["code"], code, "{text}");
    }
    let user = as_superuser();
    assert_eq!(curl(&server, STREAM, &["-u", &user]).0, 405);
    assert_eq!(
        curl(&server, STREAM, &["-d", "{\"sql\": \"SELECT 1\"}"]).0,
        401
    );
}

/// The head has said 200 by then: the last line tells the error, and that the last chunk is missing
/// tells everybody that the rows are not all.
#[test]
fn an_error_after_rows_is_the_last_line_and_the_last_chunk_never_comes() {
    let server = TestServer::start();
    let body = json!({"sql": "SELECT i, 1 / (900000 - i) AS x FROM generate_series(1, 1000000) i"});
    let mut client = Client::of(&server);
    client.send(&request(STREAM, "1.1", &body));
    let mut reader = client.reader();
    assert_eq!(status(&read_head(&mut reader)), "HTTP/1.1 200 OK");
    let (lines, ended) = chunks(&mut reader);
    assert!(!ended, "the last chunk would say that all is well");
    let last: Value = serde_json::from_str(lines.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last["error"]["code"], "22012");
    let rows = lines.lines().count() - 1;
    assert!(rows > 0, "some rows were sent before");
    for line in lines.lines().take(rows) {
        let row: Value = serde_json::from_str(line).expect("whole rows only");
        assert!(row["i"].is_u64());
    }
    let mut client = Client::of(&server);
    client.send(&request(STREAM, "1.0", &body));
    let response = client.read_to_end();
    let last: Value = serde_json::from_str(response.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last["error"]["code"], "22012");
}

fn resident_bytes(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok())
        .expect("a size")
        * 1024
}

/// Ten million rows are 130 MB of lines: a server that did not wait for its reader would hold them.
#[test]
fn a_slow_reader_of_ten_million_rows_costs_bounded_memory() {
    let server = TestServer::start();
    let rows = 10_000_000_u64;
    let body = json!({"sql": format!("SELECT i FROM generate_series(1, {rows}) i")});
    let mut client = Client::of(&server);
    client.send(&request(STREAM, "1.1", &body));
    let mut reader = client.reader();
    read_head(&mut reader);
    let before = resident_bytes(&server);
    // Nothing is read for a while: the server fills the kernel's buffers, then waits.
    let mut grown = 0;
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        grown = grown.max(resident_bytes(&server).saturating_sub(before));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        grown < 64 << 20,
        "{grown} bytes more for a reader that waits"
    );
    let mut lines = 0;
    loop {
        let chunk = read_chunk(&mut reader).expect("the rows come all");
        let Some(chunk) = chunk else { break };
        lines += chunk.lines().count() as u64;
    }
    assert_eq!(lines, rows);
    let mut rest = client;
    rest.send("GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("it is closed");
    assert_eq!(status(&text), "HTTP/1.1 200 OK", "the connection goes on");
}

#[test]
fn a_reader_that_leaves_stops_its_statement() {
    let server = TestServer::start();
    let endless = "SELECT i FROM generate_series(1, 100000000) i";
    let mut client = Client::of(&server);
    client.send(&request(
        STREAM,
        "1.1",
        &json!({"sql": format!("CREATE TABLE t (id int); {endless}")}),
    ));
    read_head(&mut client.reader());
    drop(client);
    // The name is held until the statement has stopped and its transaction is rolled back.
    let body = json!({"sql": "SET statement_timeout = 50000; CREATE TABLE t (id int)"});
    let (status, reply) = crate::http_client::post(&server, &body);
    assert_eq!(status, 200, "{reply}");
}
