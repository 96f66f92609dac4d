//! Statements that sqlx has checked at compile time: the server has told it each parameter's type, each
//! column's, and which columns may be NULL. That this compiles is half of the test.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};
use sql_drivers::pool;
use sqlx::{Executor, SqlSafeStr, query, query_as, query_scalar};
use uuid::Uuid;

struct Customer {
    id: i64,
    name: String,
    email: Option<String>,
    labels: Vec<String>,
    extra: Option<serde_json::Value>,
    joined: DateTime<Utc>,
    token: Option<Uuid>,
}

#[tokio::test]
async fn rows_come_as_the_types_that_the_server_has_told() {
    let pool = pool().await;
    let token = Uuid::from_u128(7);
    let extra = serde_json::json!({"level": 3});
    let labels = vec!["a".to_owned(), "b,c".to_owned()];
    let made = query!(
        "INSERT INTO customer (name, email, labels, extra, token) VALUES ($1, $2, $3, $4, $5)
         RETURNING id, joined",
        "Ada",
        "ada@checked",
        &labels,
        extra,
        token
    )
    .fetch_one(&pool)
    .await
    .expect("it is inserted");
    let (id, joined): (i64, DateTime<Utc>) = (made.id, made.joined);
    let found = query_as!(Customer, "SELECT * FROM customer WHERE id = $1", id)
        .fetch_one(&pool)
        .await
        .expect("it is there");
    assert_eq!((found.id, found.joined), (id, joined));
    assert_eq!(found.name, "Ada");
    assert_eq!(found.email.as_deref(), Some("ada@checked"));
    assert_eq!(found.labels, labels);
    assert_eq!(found.extra, Some(extra));
    assert_eq!(found.token, Some(token));
    let amount: BigDecimal = "12.50".parse().expect("a number");
    let paid = NaiveDate::from_ymd_opt(2026, 2, 3);
    let invoice: i32 = query_scalar!(
        "INSERT INTO invoice (customer_id, amount, paid) VALUES ($1, $2, $3) RETURNING id",
        id,
        amount,
        paid
    )
    .fetch_one(&pool)
    .await
    .expect("it is inserted");
    let owed = query!(
        r#"SELECT c.name, sum(i.amount) AS "owed!", max(i.paid) AS paid
           FROM customer c JOIN invoice i ON i.customer_id = c.id WHERE c.id = $1 GROUP BY c.name"#,
        id
    )
    .fetch_one(&pool)
    .await
    .expect("there is one");
    let (name, sum, last): (String, BigDecimal, Option<NaiveDate>) =
        (owed.name, owed.owed, owed.paid);
    assert_eq!((name.as_str(), &sum, last), ("Ada", &amount, paid));
    let changed = query!(
        "UPDATE invoice SET amount = amount * 2 WHERE id = $1 RETURNING amount, paid",
        invoice
    )
    .fetch_one(&pool)
    .await
    .expect("it is there");
    let doubled: BigDecimal = changed.amount;
    assert_eq!(doubled, amount * 2);
    let gone = query!("DELETE FROM invoice WHERE customer_id = $1", id)
        .execute(&pool)
        .await
        .expect("it is deleted");
    assert_eq!(gone.rows_affected(), 1);
}

/// Without that a column of the optional side would be decoded as if it could not be NULL.
#[tokio::test]
async fn columns_of_an_outer_joins_optional_side_may_be_null() {
    let pool = pool().await;
    let id: i64 = query_scalar!("INSERT INTO customer (name) VALUES ('no invoice') RETURNING id")
        .fetch_one(&pool)
        .await
        .expect("it is inserted");
    let row = query!(
        "SELECT c.name, i.id AS invoice, i.amount FROM customer c
         LEFT JOIN invoice i ON i.customer_id = c.id WHERE c.id = $1",
        id
    )
    .fetch_one(&pool)
    .await
    .expect("there is one");
    let (name, invoice, amount): (String, Option<i32>, Option<BigDecimal>) =
        (row.name, row.invoice, row.amount);
    assert_eq!((name.as_str(), invoice, amount), ("no invoice", None, None));
}

#[tokio::test]
async fn what_may_be_null_is_told_of_every_kind_of_statement() {
    let pool = pool().await;
    for (statement, nullable) in [
        (
            "SELECT id, email, name || 'x' FROM customer",
            &[Some(false), Some(true), None][..],
        ),
        (
            "SELECT c.id, i.id FROM customer c JOIN invoice i ON i.customer_id = c.id",
            &[Some(false), Some(false)],
        ),
        (
            "SELECT c.id, i.id FROM customer c FULL JOIN invoice i ON i.customer_id = c.id",
            &[Some(true), Some(true)],
        ),
        (
            "SELECT id FROM customer WHERE id = $1 FOR UPDATE",
            &[Some(false)],
        ),
        ("SELECT count(*) FROM customer", &[None]),
        (
            "WITH c AS (SELECT * FROM customer) SELECT name FROM c ORDER BY id LIMIT 1",
            &[Some(false)],
        ),
        (
            "INSERT INTO customer (name) VALUES ($1), ($2) RETURNING id, email",
            &[Some(false), Some(true)],
        ),
        (
            "INSERT INTO customer (name) SELECT email FROM customer RETURNING name",
            &[Some(false)],
        ),
        (
            "UPDATE customer SET name = $1 WHERE id = $2 RETURNING email",
            &[Some(true)],
        ),
        (
            "DELETE FROM customer WHERE id = $1 RETURNING id",
            &[Some(false)],
        ),
        ("VALUES (1)", &[None]),
    ] {
        let described = (&pool).describe(statement.into_sql_str()).await;
        let described = described.unwrap_or_else(|error| panic!("{statement}: {error}"));
        let told: Vec<_> = (0..nullable.len())
            .map(|at| described.nullable(at))
            .collect();
        assert_eq!(told, nullable, "{statement}");
    }
}

#[tokio::test]
async fn a_statement_that_is_wrong_would_not_have_compiled() {
    let pool = pool().await;
    for (statement, code) in [
        ("SELECT nothing FROM customer", "42703"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT name + 1 FROM customer", "42883"),
        ("SELEC 1", "42601"),
    ] {
        let error = (&pool)
            .describe(statement.into_sql_str())
            .await
            .expect_err(statement);
        let told = error.as_database_error().and_then(|error| error.code());
        assert_eq!(told.as_deref(), Some(code), "{statement}");
    }
}
