//! Replies of the HTTP port in gzip.

use crate::http_client::{as_superuser, curl};
use crate::server::TestServer;
use serde_json::{Value, json};

/// The head and the body, as curl decodes it.
fn ask(server: &TestServer, encodings: &str, rows: usize) -> (String, Value) {
    let user = as_superuser();
    let text = format!("SELECT i, 'the same again' AS t FROM generate_series(1, {rows}) i");
    let body = json!({ "sql": text }).to_string();
    let field = format!("Accept-Encoding: {encodings}");
    let arguments = ["-i", "--compressed", "-H", &field, "-u", &user, "-d", &body];
    let (status, response) = curl(server, "/v1/query", &arguments);
    assert_eq!(status, 200, "{response}");
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    let body = serde_json::from_str(body).expect("JSON once it is decoded");
    (head.to_lowercase(), body)
}

fn length(head: &str) -> usize {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    line.expect("a length").parse().expect("a number")
}

#[test]
fn long_replies_are_compressed_for_who_asks_for_it() {
    let server = TestServer::start();
    for rows in [100, 100_000] {
        let (plain_head, plain) = ask(&server, "identity", rows);
        assert!(!plain_head.contains("content-encoding"), "{plain_head}");
        let (head, body) = ask(&server, "deflate, gzip;q=0.8", rows);
        assert!(head.contains("content-encoding: gzip"), "{head}");
        assert!(length(&head) * 4 < length(&plain_head), "{head}");
        assert_eq!(body, plain);
        assert_eq!(body["row_count"], rows);
    }
    let (head, _) = ask(&server, "gzip;q=0", 100);
    assert!(!head.contains("content-encoding"), "{head}");
    let (head, _) = ask(&server, "gzip", 1);
    assert!(
        !head.contains("content-encoding"),
        "a short one stays: {head}"
    );
}
