//! What the published client does with this server: log in, ping, run statements with and without
//! parameters, take a long result, tell errors apart.

use native_driver::{PASSWORD, Server};
use nodedb_client::native::builder::ConnectionBuilder;
use nodedb_client::native::client::NativeClient;
use nodedb_client::native::connection::NativeConnection;
use nodedb_client::traits::NodeDb;
use nodedb_types::error::{ErrorCode, NodeDbError};
use nodedb_types::protocol::AuthMethod;
use nodedb_types::value::Value;
use tempfile::TempDir;

struct Fixture {
    server: Server,
    _directory: TempDir,
}

fn fixture() -> Fixture {
    let directory = TempDir::new().expect("a temporary directory");
    Fixture {
        server: Server::start(directory.path()),
        _directory: directory,
    }
}

impl Fixture {
    fn client(&self, password: &str) -> NativeClient {
        let builder = ConnectionBuilder::new(self.server.address());
        builder
            .username("nodedb")
            .password(password)
            .database("nodedb")
            .max_connections(1)
            .build()
            .expect("a name and a password are enough")
    }

    async fn connection(&self) -> NativeConnection {
        let connected = NativeConnection::connect(&self.server.address()).await;
        connected.expect("the handshake succeeds")
    }
}

fn password(password: &str) -> AuthMethod {
    AuthMethod::Password {
        username: "nodedb".to_owned(),
        password: password.to_owned(),
    }
}

fn code(error: &NodeDbError) -> ErrorCode {
    error.code()
}

#[tokio::test]
async fn it_logs_in_with_a_password_pings_and_knows_the_server() {
    let fixture = fixture();
    let mut connection = fixture.connection().await;
    connection.ping().await.expect("before authentication");
    assert!(!connection.is_authenticated());
    let logged_in = connection.authenticate(password(PASSWORD), Some("nodedb"));
    logged_in.await.expect("the password is right");
    connection.ping().await.expect("after authentication");
    assert_eq!(connection.proto_version, 1);
    assert!(connection.server_version.starts_with("NodeDB/"));
    assert_eq!(connection.capabilities & 1, 1, "results come in parts");
    let longest = connection.limits.max_query_text_bytes.expect("announced");
    assert!(longest > 1 << 20);
    assert_eq!(connection.limits.max_vector_dim, None);
}

