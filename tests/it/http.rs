//! The HTTP port: health, metrics, and what it answers to everything else (REFERENCE §4).

use crate::http_client::{Client, as_superuser, basic, status};
use crate::server::TestServer;
use std::thread;
use std::time::{Duration, Instant};

fn get(server: &TestServer, path: &str) -> String {
    let mut client = Client::of(server);
    client.send(&format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    ));
    client.read_to_end()
}

/// A server that says it is ready: the ports listen a moment earlier.
fn ready(server: TestServer) -> TestServer {
    let deadline = Instant::now() + Duration::from_secs(60);
    while status(&get(&server, "/health/ready")) != "HTTP/1.1 200 OK" {
        assert!(Instant::now() < deadline, "{}", server.log());
        thread::sleep(Duration::from_millis(20));
    }
    server
}

#[test]
fn a_running_server_is_live_and_ready() {
    let server = ready(TestServer::start());
    for path in ["/health/live", "/health/ready", "/healthz"] {
        let response = get(&server, path);
        assert_eq!(status(&response), "HTTP/1.1 200 OK", "{path}: {response}");
        assert!(
            response.ends_with("\r\n\r\n{\"status\":\"ok\"}\n"),
            "{response}"
        );
    }
    let nowhere = get(&server, "/v1/nowhere");
    assert_eq!(status(&nowhere), "HTTP/1.1 404 Not Found");
    assert!(
        nowhere.ends_with(
            "{\"error\":{\"code\":\"42704\",\"message\":\"there is nothing at this path\"}}\n"
        ),
        "{nowhere}"
    );
}

#[test]
fn metrics_show_each_core_the_storage_and_the_catalog() {
    let server = ready(TestServer::start_with(&[("NODEDB_CORES", "2")]));
    let text = get(&server, "/metrics");
    for line in [
        "# TYPE nodedb_connections gauge",
        "nodedb_connections_accepted_total{core=\"0\"} ",
        "nodedb_connections_accepted_total{core=\"1\"} ",
        "nodedb_storage_commits_total ",
        "nodedb_catalog_epoch ",
        "nodedb_catalog_late_cores 0\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn pipelined_requests_are_answered_in_order_however_their_bytes_arrive() {
    let server = ready(TestServer::start());
    let requests = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n\
                    HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n\
                    POST /healthz HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let statuses = |response: &str| -> Vec<String> {
        let lines = response.lines().filter(|line| line.starts_with("HTTP/1.1"));
        lines.map(str::to_owned).collect()
    };
    let expected = [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 405 Method Not Allowed",
        "HTTP/1.1 404 Not Found",
    ];

    let mut at_once = Client::of(&server);
    at_once.send(requests);
    assert_eq!(statuses(&at_once.read_to_end()), expected);

    let mut byte_by_byte = Client::of(&server);
    byte_by_byte.0.set_nodelay(true).expect("an option of TCP");
    for byte in requests.chars() {
        byte_by_byte.send(&byte.to_string());
    }
    assert_eq!(statuses(&byte_by_byte.read_to_end()), expected);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_closed() {
    let server = ready(TestServer::start());
    let smuggled = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    for (request, expected) in [
        (
            "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 400 Bad Request",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n",
            "HTTP/1.1 400 Bad Request",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 44\r\n\r\n",
            "HTTP/1.1 413 Content Too Large",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 501 Not Implemented",
        ),
    ] {
        let mut client = Client::of(&server);
        client.send(&format!("{request}{smuggled}"));
        let response = client.read_to_end();
        assert_eq!(status(&response), expected, "{request}");
        assert!(response.contains("connection: close\r\n"), "{response}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    }
}

#[test]
fn a_head_past_its_limit_is_413() {
    let server = ready(TestServer::start());
    let mut client = Client::of(&server);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n");
    client.send(&format!("X: {}", "y".repeat(32 * 1024)));
    let response = client.read_to_end();
    assert_eq!(status(&response), "HTTP/1.1 413 Content Too Large");
}

#[test]
fn a_bad_chunk_is_400_and_closes_so_that_nothing_behind_it_is_a_request() {
    let server = ready(TestServer::start());
    let authorization = basic(&as_superuser());
    for chunks in [
        "x\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "0\r\nTrailer: x\r\n\r\n",
        "-1\r\n",
    ] {
        let mut client = Client::of(&server);
        client.send(&format!(
            "POST /v1/query HTTP/1.1\r\nHost: x\r\n{authorization}\
             Transfer-Encoding: chunked\r\n\r\n{chunks}\
             GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        ));
        let response = client.read_to_end();
        assert_eq!(status(&response), "HTTP/1.1 400 Bad Request", "{chunks:?}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    }
}
