//! Which anomalies each isolation level lets happen: the cases of Martin Kleppmann's Hermitage
//! (after Adya's names), as PostgreSQL 15 answers them, on both servers by real sessions that wait.
//!
//! A line is a session, what it does, and after `=>` the rows or the SQLSTATE it gets. `2? …` has
//! to wait; `2! => …` is what it gets once it goes on.

use crate::postgresql::Postgresql;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// How long a statement has to have waited before it counts as one that waits.
const WAITS_MIN: Duration = Duration::from_millis(150);

/// How long one may take that does not.
const WAITS_MAX: Duration = Duration::from_secs(10);

const READ_COMMITTED: &[(&str, &str)] = &[
    (
        "G0, write cycles: prevented",
        "1 UPDATE test SET value = 11 WHERE id = 1
         2? UPDATE test SET value = 12 WHERE id = 1
         1 UPDATE test SET value = 21 WHERE id = 2
         1 COMMIT
         2!
         1 SELECT * FROM test ORDER BY id => 1,11 2,21
         2 UPDATE test SET value = 22 WHERE id = 2
         2 COMMIT
         1 SELECT * FROM test ORDER BY id => 1,12 2,22",
    ),
    (
        "G1a, aborted reads: prevented",
        "1 UPDATE test SET value = 101 WHERE id = 1
         2 SELECT * FROM test ORDER BY id => 1,10 2,20
         1 ROLLBACK
         2 SELECT * FROM test ORDER BY id => 1,10 2,20
         2 COMMIT",
    ),
    (
        "G1b, intermediate reads: prevented",
        "1 UPDATE test SET value = 101 WHERE id = 1
         2 SELECT * FROM test ORDER BY id => 1,10 2,20
         1 UPDATE test SET value = 11 WHERE id = 1
         1 COMMIT
         2 SELECT * FROM test ORDER BY id => 1,11 2,20
         2 COMMIT",
    ),
    (
        "G1c, circular information flow: prevented",
        "1 UPDATE test SET value = 11 WHERE id = 1
         2 UPDATE test SET value = 22 WHERE id = 2
         1 SELECT * FROM test WHERE id = 2 => 2,20
         2 SELECT * FROM test WHERE id = 1 => 1,10
         1 COMMIT
         2 COMMIT",
    ),
    (
        "OTV, observed transaction vanishes: prevented",
        "1 UPDATE test SET value = 11 WHERE id = 1
         1 UPDATE test SET value = 19 WHERE id = 2
         2? UPDATE test SET value = 12 WHERE id = 1
         1 COMMIT
         2!
         3 SELECT * FROM test WHERE id = 1 => 1,11
         2 UPDATE test SET value = 18 WHERE id = 2
         3 SELECT * FROM test WHERE id = 2 => 2,19
         2 COMMIT
         3 SELECT * FROM test WHERE id = 2 => 2,18
         3 SELECT * FROM test WHERE id = 1 => 1,12
         3 COMMIT",
    ),
    (
        "PMP, predicate-many-preceders: happens",
        "1 SELECT * FROM test WHERE value = 30 =>
         2 INSERT INTO test VALUES (3, 30)
         2 COMMIT
         1 SELECT * FROM test WHERE value % 3 = 0 => 3,30
         1 COMMIT",
    ),
    (
        "PMP of a write: the row that is looked at again does not fit any more",
        "1 UPDATE test SET value = value + 10
         2 SELECT * FROM test WHERE value = 20 => 2,20
         2? DELETE FROM test WHERE value = 20
         1 COMMIT
         2!
         2 SELECT * FROM test WHERE value = 20 => 1,20
         2 COMMIT",
    ),
    (
        "P4, lost update: happens",
        "1 SELECT * FROM test WHERE id = 1 => 1,10
         2 SELECT * FROM test WHERE id = 1 => 1,10
         1 UPDATE test SET value = 11 WHERE id = 1
         2? UPDATE test SET value = 11 WHERE id = 1
         1 COMMIT
         2!
         2 COMMIT",
    ),
    (
        "G-single, read skew: happens",
        "1 SELECT * FROM test WHERE id = 1 => 1,10
         2 SELECT * FROM test ORDER BY id => 1,10 2,20
         2 UPDATE test SET value = 12 WHERE id = 1
         2 UPDATE test SET value = 18 WHERE id = 2
         2 COMMIT
         1 SELECT * FROM test WHERE id = 2 => 2,18
         1 COMMIT",
    ),
];

