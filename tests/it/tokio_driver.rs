//! The Rust driver tokio-postgres on a real server: what an application does on its first day.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use std::error::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, IsolationLevel, NoTls};

fn with_client<F: Future<Output = Result<(), Box<dyn Error>>>>(
    server: &TestServer,
    test: impl FnOnce(Client) -> F,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let tested: Result<(), Box<dyn Error>> = runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(server.pgwire().port())
            .user("nodedb")
            .password(SUPERUSER_PASSWORD)
            .dbname("nodedb");
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        test(client).await
    });
    if let Err(error) = tested {
        panic!("{error:?}");
    }
}

#[test]
fn statements_are_prepared_and_values_come_back_in_their_types() {
    let server = TestServer::start();
    with_client(&server, async |client: Client| {
        client
            .batch_execute(
                "CREATE TABLE t (id int PRIMARY KEY, big bigint, name text, ok bool, \
                 price float8, data bytea)",
            )
            .await?;
        let insert = client
            .prepare("INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6)")
            .await?;
        for id in 0..3_i32 {
            let name = (id != 1).then(|| format!("n{id}"));
            let values = (i64::from(id) << 40, id == 2, f64::from(id) / 4.0);
            let data = vec![id as u8, 0xff];
            let rows = client
                .execute(
                    &insert,
                    &[&id, &values.0, &name, &values.1, &values.2, &data],
                )
                .await?;
            assert_eq!(rows, 1);
        }
        let select = client.prepare("SELECT * FROM t WHERE id = $1").await?;
        let names: Vec<&str> = select
            .columns()
            .iter()
            .map(|column| column.name())
            .collect();
        assert_eq!(names, ["id", "big", "name", "ok", "price", "data"]);
        let row = client.query_one(&select, &[&2_i32]).await?;
        assert_eq!(row.get::<_, i64>("big"), 2 << 40);
        assert_eq!(row.get::<_, Option<String>>("name").as_deref(), Some("n2"));
        assert!(row.get::<_, bool>("ok"));
        assert_eq!(row.get::<_, f64>("price"), 0.5);
        assert_eq!(row.get::<_, Vec<u8>>("data"), [2, 0xff]);
        let row = client.query_one(&select, &[&1_i32]).await?;
        assert_eq!(row.get::<_, Option<String>>("name"), None);
        let all = client
            .query("SELECT id FROM t WHERE big > $1 ORDER BY id", &[&0_i64])
            .await?;
        assert_eq!(all.len(), 2);
        Ok(())
    });
}

#[test]
fn transactions_commit_and_roll_back_and_errors_carry_their_code() {
    let server = TestServer::start();
    with_client(&server, async |mut client: Client| {
        client
            .batch_execute("CREATE TABLE t (id int PRIMARY KEY)")
            .await?;
        let transaction = client.transaction().await?;
        transaction.execute("INSERT INTO t VALUES (1)", &[]).await?;
        transaction.rollback().await?;
        let mut transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .start()
            .await?;
        transaction.execute("INSERT INTO t VALUES (2)", &[]).await?;
        let savepoint = transaction.savepoint("s").await?;
        let error = savepoint
            .execute("INSERT INTO t VALUES (2)", &[])
            .await
            .expect_err("the key is there");
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION));
        let constraint = error.as_db_error().and_then(|error| error.constraint());
        assert_eq!(constraint, Some("t_pkey"));
        savepoint.rollback().await?;
        transaction.commit().await?;
        let rows = client.query("SELECT id FROM t", &[]).await?;
        let ids: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(ids, [2]);
        let error = client.execute("SELEC 1", &[]).await.expect_err("no such");
        assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
        Ok(())
    });
}

#[test]
fn portals_give_rows_in_portions_and_cancel_works() {
    let server = TestServer::start();
    with_client(&server, async |mut client: Client| {
        let transaction = client.transaction().await?;
        let statement = "SELECT n FROM generate_series(1, 10) AS n";
        let portal = transaction.bind(statement, &[]).await?;
        let mut seen = Vec::new();
        loop {
            let rows = transaction.query_portal(&portal, 4).await?;
            if rows.is_empty() {
                break;
            }
            seen.push(rows.len());
        }
        assert_eq!(seen, [4, 4, 2]);
        transaction.commit().await?;
        let token = client.cancel_token();
        let sleeping = client.batch_execute("SELECT pg_sleep(600)");
        let cancelling = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            token.cancel_query(NoTls).await
        };
        let (slept, cancelled) = tokio::join!(sleeping, cancelling);
        cancelled?;
        let error = slept.expect_err("it was cancelled");
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
        Ok(())
    });
}
