//! Parameters of statements over HTTP.

use crate::http_client::{post, sql};
use crate::server::TestServer;
use serde_json::{Value, json};

fn with(server: &TestServer, text: &str, params: Value) -> (u16, Value) {
    post(server, &json!({"sql": text, "params": params}))
}

#[test]
fn each_json_value_is_bound_by_its_text() {
    let server = TestServer::start();
    let (status, reply) = with(
        &server,
        "SELECT $1::int AS number, $2::text AS text, $3::int AS nothing, $4::bool AS yes, \
         $5::jsonb AS document, $6::timestamp AS at, $7::numeric(30,3) AS exact",
        json!([7, "a\"b;--", null, true, {"a": [1, "}"]}, "2024-01-31 10:00:00", "12345678901234567890.125"]),
    );
    assert_eq!(status, 200, "{reply}");
    assert_eq!(
        reply["rows"],
        json!([{
            "number": 7, "text": "a\"b;--", "nothing": null, "yes": true,
            "document": {"a": [1, "}"]}, "at": "2024-01-31T10:00:00",
            "exact": "12345678901234567890.125",
        }])
    );
}

#[test]
fn a_number_keeps_digits_that_a_double_would_lose() {
    let server = TestServer::start();
    let body = r#"{"sql": "SELECT $1::numeric(30,3) AS n", "params": [12345678901234567890.125]}"#;
    let user = crate::http_client::as_superuser();
    let asked = crate::http_client::curl(&server, "/v1/query", &["-u", &user, "-d", body]);
    assert_eq!(asked.0, 200);
    assert!(
        asked.1.contains("\"12345678901234567890.125\""),
        "{}",
        asked.1
    );
}

#[test]
fn rows_are_written_and_found_by_parameters() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY, name text)");
    let insert = "INSERT INTO t VALUES ($1, $2), ($3, $4)";
    let (status, reply) = with(
        &server,
        insert,
        json!([1, "one", 2, "Robert'); DROP TABLE t"]),
    );
    assert_eq!((status, &reply["row_count"]), (200, &json!(2)), "{reply}");
    let find = "SELECT name FROM t WHERE id = $1";
    assert_eq!(
        with(&server, find, json!([2])).1["rows"],
        json!([{"name": "Robert'); DROP TABLE t"}])
    );
    let (status, reply) = with(&server, insert, json!([3, "three", 1, "again"]));
    assert_eq!((status, &reply["error"]["code"]), (409, &json!("23505")));
    assert_eq!(
        sql(&server, "SELECT count(*) AS n FROM t").1["rows"],
        json!([{"n": 2}])
    );
}

#[test]
fn parameters_that_do_not_fit_are_refused() {
    let server = TestServer::start();
    for (text, params, status, code) in [
        ("SELECT $1::int", json!(["x"]), 400, "22P02"),
        ("SELECT $1::int", json!([1, 2]), 400, "08P01"),
        ("SELECT 1", json!([1]), 400, "08P01"),
        ("SELECT $1::int; SELECT 2", json!([1]), 400, "42601"),
        ("SELECT $1::int", json!([]), 400, "42P02"),
        ("SELECT $1::int", json!({"a": 1}), 400, "22023"),
        ("SELECT $1::text", json!(["a\u{0}b"]), 400, "22021"),
        ("BEGIN", json!([]), 501, "0A000"),
        ("SELECT 1", json!(vec![0; 65_536]), 413, "54000"),
    ] {
        let (given, reply) = with(&server, text, params);
        assert_eq!(given, status, "{text}: {reply}");
        assert_eq!(reply["error"]["code"], code, "{text}: {reply}");
    }
}
