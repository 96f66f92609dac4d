//! After a credential statement has returned, no core serves the old state (DESIGN §7, invariant 1):
//! whichever way a client came in, and wherever it stands.

use crate::http_client::{Client, basic, read_head, status};
use crate::server::TestServer;
use serde_json::json;

#[test]
fn whoever_is_revoked_while_the_body_is_on_its_way_is_refused() {
    let server = TestServer::start();
    let key = server.psql("CREATE API KEY ci");
    let rotated = server.psql("CREATE API KEY turning");
    for name in ["alice", "bob"] {
        server.psql(&format!("CREATE USER {name} WITH PASSWORD 'secret'"));
    }
    let orphan = server.psql("CREATE API KEY orphan FOR bob");
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let body = json!({"sql": "SELECT 1"}).to_string();
    // A head whose credential is good: the server asks for the body.
    let waiting = |authorization: &str| {
        let mut client = Client::of(&server);
        client.send(&format!(
            "POST /v1/query HTTP/1.1\r\nHost: x\r\n{authorization}Expect: 100-continue\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        ));
        let mut reader = client.reader();
        assert_eq!(read_head(&mut reader), "HTTP/1.1 100 Continue\r\n\r\n");
        (client, reader)
    };
    let waiting: Vec<_> = [
        bearer(&key),
        bearer(&rotated),
        bearer(&orphan),
        basic("alice:secret"),
    ]
    .iter()
    .map(|authorization| waiting(authorization))
    .collect();
    server.psql("DROP API KEY ci");
    server.psql("ALTER API KEY turning ROTATE");
    server.psql("DROP USER bob");
    server.psql("ALTER USER alice DISABLE");
    for (mut client, mut reader) in waiting {
        client.send(&body);
        assert_eq!(status(&read_head(&mut reader)), "HTTP/1.1 401 Unauthorized");
    }
}
