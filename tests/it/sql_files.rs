//! The files of tests/sql, each in a database of its own, on NodeDB and on PostgreSQL 15: what is
//! expected there is what PostgreSQL does.
//!
//! They are in sqllogictest's format. A line `statement error` without a text below takes any
//! error, with `(22P02)` behind it that SQLSTATE, and with `----` below it the SQLSTATE and the
//! message. `NODEDB_SQL_FILES=types` runs only the files whose path has that in it;
//! `expectations_are_written_from_postgresql`, which runs only when it is asked for, puts what
//! PostgreSQL answers into the files, so that a new one begins as statements alone.

use crate::postgresql::Postgresql;
use crate::server::{SUPERUSER_PASSWORD, TestServer};
use sqllogictest::{
    AsyncDB, DBOutput, DefaultColumnType, ExpectedError, QueryExpect, Record, Runner,
    StatementExpect,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

#[test]
fn every_file_holds_on_nodedb() {
    let server = TestServer::start();
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(server.pgwire().port())
        .user("nodedb")
        .password(SUPERUSER_PASSWORD)
        .dbname("nodedb");
    each_file(&config, holds);
}

#[test]
fn every_file_holds_on_postgresql() {
    let server = Postgresql::start();
    each_file(&at(&server), holds);
}

#[test]
#[ignore = "it writes the files anew"]
fn expectations_are_written_from_postgresql() {
    let server = Postgresql::start();
    each_file(&at(&server), is_written);
}

fn at(server: &Postgresql) -> Config {
    let mut config = Config::new();
    config.host_path(server.socket_directory());
    config.user("nodedb").dbname("postgres");
    config
}

/// Runs `step` on every file that is asked for; all that fail are told of, not only the first.
fn each_file(server: &Config, step: impl AsyncFn(&Path, Config) -> Result<(), String>) {
    let wanted = std::env::var("NODEDB_SQL_FILES").unwrap_or_default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let below = |file: &Path| file.strip_prefix(&root).expect("it is below").to_owned();
    files.retain(|file| below(file).to_string_lossy().contains(&wanted));
    files.sort();
    assert!(!files.is_empty(), "no file of tests/sql has {wanted} in it");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let failed: Vec<String> = runtime.block_on(async {
        let (administrator, driven) = connect(server)
            .await
            .expect("the server has a database to begin in");
        let mut failed = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let database = format!("file_{number}");
            let made = format!("CREATE DATABASE {database}");
            administrator.batch_execute(&made).await.expect(&made);
            let mut config = server.clone();
            config.dbname(&database);
            if let Err(why) = step(file, config).await {
                failed.push(format!("== {}\n{why}", below(file).display()));
            }
        }
        drop(administrator);
        driven.await.expect("the connection's task ends");
        failed
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("tests/sql can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            files.push(path);
        }
    }
}

/// Whether every record of the file holds; a record that does not is told with its place, and
/// the next one is tried.
async fn holds(file: &Path, config: Config) -> Result<(), String> {
    let records = sqllogictest::parse_file::<DefaultColumnType>(file);
    let records = records.map_err(|error| error.to_string())?;
    let mut runner = Runner::new(|| Session::open(config.clone()));
    let mut failed = Vec::new();
    for record in records {
        if let Err(error) = runner.run_async(record).await {
            failed.push(error.to_string());
        }
    }
    runner.shutdown_async().await;
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("{} differ\n{}", failed.len(), failed.join("\n")))
    }
}

/// Puts what the server answers into the file.
async fn is_written(file: &Path, config: Config) -> Result<(), String> {
    let records = sqllogictest::parse_file::<DefaultColumnType>(file);
    let records = records.map_err(|error| error.to_string())?;
    let mut runner = Runner::new(|| Session::open(config.clone()));
    let mut written = String::new();
    for record in records {
        let output = runner.apply_record(record.clone()).await;
        let answered = sqllogictest::update_record_with_output(
            &record,
            &output,
            "  ",
            sqllogictest::default_validator,
            sqllogictest::default_normalizer,
            sqllogictest::default_column_validator,
        );
        let mut answered = answered.unwrap_or(record);
        match (&mut answered, output.error_text()) {
            (
                Record::Statement {
                    expected: StatementExpect::Error(expected),
                    ..
                }
                | Record::Query {
                    expected: QueryExpect::Error(expected),
                    ..
                },
                Some(text),
            ) if !matches!(expected, ExpectedError::SqlState(_)) => {
                *expected = ExpectedError::Multiline(text);
            }
            _ => {}
        }
        written.push_str(&format!("{answered}\n"));
    }
    runner.shutdown_async().await;
    let written = format!("{}\n", written.trim_end());
    std::fs::write(file, written).map_err(|error| error.to_string())
}

/// The error of an answer, as [`Failure`] prints it.
trait ErrorText {
    fn error_text(&self) -> Option<String>;
}

impl ErrorText for sqllogictest::RecordOutput<DefaultColumnType> {
    fn error_text(&self) -> Option<String> {
        match self {
            Self::Query { error, .. } | Self::Statement { error, .. } => {
                error.as_ref().map(ToString::to_string)
            }
            _ => None,
        }
    }
}

type Driven = tokio::task::JoinHandle<()>;

async fn connect(config: &Config) -> Result<(Client, Driven), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driven = tokio::spawn(async {
        // An error of the connection is one of the client's statement, too.
        let _ = connection.await;
    });
    Ok((client, driven))
}

/// One session of a file: `connection name` in it opens more.
struct Session {
    client: Option<Client>,
    driven: Option<Driven>,
}

impl Session {
    async fn open(config: Config) -> Result<Session, Failure> {
        let (client, driven) = connect(&config).await.map_err(Failure)?;
        Ok(Session {
            client: Some(client),
            driven: Some(driven),
        })
    }
}

/// `22P02 invalid input syntax for type integer: "x"`.
#[derive(Debug)]
struct Failure(tokio_postgres::Error);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_db_error() {
            Some(error) => write!(f, "{} {}", error.code().code(), error.message()),
            None => write!(f, "{}", self.0),
        }
    }
}

impl std::error::Error for Failure {}

#[async_trait::async_trait]
impl AsyncDB for Session {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let client = self.client.as_ref().expect("it is open");
        let messages = client.simple_query(sql).await.map_err(Failure)?;
        let mut columns = None;
        let mut rows = Vec::new();
        let mut count = 0;
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(described) => columns = Some(described.len()),
                SimpleQueryMessage::Row(row) => {
                    let value = |column| match row.get(column) {
                        None => "NULL".to_owned(),
                        Some("") => "(empty)".to_owned(),
                        Some(text) => text.replace('\n', "\\n"),
                    };
                    rows.push((0..row.len()).map(value).collect());
                }
                SimpleQueryMessage::CommandComplete(rows) => count = rows,
                _ => {}
            }
        }
        Ok(match columns {
            Some(columns) => DBOutput::Rows {
                types: vec![DefaultColumnType::Text; columns],
                rows,
            },
            None => DBOutput::StatementComplete(count),
        })
    }

    async fn shutdown(&mut self) {
        self.client = None;
        if let Some(driven) = self.driven.take() {
            let _ = driven.await;
        }
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        error.0.code().map(|code| code.code().to_owned())
    }
}
