//! COPY in binary format: the same bytes as PostgreSQL 15's, both ways, and its errors.

use crate::postgresql::Postgresql;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::pin::pin;
use tokio_postgres::{Client, Config, NoTls};

const TABLE: &str = "CREATE TABLE every (id int PRIMARY KEY, s int2, l int8, n numeric, m \
    numeric(10,2), f float4, d float8, t text, v varchar(5), c char(4), b bool, y bytea, a date, \
    h time, p timestamp, z timestamptz, i interval, u uuid, j json, k jsonb, x int[], w text[])";

const ROWS: &str = "INSERT INTO every VALUES \
    (1, -2, 9007199254740993, 1.50, 12.30, 1.5, -0.25, 'é', 'abc', 'ab', true, '\\x00ff', \
     '2024-02-29', '23:59:59.999999', '2024-02-29 12:00:00.000001', '2024-02-29 12:00:00+02', \
     '1 mon 2 days 03:04:05', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{\"a\": 1}', \
     '{\"b\": [1, 2]}', '{1,NULL,3}', '{a,\"b c\"}'), \
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
     NULL, NULL, NULL, NULL, NULL, NULL), \
    (3, 0, 0, 'NaN', 0, 'NaN', 'Infinity', '', '', '', false, '', 'infinity', '00:00', \
     '-infinity', 'infinity', '-1 day', '00000000-0000-0000-0000-000000000000', '[]', 'null', \
     '{}', '{}')";

fn run<F: Future<Output = ()>>(test: impl FnOnce(Config, Config) -> F) {
    let (server, oracle) = (TestServer::start(), Postgresql::start());
    let mut own = Config::new();
    own.host("127.0.0.1")
        .port(server.pgwire().port())
        .user("nodedb")
        .password(SUPERUSER_PASSWORD)
        .dbname("nodedb");
    let mut other = Config::new();
    other
        .host_path(oracle.socket_directory())
        .user("nodedb")
        .dbname("postgres");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(test(own, other));
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("it connects");
    tokio::spawn(connection);
    client
}

async fn taken(client: &Client, statement: &str) -> Vec<u8> {
    let stream = client.copy_out(statement).await.expect(statement);
    let mut stream = pin!(stream);
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.expect(statement));
    }
    bytes
}

/// What COPY FROM STDIN says to these bytes, cut into pieces of this size.
async fn given(
    client: &Client,
    statement: &str,
    bytes: &[u8],
    piece: usize,
) -> Result<u64, String> {
    let sink = client.copy_in(statement).await.expect(statement);
    let mut sink = pin!(sink);
    for piece in bytes.chunks(piece) {
        let sent = sink.send(Bytes::copy_from_slice(piece)).await;
        if sent.is_err() {
            break;
        }
    }
    sink.finish()
        .await
        .map_err(|error| match error.as_db_error() {
            Some(error) => {
                // PostgreSQL names the column even where its field is no field.
                let place = error.where_().unwrap_or_default();
                let line = place.split(", column").next().unwrap_or_default();
                format!("{} {} [{line}]", error.code().code(), error.message())
            }
            None => error.to_string(),
        })
}

#[test]
fn what_one_server_copies_out_the_other_copies_in() {
    run(async |own, other| {
        let (own, other) = (connect(&own).await, connect(&other).await);
        for client in [&own, &other] {
            client.batch_execute(TABLE).await.expect(TABLE);
        }
        other.batch_execute(ROWS).await.expect(ROWS);
        let out = "COPY every TO STDOUT (FORMAT binary)";
        let bytes = taken(&other, out).await;
        for piece in [1, 7, bytes.len()] {
            own.batch_execute("TRUNCATE every").await.expect("TRUNCATE");
            let copied = given(&own, "COPY every FROM STDIN (FORMAT binary)", &bytes, piece).await;
            assert_eq!(copied, Ok(3), "pieces of {piece}");
        }
        let again = taken(&own, out).await;
        assert_eq!(again, bytes, "NodeDB sends what PostgreSQL sends");
        for column in ["n", "m", "t", "c", "p", "z", "i", "k", "x", "w"] {
            let query = format!("SELECT {column}::text FROM every ORDER BY id");
            let texts = |rows: Vec<tokio_postgres::Row>| -> Vec<Option<String>> {
                rows.iter().map(|row| row.get(0)).collect()
            };
            let ours = texts(own.query(&query, &[]).await.expect(&query));
            assert_eq!(
                ours,
                texts(other.query(&query, &[]).await.expect(&query)),
                "{column}"
            );
        }
        let empty = "COPY (SELECT 1 WHERE false) TO STDOUT WITH BINARY";
        assert_eq!(taken(&own, empty).await, taken(&other, empty).await);
    });
}

