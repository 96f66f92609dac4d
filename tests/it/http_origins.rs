//! Pages of other origins at the HTTP port: refused, unless they are listed.

use crate::http_client::{as_superuser, curl};
use crate::server::TestServer;

const BODY: &str = "{\"sql\": \"CREATE TABLE t (id int)\"}";

fn from(server: &TestServer, path: &str, origin: &str, arguments: &[&str]) -> (u16, String) {
    let origin = format!("Origin: {origin}");
    let mut all = vec!["-i", "-H", &origin];
    all.extend(arguments);
    let (status, response) = curl(server, path, &all);
    (status, response.to_lowercase())
}

#[test]
fn a_page_from_elsewhere_has_nothing_done_even_with_a_good_credential() {
    let server = TestServer::start();
    let user = as_superuser();
    let asked = from(
        &server,
        "/v1/query",
        "https://evil.example",
        &["-u", &user, "-d", BODY],
    );
    assert_eq!(asked.0, 403, "{}", asked.1);
    assert!(!asked.1.contains("access-control"), "{}", asked.1);
    let preflight = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST"];
    assert_eq!(from(&server, "/v1/query", "null", &preflight).0, 403);
    // An image's address, a link: the browser names no origin, but says that it is another site's.
    let image = ["-u", &user, "-H", "Sec-Fetch-Site: cross-site"];
    let (status, answer) = curl(&server, "/v1/query?sql=SELECT%201", &image);
    assert_eq!(status, 403, "{answer}");
    let typed = ["-u", &user, "-H", "Sec-Fetch-Site: none"];
    assert_eq!(curl(&server, "/v1/query?sql=SELECT%201", &typed).0, 200);
    let (status, answer) = curl(&server, "/v1/query", &["-u", &user, "-d", BODY]);
    assert_eq!(status, 200, "it was not made before: {answer}");
}

#[test]
fn a_listed_page_is_answered_preflight_and_errors_included() {
    let server = TestServer::start_configured(
        "[server.http]\ncors_origins = [\"https://app.example\", \"http://localhost:3000\"]\n",
    );
    let user = as_superuser();
    let listed = "http://localhost:3000";
    let allowed = format!("access-control-allow-origin: {listed}\r\n");
    let preflight = [
        "-X",
        "OPTIONS",
        "-H",
        "Access-Control-Request-Method: POST",
        "-H",
        "Access-Control-Request-Headers: authorization,content-type",
    ];
    for (path, methods) in [
        ("/v1/query", "get, head, options, post"),
        ("/v1/query/stream", "options, post"),
    ] {
        let (status, answer) = from(&server, path, listed, &preflight);
        assert_eq!(status, 204, "{answer}");
        for line in [
            allowed.as_str(),
            "access-control-allow-credentials: true\r\n",
            &format!("access-control-allow-methods: {methods}\r\n"),
            "access-control-allow-headers: authorization, content-type, x-nodedb-database, x-nodedb-tenant\r\n",
            "vary: origin\r\n",
        ] {
            assert!(answer.contains(line), "{line}{answer}");
        }
        assert!(!answer.contains("\ncontent-"), "204 has no body: {answer}");
        for (credential, expected) in [(user.as_str(), 200), ("nodedb:wrong", 401)] {
            let body = "{\"sql\": \"SELECT 1\"}";
            let (status, answer) = from(&server, path, listed, &["-u", credential, "-d", body]);
            assert_eq!(status, expected, "{answer}");
            assert!(answer.contains(&allowed), "{answer}");
            assert!(!answer.contains("access-control-allow-origin: *"));
        }
        let other = from(
            &server,
            path,
            "https://app.example.org",
            &["-u", &user, "-d", BODY],
        );
        assert_eq!(other.0, 403);
    }
}

#[test]
fn options_without_an_origin_tells_the_methods() {
    let server = TestServer::start();
    for (path, methods) in [
        ("/v1/query", "get, head, options, post"),
        ("/healthz", "get, head, options"),
    ] {
        let (status, answer) = curl(&server, path, &["-i", "-X", "OPTIONS"]);
        let answer = answer.to_lowercase();
        assert_eq!(status, 204, "{answer}");
        assert!(
            answer.contains(&format!("allow: {methods}\r\n")),
            "{answer}"
        );
        assert!(!answer.contains("access-control"), "{answer}");
    }
    let user = as_superuser();
    let (status, answer) = curl(&server, "/v1/query?sql=SELECT%201", &["-I", "-u", &user]);
    assert_eq!(status, 200, "HEAD is GET without the body: {answer}");
    let answer = answer.to_lowercase();
    let head = answer.trim_end();
    assert!(head.contains("content-length: "), "{head}");
    assert!(!head.contains("status"), "{head}");
}
