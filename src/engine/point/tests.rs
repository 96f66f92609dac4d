//! Point statements over a real store: what they answer, what they refuse, and what happens when
//! others change the same rows.

use super::{Statement, Templates};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::testing::{World, wait};
use crate::storage::Isolation;
use std::time::Duration;

fn filled() -> World {
    let world = World::new();
    world
        .run(&[
            "INSERT INTO t VALUES (1, 'one', 10, 'a', 100)",
            "INSERT INTO t (id, name) VALUES (2, 'two'), (3, 'three')",
        ])
        .expect("the rows are good");
    world
}

fn refusal(world: &World, text: &str) -> Diagnostic {
    world.run(&[text]).expect_err("the statement is refused")
}

#[test]
fn a_row_is_read_by_its_primary_key() {
    let world = filled();
    let answer = world.run(&["SELECT * FROM t WHERE id = 1"]).unwrap();
    assert_eq!(answer, "1|one|10|a|100\nSELECT 1");
    let answer = world.run(&["SELECT n, name FROM t WHERE id = 2"]).unwrap();
    assert_eq!(answer, "7|two\nSELECT 1");
    let answer = world.run(&["SELECT n FROM t WHERE id = 4"]).unwrap();
    assert_eq!(answer, "SELECT 0");
}

#[test]
fn a_row_is_read_by_a_unique_key() {
    let world = filled();
    let answer = world.run(&["SELECT id FROM t WHERE code = 'a'"]).unwrap();
    assert_eq!(answer, "1\nSELECT 1");
    let answer = world.run(&["SELECT id FROM t WHERE code = 'b'"]).unwrap();
    assert_eq!(answer, "SELECT 0");
}

#[test]
fn expressions_and_further_conditions_are_worked_out_on_the_row() {
    let world = filled();
    let answer = world
        .run(&["SELECT n + 1, n * -2 AS twice FROM t WHERE id = 1 AND n > 5"])
        .unwrap();
    assert_eq!(answer, "11|-20\nSELECT 1");
    let answer = world
        .run(&["SELECT n FROM t WHERE id = 1 AND n > 50"])
        .unwrap();
    assert_eq!(answer, "SELECT 0");
}

#[test]
fn a_key_that_the_column_cannot_hold_finds_nothing() {
    let world = filled();
    for key in ["3000000000", "NULL"] {
        let answer = world
            .run(&[&format!("SELECT n FROM t WHERE id = {key}")])
            .unwrap();
        assert_eq!(answer, "SELECT 0", "{key}");
    }
}

#[test]
fn update_changes_one_row_and_returns_it() {
    let world = filled();
    let answer = world
        .run(&["UPDATE t SET n = n + -3 WHERE id = 1"])
        .unwrap();
    assert_eq!(answer, "UPDATE 1");
    let answer = world
        .run(&["UPDATE t SET n = DEFAULT, b = n WHERE id = 1 RETURNING n, b"])
        .unwrap();
    assert_eq!(answer, "7|7\nUPDATE 1");
    let answer = world.run(&["UPDATE t SET n = 1 WHERE id = 9"]).unwrap();
    assert_eq!(answer, "UPDATE 0");
}

#[test]
fn update_of_the_key_moves_the_row_with_its_index_entries() {
    let world = filled();
    world.run(&["UPDATE t SET id = 11 WHERE id = 1"]).unwrap();
    let answer = world
        .run(&["SELECT id, name FROM t WHERE code = 'a'"])
        .unwrap();
    assert_eq!(answer, "11|one\nSELECT 1");
    assert_eq!(
        world.run(&["SELECT id FROM t WHERE id = 1"]).unwrap(),
        "SELECT 0"
    );
    let error = refusal(&world, "UPDATE t SET id = 2 WHERE id = 11");
    assert_eq!(error.sqlstate(), SqlState::UNIQUE_VIOLATION);
}

#[test]
fn delete_takes_the_row_and_its_index_entries() {
    let world = filled();
    let answer = world
        .run(&["DELETE FROM t WHERE id = 1 RETURNING name"])
        .unwrap();
    assert_eq!(answer, "one\nDELETE 1");
    assert_eq!(
        world.run(&["SELECT id FROM t WHERE code = 'a'"]).unwrap(),
        "SELECT 0"
    );
    world
        .run(&["INSERT INTO t VALUES (4, 'four', 1, 'a', NULL)"])
        .expect("the code is free again");
}

