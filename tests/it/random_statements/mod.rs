//! Statements at random, on NodeDB and on PostgreSQL 15: where both answer, they answer alike, and
//! whatever comes, the server stays up and has no internal error.
//!
//! `NODEDB_RANDOM_MINUTES=60` makes of a short run one that lasts; `NODEDB_RANDOM_SEED=7` begins at
//! another place. What differs is told with the shortest statement that showed it. What NodeDB does
//! not have is not a fault here, and neither is one server's division by zero in a place that the
//! other did not look at.

mod changes;
mod expressions;
mod forms;
mod queries;
mod verdict;

use crate::postgresql::Postgresql;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use expressions::{Author, Scope};
use fastrand::Rng;
use forms::Forms;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Config, NoTls};
use verdict::{Answer, Verdict, compare, difference};

/// How many statements the short run has.
const STATEMENTS: usize = 1_000;

#[test]
fn random_statements_are_answered_as_postgresql_answers_them() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let findings = runtime.block_on(run());
    if environment("NODEDB_RANDOM_MINUTES").is_some() {
        for told in findings.told.values() {
            eprintln!("{}", told.text());
        }
    }
    let faults: Vec<_> = findings
        .told
        .values()
        .filter(|told| told.verdict.is_fault())
        .collect();
    let told: Vec<_> = faults.iter().map(|told| told.text()).collect();
    assert!(
        faults.is_empty(),
        "{}\n{}",
        told.join("\n"),
        findings.summary()
    );
}

