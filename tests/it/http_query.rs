//! SQL over HTTP (REFERENCE §4), asked with curl.

use crate::http_client::{as_superuser, curl, post, sql};
use crate::server::TestServer;
use serde_json::{Value, json};

#[test]
fn rows_come_as_objects_with_their_columns() {
    let server = TestServer::start();
    let (status, reply) = sql(
        &server,
        "SELECT 1 AS one, 'a\"b' AS text, NULL::int AS nothing, true AS yes, \
         9223372036854775807 AS big, '\\x00ff'::bytea AS bytes, \
         TIMESTAMP '2024-01-31 10:00:00' AS at",
    );
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["status"], "ok");
    assert_eq!(reply["command"], "SELECT");
    assert_eq!(reply["row_count"], 1);
    assert_eq!(
        reply["columns"][0],
        json!({"name": "one", "type": "integer", "oid": 23})
    );
    assert_eq!(
        reply["rows"],
        json!([{
            "one": 1, "text": "a\"b", "nothing": null, "yes": true,
            "big": "9223372036854775807", "bytes": "AP8=", "at": "2024-01-31T10:00:00",
        }])
    );
    let (_, reply) = sql(
        &server,
        "SELECT ARRAY[1, NULL, 3] AS numbers, ARRAY['a,b', '\"'] AS texts, '{}'::int[] AS none",
    );
    assert_eq!(
        reply["rows"],
        json!([{"numbers": [1, null, 3], "texts": ["a,b", "\""], "none": []}])
    );
    let body = json!({"sql": "SELECT 1 AS a, 2 AS a", "row_mode": "array"});
    assert_eq!(post(&server, &body).1["rows"], json!([[1, 2]]));
}

#[test]
fn statements_of_one_body_are_one_transaction_and_the_last_one_answers() {
    let server = TestServer::start();
    let (status, reply) = sql(
        &server,
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
    );
    assert_eq!(
        (status, &reply["command"], &reply["row_count"]),
        (200, &json!("INSERT"), &json!(2))
    );
    let (status, reply) = sql(
        &server,
        "INSERT INTO t VALUES (3); INSERT INTO t VALUES (1)",
    );
    assert_eq!(status, 409, "{reply}");
    assert_eq!(reply["error"]["code"], "23505");
    let (status, _) = sql(&server, "BEGIN; INSERT INTO t VALUES (4)");
    assert_eq!(status, 501, "a transaction does not outlive its request");
    let (_, reply) = sql(&server, "SELECT id FROM t ORDER BY id");
    assert_eq!(reply["rows"], json!([{"id": 1}, {"id": 2}]));
}

#[test]
fn a_get_reads_only_and_without_sql_tells_who_asks() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY)");
    let user = as_superuser();
    let get = |path: &str| curl(&server, path, &["-u", &user]);
    let (status, body) = get("/v1/query");
    assert_eq!(status, 200, "{body}");
    let reply: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(reply["rows"][0]["username"], "nodedb");
    assert_eq!(reply["rows"][0]["auth_method"], "password");
    let (status, body) = get("/v1/query?sql=SELECT%201%20AS+one&database=nodedb");
    assert_eq!(status, 200);
    assert!(body.contains("\"rows\":[{\"one\":1}]"), "{body}");
    let (status, body) = get("/v1/query?sql=GRANT%20SELECT%20ON%20t%20TO%20nodedb");
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("25006"), "{body}");
    for write in [
        "INSERT%20INTO%20t%20VALUES%20(1)",
        "COMMIT;INSERT%20INTO%20t%20VALUES%20(1)",
    ] {
        let (status, body) = get(&format!("/v1/query?sql={write}"));
        assert!(status >= 400, "{write}: {body}");
    }
    assert_eq!(server.psql("SELECT count(*) FROM t"), "0");
    let (status, body) = get("/v1/query?sql=SELECT%201&api_key=ndb_x.y");
    assert_eq!(status, 400, "{body}");
}