#[test]
fn current_timestamp_goes_into_a_timestamp_column() {
    let world = filled();
    let answer = world
        .run(&["INSERT INTO history VALUES (1, CURRENT_TIMESTAMP, 'ab') RETURNING mtime, note"])
        .unwrap();
    assert_eq!(answer, "2023-11-14 22:13:20|ab   \nINSERT 0 1");
}

#[test]
fn a_null_in_a_not_null_column_is_23502() {
    let error = refusal(&filled(), "INSERT INTO t (id, code) VALUES (5, 'x')");
    let fields = error.fields();
    assert_eq!(error.sqlstate(), SqlState::NOT_NULL_VIOLATION);
    assert_eq!(
        error.message(),
        "null value in column \"name\" of relation \"t\" violates not-null constraint"
    );
    assert_eq!(
        fields.detail.as_deref(),
        Some("Failing row contains (5, null, 7, x, null).")
    );
    assert_eq!(fields.column.as_deref(), Some("name"));
    assert_eq!(fields.table.as_deref(), Some("t"));
    assert_eq!(fields.schema.as_deref(), Some("public"));
}

#[test]
fn a_check_that_fails_is_23514() {
    let error = refusal(&filled(), "UPDATE t SET n = -1 WHERE id = 1");
    assert_eq!(error.sqlstate(), SqlState::CHECK_VIOLATION);
    assert_eq!(
        error.message(),
        "new row for relation \"t\" violates check constraint \"t_n_check\""
    );
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("Failing row contains (1, one, -1, a, 100).")
    );
}

#[test]
fn a_key_that_is_taken_is_23505() {
    let world = filled();
    let error = refusal(&world, "INSERT INTO t (id, name) VALUES (1, 'again')");
    assert_eq!(error.sqlstate(), SqlState::UNIQUE_VIOLATION);
    assert_eq!(
        error.message(),
        "duplicate key value violates unique constraint \"t_pkey\""
    );
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("Key (id)=(1) already exists.")
    );
    let error = refusal(&world, "UPDATE t SET code = 'a' WHERE id = 2");
    assert_eq!(error.fields().constraint.as_deref(), Some("t_code_key"));
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("Key (code)=(a) already exists.")
    );
}

#[test]
fn nulls_in_a_unique_key_are_distinct() {
    let answer = filled()
        .run(&["SELECT id FROM t WHERE id = 3 AND code IS NULL"])
        .unwrap();
    assert_eq!(answer, "3\nSELECT 1");
}

#[test]
fn foreign_keys_are_kept_both_ways() {
    let world = filled();
    world
        .run(&["INSERT INTO child VALUES (1, 1), (2, NULL)"])
        .unwrap();
    let error = refusal(&world, "INSERT INTO child VALUES (3, 77)");
    assert_eq!(error.sqlstate(), SqlState::FOREIGN_KEY_VIOLATION);
    assert_eq!(
        error.message(),
        "insert or update on table \"child\" violates foreign key constraint \
         \"child_t_id_fkey\""
    );
    assert_eq!(
        error.fields().detail.as_deref(),
        Some("Key (t_id)=(77) is not present in table \"t\".")
    );
    for text in [
        "DELETE FROM t WHERE id = 1",
        "UPDATE t SET id = 5 WHERE id = 1",
    ] {
        let error = refusal(&world, text);
        assert_eq!(
            error.message(),
            "update or delete on table \"t\" violates foreign key constraint \
             \"child_t_id_fkey\" on table \"child\""
        );
        assert_eq!(
            error.fields().detail.as_deref(),
            Some("Key (id)=(1) is still referenced from table \"child\".")
        );
    }
    world
        .run(&[
            "DELETE FROM child WHERE id = 1",
            "DELETE FROM t WHERE id = 1",
        ])
        .expect("nothing points at it any more");
}

