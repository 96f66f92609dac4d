//! Running: parameters, cancellation, results that are let go, memory, names of columns, rights.

use super::World;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::CancelReason;
use crate::engine::query::Options;
use futures::executor::block_on;
use std::time::Duration;

fn plan(world: &World, sql: &str) -> Result<crate::engine::query::QueryPlan, Diagnostic> {
    let mut statements = crate::sql::parse::parse(sql)?;
    let statement = statements.pop().expect("one statement").ast;
    world.engine.analyze(&statement, &[], &world.context)
}

#[test]
fn parameters_take_the_type_of_what_stands_beside_them() {
    let world = World::new();
    for (sql, expected) in [
        ("select $1", vec![TypeKind::Text]),
        ("select $1::int", vec![TypeKind::Int4]),
        ("select id from u where id = $1", vec![TypeKind::Int8]),
        ("select $1 + 1", vec![TypeKind::Int4]),
        (
            "select id from t where at > $1",
            vec![TypeKind::Timestamptz],
        ),
        (
            "select id from t where id in ($1, $2)",
            vec![TypeKind::Int4; 2],
        ),
        (
            "select id from t where id between $2 and $1",
            vec![TypeKind::Int4; 2],
        ),
        ("select id from t where name like $1", vec![TypeKind::Text]),
        ("select id from t limit $1", vec![TypeKind::Int8]),
    ] {
        let found = plan(&world, sql).expect("it plans").parameters;
        let expected: Vec<_> = expected.into_iter().map(SqlType::scalar).collect();
        assert_eq!(found, expected, "{sql}");
    }
    let array = plan(&world, "select id from t where id = any($1)").expect("it plans");
    assert_eq!(array.parameters, [SqlType::array_of(TypeKind::Int4)]);
}

#[test]
fn parameters_stand_for_their_values() {
    let world = World::new();
    let query = |sql, parameters: &[&str]| {
        world
            .query_as(sql, parameters, &world.context)
            .expect("it runs")
    };
    assert_eq!(query("select name from t where id = $1", &["2"]), "two");
    assert_eq!(query("select $1 + 1, $1", &["4"]), "5|4");
    assert_eq!(
        query(
            "select id from t where id = any($1) order by id",
            &["{1,3}"]
        ),
        "1\n3"
    );
    assert_eq!(query("select $1::numeric * 2", &["1.25"]), "2.50");
    assert_eq!(query("select id from t order by id limit $1", &["1"]), "1");
    assert_eq!(query("select code from u where code = $1", &["b"]), "b");
}

#[test]
fn result_columns_tell_their_table_name_and_type() {
    let world = World::new();
    let fields = plan(&world, "select id, amount, id + 1, name as n from t")
        .expect("it plans")
        .fields;
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["id", "amount", "?column?", "n"]);
    assert_eq!(fields[0].table, Some(super::world::T));
    assert_eq!((fields[0].column, fields[1].column), (1, 3));
    assert_eq!(fields[2].table, None);
    assert_eq!(
        fields[1].sql_type,
        crate::engine::types::name::numeric_type(10, 2)
    );
}

/// Rows without end but for cancellation.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000000) a, \
    generate_series(1, 1000000000) b where a % 7 = b % 5";

/// Numbers of which each takes milliseconds, in batches of thousands.
const LONG_NUMBERS: &str = "select max(exp(('0.' || repeat('7', 4000))::numeric / (i + 1))) \
    from generate_series(1, 1000000) i";

#[test]
fn a_cancelled_query_ends_with_57014_even_inside_a_join() {
    let world = World::new();
    for sql in [ENDLESS, "select pg_sleep(3600)"] {
        let context = crate::engine::context::StatementContext {
            cancel: Default::default(),
            ..world.context.clone()
        };
        let (mut rows, _transaction) = world.start(sql, &[], &context).expect("it starts");
        std::thread::sleep(Duration::from_millis(20));
        context.cancel.set(CancelReason::User);
        let answer = block_on(rows.next()).expect("an answer");
        let error = answer.expect_err("it was cancelled");
        assert_eq!(error.sqlstate(), SqlState::QUERY_CANCELED, "{sql}");
    }
}

#[test]
fn a_result_that_is_let_go_ends_its_query() {
    let world = World::new();
    // Each thread of the pool had such a query, and is free again: another one gets its turn.
    for sql in [ENDLESS, LONG_NUMBERS] {
        for _ in 0..4 {
            let (rows, _transaction) = world.start(sql, &[], &world.context).expect("it starts");
            std::thread::sleep(Duration::from_millis(20));
            drop(rows);
        }
        assert_eq!(world.query("select 1").expect("it runs"), "1");
    }
}