#[test]
fn whoever_has_not_proved_who_they_are_is_told_one_thing() {
    let server = TestServer::start();
    server.psql("CREATE USER alice WITH PASSWORD 'right'");
    server.psql("CREATE SERVICE ACCOUNT bot FOR DATABASE nodedb");
    let body = "{\"sql\": \"SELECT 1\"}";
    let asked = |user: &str| curl(&server, "/v1/query", &["-u", user, "-d", body]);
    assert_eq!(asked("alice:right").0, 200);
    let refusals = ["alice:wrong", "nobody:wrong", "bot:wrong", "alice:"].map(asked);
    for refusal in &refusals {
        assert_eq!(refusal.0, 401);
        assert_eq!(refusal, &refusals[0]);
    }
    server.psql("ALTER USER alice DISABLE");
    assert_eq!(asked("alice:right"), refusals[0]);
    let (status, answer) = curl(&server, "/v1/query", &["-i", "-d", body]);
    assert_eq!(status, 401);
    assert!(
        answer.to_lowercase().contains("www-authenticate: bearer"),
        "{answer}"
    );
    let header = "Authorization: Bearer ndb_x.y";
    assert_eq!(
        curl(&server, "/v1/query", &["-H", header, "-d", body]).0,
        401
    );
    // What is no API key is a token of an identity provider, and none is known.
    let token = "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.";
    assert_eq!(
        curl(&server, "/v1/query", &["-H", token, "-d", body]).0,
        401
    );
    let two = ["-H", header, "-H", header, "-d", body];
    assert_eq!(curl(&server, "/v1/query", &two).0, 400);
}

#[test]
fn errors_have_their_status_and_say_where() {
    let server = TestServer::start();
    server.psql("CREATE TABLE t (id int PRIMARY KEY)");
    for (text, status, code) in [
        ("SELEC 1", 400, "42601"),
        ("SELECT * FROM nowhere", 404, "42P01"),
        ("SELECT 1 / 0", 400, "22012"),
        ("COPY t TO STDOUT", 501, "0A000"),
        ("CREATE USER nodedb WITH PASSWORD 'xx'", 409, "42710"),
    ] {
        let (given, reply) = sql(&server, text);
        assert_eq!(given, status, "{text}: {reply}");
        assert_eq!(reply["error"]["code"], code, "{text}");
    }
    assert_eq!(sql(&server, "SELECT nothing").1["error"]["position"], 8);
    let elsewhere = json!({"sql": "SELECT 1", "database": "nowhere"});
    assert_eq!(post(&server, &elsewhere).0, 404);
}

#[test]
fn a_body_is_taken_in_chunks_and_refused_when_it_is_no_query() {
    let server = TestServer::start();
    let user = as_superuser();
    let body = format!(
        "{{\"sql\": \"SELECT length('{}') AS n\"}}",
        "x".repeat(200_000)
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &body).expect("it is written");
    let data = format!("@{}", file.path().display());
    for chunked in [&["-H", "Transfer-Encoding: chunked"][..], &[]] {
        let mut arguments = vec!["-u", &user, "--data-binary", &data];
        arguments.extend(chunked);
        let (status, reply) = curl(&server, "/v1/query", &arguments);
        assert_eq!(status, 200, "{reply}");
        assert!(reply.contains("\"rows\":[{\"n\":200000}]"), "{reply}");
    }
    let deep = format!("{{\"sql\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for wrong in [
        "",
        "{",
        "[]",
        "{\"sql\": 1}",
        "{\"sql\": \"\", \"x\": 1}",
        &deep,
    ] {
        let (status, reply) = curl(&server, "/v1/query", &["-u", &user, "-d", wrong]);
        assert_eq!(status, 400, "{reply}");
    }
    let (status, _) = curl(&server, "/v1/query", &["-u", &user, "-X", "DELETE"]);
    assert_eq!(status, 405);
}

#[test]
fn a_statement_past_its_time_is_504_and_one_whose_client_has_gone_stops() {
    let server = TestServer::start();
    let (status, reply) = sql(&server, "SET statement_timeout = 100; SELECT pg_sleep(60)");
    assert_eq!(
        (status, &reply["error"]["code"]),
        (504, &json!("57014")),
        "{reply}"
    );
    let (user, body) = (
        as_superuser(),
        "{\"sql\": \"CREATE TABLE t (id int); SELECT pg_sleep(60)\"}",
    );
    let (gave_up, _) = curl(&server, "/v1/query", &["-m", "1", "-u", &user, "-d", body]);
    assert_eq!(gave_up, 0, "curl leaves after a second");
    // The name is held until the statement has stopped and its transaction is rolled back.
    let (status, reply) = sql(
        &server,
        "SET statement_timeout = 50000; CREATE TABLE t (id int)",
    );
    assert_eq!(status, 200, "{reply}");
}
