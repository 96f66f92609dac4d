//! Who may send a body to the HTTP port, and how long a one.

use crate::http_client::{Client, as_superuser, basic, read_head, request, status};
use crate::server::TestServer;
use serde_json::json;
use std::io::Read;

const QUERY: &str = "POST /v1/query HTTP/1.1\r\nHost: x\r\n";

#[test]
fn a_stranger_is_refused_before_a_byte_of_the_body_is_asked_for() {
    let server = TestServer::start();
    for authorization in [String::new(), basic("nodedb:wrong"), basic("nobody:x")] {
        for length in ["20", "99999999999"] {
            let mut client = Client::of(&server);
            client.send(&format!(
                "{QUERY}{authorization}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            ));
            let response = client.read_to_end();
            assert_eq!(status(&response), "HTTP/1.1 401 Unauthorized");
            assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
            assert!(response.contains("connection: close\r\n"), "{response}");
        }
        // Nor is a body waited for that never comes.
        let mut client = Client::of(&server);
        client.send(&format!(
            "{QUERY}{authorization}Transfer-Encoding: chunked\r\n\r\n"
        ));
        assert_eq!(status(&client.read_to_end()), "HTTP/1.1 401 Unauthorized");
    }
}

#[test]
fn a_refused_request_that_is_there_as_a_whole_leaves_the_connection_to_the_next() {
    let server = TestServer::start();
    let mut client = Client::of(&server);
    let wrong = basic("nodedb:wrong");
    let body = json!({"sql": "SELECT 1 AS one"}).to_string();
    let length = body.len();
    client.send(&format!(
        "{QUERY}{wrong}Content-Length: {length}\r\n\r\n{body}"
    ));
    let mut reader = client.reader();
    let head = read_head(&mut reader);
    assert_eq!(status(&head), "HTTP/1.1 401 Unauthorized");
    assert!(!head.contains("connection: close"), "{head}");
    let right = basic(&as_superuser());
    client.send(&format!(
        "{QUERY}{right}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    ));
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("it is closed");
    assert!(rest.contains("HTTP/1.1 200 OK\r\n"), "{rest}");
    assert!(rest.ends_with("\"rows\":[{\"one\":1}]}\n"), "{rest}");
}

#[test]
fn a_known_client_is_told_to_continue_and_then_answered() {
    let server = TestServer::start();
    let mut client = Client::of(&server);
    let body = json!({"sql": "SELECT 1 AS one"}).to_string();
    client.send(&format!(
        "{QUERY}{}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        basic(&as_superuser()),
        body.len(),
    ));
    let mut reader = client.reader();
    assert_eq!(read_head(&mut reader), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(&body);
    assert_eq!(status(&read_head(&mut reader)), "HTTP/1.1 200 OK");

    let mut client = Client::of(&server);
    client.send(&format!("{QUERY}Expect: 200-ok\r\n\r\n"));
    let response = client.read_to_end();
    assert_eq!(status(&response), "HTTP/1.1 417 Expectation Failed");
}

#[test]
fn a_body_at_the_limit_is_taken_and_one_byte_more_is_413() {
    let server = TestServer::start();
    let limit = 16 << 20;
    let authorization = basic(&as_superuser());
    for framing in [
        format!("Content-Length: {}\r\n\r\n", limit + 1),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", limit + 1),
    ] {
        let mut client = Client::of(&server);
        client.send(&format!("{QUERY}{authorization}{framing}"));
        let response = client.read_to_end();
        assert_eq!(status(&response), "HTTP/1.1 413 Content Too Large");
        assert!(response.contains("54000"), "{response}");
    }
    let empty = json!({"sql": "SELECT length($1::text) AS n", "params": [""]});
    let room = limit - empty.to_string().len();
    let body = json!({"sql": "SELECT length($1::text) AS n", "params": ["x".repeat(room)]});
    assert_eq!(body.to_string().len(), limit);
    let mut client = Client::of(&server);
    client.send(&request("/v1/query", "1.0", &body));
    let response = client.read_to_end();
    assert_eq!(status(&response), "HTTP/1.1 200 OK", "{response}");
    assert!(
        response.contains(&format!("\"rows\":[{{\"n\":{room}}}]")),
        "{response}"
    );
}

/// The credential is proved before the body, which may take its time: once it could be changed
/// meanwhile, and the old password still had its statement run.
#[test]
fn a_password_that_is_changed_while_the_body_arrives_runs_nothing() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'old' ROLE admin");
    let body = json!({"sql": "CREATE TABLE t (id int)"}).to_string();
    let ask = |password: &str, meanwhile: &str| {
        let mut client = Client::of(&server);
        client.send(&format!(
            "{QUERY}{}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            basic(&format!("alice:{password}")),
            body.len(),
        ));
        let mut reader = client.reader();
        assert_eq!(read_head(&mut reader), "HTTP/1.1 100 Continue\r\n\r\n");
        server.psql(meanwhile);
        client.send(&body);
        status(&read_head(&mut reader)).to_owned()
    };
    let changed = "ALTER USER alice WITH PASSWORD 'new'";
    assert_eq!(ask("old", changed), "HTTP/1.1 401 Unauthorized");
    let disabled = "ALTER USER alice DISABLE";
    assert_eq!(ask("new", disabled), "HTTP/1.1 401 Unauthorized");
    assert_eq!(
        server.psql("SELECT count(*) FROM pg_class WHERE relname = 't'"),
        "0"
    );
    server.psql("ALTER USER alice ENABLE");
    let other = "CREATE USER bob WITH PASSWORD 'xx'";
    assert_eq!(ask("new", other), "HTTP/1.1 200 OK", "another's change");
}