#[test]
fn on_conflict_does_nothing_or_updates() {
    let world = filled();
    let answer = world
        .run(&["INSERT INTO t (id, name) VALUES (1, 'x') ON CONFLICT DO NOTHING"])
        .unwrap();
    assert_eq!(answer, "INSERT 0 0");
    let answer = world
        .run(&[
            "INSERT INTO t AS old (id, name, n) VALUES (1, 'x', 5) ON CONFLICT (id) \
             DO UPDATE SET n = old.n + excluded.n, name = excluded.name RETURNING n, name",
        ])
        .unwrap();
    assert_eq!(answer, "15|x\nINSERT 0 1");
    let error = refusal(
        &world,
        "INSERT INTO t (id, name) VALUES (8, 'x'), (8, 'y') ON CONFLICT (id) DO UPDATE SET n = 1",
    );
    assert_eq!(error.sqlstate(), SqlState::CARDINALITY_VIOLATION);
}

#[test]
fn integers_do_not_wrap() {
    let error = refusal(&filled(), "UPDATE t SET n = n + 2147483647 WHERE id = 1");
    assert_eq!(error.sqlstate(), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
    assert_eq!(error.message(), "integer out of range");
    let error = refusal(&filled(), "SELECT 1 / (n - 10) FROM t WHERE id = 1");
    assert_eq!(error.sqlstate(), SqlState::DIVISION_BY_ZERO);
}

#[test]
fn a_waiting_update_is_worked_out_again_on_what_the_other_has_written() {
    let world = filled();
    wait(async {
        let mut first = world.begin(Isolation::ReadCommitted);
        let mut second = world.begin(Isolation::ReadCommitted);
        world
            .run_in("UPDATE t SET n = n + 1 WHERE id = 1", &mut first)
            .await
            .unwrap();
        let waiting = async {
            world
                .run_in(
                    "UPDATE t SET n = n * 2 WHERE id = 1 AND n = 11",
                    &mut second,
                )
                .await
        };
        let committing = async {
            tokio::task::yield_now().await;
            first.commit().await
        };
        let (answer, committed) = futures::join!(waiting, committing);
        committed.unwrap();
        assert_eq!(answer.unwrap(), "UPDATE 1");
        second.commit().await.unwrap();
    });
    let answer = world.run(&["SELECT n FROM t WHERE id = 1"]).unwrap();
    assert_eq!(answer, "22\nSELECT 1");
}

#[test]
fn repeatable_read_gives_40001_for_a_row_that_was_changed_since() {
    let world = filled();
    wait(async {
        let mut first = world.begin(Isolation::RepeatableRead);
        world
            .run_in("SELECT n FROM t WHERE id = 2", &mut first)
            .await
            .unwrap();
        let mut second = world.begin(Isolation::ReadCommitted);
        world
            .run_in("UPDATE t SET n = 0 WHERE id = 1", &mut second)
            .await
            .unwrap();
        second.commit().await.unwrap();
        let error = world
            .run_in("UPDATE t SET n = n + 1 WHERE id = 1", &mut first)
            .await
            .unwrap_err();
        assert_eq!(error.sqlstate(), SqlState::SERIALIZATION_FAILURE);
        assert_eq!(
            error.message(),
            "could not serialize access due to concurrent update"
        );
    });
}

#[test]
fn two_inserts_of_one_key_wait_for_each_other() {
    let world = filled();
    wait(async {
        let mut first = world.begin(Isolation::ReadCommitted);
        let mut second = world.begin(Isolation::ReadCommitted);
        let insert = "INSERT INTO t (id, name) VALUES (9, 'nine')";
        world.run_in(insert, &mut first).await.unwrap();
        let waiting = world.run_in(insert, &mut second);
        let committing = async {
            tokio::task::yield_now().await;
            first.commit().await
        };
        let (answer, committed) = futures::join!(waiting, committing);
        committed.unwrap();
        let error = answer.unwrap_err();
        assert_eq!(error.sqlstate(), SqlState::UNIQUE_VIOLATION);
    });
}

#[test]
fn a_savepoint_takes_back_rows_and_index_entries() {
    let world = filled();
    wait(async {
        let mut transaction = world.begin(Isolation::ReadCommitted);
        let savepoint = transaction.savepoint();
        world
            .run_in("UPDATE t SET code = 'z' WHERE id = 1", &mut transaction)
            .await
            .unwrap();
        transaction.rollback_to(&savepoint);
        world
            .run_in(
                "INSERT INTO t VALUES (6, 'six', 1, 'z', 1)",
                &mut transaction,
            )
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    });
    let answer = world.run(&["SELECT id FROM t WHERE code = 'z'"]).unwrap();
    assert_eq!(answer, "6\nSELECT 1");
    let answer = world.run(&["SELECT id FROM t WHERE code = 'a'"]).unwrap();
    assert_eq!(answer, "1\nSELECT 1");
}

#[test]
fn a_lock_that_takes_too_long_is_55p03() {
    let mut world = filled();
    world.context.lock_timeout = Some(Duration::from_millis(5));
    wait(async {
        let mut first = world.begin(Isolation::ReadCommitted);
        let mut second = world.begin(Isolation::ReadCommitted);
        let select = "SELECT n FROM t WHERE id = 1 FOR UPDATE";
        world.run_in(select, &mut first).await.unwrap();
        let error = world.run_in(select, &mut second).await.unwrap_err();
        assert_eq!(error.sqlstate(), SqlState::LOCK_NOT_AVAILABLE);
    });
}

#[test]
fn a_read_only_transaction_writes_nothing() {
    let mut world = filled();
    world.context.read_only = true;
    for text in [
        "INSERT INTO t (id, name) VALUES (7, 'x')",
        "UPDATE t SET n = 1 WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        "SELECT n FROM t WHERE id = 1 FOR UPDATE",
    ] {
        let error = refusal(&world, text);
        assert_eq!(
            error.sqlstate(),
            SqlState::READ_ONLY_SQL_TRANSACTION,
            "{text}"
        );
    }
}

#[test]
fn what_is_no_point_statement_is_left_to_the_general_way() {
    let world = World::new();
    let mut templates = Templates::default();
    for text in [
        "SELECT * FROM t",
        "SELECT * FROM t WHERE id = 1 OR n = 2",
        "SELECT * FROM t WHERE id = 1.5",
        "SELECT * FROM t WHERE id = n",
        "SELECT * FROM t WHERE id > 1 ORDER BY n",
        // Nobody knows how many rows lie before the first.
        "SELECT * FROM t WHERE n = 2 ORDER BY id LIMIT 1",
        "SELECT * FROM t WHERE id = 1 ORDER BY 1",
        "SELECT count(n) FROM t WHERE id = 1",
        "SELECT nextval('s') FROM t WHERE id = 1",
        "SELECT * FROM t, child WHERE t.id = 1",
        "SELECT nothing FROM t WHERE id = 1",
        "SELECT * FROM missing WHERE id = 1",
        "UPDATE t SET n = (SELECT 1) WHERE id = 1",
        "UPDATE t SET n = 1",
        "DELETE FROM t WHERE code = 'a' OR id = 1",
        "INSERT INTO t SELECT 1, 'x'",
    ] {
        for _ in 0..2 {
            assert!(
                templates.find_or_compile(text, &world.context).is_none(),
                "{text}"
            );
        }
    }
    assert!(templates.is_empty());
}

#[test]
fn a_literal_that_is_none_of_its_type_is_left_to_the_general_way() {
    let world = World::new();
    let mut templates = Templates::default();
    let found =
        |templates: &mut Templates, text| templates.find_or_compile(text, &world.context).is_some();
    assert!(found(&mut templates, "SELECT n FROM t WHERE id = '1'"));
    assert!(!found(&mut templates, "SELECT n FROM t WHERE id = 'x'"));
}

#[test]
fn texts_that_differ_in_literals_share_a_template() {
    let world = World::new();
    let mut templates = Templates::default();
    for id in 0..100 {
        let text = format!("SELECT n FROM t WHERE id = {id}");
        assert!(templates.find_or_compile(&text, &world.context).is_some());
    }
    assert_eq!(templates.len(), 1);
}

#[test]
fn parameters_take_the_types_of_their_places() {
    let world = World::new();
    let plan = |text: &str| {
        let tree = crate::sql::parse::parse_one(text).expect("parses");
        let statement = Statement::plan(&tree, &[], &world.context).expect("is a point statement");
        let names: Vec<String> = statement
            .parameters
            .iter()
            .map(|sql_type| crate::engine::types::format_type(*sql_type))
            .collect();
        names.join(", ")
    };
    assert_eq!(plan("SELECT n FROM t WHERE id = $1"), "integer");
    assert_eq!(
        plan("UPDATE t SET n = n + $1, b = $2 WHERE code = $3"),
        "integer, bigint, text"
    );
    assert_eq!(
        plan("INSERT INTO history VALUES ($1, $2, $3)"),
        "integer, timestamp without time zone, character"
    );
}
