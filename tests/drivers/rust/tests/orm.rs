//! Diesel over libpq: tables as types, statements that are checked by them.

use bigdecimal::BigDecimal;
use chrono::{DateTime, TimeZone, Utc};
use diesel::connection::SimpleConnection;
use diesel::dsl::{count_star, exists, sum};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::upsert::excluded;
use std::thread;
use uuid::Uuid;

diesel::table! {
    author (id) {
        id -> BigInt,
        name -> Text,
        born -> Nullable<Date>,
    }
}

diesel::table! {
    book (id) {
        id -> Integer,
        author_id -> BigInt,
        title -> Text,
        price -> Numeric,
        tags -> Array<Text>,
        facts -> Nullable<Jsonb>,
        sold -> Timestamptz,
        key -> Nullable<Uuid>,
    }
}

diesel::joinable!(book -> author (author_id));
diesel::allow_tables_to_appear_in_same_query!(author, book);

#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Identifiable, Insertable)]
#[diesel(table_name = author)]
struct Author {
    id: i64,
    name: String,
    born: Option<chrono::NaiveDate>,
}

#[derive(
    Clone, Debug, PartialEq, Queryable, Selectable, Identifiable, Associations, AsChangeset,
)]
#[diesel(table_name = book, belongs_to(Author))]
struct Book {
    id: i32,
    author_id: i64,
    title: String,
    price: BigDecimal,
    tags: Vec<String>,
    facts: Option<serde_json::Value>,
    sold: DateTime<Utc>,
    key: Option<Uuid>,
}

#[derive(Insertable)]
#[diesel(table_name = book)]
struct NewBook<'b> {
    author_id: i64,
    title: &'b str,
    price: BigDecimal,
    tags: Vec<&'b str>,
    facts: Option<serde_json::Value>,
    sold: DateTime<Utc>,
    key: Option<Uuid>,
}

/// A connection whose tables are its own, in a schema of this name.
fn connection(schema: &str) -> PgConnection {
    let mut connection =
        PgConnection::establish(&sql_drivers::url()).expect("the server lets it in");
    let tables = format!(
        "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path = {schema};
         CREATE TABLE author (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, born date);
         CREATE TABLE book (id serial PRIMARY KEY,
             author_id bigint NOT NULL REFERENCES author (id) ON DELETE CASCADE,
             title varchar(80) NOT NULL, price numeric(8, 2) NOT NULL CHECK (price > 0),
             tags text[] NOT NULL, facts jsonb, sold timestamptz NOT NULL, key uuid)"
    );
    connection
        .batch_execute(&tables)
        .expect("the tables are made");
    connection
}

fn price(text: &str) -> BigDecimal {
    text.parse().expect("a number")
}

fn moment() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 2, 3, 4, 5, 6)
        .single()
        .expect("a moment")
}

fn new_book(author_id: i64, title: &str) -> NewBook<'_> {
    NewBook {
        author_id,
        title,
        price: price("12.50"),
        tags: vec!["a", "b,c"],
        facts: Some(serde_json::json!({"pages": [1, null]})),
        sold: moment(),
        key: Some(Uuid::from_u128(9)),
    }
}

fn ada(connection: &mut PgConnection) -> Author {
    let ada = (
        author::name.eq("Ada"),
        author::born.eq(chrono::NaiveDate::from_ymd_opt(1815, 12, 10)),
    );
    let inserted = diesel::insert_into(author::table).values(ada);
    inserted
        .returning(Author::as_returning())
        .get_result(connection)
        .expect("it is inserted")
}

