//! X-NodeDB-Tenant: a superuser asks in another tenant (REFERENCE §7).

use crate::http_client::{as_superuser, curl};
use crate::server::TestServer;

#[test]
fn a_superuser_asks_in_another_tenant_and_nobody_else_does() {
    let server = TestServer::start();
    server.psql("CREATE TENANT acme ID 7");
    server.psql("CREATE USER alice WITH PASSWORD 'right' ROLE admin");
    server.psql("CREATE TABLE here (id int)");
    let superuser = as_superuser();
    let asked = |user: &str, tenant: &str, text: &str| {
        let field = format!("X-NodeDB-Tenant: {tenant}");
        let body = serde_json::json!({ "sql": text }).to_string();
        curl(
            &server,
            "/v1/query",
            &["-u", user, "-H", &field, "-d", &body],
        )
    };
    let (status, body) = asked(
        &superuser,
        "7",
        "SELECT current_setting('tenant') AS tenant",
    );
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("{\"tenant\":\"7\"}"), "{body}");
    assert_eq!(asked(&superuser, "7", "SELECT * FROM here").0, 404);
    assert_eq!(asked(&superuser, "0", "SELECT * FROM here").0, 200);
    assert_eq!(asked(&superuser, "8", "SELECT 1").0, 404);
    assert_eq!(asked("alice:right", "7", "SELECT 1").0, 403);
    assert_eq!(asked("alice:right", "0", "SELECT 1").0, 200);
    for wrong in ["acme", "-1", "99999999999"] {
        assert_eq!(asked(&superuser, wrong, "SELECT 1").0, 400, "{wrong}");
    }
}
