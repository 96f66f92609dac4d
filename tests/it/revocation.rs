//! After a credential statement has returned, no core serves the old state (DESIGN §7, invariant 1):
//! whichever way a client came in, and wherever it stands.

use crate::http_client::{Client, basic, read_head, status};
use crate::native_wire::{CLIENT_CAPABILITIES, Native};
use crate::server::{TestServer, UNTHROTTLED};
use serde_json::json;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

/// The Authorization field of a key.
fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

#[test]
fn whoever_is_revoked_while_the_body_is_on_its_way_is_refused() {
    let server = TestServer::start();
    let key = server.psql("CREATE API KEY ci");
    let rotated = server.psql("CREATE API KEY turning");
    for name in ["alice", "bob"] {
        server.psql(&format!("CREATE USER {name} WITH PASSWORD 'secret'"));
    }
    let orphan = server.psql("CREATE API KEY orphan FOR bob");
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

/// Sessions of each kind in the story below.
const EACH: usize = 50;

fn post(authorization: &str, sql: &str) -> String {
    let body = json!({ "sql": sql }).to_string();
    format!(
        "POST /v1/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a native client is told at its session's end, and that the connection is closed then.
fn assert_ended(client: &mut Native) {
    let told = client.reply();
    assert_eq!(told["error"]["code"], "57P01", "{told}");
    assert!(client.payload().is_none(), "the connection is closed");
}

#[test]
fn two_hundred_sessions_of_every_kind_end_with_their_owner_and_nobody_comes_in_again() {
    let server = TestServer::start_configured(&format!("[server]\ncores = 2\n{UNTHROTTLED}"));
    server.psql("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0)");
    server.psql("CREATE USER alice WITH PASSWORD 'secret'");
    let key = server.psql("CREATE API KEY hers FOR alice");
    let other = server.psql("CREATE API KEY other");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");

    let by_pgwire: Vec<_> = (0..EACH)
        .map(|_| runtime.block_on(pgwire(&server)).expect("she logs in"))
        .collect();
    let mut by_password: Vec<_> = (0..EACH)
        .map(|_| Native::log_in(&server, "alice", "secret"))
        .collect();
    let mut by_key: Vec<_> = (0..EACH).map(|_| native_by_key(&server, &key)).collect();
    let mut cores: Vec<String> = by_key
        .iter_mut()
        .map(|client| client.rows("SHOW SESSION")[0][6].to_string())
        .collect();
    cores.sort();
    cores.dedup();
    assert_eq!(cores.len(), 2, "both cores have some of them");
    // One of them holds the row, the others wait for it.
    let update = post(&bearer(&key), "UPDATE t SET n = n + 1; SELECT pg_sleep(60)");
    let by_http: Vec<_> = (0..EACH)
        .map(|_| {
            let mut client = Client::of(&server);
            client.send(&update);
            client
        })
        .collect();
    server.until_lock_waits(EACH as u64 - 1);

    server.psql("DROP USER alice");

    // Nothing new is admitted once the statement has returned, on whichever core it comes in.
    for _ in 0..20 {
        let mut client = Client::of(&server);
        client.send(&post(&bearer(&key), "SELECT 1"));
        assert_eq!(status(&client.read_to_end()), "HTTP/1.1 401 Unauthorized");
        let mut client = Native::greeted(&server, CLIENT_CAPABILITIES);
        let refused = client.auth("alice", "secret", None);
        assert_eq!(refused["error"]["code"], "28P01", "{refused}");
        let refused = runtime.block_on(pgwire(&server));
        let refused = refused.expect_err("she is gone");
        assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
    }
    // Whoever was in has been told why it is out.
    for (_client, connection) in by_pgwire {
        let ended = runtime.block_on(connection).expect("the task ends");
        let error = ended.expect_err("with an error");
        assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN), "{error}");
    }
    by_password.iter_mut().for_each(assert_ended);
    by_key.iter_mut().for_each(assert_ended);
    for client in by_http {
        let reply = client.read_to_end();
        assert!(reply.contains("\"code\":\"57P01\""), "{reply}");
    }
    // And nothing of theirs has happened; others are none the worse.
    assert_eq!(server.psql("SELECT n FROM t"), "0");
    let mut client = Client::of(&server);
    client.send(&post(&bearer(&other), "SELECT 1"));
    assert_eq!(status(&client.read_to_end()), "HTTP/1.1 200 OK");
}

type Ended = tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>;

/// A session of alice's over PostgreSQL's protocol, and the end of its connection.
async fn pgwire(
    server: &TestServer,
) -> Result<(tokio_postgres::Client, Ended), tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(server.pgwire().port())
        .user("alice")
        .password("secret")
        .dbname("nodedb");
    let (client, connection) = config.connect(NoTls).await?;
    Ok((client, tokio::spawn(connection)))
}

fn native_by_key(server: &TestServer, key: &str) -> Native {
    let mut client = Native::greeted(server, CLIENT_CAPABILITIES);
    let auth = json!({"method": "api_key", "token": key});
    let reply = client.ask(1, json!({ "auth": auth }));
    assert_eq!(reply["auth"]["username"], "alice", "{reply}");
    client
}