#[test]
fn objects_come_back_as_they_went() {
    let mut connection = connection("diesel_objects");
    let ada = ada(&mut connection);
    let made: Book = diesel::insert_into(book::table)
        .values(new_book(ada.id, "First"))
        .returning(Book::as_returning())
        .get_result(&mut connection)
        .expect("it is inserted");
    assert_eq!(made.price, price("12.50"));
    assert_eq!(made.tags, ["a", "b,c"]);
    assert_eq!(made.facts, Some(serde_json::json!({"pages": [1, null]})));
    assert_eq!((made.sold, made.key), (moment(), Some(Uuid::from_u128(9))));
    let found: Book = book::table
        .find(made.id)
        .first(&mut connection)
        .expect("it is there");
    assert_eq!(found, made);
    let changed = Book {
        title: "Second".to_owned(),
        facts: None,
        ..made
    };
    diesel::update(book::table.find(changed.id))
        .set(&changed)
        .execute(&mut connection)
        .expect("it is updated");
    let found: Vec<(Author, Book)> = author::table
        .inner_join(book::table)
        .filter(book::tags.contains(vec!["a"]))
        .select((Author::as_select(), Book::as_select()))
        .load(&mut connection)
        .expect("rows");
    // AsChangeset leaves alone what is None.
    let kept = Book {
        facts: Some(serde_json::json!({"pages": [1, null]})),
        ..changed
    };
    assert_eq!(found, [(ada, kept)]);
}

#[test]
fn statements_are_built_from_parts() {
    let mut connection = connection("diesel_statements");
    let ada = ada(&mut connection);
    let titles = ["First", "Second", "Third"];
    let books: Vec<_> = titles.iter().map(|title| new_book(ada.id, title)).collect();
    let count = diesel::insert_into(book::table)
        .values(&books)
        .execute(&mut connection);
    assert_eq!(count, Ok(3));
    let found: Vec<String> = book::table
        .filter(book::title.like("%ir%").or(book::id.eq_any([2, 99])))
        .order((book::price.desc(), book::title.asc()))
        .select(book::title)
        .limit(2)
        .offset(1)
        .load(&mut connection)
        .expect("rows");
    assert_eq!(found, ["Second", "Third"]);
    let totals: Vec<(i64, i64, Option<BigDecimal>)> = book::table
        .group_by(book::author_id)
        .select((book::author_id, count_star(), sum(book::price)))
        .load(&mut connection)
        .expect("rows");
    assert_eq!(totals, [(ada.id, 3, Some(price("37.50")))]);
    let without: Vec<String> = author::table
        .filter(diesel::dsl::not(exists(
            book::table.filter(book::author_id.eq(author::id)),
        )))
        .select(author::name)
        .load(&mut connection)
        .expect("rows");
    assert!(without.is_empty());
    let optional: Vec<(String, Option<String>)> = author::table
        .left_join(book::table.on(book::author_id.eq(author::id).and(book::title.eq("First"))))
        .select((author::name, book::title.nullable()))
        .load(&mut connection)
        .expect("rows");
    assert_eq!(optional, [("Ada".to_owned(), Some("First".to_owned()))]);
    let kept: (i64, Option<chrono::NaiveDate>) = diesel::insert_into(author::table)
        .values((
            author::name.eq("Ada"),
            author::born.eq(None::<chrono::NaiveDate>),
        ))
        .on_conflict(author::name)
        .do_update()
        .set(author::born.eq(excluded(author::born)))
        .returning((author::id, author::born))
        .get_result(&mut connection)
        .expect("it is updated");
    assert_eq!(kept, (ada.id, None));
    let gone = diesel::delete(author::table.filter(author::id.eq(ada.id))).execute(&mut connection);
    assert_eq!(gone, Ok(1));
    assert_eq!(
        book::table.count().get_result::<i64>(&mut connection),
        Ok(0)
    );
}

