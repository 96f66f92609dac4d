//! sqlx at run time: what an application does every day.

use bigdecimal::BigDecimal;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sql_drivers::{pool, url};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolCopyExt};
use sqlx::types::Json;
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, Row, query, query_as, query_scalar,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

fn code(error: &sqlx::Error) -> String {
    let error = error
        .as_database_error()
        .unwrap_or_else(|| panic!("{error}"));
    error.code().expect("the server gives one").into_owned()
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let options: PgConnectOptions = url().parse().expect("a url");
    let error = options
        .password("wrong")
        .connect()
        .await
        .expect_err("it is wrong");
    assert_eq!(code(&error), "28P01");
}

#[tokio::test]
async fn twenty_connections_serve_many_tasks() {
    let pool = pool().await;
    let tasks = (0..200_i64).map(|n| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let sum: i64 = query_scalar("SELECT $1 + $2")
                .bind(n)
                .bind(1_i64)
                .fetch_one(&pool)
                .await?;
            Ok::<_, sqlx::Error>(sum)
        })
    });
    let mut total = 0;
    for task in tasks.collect::<Vec<_>>() {
        total += task.await.expect("no panic").expect("an answer");
    }
    assert_eq!(total, 200 * 201 / 2);
    assert!(pool.size() <= 20);
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let pool = pool().await;
    let date = NaiveDate::from_ymd_opt(2026, 2, 3).expect("a date");
    let time = NaiveTime::from_hms_micro_opt(4, 5, 6, 789_000).expect("a time");
    let local = NaiveDateTime::new(date, time);
    let moment: DateTime<Utc> = local.and_utc();
    let number: BigDecimal = "12345678901234567890.5".parse().expect("a number");
    let document = Json(serde_json::json!({"a": [1, null, "ż"]}));
    let uuid = Uuid::from_u128(0x0123_4567_89ab_cdef);
    let row = query("SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::int4")
        .bind(true)
        .bind(i16::MIN)
        .bind(f64::MIN_POSITIVE)
        .bind("zażółć")
        .bind(&[0_u8, 255][..])
        .bind(date)
        .bind(time)
        .bind(local)
        .bind(moment)
        .bind(&number)
        .bind(&document)
        .bind(None::<i32>)
        .fetch_one(&pool)
        .await
        .expect("an answer");
    assert!(row.get::<bool, _>(0));
    assert_eq!(row.get::<i16, _>(1), i16::MIN);
    assert_eq!(row.get::<f64, _>(2), f64::MIN_POSITIVE);
    assert_eq!(row.get::<String, _>(3), "zażółć");
    assert_eq!(row.get::<Vec<u8>, _>(4), [0, 255]);
    assert_eq!(row.get::<NaiveDate, _>(5), date);
    assert_eq!(row.get::<NaiveTime, _>(6), time);
    assert_eq!(row.get::<NaiveDateTime, _>(7), local);
    assert_eq!(row.get::<DateTime<Utc>, _>(8), moment);
    assert_eq!(row.get::<BigDecimal, _>(9), number);
    assert_eq!(row.get::<Json<serde_json::Value>, _>(10), document);
    assert_eq!(row.get::<Option<i32>, _>(11), None);
    let (numbers, texts, uuids): (Vec<i32>, Vec<Option<String>>, Vec<Uuid>) =
        query_as("SELECT $1::int4[], $2::text[], $3::uuid[]")
            .bind(vec![3, 1, 2])
            .bind(vec![Some("a,b"), None])
            .bind(vec![uuid])
            .fetch_one(&pool)
            .await
            .expect("an answer");
    assert_eq!((numbers, uuids), (vec![3, 1, 2], vec![uuid]));
    assert_eq!(texts, [Some("a,b".to_owned()), None]);
    let found: DateTime<FixedOffset> = query_scalar("SELECT timestamptz '2026-02-03 04:05:06+02'")
        .fetch_one(&pool)
        .await
        .expect("an answer");
    assert_eq!(found.to_rfc3339(), "2026-02-03T02:05:06+00:00");
}

