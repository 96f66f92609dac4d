//! Definitions over a real store and query pool: what stands after COMMIT, what a rollback leaves,
//! what happens when two sessions define at once.

use super::load;
use crate::catalog::definition::{Definitions, RelationBody};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::copy::{CopyIn, CopyOut, Outgoing};
use crate::engine::dml::testing::{World, wait};
use crate::engine::outcome::Outcome;
use crate::engine::settings::Settings;
use crate::engine::transaction::Transaction;
use crate::engine::types;
use crate::engine::{Engine, Options};
use crate::sql::parse;
use crate::storage::Isolation;
use bytes::BytesMut;
use datafusion::arrow::array::Array;
use std::sync::Arc;

/// A server's engine without the server: each statement in a transaction of its own, its
/// definitions published into the context afterwards.
struct Server {
    world: World,
    engine: Engine,
}

type Answer = Result<String, Diagnostic>;

impl Server {
    fn new() -> Server {
        let mut world = World::new();
        let mut snapshot = crate::catalog::Snapshot::clone(&world.context.snapshot);
        // The tables of DML's tests are not in the store's relation 1.
        snapshot.definitions = Definitions::default();
        world.context.snapshot = Arc::new(snapshot);
        let options = Options {
            pool_threads: 1,
            memory_bytes_max: 64 << 20,
            statement_memory_bytes_max: 32 << 20,
            spill_directory: std::env::temp_dir(),
        };
        let engine = Engine::start(world.storage.clone(), options).expect("the pool starts");
        Server { world, engine }
    }

    fn begin(&self) -> Transaction {
        self.world.begin(Isolation::ReadCommitted)
    }

    fn context(&self, transaction: &mut Transaction) -> StatementContext {
        let mut context = self.world.context.clone();
        context.snapshot = transaction.snapshot(&self.world.context.snapshot);
        context
    }

    async fn run_in(&self, transaction: &mut Transaction, text: &str) -> Answer {
        let context = self.context(transaction);
        let statement = parse::parse(text)?.remove(0).ast;
        transaction.storage.begin_statement()?;
        let plan = self
            .engine
            .analyze(statement, Arc::from(text), &[], &context)
            .await?;
        let outcome = self
            .engine
            .execute(&plan, &[], transaction, &context)
            .await?;
        let answer = print(outcome).await;
        transaction.storage.end_statement();
        answer
    }

    async fn commit(&mut self, mut transaction: Transaction) -> Result<(), Diagnostic> {
        let changes = transaction.commit().await?;
        let mut snapshot = crate::catalog::Snapshot::clone(&self.world.context.snapshot);
        for change in &changes {
            snapshot.definitions = snapshot.definitions.with(change);
        }
        self.world.context.snapshot = Arc::new(snapshot);
        Ok(())
    }

    /// Each in a transaction of its own; the last one's answer, or the first error.
    fn run(&mut self, texts: &[&str]) -> Answer {
        wait(async {
            let mut last = String::new();
            for text in texts {
                let mut transaction = self.begin();
                last = self.run_in(&mut transaction, text).await?;
                self.commit(transaction).await?;
            }
            Ok(last)
        })
    }

    fn refusal(&mut self, text: &str) -> String {
        let error = self.run(&[text]).expect_err(text);
        let mut told = format!("{}: {}", error.sqlstate(), error.message());
        if let Some(detail) = &error.fields().detail {
            told.push_str(&format!(" ({detail})"));
        }
        told
    }

    fn notices(&self) -> Vec<String> {
        let notices = self.world.context.notices.take();
        notices
            .iter()
            .map(|notice| notice.message().to_owned())
            .collect()
    }

    /// What a restart would find is what the sessions see.
    fn demand_loads_the_same(&self) {
        let loaded = load(&self.world.storage).expect("definitions load");
        let seen = &self.world.context.snapshot.definitions;
        let all = |definitions: &Definitions| definitions.all().cloned().collect::<Vec<_>>();
        assert_eq!(all(&loaded), all(seen));
    }
}

