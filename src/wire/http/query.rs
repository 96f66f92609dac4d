//! `/v1/query` (REFERENCE §4): a text of statements in, the rows of the last one as JSON.
//!
//! Each request is a session of its own, from its credential to its end. What ordinary statements
//! stand in one text are one transaction.

use super::credential;
use super::error::HttpError;
use super::head::{Head, Method};
use super::json::{self, RowMode};
use super::response::{Response, Status};
use super::route::Peer;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::login::{self, Wish};
use crate::session::message::{Piece, Step, Tail};
use crate::session::run::interruptible;
use crate::session::transaction::Status as BlockStatus;
use crate::session::{Answer, CoreServices, Session};
use crate::wire::attended::{attended, within};
use serde::Deserialize;
use shards::Stream;
use std::pin::pin;
use std::rc::Rc;

/// The path.
pub const PATH: &str = "/v1/query";

/// The longest reply; what is longer is for a stream of rows.
pub const REPLY_BYTES_MAX: usize = 64 << 20;

/// Rows written before the core's other sessions have their turn.
const ROWS_A_SLICE: usize = 256;

/// Keys that would put a credential into a URL, and so into logs.
const CREDENTIAL_KEYS: [&str; 6] = [
    "api_key",
    "apikey",
    "access_token",
    "token",
    "password",
    "authorization",
];

/// What is asked for.
struct Query {
    sql: String,
    database: Option<String>,
    row_mode: RowMode,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostBody {
    sql: String,
    params: Option<Vec<serde_json::Value>>,
    database: Option<String>,
    #[serde(default)]
    row_mode: RowMode,
}

/// Answers a request whose body has been read.
pub async fn answer(
    stream: &Stream,
    head: &Head,
    body: &[u8],
    peer: Peer,
    services: &Rc<CoreServices>,
) -> Response {
    let query = match asked(head, body) {
        Ok(query) => query,
        Err(Asked::Http(error)) => return error.response(),
        Err(Asked::Statement(error)) => return refusal(&error),
    };
    if let Err(error) = login::admit(services) {
        return refusal(&error);
    }
    let authenticated = match credential::present(head, peer, stream, services).await {
        Ok(authenticated) => authenticated,
        Err(error) => return refusal(&error),
    };
    let wish = Wish {
        tenant: None,
        database: query.database.clone(),
        settings: vec![("application_name".to_owned(), "http".to_owned())],
        peer: stream.peer(),
    };
    let mut session = match Session::log_in(services.clone(), authenticated, wish) {
        Ok(session) => session,
        Err(error) => return refusal(&error),
    };
    let handle = session.handle().clone();
    let outcome = {
        let running = Box::pin(run(&mut session, &query));
        attended(stream, &handle, services, running).await
    };
    session.abandon();
    match outcome {
        Ok(reply) => Response::json(Status::OK, reply),
        Err(error) => refusal(&error),
    }
}

/// Why nothing was asked.
enum Asked {
    /// The request is no good.
    Http(HttpError),
    /// The statement, or what is to be done with it.
    Statement(Diagnostic),
}

fn asked(head: &Head, body: &[u8]) -> Result<Query, Asked> {
    let mut sql = None;
    let mut database = None;
    let query = head.query.as_deref().unwrap_or_default();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let is = |known: &&str| known.eq_ignore_ascii_case(&key);
        if CREDENTIAL_KEYS.iter().any(is) {
            let why = "a credential in a URL; send it as an Authorization field";
            return Err(Asked::Http(HttpError::Malformed(why)));
        }
        match &*key {
            "sql" => sql = Some(value.into_owned()),
            "database" => database = Some(value.into_owned()),
            _ => return Err(Asked::Http(HttpError::Malformed("unknown query parameter"))),
        }
    }
    let database = head.database.clone().or(database);
    match head.method {
        Method::Post => post(body, sql.is_some(), database),
        Method::Get => Ok(Query {
            sql: sql.unwrap_or_else(|| "SHOW SESSION".to_owned()),
            database,
            row_mode: RowMode::Object,
            access: Access::ReadOnly,
        }),
        Method::Head | Method::Other => Err(Asked::Http(HttpError::QueryMethod)),
    }
}