const REPEATABLE_READ: &[(&str, &str)] = &[
    (
        "PMP: prevented",
        "1 SELECT * FROM test WHERE value = 30 =>
         2 INSERT INTO test VALUES (3, 30)
         2 COMMIT
         1 SELECT * FROM test WHERE value % 3 = 0 =>
         1 COMMIT",
    ),
    (
        "PMP of a write: prevented",
        "1 UPDATE test SET value = value + 10
         2 SELECT * FROM test WHERE value = 20 => 2,20
         2? DELETE FROM test WHERE value = 20
         1 COMMIT
         2! => 40001
         2 ROLLBACK",
    ),
    (
        "P4: prevented",
        "1 SELECT * FROM test WHERE id = 1 => 1,10
         2 SELECT * FROM test WHERE id = 1 => 1,10
         1 UPDATE test SET value = 11 WHERE id = 1
         2? UPDATE test SET value = 11 WHERE id = 1
         1 COMMIT
         2! => 40001
         2 ROLLBACK",
    ),
    (
        "G-single: prevented",
        "1 SELECT * FROM test WHERE id = 1 => 1,10
         2 SELECT * FROM test ORDER BY id => 1,10 2,20
         2 UPDATE test SET value = 12 WHERE id = 1
         2 UPDATE test SET value = 18 WHERE id = 2
         2 COMMIT
         1 SELECT * FROM test WHERE id = 2 => 2,20
         1 COMMIT",
    ),
    (
        "G-single of predicates: prevented",
        "1 SELECT * FROM test WHERE value % 5 = 0 ORDER BY id => 1,10 2,20
         2 UPDATE test SET value = 12 WHERE value = 10
         2 COMMIT
         1 SELECT * FROM test WHERE value % 3 = 0 =>
         1 COMMIT",
    ),
    (
        "G-single of a write: prevented",
        "1 SELECT * FROM test WHERE id = 1 => 1,10
         2 SELECT * FROM test ORDER BY id => 1,10 2,20
         2 UPDATE test SET value = 12 WHERE id = 1
         2 UPDATE test SET value = 18 WHERE id = 2
         2 COMMIT
         1 DELETE FROM test WHERE value = 20 => 40001
         1 ROLLBACK",
    ),
    (
        "G2-item, write skew: happens",
        "1 SELECT * FROM test WHERE id IN (1, 2) ORDER BY id => 1,10 2,20
         2 SELECT * FROM test WHERE id IN (1, 2) ORDER BY id => 1,10 2,20
         1 UPDATE test SET value = 11 WHERE id = 1
         2 UPDATE test SET value = 21 WHERE id = 2
         1 COMMIT
         2 COMMIT
         1 SELECT * FROM test ORDER BY id => 1,11 2,21",
    ),
    (
        "G2, anti-dependency cycles: happens",
        "1 SELECT * FROM test WHERE value % 3 = 0 =>
         2 SELECT * FROM test WHERE value % 3 = 0 =>
         1 INSERT INTO test VALUES (3, 30)
         2 INSERT INTO test VALUES (4, 42)
         1 COMMIT
         2 COMMIT
         1 SELECT * FROM test WHERE value % 3 = 0 ORDER BY id => 3,30 4,42",
    ),
    (
        "G2 with two edges: happens",
        "1 SELECT * FROM test ORDER BY id => 1,10 2,20
         2 UPDATE test SET value = value + 5 WHERE id = 2
         2 COMMIT
         3 SELECT * FROM test ORDER BY id => 1,10 2,25
         3 COMMIT
         1 UPDATE test SET value = 0 WHERE id = 1
         1 COMMIT",
    ),
];

#[test]
fn anomalies_happen_and_are_prevented_as_postgresql_does_it() {
    let server = TestServer::start();
    hold(&of_nodedb(&server));
}

#[test]
fn the_outcomes_of_hermitage_are_postgresqls() {
    let server = Postgresql::start();
    let mut config = Config::new();
    config.host_path(server.socket_directory());
    config.user("nodedb").dbname("postgres");
    hold(&config);
}