#[test]
fn bytes_that_are_no_such_input_are_refused_as_postgresql_refuses_them() {
    run(async |own, other| {
        let (own, other) = (connect(&own).await, connect(&other).await);
        let header = |flags: u32| {
            let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
            bytes.extend(flags.to_be_bytes());
            bytes.extend([0; 4]);
            bytes
        };
        let with = |rows: &[u8]| [&header(0)[..], rows].concat();
        let inputs = [
            b"1\tx\n".to_vec(),
            header(1 << 16),
            header(1 << 20),
            with(&[0, 1, 0, 0, 0, 4, 0, 0, 0, 1]),
            with(&[0, 2, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0, 0]),
            with(&[0, 2, 0, 0, 0, 5, 0, 0, 0, 1, 1, 0, 0, 0, 0]),
            with(&[0, 2, 255, 255, 255, 254]),
            with(&[0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 255]),
            with(&[0, 2, 0, 0, 0, 4, 0, 0]),
            with(&[
                0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4, b'l', b'o', b'n', b'g',
            ]),
            with(&[0, 2, 255, 255, 255, 255, 0, 0, 0, 1, b'x']),
        ];
        for client in [&own, &other] {
            let made = "CREATE TABLE two (a int NOT NULL, b varchar(3))";
            client.batch_execute(made).await.expect(made);
        }
        for input in inputs {
            let copy = "COPY two FROM STDIN (FORMAT binary)";
            let ours = given(&own, copy, &input, input.len()).await;
            let theirs = given(&other, copy, &input, input.len()).await;
            assert_eq!(ours, theirs, "{}", input.escape_ascii());
            assert!(ours.is_err(), "{}", input.escape_ascii());
        }
        let count = own.query_one("SELECT count(*) FROM two", &[]).await;
        assert_eq!(count.expect("a count").get::<_, i64>(0), 0);
    });
}

#[test]
fn row_policies_hold_for_rows_in_binary_format() {
    run(async |own, _| {
        let administrator = connect(&own).await;
        administrator
            .batch_execute(
                "CREATE TABLE mine (owner text, n int);
                 INSERT INTO mine VALUES ('ann', 1), ('bob', 2);
                 CREATE RLS POLICY own_rows ON mine FOR ALL USING (owner = $auth.username)",
            )
            .await
            .expect("a table with a policy");
        administrator
            .batch_execute("CREATE USER ann PASSWORD 'pw' ROLE readwrite")
            .await
            .expect("a user");
        let mut config = own.clone();
        config.user("ann").password("pw");
        let ann = connect(&config).await;
        let out = taken(&ann, "COPY mine TO STDOUT (FORMAT binary)").await;
        let text = String::from_utf8_lossy(&out).into_owned();
        assert!(text.contains("ann") && !text.contains("bob"), "{text}");
        let all = taken(&administrator, "COPY mine TO STDOUT (FORMAT binary)").await;
        let copied = given(
            &ann,
            "COPY mine FROM STDIN (FORMAT binary)",
            &all,
            all.len(),
        )
        .await;
        let refused = copied.expect_err("bob's row is not hers to write");
        assert!(refused.starts_with("42501"), "{refused}");
    });
}