fn post(body: &[u8], sql_in_url: bool, database: Option<String>) -> Result<Query, Asked> {
    if sql_in_url {
        let why = "sql in both the URL and the body";
        return Err(Asked::Http(HttpError::Malformed(why)));
    }
    let body: PostBody = serde_json::from_slice(body).map_err(|error| {
        // Where it is wrong, but not what stands there: it may be a password.
        Asked::Statement(
            Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "the body is not what is expected, at line {} column {}",
                    error.line(),
                    error.column()
                ),
            )
            .with_hint(
                "Send {\"sql\": \"SELECT 1\"}, with \"database\" and \"row_mode\" if wanted.",
            ),
        )
    })?;
    if body.params.is_some_and(|params| !params.is_empty()) {
        return Err(Asked::Statement(Diagnostic::unsupported(
            "parameters over HTTP",
        )));
    }
    Ok(Query {
        sql: body.sql,
        database: body.database.or(database),
        row_mode: body.row_mode,
        access: Access::ReadWrite,
    })
}

/// Runs the statements; gives the reply's body.
async fn run(session: &mut Session, query: &Query) -> Result<String, Diagnostic> {
    let ran = run_steps(session, query).await;
    if ran.is_err() {
        session.fail();
    }
    ran
}

async fn run_steps(session: &mut Session, query: &Query) -> Result<String, Diagnostic> {
    session.adopt()?;
    let mut steps = session.parse_message(&query.sql).await?.into_steps();
    if query.access == Access::ReadOnly {
        if steps.len() > 1 {
            return Err(Diagnostic::unsupported(
                "several statements in a GET request",
            ));
        }
        read_only(session, &mut steps).await?;
    }
    let mut reply = None;
    for step in steps {
        let limit = session.settings().statement_timeout();
        let handle = session.handle().clone();
        let tail = step.tail;
        let running = Box::pin(run_step(session, step, query.row_mode));
        reply = Some(within(&handle, limit, running).await?);
        if tail == Tail::Last {
            session.end_implicit().await?;
        }
    }
    let left = session.status();
    if left != BlockStatus::Idle && query.access == Access::ReadWrite {
        return Err(
            Diagnostic::unsupported("a transaction that outlives its request")
                .with_hint("End it in the same request: it has been rolled back."),
        );
    }
    Ok(reply.unwrap_or_else(|| Reply::default().print("EMPTY")))
}

/// The statement of a GET runs in a READ ONLY transaction, which ends with the session.
async fn read_only(session: &mut Session, steps: &mut [Step]) -> Result<(), Diagnostic> {
    let text = "BEGIN READ ONLY";
    for begin in session.parse_message(text).await?.into_steps() {
        if let Piece::Statement(text, statement) = begin.piece {
            session.run(statement.ast, &text).await?;
        }
    }
    for step in steps {
        step.tail = Tail::More;
    }
    Ok(())
}

async fn run_step(
    session: &mut Session,
    step: Step,
    row_mode: RowMode,
) -> Result<String, Diagnostic> {
    let answer = match step.piece {
        Piece::Statement(text, statement) => session.run(statement.ast, &text).await?,
        Piece::Credential(statement) => session.run_credential(statement).await?,
    };
    let mut reply = Reply::default();
    match answer {
        Answer::Done(tag) => Ok(reply.print(&tag.to_string())),
        Answer::Rows(mut cursor) => {
            let fields = cursor.fields().clone();
            let settings = session.current_settings().clone();
            reply.columns = json::columns(&fields);
            let handle = session.handle().clone();
            loop {
                let next = async { cursor.next(ROWS_A_SLICE).await.transpose() };
                let Some((batch, range)) = interruptible(&handle, pin!(next)).await? else {
                    break;
                };
                let full = range.len() == ROWS_A_SLICE;
                for row in range {
                    reply.begin_row();
                    json::row(&batch, row, &fields, row_mode, &settings, &mut reply.rows)?;
                    reply.demand_room()?;
                }
                if full {
                    shards::yield_now().await;
                }
            }
            Ok(reply.print(&cursor.tag(reply.row_count).to_string()))
        }
        Answer::CopyIn(_) | Answer::CopyOut(_) => Err(Diagnostic::unsupported("COPY over HTTP")),
    }
}

/// A reply while its rows are written.
#[derive(Default)]
struct Reply {
    columns: String,
    rows: String,
    row_count: u64,
}

impl Reply {
    fn begin_row(&mut self) {
        if self.row_count > 0 {
            self.rows.push(',');
        }
        self.row_count += 1;
    }