fn of_nodedb(server: &TestServer) -> Config {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(server.pgwire().port())
        .user("nodedb")
        .password(SUPERUSER_PASSWORD)
        .dbname("nodedb");
    config
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn hold(config: &Config) {
    let wrong = runtime().block_on(async {
        let mut sessions = BTreeMap::new();
        for number in 1..=3 {
            sessions.insert(number, Session::connect(config).await);
        }
        let made = asked(
            &sessions[&1].client,
            "CREATE TABLE test (id int PRIMARY KEY, value int)",
        );
        assert_eq!(made.await, "");
        let mut wrong = Vec::new();
        for (level, cases) in [
            ("READ COMMITTED", READ_COMMITTED),
            ("REPEATABLE READ", REPEATABLE_READ),
        ] {
            for (name, script) in cases {
                let differs = run(&mut sessions, level, script).await;
                wrong.extend(differs.map(|what| format!("{level}, {name}: {what}")));
            }
        }
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Session {
    client: Arc<Client>,
    waiting: Option<JoinHandle<String>>,
}

impl Session {
    async fn connect(config: &Config) -> Session {
        let (client, connection) = config.connect(NoTls).await.expect("it logs in");
        tokio::spawn(connection);
        Session {
            client: Arc::new(client),
            waiting: None,
        }
    }

    fn ask(&self, sql: &str) -> JoinHandle<String> {
        let (client, sql) = (self.client.clone(), sql.to_owned());
        tokio::spawn(async move { asked(&client, &sql).await })
    }
}

/// The rows as `1,10 2,20`, or the SQLSTATE.
async fn asked(client: &Client, sql: &str) -> String {
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error) => {
            return error
                .code()
                .map_or_else(String::new, |it| it.code().to_owned());
        }
    };
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let columns = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL"));
            Some(columns.collect::<Vec<_>>().join(","))
        }
        _ => None,
    });
    rows.collect::<Vec<_>>().join(" ")
}

/// Runs one case; what differs first, if anything does.
async fn run(sessions: &mut BTreeMap<u32, Session>, level: &str, script: &str) -> Option<String> {
    for text in [
        "DELETE FROM test",
        "INSERT INTO test VALUES (1, 10), (2, 20)",
    ] {
        assert_eq!(asked(&sessions[&1].client, text).await, "");
    }
    for session in sessions.values() {
        let begin = format!("BEGIN ISOLATION LEVEL {level}");
        assert_eq!(asked(&session.client, &begin).await, "");
    }
    let mut differs = None;
    for line in script.lines().map(str::trim) {
        if let Err(what) = step(sessions, line).await {
            differs = Some(what);
            break;
        }
    }
    for session in sessions.values_mut() {
        if let Some(waiting) = session.waiting.take() {
            waiting.abort();
        }
        asked(&session.client, "ROLLBACK").await;
    }
    differs
}

async fn step(sessions: &mut BTreeMap<u32, Session>, line: &str) -> Result<(), String> {
    let (told, expected) = line.split_once("=>").unwrap_or((line, ""));
    let (number, rest) = told.split_at(1);
    let session = sessions
        .get_mut(&number.parse().expect("a line begins with a session"))
        .expect("there are three");
    let sql = rest.trim_start_matches(['?', '!']).trim();
    let mut asked = match session.waiting.take() {
        Some(waiting) => waiting,
        None => session.ask(sql),
    };
    if rest.starts_with('?') {
        return match tokio::time::timeout(WAITS_MIN, &mut asked).await {
            Ok(answer) => Err(format!("{line}: it did not wait: {answer:?}")),
            Err(_) => {
                session.waiting = Some(asked);
                Ok(())
            }
        };
    }
    let answer = tokio::time::timeout(WAITS_MAX, asked).await;
    let answer = answer.map_err(|_| format!("{line}: it waits"))?;
    let answer = answer.expect("the task ends");
    match answer == expected.trim() {
        true => Ok(()),
        false => Err(format!("{line}: {answer}")),
    }
}

/// Never silently weaker.
#[test]
fn serializable_is_refused_by_name() {
    let server = TestServer::start();
    runtime().block_on(async {
        let session = Session::connect(&of_nodedb(&server)).await;
        for text in [
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
            "SET default_transaction_isolation = 'serializable'",
        ] {
            assert_eq!(asked(&session.client, text).await, "0A000", "{text}");
        }
    });
}

#[test]
fn a_deadlock_is_found_within_a_second() {
    let server = TestServer::start();
    runtime().block_on(async {
        let config = of_nodedb(&server);
        let one = Session::connect(&config).await;
        let other = Session::connect(&config).await;
        let made = "CREATE TABLE test (id int PRIMARY KEY, value int); \
                    INSERT INTO test VALUES (1, 10), (2, 20)";
        assert_eq!(asked(&one.client, made).await, "");
        for (session, id) in [(&one, 1), (&other, 2)] {
            let locked = format!("BEGIN; UPDATE test SET value = 0 WHERE id = {id}");
            assert_eq!(asked(&session.client, &locked).await, "");
        }
        let first = one.ask("UPDATE test SET value = 1 WHERE id = 2");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let began = Instant::now();
        let second = other.ask("UPDATE test SET value = 1 WHERE id = 1");
        let mut answers = [
            first.await.expect("the task ends"),
            second.await.expect("the task ends"),
        ];
        answers.sort();
        assert_eq!(answers, ["", "40P01"]);
        assert!(began.elapsed() < Duration::from_millis(1_500), "{began:?}");
    });
}