async fn print(outcome: Outcome) -> Answer {
    let mut rows = match outcome {
        Outcome::Done(tag) => return Ok(tag.to_string()),
        Outcome::Rows(rows) => rows,
        Outcome::Stale => return Ok("to be planned again".to_owned()),
    };
    let mut lines = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let mut line = BytesMut::new();
            for (field, column) in rows.fields.iter().zip(batch.columns()) {
                if !line.is_empty() {
                    line.extend_from_slice(b"|");
                }
                if column.is_null(row) {
                    line.extend_from_slice(b"null");
                } else {
                    types::encode_text(
                        column,
                        row,
                        field.sql_type,
                        &Settings::default(),
                        &mut line,
                    )?;
                }
            }
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
    Ok(lines.join("\n"))
}

#[test]
fn what_is_defined_is_there_after_commit_and_after_a_restart() {
    let mut server = Server::new();
    server
        .run(&[
            "CREATE TABLE a (id serial PRIMARY KEY, n int CHECK (n > 0), u text UNIQUE)",
            "CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY, a_id int REFERENCES a)",
            "CREATE INDEX ON b (a_id DESC)",
            "CREATE VIEW v AS SELECT n, u FROM a",
            "INSERT INTO a (n, u) VALUES (1, 'x')",
            "INSERT INTO b (a_id) VALUES (1)",
        ])
        .unwrap();
    let names: Vec<String> = server
        .world
        .context
        .snapshot
        .definitions
        .of_database(server.world.context.identity.database)
        .map(|relation| relation.name.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "a",
            "a_id_seq",
            "a_pkey",
            "a_u_key",
            "b",
            "b_a_id_idx",
            "b_id_seq",
            "v"
        ]
    );
    assert_eq!(server.run(&["SELECT * FROM v"]).unwrap(), "1|x");
    server.demand_loads_the_same();
    server.run(&["DROP VIEW v", "DROP TABLE b, a"]).unwrap();
    server.demand_loads_the_same();
    assert_eq!(server.world.context.snapshot.definitions.all().count(), 0);
}

#[test]
fn a_rolled_back_definition_was_never_there() {
    let mut server = Server::new();
    wait(async {
        let mut transaction = server.begin();
        for text in [
            "CREATE TABLE r (a int, b int)",
            "INSERT INTO r VALUES (1, 2), (3, 4)",
            "ALTER TABLE r ADD PRIMARY KEY (a)",
            "INSERT INTO r VALUES (5, 6)",
        ] {
            server.run_in(&mut transaction, text).await.unwrap();
        }
        let rows = server
            .run_in(&mut transaction, "SELECT b FROM r ORDER BY a")
            .await;
        assert_eq!(rows.unwrap(), "2\n4\n6");
        transaction.storage.rollback();
    });
    assert_eq!(
        server.refusal("SELECT * FROM r"),
        "42P01: relation \"r\" does not exist"
    );
    server.demand_loads_the_same();
    server.run(&["CREATE TABLE r (a int)"]).unwrap();
}

#[test]
fn two_sessions_that_make_one_name_do_not_both_have_it() {
    let mut server = Server::new();
    let told = wait(async {
        let mut first = server.begin();
        server
            .run_in(&mut first, "CREATE TABLE t (a int)")
            .await
            .unwrap();
        let mut second = server.begin();
        let late = async {
            let answer = server.run_in(&mut second, "CREATE TABLE t (b int)").await;
            answer.expect_err("the name is taken")
        };
        let commit = async { first.commit().await.unwrap() };
        let (told, changes) = futures::join!(late, commit);
        drop(second);
        let mut snapshot = crate::catalog::Snapshot::clone(&server.world.context.snapshot);
        for change in &changes {
            snapshot.definitions = snapshot.definitions.with(change);
        }
        server.world.context.snapshot = Arc::new(snapshot);
        told
    });
    assert_eq!(told.sqlstate().as_str(), "23505");
    assert_eq!(
        told.message(),
        "duplicate key value violates unique constraint \"pg_class_relname_nsp_index\""
    );
    assert_eq!(
        server.refusal("CREATE TABLE t (c int)"),
        "42P07: relation \"t\" already exists"
    );
    server.demand_loads_the_same();
}

