//! SELECT … FOR UPDATE and its like on queries: what is locked stays locked, what others have
//! locked is waited for, skipped or refused, and what they have changed is looked at again.

use crate::server::{SUPERUSER_PASSWORD, TestServer};
use std::collections::BTreeSet;
use std::error::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

type Tested = Result<(), Box<dyn Error>>;

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

async fn connect(server: &TestServer) -> Result<Client, Box<dyn Error>> {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(server.pgwire().port())
        .user("nodedb")
        .password(SUPERUSER_PASSWORD)
        .dbname("nodedb");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

const JOBS: &str =
    "CREATE TABLE jobs (id int PRIMARY KEY, state text NOT NULL, tries int NOT NULL);
    INSERT INTO jobs SELECT n, 'new', 0 FROM generate_series(1, 24) n";

async fn ids(client: &Client, query: &str) -> Result<Vec<i32>, tokio_postgres::Error> {
    let rows = client.query(query, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn refusal(client: &Client, query: &str) -> (SqlState, String) {
    let error = client.query(query, &[]).await.expect_err(query);
    let error = error.as_db_error().expect("the server's own error");
    (error.code().clone(), error.message().to_owned())
}

#[test]
fn workers_of_a_job_queue_each_take_jobs_that_nobody_else_has() {
    tested(async |server| {
        connect(&server).await?.batch_execute(JOBS).await?;
        let mut workers = Vec::new();
        for _ in 0..4 {
            let client = connect(&server).await?;
            workers.push(tokio::spawn(async move {
                let mut taken: Vec<i32> = Vec::new();
                loop {
                    client.batch_execute("BEGIN").await?;
                    let next = "SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1 \
                                FOR UPDATE SKIP LOCKED";
                    let found = ids(&client, next).await?;
                    let Some(id) = found.first() else {
                        client.batch_execute("COMMIT").await?;
                        // Others may still hold what they took, and nobody gives any back.
                        return Ok::<_, tokio_postgres::Error>(taken);
                    };
                    let done = "UPDATE jobs SET state = 'done', tries = tries + 1 WHERE id = $1";
                    client.execute(done, &[id]).await?;
                    client.batch_execute("COMMIT").await?;
                    taken.push(*id);
                }
            }));
        }
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await??);
        }
        assert_eq!(all.len(), 24, "none twice: {all:?}");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 24);
        let client = connect(&server).await?;
        let tried_once = ids(&client, "SELECT count(*)::int FROM jobs WHERE tries = 1").await?;
        assert_eq!(tried_once, [24]);
        Ok(())
    });
}

#[test]
fn a_job_is_taken_in_one_statement_by_a_locking_subquery() {
    tested(async |server| {
        let (client, other) = (connect(&server).await?, connect(&server).await?);
        client.batch_execute(JOBS).await?;
        other.batch_execute("BEGIN").await?;
        let held = "SELECT id FROM jobs WHERE id IN (1, 2) FOR UPDATE";
        assert_eq!(ids(&other, held).await?.len(), 2);
        let take = "UPDATE jobs SET state = 'taken' WHERE id = (SELECT id FROM jobs WHERE \
                    state = $1 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id";
        let take = client.prepare(take).await?;
        for expected in [3, 4] {
            let rows = client.query(&take, &[&"new"]).await?;
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0].get::<_, i32>(0), expected);
        }
        assert!(client.query(&take, &[&"none such"]).await?.is_empty());
        let with = "WITH job AS (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 2 \
                    FOR UPDATE SKIP LOCKED) UPDATE jobs SET state = 'taken' FROM job \
                    WHERE jobs.id = job.id RETURNING jobs.id";
        let mut taken = ids(&client, with).await?;
        taken.sort_unstable();
        assert_eq!(taken, [5, 6]);
        let gone = "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE id < 4 \
                    ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING id";
        assert_eq!(ids(&client, gone).await?, [3]);
        Ok(())
    });
}

#[test]
fn what_a_locking_subquery_gives_is_exact_whatever_the_session_prints_with() {
    tested(async |server| {
        let client = connect(&server).await?;
        client
            .batch_execute(
                "CREATE TABLE measures (id int PRIMARY KEY, f float8, b bytea);
                 INSERT INTO measures VALUES (1, 0.1234567890123456, '\\xff27005c');
                 SET extra_float_digits = -10; SET bytea_output = escape;",
            )
            .await?;
        for column in ["f", "b"] {
            let update = format!(
                "UPDATE measures SET id = id + 1 WHERE {column} = \
                 (SELECT {column} FROM measures FOR UPDATE)"
            );
            assert_eq!(client.execute(&update, &[]).await?, 1, "{column}");
        }
        Ok(())
    });
}