#[tokio::test]
async fn transactions_and_savepoints_leave_what_was_committed() {
    let mut connection = PgConnection::connect(&url()).await.expect("a connection");
    connection
        .execute(
            "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0))",
        )
        .await
        .expect("it is made");
    let mut outer = connection.begin().await.expect("it begins");
    outer
        .execute("INSERT INTO account VALUES (1, 10)")
        .await
        .expect("it is inserted");
    let mut inner = outer.begin().await.expect("a savepoint");
    let error = inner
        .execute("INSERT INTO account VALUES (1, 20)")
        .await
        .expect_err("it is there");
    let told = error.as_database_error().expect("the server's");
    assert!(told.is_unique_violation());
    assert_eq!(
        (told.constraint(), told.table()),
        (Some("account_pkey"), Some("account"))
    );
    inner.rollback().await.expect("back to the savepoint");
    outer.commit().await.expect("it commits");
    let dropped = async {
        let mut forgotten = connection.begin().await?;
        forgotten.execute("DELETE FROM account").await?;
        Ok::<_, sqlx::Error>(())
    };
    dropped.await.expect("it is deleted, and rolled back");
    let error = query("UPDATE account SET balance = balance - $1")
        .bind(11)
        .execute(&mut connection)
        .await;
    assert_eq!(code(&error.expect_err("it is checked")), "23514");
    let left: Vec<(i32, i32)> = query_as("SELECT * FROM account")
        .fetch_all(&mut connection)
        .await
        .expect("rows");
    assert_eq!(left, [(1, 10)]);
    connection
        .execute("DROP TABLE account")
        .await
        .expect("it is dropped");
}

#[tokio::test]
async fn many_rows_are_inserted_at_once_and_copied() {
    let pool = pool().await;
    pool.execute("CREATE TABLE bulk (id int PRIMARY KEY, name text)")
        .await
        .expect("it is made");
    let (ids, names): (Vec<i32>, Vec<String>) = (0..1_000).map(|n| (n, format!("n{n}"))).unzip();
    let inserted = query("INSERT INTO bulk SELECT * FROM unnest($1::int4[], $2::text[])")
        .bind(&ids)
        .bind(&names)
        .execute(&pool)
        .await
        .expect("they are inserted");
    assert_eq!(inserted.rows_affected(), 1_000);
    let mut copy = pool
        .copy_in_raw("COPY bulk FROM STDIN WITH (FORMAT CSV)")
        .await
        .expect("it begins");
    copy.send("1000,\"a,b\"\n1001,\n".as_bytes())
        .await
        .expect("it is sent");
    assert_eq!(copy.finish().await.expect("it ends"), 2);
    let (count, last): (i64, Option<String>) =
        query_as("SELECT count(*), min(name) FILTER (WHERE id >= 1000) FROM bulk")
            .fetch_one(&pool)
            .await
            .expect("an answer");
    assert_eq!((count, last.as_deref()), (1_002, Some("a,b")));
    pool.execute("DROP TABLE bulk")
        .await
        .expect("it is dropped");
}

#[tokio::test]
async fn a_listener_hears_and_a_statement_that_takes_too_long_ends() {
    let pool = pool().await;
    let mut listener = PgListener::connect_with(&pool).await.expect("a connection");
    listener.listen("orders").await.expect("it listens");
    query("SELECT pg_notify('orders', $1)")
        .bind("first")
        .execute(&pool)
        .await
        .expect("it is told");
    let heard = tokio::time::timeout(Duration::from_secs(30), listener.recv())
        .await
        .expect("in time");
    let heard = heard.expect("a notification");
    assert_eq!((heard.channel(), heard.payload()), ("orders", "first"));
    let mut connection = pool.acquire().await.expect("a connection");
    connection
        .execute("SET statement_timeout = 100")
        .await
        .expect("it is set");
    let began = Instant::now();
    let error = connection
        .execute("SELECT pg_sleep(600)")
        .await
        .expect_err("it takes too long");
    assert_eq!(code(&error), "57014");
    assert!(began.elapsed() < Duration::from_secs(60));
    connection
        .execute("RESET statement_timeout")
        .await
        .expect("it is reset");
    let waiting: i32 = query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *connection)
        .await
        .expect("a number");
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        query_scalar::<_, bool>("SELECT pg_cancel_backend($1)")
            .bind(waiting)
            .fetch_one(&pool)
            .await
    };
    let (slept, cancelled) = tokio::join!(connection.execute("SELECT pg_sleep(600)"), cancelling);
    assert!(cancelled.expect("an answer"));
    assert_eq!(code(&slept.expect_err("it was cancelled")), "57014");
}

#[tokio::test]
async fn migrations_go_up_once_and_down_again() {
    static MIGRATOR: Migrator = sqlx::migrate!("./migrations");
    let pool = pool().await;
    MIGRATOR.run(&pool).await.expect("they go up");
    MIGRATOR.run(&pool).await.expect("nothing is left to do");
    let notes: Vec<String> = query_scalar("SELECT body FROM note WHERE written <= now()")
        .fetch_all(&pool)
        .await
        .expect("rows");
    assert_eq!(notes, ["first"]);
    MIGRATOR
        .undo(&pool, 20_260_203_040_506)
        .await
        .expect("one goes down");
    let error = query("SELECT written FROM note")
        .execute(&pool)
        .await
        .expect_err("it is gone");
    assert_eq!(code(&error), "42703");
    MIGRATOR.undo(&pool, 0).await.expect("the other goes down");
    let error = query("SELECT * FROM note")
        .execute(&pool)
        .await
        .expect_err("it is gone");
    assert_eq!(code(&error), "42P01");
}