async fn run() -> Findings {
    let nodedb = TestServer::start();
    let postgresql = Postgresql::start();
    let mut at_nodedb = Config::new();
    at_nodedb
        .host("127.0.0.1")
        .port(nodedb.pgwire().port())
        .user("nodedb")
        .password(SUPERUSER_PASSWORD)
        .dbname("nodedb");
    let mut at_postgresql = Config::new();
    at_postgresql.host_path(postgresql.socket_directory());
    at_postgresql.user("nodedb").dbname("postgres");
    let mut pair = Pair {
        nodedb: connect(&at_nodedb).await,
        postgresql: connect(&at_postgresql).await,
    };
    for client in [&pair.nodedb, &pair.postgresql] {
        client
            .batch_execute(include_str!("tables.sql"))
            .await
            .expect("the tables are made");
        let settings = "SET statement_timeout = '2s'";
        client.batch_execute(settings).await.expect(settings);
    }
    let environment = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seed = environment("NODEDB_RANDOM_SEED").unwrap_or(1);
    let until = environment("NODEDB_RANDOM_MINUTES")
        .map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let forms = Forms::read();
    let mut findings = Findings::default();
    for number in 0.. {
        if until.map_or(number >= STATEMENTS, |until| Instant::now() > until) {
            break;
        }
        let mut author = Author {
            forms: &forms,
            random: Rng::with_seed(seed << 32 | number as u64),
            aliases: 0,
            subqueries: 3,
        };
        // Of a run that lasts each eighth statement looks a row up by its key.
        let compared = match until.is_some() && number % 8 == 7 {
            true => pair.both(&author.by_key()).await,
            false => step(&pair, &mut author).await,
        };
        let lost = matches!(compared.nodedb, Answer::Lost(_));
        findings.note(compared);
        if lost {
            pair.nodedb = connect(&at_nodedb).await;
        }
        if until.is_some() && number % 5_000 == 4_999 {
            eprintln!("{number}: {}", findings.summary());
        }
    }
    findings
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

struct Pair {
    nodedb: Client,
    postgresql: Client,
}

/// A statement and both answers.
struct Compared {
    statement: String,
    postgresql: Answer,
    nodedb: Answer,
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("the server is up");
    tokio::spawn(async {
        // An error of the connection is one of the client's statement, too.
        let _ = connection.await;
    });
    let settings = "SET TimeZone = 'Europe/Warsaw'";
    client
        .batch_execute(settings)
        .await
        .expect("the session is set");
    client
}

/// One random statement on both servers. What it changes is compared and taken back.
async fn step(pair: &Pair, author: &mut Author<'_>) -> Compared {
    match author.random.u32(..100) {
        0..=19 => {
            let (statement, table) = author.change();
            pair.both("BEGIN").await;
            let mut compared = pair.both(&statement).await;
            if let (Answer::Rows(_), Answer::Rows(_)) = (&compared.postgresql, &compared.nodedb)
                && compare(&compared.postgresql, &compared.nodedb) == Verdict::Alike
            {
                let after = pair.both(&format!("TABLE {}", table.name)).await;
                compared = Compared { statement, ..after };
            }
            pair.both("ROLLBACK").await;
            compared
        }
        20..=34 => {
            let statement = author.statement();
            let prepared = format!("PREPARE random AS {statement}");
            // What has timed out may have left one.
            pair.both("DEALLOCATE ALL").await;
            let compared = pair.both(&prepared).await;
            let (Answer::Rows(_), Answer::Rows(_)) = (&compared.postgresql, &compared.nodedb)
            else {
                pair.both("DEALLOCATE ALL").await;
                return compared;
            };
            let executed = pair.both("EXECUTE random").await;
            pair.both("DEALLOCATE ALL").await;
            Compared {
                statement: prepared,
                ..executed
            }
        }
        35..=44 => pair.both(&garbled(author)).await,
        45..=64 => {
            // No table: the value alone, as short as a finding can be.
            let kind = author.any_type();
            let value = author.expression(kind, 3, &Scope::default());
            pair.both(&format!("SELECT ({value})::{kind}")).await
        }
        _ => pair.both(&author.statement()).await,
    }
}

/// A statement of which words are gone, doubled or exchanged.
fn garbled(author: &mut Author<'_>) -> String {
    let statement = author.statement();
    let mut words: Vec<&str> = statement.split_inclusive([' ', '(', ',', ')']).collect();
    for _ in 0..author.random.usize(1..3) {
        let (one, other) = (
            author.random.usize(..words.len()),
            author.random.usize(..words.len()),
        );
        match author.random.u32(..3) {
            0 if words.len() > 1 => {
                words.remove(one);
            }
            1 => words.insert(one, words[other]),
            _ => words.swap(one, other),
        }
    }
    words.concat()
}

impl Pair {
    async fn both(&self, statement: &str) -> Compared {
        let (postgresql, nodedb) = tokio::join!(
            Answer::of(&self.postgresql, statement),
            Answer::of(&self.nodedb, statement),
        );
        Compared {
            statement: statement.to_owned(),
            postgresql,
            nodedb,
        }
    }
}

/// What was found, once for each kind.
#[derive(Default)]
struct Findings {
    counts: BTreeMap<Verdict, usize>,
    told: BTreeMap<(Verdict, String), Told>,
}

/// The shortest statement that showed something, and how often it was seen.
struct Told {
    verdict: Verdict,
    compared: Compared,
    times: usize,
}

impl Told {
    fn text(&self) -> String {
        let Compared {
            statement,
            postgresql,
            nodedb,
        } = &self.compared;
        format!(
            "== {:?}, {} times\n{statement};\n  PostgreSQL {}\n  NodeDB     {}",
            self.verdict,
            self.times,
            difference(postgresql, nodedb),
            difference(nodedb, postgresql),
        )
    }
}

impl Findings {
    fn note(&mut self, compared: Compared) {
        let verdict = compare(&compared.postgresql, &compared.nodedb);
        *self.counts.entry(verdict).or_default() += 1;
        if matches!(verdict, Verdict::Alike | Verdict::BothRefuse) {
            return;
        }
        let kind = match (&compared.postgresql, &compared.nodedb) {
            (_, Answer::Refused(code, message)) | (Answer::Refused(code, message), _) => {
                // What is quoted or counted is another in every statement.
                let plain = |character: char| !character.is_ascii_digit() && character != '"';
                let message: String = message.chars().filter(|at| plain(*at)).collect();
                format!("{code} {}", message.chars().take(60).collect::<String>())
            }
            // Rows that differ have no message to know the kind by: the length tells some apart.
            _ => format!("rows {}", compared.statement.len() / 20),
        };
        let told = self.told.entry((verdict, kind)).or_insert_with(|| Told {
            verdict,
            compared: Compared {
                statement: compared.statement.clone() + " ",
                postgresql: Answer::Rows(Vec::new()),
                nodedb: Answer::Rows(Vec::new()),
            },
            times: 0,
        });
        told.times += 1;
        if compared.statement.len() < told.compared.statement.len() {
            told.compared = compared;
        }
    }

    fn summary(&self) -> String {
        let counts = self
            .counts
            .iter()
            .map(|(verdict, times)| format!("{verdict:?} {times}"));
        counts.collect::<Vec<_>>().join(", ")
    }
}
