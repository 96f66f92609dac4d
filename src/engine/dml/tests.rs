//! DML that finds its rows by a query: many rows, joins, subqueries, concurrent changes, bulk.

use super::testing::{Answer, World, print, wait};
use super::{Run, Statement};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::{Options, QueryEngine};
use crate::engine::transaction::Transaction;
use crate::sql::parse;
use crate::storage::Isolation;
use std::sync::Arc;

/// A world with a query engine.
struct House {
    world: World,
    query: QueryEngine,
    _spill: tempfile::TempDir,
}

impl House {
    fn new() -> House {
        let world = World::new();
        let spill = tempfile::tempdir().expect("a directory can be made");
        let query = QueryEngine::start(Options::new(1, spill.path()), world.storage.clone())
            .expect("the pool starts");
        House {
            world,
            query,
            _spill: spill,
        }
    }

    fn filled() -> House {
        let house = House::new();
        house
            .run("INSERT INTO t VALUES (1, 'one', 10, 'a', 100), (2, 'two', 20, 'b', 200), (3, 'three', 30, NULL, NULL)")
            .expect("the rows are good");
        house
    }

    async fn run_in(&self, text: &str, transaction: &mut Transaction) -> Answer {
        let tree = parse::parse_one(text)?;
        let context = &self.world.context;
        transaction.storage.begin_statement()?;
        if !Statement::answers(&tree) {
            let plan = self
                .query
                .analyze_on_pool(tree, Vec::new(), context)
                .await?;
            let outcome = self
                .query
                .execute(&Arc::new(plan), &[], transaction, context)?;
            let answer = print(outcome).await;
            transaction.storage.end_statement();
            return Ok(answer);
        }
        let statement = Statement::plan(&tree, &[], &self.query, context).await?;
        let outcome = statement
            .execute(Run {
                query: Some(&self.query),
                storage: &self.world.storage,
                parameters: &[],
                transaction,
                context,
            })
            .await?;
        let answer = print(outcome).await;
        transaction.storage.end_statement();
        Ok(answer)
    }

    fn run(&self, text: &str) -> Answer {
        wait(async {
            let mut transaction = self.world.begin(Isolation::ReadCommitted);
            let answer = self.run_in(text, &mut transaction).await?;
            transaction.commit().await?;
            Ok(answer)
        })
    }

    fn refusal(&self, text: &str) -> Diagnostic {
        self.run(text).expect_err("the statement is refused")
    }

    fn t(&self) -> String {
        self.run("SELECT id, name, n, code, b FROM t ORDER BY id")
            .expect("the table can be read")
    }
}

#[test]
fn update_of_many_rows_works_on_each() {
    let house = House::filled();
    let answer = house.run("UPDATE t SET n = n + id WHERE id <> 2").unwrap();
    assert_eq!(answer, "UPDATE 2");
    assert_eq!(
        house.t(),
        "1|one|11|a|100\n2|two|20|b|200\n3|three|33|null|null\nSELECT 3"
    );
}

#[test]
fn update_by_subquery_and_from() {
    let house = House::filled();
    house
        .run("INSERT INTO child VALUES (1, 1), (2, 1), (3, 3)")
        .unwrap();
    let answer = house
        .run("UPDATE t SET n = (SELECT count(*) FROM child WHERE child.t_id = t.id)")
        .unwrap();
    assert_eq!(answer, "UPDATE 3");
    let answer = house
        .run("UPDATE t SET b = c.id, code = DEFAULT FROM child c WHERE c.t_id = t.id AND c.id > 1")
        .unwrap();
    assert_eq!(answer, "UPDATE 2");
    assert_eq!(
        house.t(),
        "1|one|2|null|2\n2|two|0|b|200\n3|three|1|null|3\nSELECT 3"
    );
}

#[test]
fn a_row_that_a_join_finds_twice_is_updated_once() {
    let house = House::filled();
    house
        .run("INSERT INTO child VALUES (1, 1), (2, 1)")
        .unwrap();
    let answer = house
        .run("UPDATE t SET n = t.n + 1 FROM child WHERE t_id = t.id")
        .unwrap();
    assert_eq!(answer, "UPDATE 1");
    assert!(house.t().starts_with("1|one|11|"));
}

#[test]
fn delete_with_conditions_using_and_returning() {
    let house = House::filled();
    house.run("INSERT INTO child VALUES (1, 3)").unwrap();
    let answer = house
        .run("DELETE FROM child USING t WHERE t.id = child.t_id AND t.n = 30")
        .unwrap();
    assert_eq!(answer, "DELETE 1");
    let answer = house
        .run("DELETE FROM t WHERE id IN (SELECT id FROM t WHERE n > 10) RETURNING id, name AS who")
        .unwrap();
    assert_eq!(answer, "2|two\n3|three\nDELETE 2");
    assert_eq!(house.run("DELETE FROM t").unwrap(), "DELETE 1");
    assert_eq!(house.t(), "SELECT 0");
}