#[test]
fn a_locked_row_is_waited_for_and_asked_again_in_its_newest_version() {
    tested(async |server| {
        let client = connect(&server).await?;
        client.batch_execute(JOBS).await?;
        for (lock, end, expected) in [
            ("NO KEY UPDATE", "ROLLBACK", &[(1, 0), (2, 0), (3, 0)][..]),
            ("UPDATE", "COMMIT", &[(2, 7), (3, 0)][..]),
        ] {
            client.batch_execute("BEGIN").await?;
            client
                .batch_execute(
                    "UPDATE jobs SET state = 'done' WHERE id = 1; UPDATE jobs SET tries = 7 WHERE id = 2",
                )
                .await?;
            let other = connect(&server).await?;
            let waiting = tokio::spawn(async move {
                let query = format!(
                    "SELECT id, tries FROM jobs WHERE id < 4 AND state = 'new' ORDER BY id FOR {lock}"
                );
                let rows = other.query(&query, &[]).await?;
                let rows = rows.iter().map(|row| (row.get(0), row.get(1)));
                Ok::<Vec<(i32, i32)>, tokio_postgres::Error>(rows.collect())
            });
            server.until_lock_waits(1);
            client.batch_execute(end).await?;
            assert_eq!(waiting.await??, expected, "{end}");
        }
        let grouped = "SELECT count(*)::int FROM jobs WHERE id = 3 FOR UPDATE";
        let (code, message) = refusal(&client, grouped).await;
        assert_eq!(code, SqlState::FEATURE_NOT_SUPPORTED);
        assert_eq!(
            message,
            "FOR UPDATE is not allowed with aggregate functions"
        );
        Ok(())
    });
}

#[test]
fn nowait_fails_at_once_and_repeatable_read_gives_way() {
    tested(async |server| {
        let (client, other) = (connect(&server).await?, connect(&server).await?);
        client.batch_execute(JOBS).await?;
        other
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM jobs")
            .await?;
        client.batch_execute("BEGIN").await?;
        client
            .batch_execute("UPDATE jobs SET tries = 1 WHERE id = 1")
            .await?;
        let third = connect(&server).await?;
        let (code, message) =
            refusal(&third, "SELECT * FROM jobs WHERE id < 3 FOR SHARE NOWAIT").await;
        assert_eq!(code, SqlState::LOCK_NOT_AVAILABLE);
        assert_eq!(message, "could not obtain lock on row in relation \"jobs\"");
        client.batch_execute("COMMIT").await?;
        let (code, message) = refusal(&other, "SELECT * FROM jobs WHERE id < 3 FOR UPDATE").await;
        assert_eq!(code, SqlState::T_R_SERIALIZATION_FAILURE);
        assert_eq!(
            message,
            "could not serialize access due to concurrent update"
        );
        Ok(())
    });
}

#[test]
fn joins_lock_all_their_tables_or_those_of_the_list() {
    tested(async |server| {
        let (client, other) = (connect(&server).await?, connect(&server).await?);
        client.batch_execute(JOBS).await?;
        client
            .batch_execute(
                "CREATE TABLE notes (id int, job int, note text); \
                            INSERT INTO notes VALUES (1, 1, 'a'), (2, 2, 'b')",
            )
            .await?;
        client.batch_execute("BEGIN").await?;
        let rows = client
            .query(
                "SELECT *, j.tries + 1 AS next FROM jobs j JOIN notes n ON n.job = j.id \
                 WHERE n.note = 'a' ORDER BY 1 FOR UPDATE OF j",
                &[],
            )
            .await?;
        let columns: Vec<&str> = rows[0]
            .columns()
            .iter()
            .map(|column| column.name())
            .collect();
        assert_eq!(
            columns,
            ["id", "state", "tries", "id", "job", "note", "next"]
        );
        let free = "SELECT id FROM jobs WHERE id < 4 ORDER BY id FOR UPDATE SKIP LOCKED";
        assert_eq!(ids(&other, free).await?, [2, 3]);
        let notes = "SELECT id FROM notes ORDER BY id FOR UPDATE SKIP LOCKED";
        assert_eq!(ids(&other, notes).await?, [1, 2]);
        client
            .batch_execute(
                "SELECT 1 FROM jobs j JOIN notes n ON n.job = j.id WHERE j.id = 2 FOR UPDATE",
            )
            .await?;
        assert_eq!(ids(&other, notes).await?, [1]);
        let limited = "SELECT id FROM jobs ORDER BY id LIMIT 2 OFFSET 1 FOR UPDATE SKIP LOCKED";
        assert_eq!(ids(&other, limited).await?, [4, 5]);
        Ok(())
    });
}

