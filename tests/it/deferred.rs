//! Deferred foreign keys among sessions: what is checked at COMMIT is checked against what others have
//! done by then, holds no core, can be stopped, and asks no row policy.

use crate::http_client::sql;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use std::error::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

type Tested = Result<(), Box<dyn Error>>;

const TABLES: &str = "CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO parent VALUES (1), (2)";

fn tested<F: Future<Output = Tested>>(test: impl FnOnce(TestServer) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if let Err(error) = runtime.block_on(test(TestServer::start())) {
        panic!("{error:?}");
    }
}

async fn connect_as(
    server: &TestServer,
    user: &str,
    password: &str,
) -> Result<Client, Box<dyn Error>> {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(server.pgwire().port())
        .user(user)
        .password(password)
        .dbname("nodedb");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn connect(server: &TestServer) -> Result<Client, Box<dyn Error>> {
    connect_as(server, "nodedb", SUPERUSER_PASSWORD).await
}

async fn count(client: &Client, from: &str) -> Result<i64, tokio_postgres::Error> {
    let count = format!("SELECT count(*) FROM {from}");
    Ok(client.query_one(&count, &[]).await?.get(0))
}

/// The SQLSTATE and the constraint that a statement is refused for.
fn refusal(outcome: Result<(), tokio_postgres::Error>) -> (SqlState, Option<String>) {
    let error = outcome.expect_err("it is refused");
    let error = error.as_db_error().expect("the server's own error");
    (error.code().clone(), error.constraint().map(str::to_owned))
}

fn violation() -> (SqlState, Option<String>) {
    let constraint = Some("child_parent_id_fkey".to_owned());
    (SqlState::FOREIGN_KEY_VIOLATION, constraint)
}

#[test]
fn a_parent_that_another_deleted_before_commit_is_missed() {
    tested(async |server| {
        let (one, two) = (connect(&server).await?, connect(&server).await?);
        one.batch_execute(TABLES).await?;
        one.batch_execute("BEGIN; INSERT INTO child VALUES (1, 1)")
            .await?;
        // Nothing that is committed points at it.
        two.batch_execute("DELETE FROM parent WHERE id = 1").await?;
        assert_eq!(refusal(one.batch_execute("COMMIT").await), violation());
        assert_eq!(count(&one, "child").await?, 0);
        Ok(())
    });
}

#[test]
fn commit_waits_for_whoever_is_deleting_the_parent() {
    tested(async |server| {
        let two = connect(&server).await?;
        two.batch_execute(TABLES).await?;
        for (id, end, refused) in [(1, "COMMIT", true), (2, "ROLLBACK", false)] {
            let one = connect(&server).await?;
            let insert = format!("BEGIN; INSERT INTO child VALUES ({id}, {id})");
            one.batch_execute(&insert).await?;
            let delete = format!("BEGIN; DELETE FROM parent WHERE id = {id}");
            two.batch_execute(&delete).await?;
            let committing = tokio::spawn(async move { one.batch_execute("COMMIT").await });
            server.until_lock_waits(1);
            two.batch_execute(end).await?;
            let outcome = committing.await?;
            match refused {
                true => assert_eq!(refusal(outcome), violation()),
                false => outcome?,
            }
        }
        assert_eq!(count(&two, "child WHERE parent_id = 2").await?, 1);
        Ok(())
    });
}

#[test]
fn a_parent_that_a_checked_child_points_at_cannot_go_before_it_is_committed() {
    tested(async |server| {
        let (one, two) = (connect(&server).await?, connect(&server).await?);
        one.batch_execute(TABLES).await?;
        one.batch_execute("BEGIN; INSERT INTO child VALUES (1, 1); SET CONSTRAINTS ALL IMMEDIATE")
            .await?;
        // Its own check at COMMIT must find the child.
        let deleting =
            tokio::spawn(async move { two.batch_execute("DELETE FROM parent WHERE id = 1").await });
        server.until_lock_waits(1);
        one.batch_execute("COMMIT").await?;
        assert_eq!(refusal(deleting.await?), violation());
        assert_eq!(count(&one, "parent").await?, 2);
        Ok(())
    });
}

#[test]
fn a_child_of_a_parent_whose_deletion_waits_for_its_check_comes_too_late() {
    tested(async |server| {
        let (one, two) = (connect(&server).await?, connect(&server).await?);
        one.batch_execute(TABLES).await?;
        one.batch_execute("BEGIN; DELETE FROM parent WHERE id = 1")
            .await?;
        let inserting =
            tokio::spawn(async move { two.batch_execute("INSERT INTO child VALUES (1, 1)").await });
        server.until_lock_waits(1);
        one.batch_execute("COMMIT").await?;
        assert_eq!(refusal(inserting.await?), violation());
        assert_eq!(count(&one, "child").await?, 0);
        Ok(())
    });
}

#[test]
fn a_commit_with_much_to_check_can_be_stopped_and_leaves_nothing() {
    tested(async |server| {
        let one = connect(&server).await?;
        one.batch_execute(TABLES).await?;
        // Without an index each key that is gone is looked for in the whole table.
        one.batch_execute(
            "INSERT INTO parent SELECT n FROM generate_series(100, 20000) n;
             INSERT INTO child SELECT n, 1 FROM generate_series(1, 20000) n",
        )
        .await?;
        one.batch_execute("BEGIN; DELETE FROM parent WHERE id >= 100")
            .await?;
        let stop = one.cancel_token();
        let committing = tokio::spawn(async move {
            let outcome = one.batch_execute("COMMIT").await;
            (one, outcome)
        });
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(!committing.is_finished(), "the checks were no work");
        stop.cancel_query(NoTls).await?;
        let (one, outcome) = committing.await?;
        assert_eq!(refusal(outcome).0, SqlState::QUERY_CANCELED);
        assert_eq!(count(&one, "parent").await?, 2 + 19_901);
        Ok(())
    });
}

#[test]
fn rows_that_a_policy_hides_count_for_a_check_at_commit() {
    tested(async |server| {
        let owner = connect(&server).await?;
        owner.batch_execute(TABLES).await?;
        server.psql("CREATE USER app PASSWORD 'pw' ROLE readwrite");
        owner
            .batch_execute(
                "ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY none ON parent USING (false);
                 GRANT SELECT, INSERT ON child, parent TO app",
            )
            .await?;
        let app = connect_as(&server, "app", "pw").await?;
        assert_eq!(count(&app, "parent").await?, 0);
        app.batch_execute("INSERT INTO child VALUES (1, 1)").await?;
        let refused = app.batch_execute("INSERT INTO child VALUES (3, 3)").await;
        assert_eq!(refusal(refused), violation());
        Ok(())
    });
}

#[test]
fn over_http_a_statement_that_leaves_a_child_without_its_parent_is_refused() {
    let server = TestServer::start();
    let (status, reply) = sql(&server, TABLES);
    assert_eq!(status, 200, "{reply}");
    let (status, reply) = sql(&server, "INSERT INTO child VALUES (1, 9) RETURNING id");
    assert_eq!((status, &reply["error"]["code"]), (409, &"23503".into()));
    // The statements of one body are checked together.
    let both = "INSERT INTO child VALUES (1, 9); INSERT INTO parent VALUES (9)";
    assert_eq!(sql(&server, both).0, 200);
    let (_, reply) = sql(&server, "SELECT count(*)::int AS n FROM child");
    assert_eq!(reply["rows"][0]["n"], 1);
}