#[test]
fn insert_from_a_query_assigns_types_and_fills_defaults() {
    let house = House::filled();
    let answer = house
        .run("INSERT INTO t (id, name) SELECT id + 10, name || '!' FROM t WHERE id < 3 RETURNING id, name, n")
        .unwrap();
    assert_eq!(answer, "11|one!|7\n12|two!|7\nINSERT 0 2");
    let answer = house
        .run("INSERT INTO t (id, name, b) SELECT i, 'x', i FROM generate_series(100, 1099) AS i")
        .unwrap();
    assert_eq!(answer, "INSERT 0 1000");
    assert_eq!(
        house
            .run("SELECT count(*), sum(b) FROM t WHERE id >= 100")
            .unwrap(),
        "1000|599500\nSELECT 1"
    );
}

#[test]
fn insert_from_a_query_keeps_constraints() {
    let house = House::filled();
    let error = house.refusal("INSERT INTO t (id, name) SELECT id, name FROM t");
    assert_eq!(error.sqlstate(), SqlState::UNIQUE_VIOLATION);
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("Key (id)=(1) already exists.")
    );
    let error = house.refusal("INSERT INTO t (id, name, n) SELECT id + 5, name, -id FROM t");
    assert_eq!(error.sqlstate(), SqlState::CHECK_VIOLATION);
    let error = house.refusal("INSERT INTO child SELECT id, id + 2 FROM t");
    assert_eq!(error.sqlstate(), SqlState::FOREIGN_KEY_VIOLATION);
    let error = house.refusal("INSERT INTO t (id, name) SELECT id + 5, code FROM t");
    assert_eq!(error.sqlstate(), SqlState::NOT_NULL_VIOLATION);
    assert!(house.t().ends_with("SELECT 3"));
}

#[test]
fn values_with_a_subquery_and_defaults() {
    let house = House::filled();
    let answer = house
        .run("INSERT INTO t (id, name) VALUES ((SELECT max(id) + 1 FROM t), 'four') RETURNING *")
        .unwrap();
    assert_eq!(answer, "4|four|7|null|null\nINSERT 0 1");
    let answer = house
        .run("INSERT INTO history DEFAULT VALUES RETURNING tid")
        .unwrap();
    assert_eq!(answer, "null\nINSERT 0 1");
}

#[test]
fn with_before_a_statement_that_writes() {
    let house = House::filled();
    let answer = house
        .run("WITH big AS (SELECT id FROM t WHERE n > 10) UPDATE t SET n = 0 FROM big WHERE big.id = t.id")
        .unwrap();
    assert_eq!(answer, "UPDATE 2");
    let answer = house
        .run("WITH s AS (SELECT 9 AS id) INSERT INTO t (id, name) SELECT id, 'nine' FROM s")
        .unwrap();
    assert_eq!(answer, "INSERT 0 1");
}

#[test]
fn what_is_wrong_is_said_in_postgresqls_words() {
    let house = House::filled();
    let expect = |text: &str, sqlstate: &str, message: &str| {
        let error = house.refusal(text);
        assert_eq!(error.message(), message, "{text}");
        assert_eq!(error.sqlstate().as_str(), sqlstate, "{text}");
    };
    let relation = "column \"zz\" of relation \"t\" does not exist";
    expect("INSERT INTO t (id, zz) VALUES (1, 1)", "42703", relation);
    expect("UPDATE t SET zz = 1", "42703", relation);
    expect(
        "DELETE FROM nope",
        "42P01",
        "relation \"nope\" does not exist",
    );
    expect(
        "INSERT INTO t (id, id) VALUES (1, 1)",
        "42701",
        "column \"id\" specified more than once",
    );
    expect(
        "INSERT INTO t (id, name) VALUES (1)",
        "42601",
        "INSERT has more target columns than expressions",
    );
    expect(
        "INSERT INTO t (id) VALUES (1, 2)",
        "42601",
        "INSERT has more expressions than target columns",
    );
    expect(
        "UPDATE t SET n = 1, n = 2",
        "42601",
        "multiple assignments to same column \"n\"",
    );
    expect(
        "INSERT INTO t (id, name, n) VALUES (9, 'x', 'abc')",
        "22P02",
        "invalid input syntax for type integer: \"abc\"",
    );
    expect(
        "INSERT INTO t (id, name, n) VALUES (9, 'x', true)",
        "42804",
        "column \"n\" is of type integer but expression is of type boolean",
    );
    expect(
        "UPDATE t SET n = 'x' WHERE id = 1",
        "22P02",
        "invalid input syntax for type integer: \"x\"",
    );
    expect(
        "INSERT INTO t (id, name) VALUES (8, 'x') ON CONFLICT (name) DO NOTHING",
        "42P10",
        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
    );
    expect(
        "UPDATE t SET n = now()",
        "42804",
        "column \"n\" is of type integer but expression is of type timestamp with time zone",
    );
}