    fn demand_room(&self) -> Result<(), Diagnostic> {
        if self.rows.len() <= REPLY_BYTES_MAX {
            return Ok(());
        }
        Err(Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("the reply exceeds {REPLY_BYTES_MAX} bytes"),
        )
        .with_hint("Ask for fewer rows, with LIMIT."))
    }

    /// The body; the tag's count is `row_count`.
    fn print(&self, tag: &str) -> String {
        let mut words: Vec<&str> = tag.split(' ').collect();
        let counted = match words.last() {
            Some(last) if words.len() > 1 => last.parse().ok(),
            _ => None,
        };
        if counted.is_some() {
            words.retain(|word| word.parse::<u64>().is_err());
        }
        let count: u64 = counted.unwrap_or(self.row_count);
        let columns = if self.columns.is_empty() {
            "[]"
        } else {
            &self.columns
        };
        format!(
            "{{\"status\":\"ok\",\"command\":{},\"row_count\":{count},\"columns\":{columns},\"rows\":[{}]}}\n",
            json::string(&words.join(" ")),
            self.rows,
        )
    }
}

/// An error with its status (REFERENCE §4).
pub fn refusal(error: &Diagnostic) -> Response {
    let code = error.sqlstate();
    let fields = error.fields();
    let named = "DATABASE_NOT_AUTHORIZED";
    let code_shown = match error.message().starts_with(named) {
        true => named,
        false => code.as_str(),
    };
    let mut body = format!(
        "{{\"error\":{{\"code\":{},\"message\":{}",
        json::string(code_shown),
        json::string(error.message())
    );
    for (name, text) in [("detail", &fields.detail), ("hint", &fields.hint)] {
        if let Some(text) = text {
            body.push_str(&format!(",\"{name}\":{}", json::string(text)));
        }
    }
    if let Some(position) = fields.position {
        body.push_str(&format!(",\"position\":{position}"));
    }
    body.push_str("}}\n");
    let status = status_of(code);
    let response = Response::json(status, body);
    match status {
        Status::UNAUTHORIZED => {
            response.with_header("www-authenticate", "Bearer, Basic realm=\"nodedb\"")
        }
        Status::TOO_MANY_REQUESTS => response.with_header("retry-after", "1"),
        _ => response,
    }
}

fn status_of(code: SqlState) -> Status {
    match (code.class(), code.as_str()) {
        ("28", _) => Status::UNAUTHORIZED,
        (_, "42501") => Status::FORBIDDEN,
        (_, "42P01" | "42704") | ("3D", _) => Status::NOT_FOUND,
        (_, "42710" | "42P04" | "42P07") | ("23" | "40" | "55", _) => Status::CONFLICT,
        (_, "53300") => Status::TOO_MANY_REQUESTS,
        (_, "57014") => Status::GATEWAY_TIMEOUT,
        ("57", _) => Status::SERVICE_UNAVAILABLE,
        ("0A", _) => Status::NOT_IMPLEMENTED,
        ("54", _) => Status::CONTENT_TOO_LARGE,
        ("22" | "42", _) => Status::BAD_REQUEST,
        _ => Status::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_error_has_its_status() {
        for (code, status) in [
            (SqlState::INVALID_PASSWORD, 401),
            (SqlState::INSUFFICIENT_PRIVILEGE, 403),
            (SqlState::UNDEFINED_TABLE, 404),
            (SqlState::INVALID_CATALOG_NAME, 404),
            (SqlState::UNDEFINED_OBJECT, 404),
            (SqlState::DUPLICATE_OBJECT, 409),
            (SqlState::SERIALIZATION_FAILURE, 409),
            (SqlState::TOO_MANY_CONNECTIONS, 429),
            (SqlState::QUERY_CANCELED, 504),
            (SqlState::ADMIN_SHUTDOWN, 503),
            (SqlState::FEATURE_NOT_SUPPORTED, 501),
            (SqlState::PROGRAM_LIMIT_EXCEEDED, 413),
            (SqlState::SYNTAX_ERROR, 400),
            (SqlState::INVALID_PARAMETER_VALUE, 400),
            (SqlState::INTERNAL_ERROR, 500),
        ] {
            assert_eq!(status_of(code).code(), status, "{code}");
        }
    }

    #[test]
    fn a_tag_is_a_command_and_a_count() {
        let reply = Reply::default();
        for (tag, command, count) in [
            ("INSERT 0 3", "INSERT", 3),
            ("SELECT 2", "SELECT", 2),
            ("CREATE TABLE", "CREATE TABLE", 0),
            ("BEGIN", "BEGIN", 0),
        ] {
            let body: serde_json::Value = serde_json::from_str(&reply.print(tag)).unwrap();
            assert_eq!(body["command"], command);
            assert_eq!(body["row_count"], count);
        }
    }
}