#[tokio::test]
async fn a_bad_credential_is_refused() {
    let fixture = fixture();
    let trust = AuthMethod::Trust {
        username: "nodedb".to_owned(),
    };
    let key = AuthMethod::ApiKey {
        token: "ndb_AAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    };
    let bearer = AuthMethod::OidcBearer {
        token: "a.b.c".to_owned(),
        provider: None,
    };
    for method in [password("wrong"), trust, key, bearer] {
        let mut connection = fixture.connection().await;
        let refused = connection.authenticate(method, None).await;
        assert!(refused.is_err(), "nothing was proved");
        assert!(!connection.is_authenticated());
    }
    let refused = fixture.client("wrong").query("SELECT 1").await;
    assert!(refused.is_err(), "the password is wrong");
}

#[tokio::test]
async fn statements_give_columns_rows_and_counts() {
    let fixture = fixture();
    let client = fixture.client(PASSWORD);
    let made = client.ddl("CREATE TABLE t (id int8 PRIMARY KEY, name text, raw bytea)");
    assert_eq!(
        made.await.expect("made").command.as_deref(),
        Some("CREATE TABLE")
    );
    let insert = "INSERT INTO t VALUES ($1, $2, $3)";
    let parameters = [
        Value::Integer(i64::MAX),
        Value::String("é".to_owned()),
        Value::Bytes(vec![0, 255]),
    ];
    let done = client
        .execute_sql(insert, &parameters)
        .await
        .expect("inserted");
    assert_eq!(
        (done.rows_affected, done.command.as_deref()),
        (1, Some("INSERT"))
    );
    let read = client.query(
        "SELECT id, name, raw, NULL AS nothing, ARRAY[true, NULL] AS list, 1.5::float8 AS f FROM t",
    );
    let read = read.await.expect("read");
    assert_eq!(read.columns, ["id", "name", "raw", "nothing", "list", "f"]);
    assert_eq!(
        read.rows,
        [vec![
            Value::Integer(i64::MAX),
            Value::String("é".to_owned()),
            Value::Bytes(vec![0, 255]),
            Value::Null,
            Value::Array(vec![Value::Bool(true), Value::Null]),
            Value::Float(1.5),
        ]]
    );
}

#[tokio::test]
async fn parameters_of_every_kind_that_sql_has_arrive() {
    let fixture = fixture();
    let client = fixture.client(PASSWORD);
    let decimal = "-12.50".parse().expect("a decimal");
    let at = nodedb_types::datetime::NdbDateTime::from_micros(1_500_000);
    let parameters = [
        Value::Decimal(decimal),
        Value::DateTime(at),
        Value::Uuid("550e8400-e29b-41d4-a716-446655440000".to_owned()),
        Value::Array(vec![Value::Integer(1), Value::Integer(200)]),
        Value::Bool(true),
        Value::Float(0.25),
        Value::Integer(-200),
    ];
    let text = "SELECT $1::numeric(6, 2)::text, ($2::timestamptz = '1970-01-01 00:00:01.5+00'), $3::uuid::text, \
                $4::int[], $5::bool, $6::float8, $7::int";
    let read = client.execute_sql(text, &parameters).await.expect("read");
    assert_eq!(
        read.rows,
        [vec![
            Value::String("-12.50".to_owned()),
            Value::Bool(true),
            Value::String("550e8400-e29b-41d4-a716-446655440000".to_owned()),
            Value::Array(vec![Value::Integer(1), Value::Integer(200)]),
            Value::Bool(true),
            Value::Float(0.25),
            Value::Integer(-200),
        ]]
    );
}

#[tokio::test]
async fn errors_keep_their_class() {
    let fixture = fixture();
    let client = fixture.client(PASSWORD);
    client
        .ddl("CREATE TABLE t (id int PRIMARY KEY)")
        .await
        .expect("made");
    client
        .query("INSERT INTO t VALUES (1)")
        .await
        .expect("inserted");
    for (text, expected) in [
        ("INSERT INTO t VALUES (1)", ErrorCode::CONSTRAINT_VIOLATION),
        ("SELECT * FROM nowhere", ErrorCode::COLLECTION_NOT_FOUND),
        ("SELECT 1 / 0", ErrorCode::DIVISION_BY_ZERO),
        ("SELEC 1", ErrorCode::PLAN_ERROR),
        ("SELECT nothing FROM t", ErrorCode::UNDEFINED_COLUMN),
        ("LISTEN t", ErrorCode::SQL_NOT_ENABLED),
    ] {
        let error = client.query(text).await.expect_err(text);
        assert_eq!(code(&error), expected, "{text}: {error}");
    }
}

#[tokio::test]
async fn a_transaction_and_a_setting_are_the_connection_s() {
    let fixture = fixture();
    let client = fixture.client(PASSWORD);
    client
        .ddl("CREATE TABLE t (id int PRIMARY KEY)")
        .await
        .expect("made");
    client.begin().await.expect("begun");
    client
        .query("INSERT INTO t VALUES (1)")
        .await
        .expect("inserted");
    client.rollback().await.expect("rolled back");
    client.begin().await.expect("begun");
    client
        .query("INSERT INTO t VALUES (2)")
        .await
        .expect("inserted");
    client.commit().await.expect("committed");
    let read = client.query("SELECT id FROM t").await.expect("read");
    assert_eq!(read.rows, [vec![Value::Integer(2)]]);
    client.begin().await.expect("begun");
    client.query("SELECT 1 / 0").await.expect_err("it fails");
    client.commit().await.expect_err("nothing was committed");
    client
        .set_parameter("application_name", "it's mine")
        .await
        .expect("set");
    let shown = client.show_parameter("application_name").await;
    assert_eq!(shown.expect("shown"), "it's mine");
}

#[tokio::test]
async fn a_result_of_many_megabytes_arrives_whole() {
    let fixture = fixture();
    let client = fixture.client(PASSWORD);
    let text = "SELECT i, repeat('x', 1000) AS x FROM generate_series(1, 40000) AS g(i)";
    let read = client.query(text).await.expect("read");
    assert_eq!(read.columns, ["i", "x"]);
    assert_eq!(read.rows.len(), 40_000);
    assert!(
        read.rows
            .iter()
            .zip(1..)
            .all(|(row, i)| row[0] == Value::Integer(i))
    );
    client.ping().await.expect("the connection goes on");
}

#[tokio::test]
async fn it_logs_in_with_an_api_key_until_the_key_is_dropped() {
    let fixture = fixture();
    let owner = fixture.client(PASSWORD);
    let made = owner.execute_sql("CREATE API KEY 'ci' ROLE readonly", &[]);
    let made = made.await.expect("it is made");
    let Some(Value::String(token)) = made.rows.first().and_then(|row| row.first()) else {
        panic!("{:?}", made.rows);
    };
    let by_key = ConnectionBuilder::new(fixture.server.address())
        .api_key(token)
        .max_connections(1)
        .build()
        .expect("a key is enough");
    let read = by_key.execute_sql("SELECT 1", &[]).await.expect("read");
    assert_eq!(read.rows, [vec![Value::Integer(1)]]);
    let written = by_key.execute_sql("CREATE TABLE t (id int)", &[]).await;
    assert!(written.is_err(), "the key only reads");
    let mut connection = fixture.connection().await;
    let key = AuthMethod::ApiKey {
        token: token.clone(),
    };
    let logged_in = connection.authenticate(key.clone(), None).await;
    logged_in.expect("the key is good");
    connection.ping().await.expect("after authentication");
    let dropped = owner.execute_sql("DROP API KEY 'ci'", &[]).await;
    dropped.expect("it is there");
    let again = fixture.connection().await.authenticate(key, None).await;
    assert!(again.is_err(), "it is gone");
}