#[test]
fn rows_that_others_changed_are_asked_again() {
    let house = House::filled();
    wait(async {
        let mut first = house.world.begin(Isolation::ReadCommitted);
        let mut second = house.world.begin(Isolation::ReadCommitted);
        house
            .run_in("UPDATE t SET n = 100 WHERE id = 1", &mut first)
            .await
            .unwrap();
        let waiting = house.run_in("UPDATE t SET n = n + 1 WHERE n < 50", &mut second);
        let committing = async {
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            first.commit().await
        };
        let (answer, committed) = futures::join!(waiting, committing);
        committed.unwrap();
        assert_eq!(answer.unwrap(), "UPDATE 2");
        second.commit().await.unwrap();
    });
    assert_eq!(
        house.run("SELECT n FROM t ORDER BY id").unwrap(),
        "100\n21\n31\nSELECT 3"
    );
}

#[test]
fn a_statement_with_a_subquery_starts_over_where_others_changed_its_rows() {
    let house = House::filled();
    wait(async {
        let mut first = house.world.begin(Isolation::ReadCommitted);
        let mut second = house.world.begin(Isolation::ReadCommitted);
        house
            .run_in("UPDATE t SET n = n + 5 WHERE id = 3", &mut first)
            .await
            .unwrap();
        let waiting = house.run_in(
            "UPDATE t SET n = (SELECT max(n) FROM t) WHERE id IN (1, 3)",
            &mut second,
        );
        let committing = async {
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            first.commit().await
        };
        let (answer, committed) = futures::join!(waiting, committing);
        committed.unwrap();
        assert_eq!(answer.unwrap(), "UPDATE 2");
        second.commit().await.unwrap();
    });
    assert_eq!(
        house.run("SELECT n FROM t ORDER BY id").unwrap(),
        "35\n20\n35\nSELECT 3"
    );
}

#[test]
fn a_statement_does_not_see_its_own_rows() {
    let house = House::filled();
    let answer = house
        .run("INSERT INTO t (id, name) SELECT id + 100, name FROM t")
        .unwrap();
    assert_eq!(answer, "INSERT 0 3");
    let answer = house
        .run("UPDATE t SET id = id + 1000 WHERE id > 100")
        .unwrap();
    assert_eq!(answer, "UPDATE 3");
}

#[test]
fn cascades_go_down_a_chain_of_any_length() {
    let house = House::filled();
    house.run("INSERT INTO node VALUES (0, NULL, 1)").unwrap();
    house
        .run("INSERT INTO node SELECT i, i - 1, 1 FROM generate_series(1, 2000) AS i")
        .unwrap();
    let answer = house.run("UPDATE node SET id = -5 WHERE id = 0").unwrap();
    assert_eq!(answer, "UPDATE 1");
    assert_eq!(
        house.run("SELECT up FROM node WHERE id = 1").unwrap(),
        "-5\nSELECT 1"
    );
    assert_eq!(
        house.run("DELETE FROM node WHERE id = -5").unwrap(),
        "DELETE 1"
    );
    assert_eq!(house.run("SELECT id FROM node").unwrap(), "SELECT 0");
}

#[test]
fn set_null_leaves_the_row_without_its_parent() {
    let house = House::filled();
    house.run("INSERT INTO node VALUES (7, NULL, 2)").unwrap();
    assert_eq!(house.run("DELETE FROM t WHERE id = 2").unwrap(), "DELETE 1");
    assert_eq!(
        house.run("SELECT id, t_id FROM node").unwrap(),
        "7|null\nSELECT 1"
    );
}

#[test]
fn a_row_may_point_at_one_of_the_same_statement() {
    let house = House::new();
    house
        .run("INSERT INTO node VALUES (2, 1), (1, NULL), (3, 3)")
        .expect("each parent is there at the end");
    let error = house.refusal("INSERT INTO node VALUES (4, 5)");
    assert_eq!(error.sqlstate(), SqlState::FOREIGN_KEY_VIOLATION);
}

#[test]
fn volatile_functions_and_the_date_may_be_inserted() {
    let house = House::new();
    let answer = house
        .run("INSERT INTO history VALUES (1, CURRENT_DATE, 'a') RETURNING mtime")
        .unwrap();
    assert_eq!(answer, "2023-11-14 00:00:00\nINSERT 0 1");
    let answer = house
        .run("INSERT INTO t (id, name) VALUES (1, gen_random_uuid()::text) RETURNING length(name)")
        .unwrap();
    assert_eq!(answer, "36\nINSERT 0 1");
}

#[test]
fn values_of_very_many_rows_are_inserted() {
    let house = House::new();
    let rows: Vec<String> = (0..3_000)
        .map(|id| format!("({id}, 'x', DEFAULT, NULL, -{id})"))
        .collect();
    let text = format!("INSERT INTO t VALUES {}", rows.join(", "));
    assert_eq!(house.run(&text).unwrap(), "INSERT 0 3000");
    assert_eq!(
        house.run("SELECT count(*), sum(n), sum(b) FROM t").unwrap(),
        "3000|21000|-4498500\nSELECT 1"
    );
}