#[test]
fn a_plan_of_an_older_definition_does_nothing() {
    let mut server = Server::new();
    server.run(&["CREATE TABLE t (a int)"]).unwrap();
    wait(async {
        for _ in 0..1_000 {
            let mut definer = server.begin();
            server.run_in(&mut definer, "TRUNCATE t").await.unwrap();
            // Planned before the TRUNCATE commits, executed after.
            let mut late = server.begin();
            let executed = server.run_in(&mut late, "INSERT INTO t VALUES (1)");
            // The relation is let go with the transaction, after its definitions are published.
            let commit = async move { definer.commit().await.unwrap() };
            let (told, _) = futures::join!(executed, commit);
            let told = told.unwrap();
            if told == "to be planned again" {
                return;
            }
            // Planned on another thread, which came too late this time: a plan of the new one.
            assert_eq!(told, "INSERT 0 1");
        }
        panic!("no statement was planned before the TRUNCATE committed");
    });
}

#[test]
fn constraints_added_later_look_at_the_rows_that_are_there() {
    let mut server = Server::new();
    server
        .run(&[
            "CREATE TABLE p (a int, b text)",
            "INSERT INTO p VALUES (1, 'x'), (2, 'y'), (2, 'z')",
            "CREATE TABLE c (a int)",
            "INSERT INTO c VALUES (1), (7), (null)",
        ])
        .unwrap();
    assert_eq!(
        server.refusal("ALTER TABLE p ADD PRIMARY KEY (a)"),
        "23505: could not create unique index \"p_pkey\" (Key (a)=(2) is duplicated.)"
    );
    server
        .run(&[
            "DELETE FROM p WHERE b = 'z'",
            "ALTER TABLE p ADD PRIMARY KEY (a)",
        ])
        .unwrap();
    assert_eq!(
        server.refusal("ALTER TABLE c ADD FOREIGN KEY (a) REFERENCES p"),
        "23503: insert or update on table \"c\" violates foreign key constraint \"c_a_fkey\" \
         (Key (a)=(7) is not present in table \"p\".)"
    );
    assert_eq!(
        server.refusal("ALTER TABLE p ADD CHECK (a > 1)"),
        "23514: check constraint \"p_a_check\" of relation \"p\" is violated by some row"
    );
    assert_eq!(
        server.refusal("ALTER TABLE c ALTER a SET NOT NULL"),
        "23502: column \"a\" of relation \"c\" contains null values"
    );
    server
        .run(&[
            "DELETE FROM c WHERE a = 7",
            "ALTER TABLE c ADD FOREIGN KEY (a) REFERENCES p",
        ])
        .unwrap();
    assert_eq!(
        server.refusal("DROP TABLE p"),
        "2BP01: cannot drop table p because other objects depend on it \
         (constraint c_a_fkey on table c depends on table p)"
    );
    server
        .run(&["DROP TABLE p CASCADE", "INSERT INTO c VALUES (9)"])
        .unwrap();
    assert_eq!(
        server.notices(),
        ["drop cascades to constraint c_a_fkey on table c"]
    );
    server.demand_loads_the_same();
}

#[test]
fn a_primary_key_that_goes_leaves_its_rows_and_indexes() {
    let mut server = Server::new();
    server
        .run(&[
            "CREATE TABLE t (a int PRIMARY KEY, b int)",
            "INSERT INTO t VALUES (2, 20), (1, 10)",
            "CREATE INDEX t_b ON t (b)",
            "ALTER TABLE t DROP CONSTRAINT t_pkey",
            "INSERT INTO t VALUES (1, 10)",
        ])
        .unwrap();
    assert_eq!(
        server.run(&["SELECT a FROM t WHERE b = 10"]).unwrap(),
        "1\n1"
    );
    server.demand_loads_the_same();
}