#[test]
fn transactions_nest_and_broken_constraints_have_their_kinds() {
    let mut connection = connection("diesel_transactions");
    let ada = ada(&mut connection);
    let outcome: Result<(), Error> = connection.transaction(|outer| {
        diesel::insert_into(book::table)
            .values(new_book(ada.id, "Kept"))
            .execute(outer)?;
        let inner = outer.transaction(|inner| {
            diesel::insert_into(book::table)
                .values(new_book(ada.id, "Undone"))
                .execute(inner)?;
            diesel::insert_into(author::table)
                .values(author::name.eq("Ada"))
                .execute(inner)
        });
        match inner {
            Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, told)) => {
                assert_eq!(told.constraint_name(), Some("author_name_key"));
                assert_eq!(told.table_name(), Some("author"));
                assert_eq!(told.details(), Some("Key (name)=(Ada) already exists."));
            }
            other => panic!("{other:?}"),
        }
        Ok(())
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        book::table
            .select(book::title)
            .load::<String>(&mut connection),
        Ok(vec!["Kept".to_owned()])
    );
    let serial = connection
        .build_transaction()
        .repeatable_read()
        .read_only()
        .run(|connection| diesel::delete(book::table).execute(connection));
    assert!(
        matches!(
            serial,
            Err(Error::DatabaseError(
                DatabaseErrorKind::ReadOnlyTransaction,
                _
            ))
        ),
        "{serial:?}"
    );
    let broken = diesel::insert_into(book::table)
        .values(new_book(99, "Nobody's"))
        .execute(&mut connection);
    assert!(
        matches!(
            broken,
            Err(Error::DatabaseError(
                DatabaseErrorKind::ForeignKeyViolation,
                _
            ))
        ),
        "{broken:?}"
    );
    let cheap = NewBook {
        price: price("-1"),
        ..new_book(ada.id, "Cheap")
    };
    let broken = diesel::insert_into(book::table)
        .values(cheap)
        .execute(&mut connection);
    assert!(
        matches!(
            broken,
            Err(Error::DatabaseError(DatabaseErrorKind::CheckViolation, _))
        ),
        "{broken:?}"
    );
}

#[test]
fn rows_are_locked_copied_and_read_raw() {
    let mut connection = connection("diesel_raw");
    let ada = ada(&mut connection);
    let locked: Option<String> = connection
        .transaction(|connection| {
            let found = author::table
                .filter(author::id.eq(ada.id))
                .for_update()
                .skip_locked();
            found.select(author::name).first(connection).optional()
        })
        .expect("it is locked");
    assert_eq!(locked.as_deref(), Some("Ada"));
    let copied = diesel::copy_from(author::table).from_insertable(vec![
        (
            author::name.eq("Bea"),
            author::born.eq(None::<chrono::NaiveDate>),
        ),
        (
            author::name.eq("Cyd"),
            author::born.eq(chrono::NaiveDate::from_ymd_opt(2000, 2, 29)),
        ),
    ]);
    assert_eq!(copied.execute(&mut connection), Ok(2));
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        many: i64,
    }
    let counted: Count = diesel::sql_query("SELECT count(*) AS many FROM author WHERE name <> $1")
        .bind::<diesel::sql_types::Text, _>("Ada")
        .get_result(&mut connection)
        .expect("a count");
    assert_eq!(counted.many, 2);
    // The last: Diesel leaves the end of what is copied unread.
    let names: Vec<String> = diesel::copy_to(author::table)
        .load::<Author, _>(&mut connection)
        .expect("they are copied out")
        .map(|author| author.map(|author| author.name))
        .collect::<Result<_, _>>()
        .expect("rows");
    assert_eq!(names.len(), 3);
}

#[test]
fn twenty_connections_serve_many_threads() {
    let manager = ConnectionManager::<PgConnection>::new(sql_drivers::url());
    let pool = Pool::builder().max_size(20).build(manager).expect("a pool");
    let threads = (0..40_i64).map(|n| {
        let pool = pool.clone();
        thread::spawn(move || {
            let mut connection = pool.get().expect("a connection");
            let doubled = diesel::select((n + n).into_sql::<diesel::sql_types::BigInt>());
            doubled
                .get_result::<i64>(&mut connection)
                .expect("an answer")
        })
    });
    let threads: Vec<_> = threads.collect();
    let total: i64 = threads
        .into_iter()
        .map(|thread| thread.join().expect("no panic"))
        .sum();
    assert_eq!(total, 40 * 39);
}