#[test]
fn what_has_no_rows_of_tables_is_refused_as_postgresql_refuses_it() {
    tested(async |server| {
        let client = connect(&server).await?;
        client.batch_execute(JOBS).await?;
        client.batch_execute("CREATE TABLE other (id int)").await?;
        for (query, message) in [
            (
                "SELECT DISTINCT state FROM jobs FOR UPDATE",
                "FOR UPDATE is not allowed with DISTINCT clause",
            ),
            (
                "SELECT state FROM jobs GROUP BY state FOR SHARE",
                "FOR SHARE is not allowed with GROUP BY clause",
            ),
            (
                "SELECT 1 FROM jobs HAVING true FOR UPDATE",
                "FOR UPDATE is not allowed with HAVING clause",
            ),
            (
                "SELECT max(id) FROM jobs FOR KEY SHARE",
                "FOR KEY SHARE is not allowed with aggregate functions",
            ),
            (
                "SELECT rank() OVER (ORDER BY id) FROM jobs FOR UPDATE",
                "FOR UPDATE is not allowed with window functions",
            ),
            (
                "SELECT generate_series(1, id) FROM jobs FOR UPDATE",
                "FOR UPDATE is not allowed with set-returning functions in the target list",
            ),
            (
                "SELECT id FROM jobs UNION SELECT id FROM other FOR NO KEY UPDATE",
                "FOR NO KEY UPDATE is not allowed with UNION/INTERSECT/EXCEPT",
            ),
            (
                "VALUES (1) FOR UPDATE",
                "FOR UPDATE cannot be applied to VALUES",
            ),
            (
                "SELECT * FROM jobs LEFT JOIN other USING (id) FOR UPDATE",
                "FOR UPDATE cannot be applied to the nullable side of an outer join",
            ),
            (
                "SELECT * FROM generate_series(1, 2) g FOR UPDATE OF g",
                "FOR UPDATE cannot be applied to a function",
            ),
            (
                "WITH q AS (SELECT 1) SELECT * FROM q FOR UPDATE OF q",
                "FOR UPDATE cannot be applied to a WITH query",
            ),
        ] {
            assert_eq!(
                refusal(&client, query).await,
                (SqlState::FEATURE_NOT_SUPPORTED, message.to_owned()),
                "{query}"
            );
        }
        let left = "SELECT jobs.id FROM jobs LEFT JOIN other USING (id) ORDER BY 1 LIMIT 2 FOR UPDATE OF jobs";
        assert_eq!(ids(&client, left).await?, [1, 2]);
        client.batch_execute("BEGIN READ ONLY").await?;
        let (code, message) = refusal(&client, "SELECT * FROM jobs FOR KEY SHARE").await;
        assert_eq!(code, SqlState::READ_ONLY_SQL_TRANSACTION);
        assert_eq!(
            message,
            "cannot execute SELECT FOR KEY SHARE in a read-only transaction"
        );
        Ok(())
    });
}

#[test]
fn a_row_behind_hundreds_that_others_hold_is_found() {
    tested(async |server| {
        let (client, other) = (connect(&server).await?, connect(&server).await?);
        client
            .batch_execute(
                "CREATE TABLE jobs (id int PRIMARY KEY); \
                 INSERT INTO jobs SELECT * FROM generate_series(1, 1000)",
            )
            .await?;
        other.batch_execute("BEGIN").await?;
        let held = "SELECT id FROM jobs WHERE id <= 600 FOR UPDATE";
        assert_eq!(ids(&other, held).await?.len(), 600);
        let next = "SELECT id FROM jobs ORDER BY id LIMIT 2 OFFSET 1 FOR UPDATE SKIP LOCKED";
        assert_eq!(ids(&client, next).await?, [602, 603]);
        Ok(())
    });
}