#[test]
fn truncate_empties_tables_and_their_indexes() {
    let mut server = Server::new();
    server
        .run(&[
            "CREATE TABLE t (id serial PRIMARY KEY, u int UNIQUE)",
            "INSERT INTO t (u) VALUES (1), (2)",
            "CREATE TABLE c (t_id int REFERENCES t)",
        ])
        .unwrap();
    assert_eq!(
        server.refusal("TRUNCATE t"),
        "0A000: cannot truncate a table referenced in a foreign key constraint \
         (Table \"c\" references \"t\".)"
    );
    server
        .run(&[
            "TRUNCATE t, c RESTART IDENTITY",
            "INSERT INTO t (u) VALUES (1)",
        ])
        .unwrap();
    assert_eq!(server.run(&["SELECT * FROM t"]).unwrap(), "1|1");
    server.demand_loads_the_same();
}

#[test]
fn columns_come_and_go_without_rewriting_rows() {
    let mut server = Server::new();
    server
        .run(&[
            "CREATE TABLE t (a int, b int)",
            "INSERT INTO t VALUES (1, 2)",
            "ALTER TABLE t ADD COLUMN c text DEFAULT 'old' NOT NULL",
            "ALTER TABLE t DROP COLUMN b",
            "INSERT INTO t VALUES (3, 'new')",
        ])
        .unwrap();
    assert_eq!(
        server.run(&["SELECT * FROM t ORDER BY a"]).unwrap(),
        "1|old\n3|new"
    );
    assert_eq!(
        server.refusal("ALTER TABLE t ADD COLUMN d int NOT NULL"),
        "23502: column \"d\" of relation \"t\" contains null values"
    );
    let definitions = &server.world.context.snapshot.definitions;
    let relation = definitions.all().next().unwrap();
    let RelationBody::Table(table) = &relation.body else {
        panic!("t is a table");
    };
    assert_eq!(table.columns.len(), 3);
    server.demand_loads_the_same();
}

#[test]
fn copy_reads_what_copy_wrote_however_it_arrives() {
    let mut server = Server::new();
    server
        .run(&["CREATE TABLE t (a int PRIMARY KEY, b text, c char(3), d numeric(6,2))"])
        .unwrap();
    let input = b"1\ta\\tb\tx\t1.5\n2\t\\N\t\\N\t\\N\n3\t\\\\\t\xc3\xa9\t-0.01\n\\.\n";
    wait(async {
        let mut transaction = server.begin();
        transaction.storage.begin_statement().unwrap();
        let context = server.context(&mut transaction);
        let statement = parse::parse("COPY t FROM STDIN").unwrap().remove(0).ast;
        let engine = &server.engine;
        let begun = CopyIn::begin(&statement, engine, &mut transaction, &context);
        let mut copy = begun.await.unwrap().expect("nobody changes the table");
        for byte in input {
            copy.push(&[*byte], engine, &mut transaction, &context)
                .await
                .unwrap();
        }
        let tag = copy
            .finish(engine, &mut transaction, &context)
            .await
            .unwrap();
        assert_eq!(tag.to_string(), "COPY 3");
        server.commit(transaction).await.unwrap();

        let engine = &server.engine;
        let mut transaction = server.begin();
        transaction.storage.begin_statement().unwrap();
        let context = server.context(&mut transaction);
        let statement = parse::parse("COPY t TO STDOUT WITH (HEADER)")
            .unwrap()
            .remove(0)
            .ast;
        let outgoing = Outgoing::new(&statement, &context).unwrap();
        let (query, text) = (outgoing.query.clone(), outgoing.text.clone());
        let plan = engine.analyze(query, text, &[], &context).await.unwrap();
        let outcome = engine.execute(&plan, &[], &mut transaction, &context);
        let Outcome::Rows(rows) = outcome.await.unwrap() else {
            panic!("a query gives rows");
        };
        let mut copy = CopyOut::new(outgoing, rows, &context.settings).unwrap();
        let mut out = BytesMut::new();
        while let Some(lines) = copy.next().await.unwrap() {
            for line in 0..lines.len() {
                lines.write(line, &mut out);
            }
        }
        let expected = "a\tb\tc\td\n1\ta\\tb\tx  \t1.50\n2\t\\N\t\\N\t\\N\n3\t\\\\\té  \t-0.01\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
        assert_eq!(copy.tag().to_string(), "COPY 3");
    });
}