#[test]
fn a_sort_of_more_than_its_memory_spills_whatever_its_keys_are() {
    let world = World::with(|options| Options {
        statement_memory_bytes_max: 32 << 20,
        ..options
    });
    for keys in [
        "x % 1000, x",
        "(x % 1000)::int2, x::int2",
        "x::text, x",
        "x",
    ] {
        let sorted = format!(
            "select x from (select x % 30000 as x from generate_series(1, 1000000) x) a \
             order by {keys} offset 999998"
        );
        assert_eq!(
            world.query(&sorted).expect(keys).lines().count(),
            2,
            "{keys}"
        );
    }
}

#[test]
fn a_failing_query_says_so_after_the_rows_it_gave() {
    let world = World::new();
    let error = world.query("select 10 / (x - 20000) from generate_series(1, 30000) x");
    assert_eq!(
        error.map_err(|error| error.sqlstate()),
        Err(SqlState::DIVISION_BY_ZERO)
    );
}

#[test]
fn sequences_are_taken_and_remembered_by_the_session() {
    let world = World::new();
    assert_eq!(world.query("select nextval('s')").expect("it runs"), "1");
    assert_eq!(
        world
            .query("select nextval('s'), currval('s')")
            .expect("it runs"),
        "2|2"
    );
    assert_eq!(world.query("select lastval()").expect("it runs"), "2");
    assert_eq!(
        world.query("select setval('s', 10)").expect("it runs"),
        "10"
    );
    assert_eq!(
        world
            .query("select nextval('s'::regclass)")
            .expect("it runs"),
        "11"
    );
    let error = world
        .query("select currval('t_id_seq')")
        .expect_err("not taken yet");
    assert_eq!(error.sqlstate(), SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
}

#[test]
fn settings_and_the_user_are_those_of_the_session() {
    let world = World::new();
    let answer = world
        .query("select current_user, current_database(), current_setting('timezone'), pg_backend_pid()")
        .expect("it runs");
    assert_eq!(answer, "owner|nodedb|UTC|77");
    assert_eq!(
        world.query("select now(), current_date").expect("it runs"),
        "2024-01-01 00:00:00+00|2024-01-01"
    );
}

#[test]
fn explain_shows_a_tree_in_postgresqls_words() {
    let world = World::new();
    let tree = world
        .query("explain select t.name, count(*) from t join u on u.t_id = t.id where t.id = 1 group by 1")
        .expect("it plans");
    for part in ["Aggregate", "Join", "Index Scan using t_pkey on t", "on u"] {
        assert!(tree.contains(part), "{part} in\n{tree}");
    }
    assert!(!tree.contains("Exec"), "{tree}");
}

#[test]
fn no_words_of_the_planner_reach_a_client() {
    let world = World::new();
    for sql in [
        "select nope from t",
        "select x.id from t",
        "select nosuch(1, 'a')",
        "select upper(1, 2)",
        "select sum(name) from t",
        "select name from t group by id + 1",
        "select * from t where id = 'x'",
        "select 1 + true",
        "select name + 1 from t",
        "select array[1,2] + 1",
        "select id from t union select name from t",
        "select * from t join u using (nope)",
        "select (select 1, 2)",
        "select 'x'::nosuch",
        "select t.id from t natural join nothere",
        "select coalesce(1, 'x')",
        "select case when 1 then 2 end",
        "select max(id) over (order by nope) from t",
        "select id from t order by nope",
        "select distinct id from t order by name",
        "select count(distinct nope) from t",
        "select substring(1 from 2)",
        "select date_trunc('nope', now())",
        "select extract(nope from now())",
        "select '2024-01-01'::date + 'x'",
        "select interval 'x'",
        "select * from generate_series(1)",
        "select lower(id) from t",
        "with q as (select 1) select * from q, q",
    ] {
        let error = world.query(sql).expect_err(sql);
        let message = error.message();
        assert_ne!(
            error.sqlstate(),
            SqlState::INTERNAL_ERROR,
            "{sql}: {message}"
        );
        for word in [
            "Utf8",
            "Int32",
            "Int64",
            "DataFusion",
            "datafusion",
            "Schema error",
            "plan",
            "Float64",
            "Signature",
            "LogicalPlan",
            "coerce",
        ] {
            assert!(!message.contains(word), "{sql}: {message}");
        }
    }
}
