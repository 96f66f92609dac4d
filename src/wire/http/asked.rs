//! What a request to `/v1/query` asks for: its URL, its fields and its body (REFERENCE §4).

use super::error::HttpError;
use super::head::{Head, Method};
use super::json::RowMode;
use super::parameters::{self, Count};
use super::refusal::refusal;
use super::response::Response;
use crate::catalog::TenantId;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::session::CoreServices;
use crate::session::message::TEXT_BYTES_ON_CORE_MAX;
use crate::sql::parse;
use serde::Deserialize;

/// Keys that would put a credential into a URL, and so into logs.
const CREDENTIAL_KEYS: [&str; 6] = [
    "api_key",
    "apikey",
    "access_token",
    "token",
    "password",
    "authorization",
];

/// Statements to run.
pub struct Query {
    /// Their text.
    pub sql: String,
    /// The values of $1 and so on, each by its text; None is NULL. Where there are any the text is
    /// one statement.
    pub parameters: Vec<Option<String>>,
    /// The database named, if any.
    pub database: Option<String>,
    /// Another tenant than the login's own.
    pub tenant: Option<TenantId>,
    /// How rows are written.
    pub row_mode: RowMode,
    /// What they may do.
    pub access: Access,
}

/// Whether statements may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// POST
    ReadWrite,
    /// GET and HEAD
    ReadOnly,
}

/// Why nothing was asked.
pub enum Refused {
    /// The request is no good.
    Http(HttpError),
    /// The statement, or what is to be done with it.
    Statement(Diagnostic),
}

impl Refused {
    /// The answer.
    pub fn response(&self) -> Response {
        match self {
            Refused::Http(error) => error.response(),
            Refused::Statement(error) => refusal(error),
        }
    }
}

/// What stands in the head, known before the body is there.
pub struct Asked {
    method: Method,
    sql: Option<String>,
    database: Option<String>,
    tenant: Option<TenantId>,
}

impl Asked {
    /// Reads the URL's query and the fields.
    ///
    /// # Errors
    /// 400 for a key that nobody knows, or one that would carry a credential.
    pub fn of(head: &Head) -> Result<Asked, HttpError> {
        let mut sql = None;
        let mut database = None;
        let query = head.query.as_deref().unwrap_or_default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let is = |known: &&str| known.eq_ignore_ascii_case(&key);
            if CREDENTIAL_KEYS.iter().any(is) {
                let why = "a credential in a URL; send it as an Authorization field";
                return Err(HttpError::Malformed(why));
            }
            match &*key {
                "sql" => sql = Some(value.into_owned()),
                "database" => database = Some(value.into_owned()),
                _ => return Err(HttpError::Malformed("unknown query parameter")),
            }
        }
        if head.method == Method::Post && sql.is_some() {
            return Err(HttpError::Malformed("sql in the URL of a POST request"));
        }
        Ok(Asked {
            method: head.method,
            sql,
            database: head.database.clone().or(database),
            tenant: head.tenant.as_deref().map(tenant).transpose()?,
        })
    }

    /// With what the body says; a long one is read off the core.
    ///
    /// # Errors
    /// 22023 for a body that is not what is expected, and what its parameters are refused with.
    pub async fn with_body(
        self,
        body: Vec<u8>,
        services: &CoreServices,
    ) -> Result<Query, Diagnostic> {
        if self.method != Method::Post {
            return Ok(Query {
                sql: self.sql.unwrap_or_else(|| "SHOW SESSION".to_owned()),
                parameters: Vec::new(),
                database: self.database,
                tenant: self.tenant,
                row_mode: RowMode::Object,
                access: Access::ReadOnly,
            });
        }
        let mut query = match body.len() <= TEXT_BYTES_ON_CORE_MAX {
            true => read_body(&body)?,
            false => {
                let off_core = &services.parts.off_core;
                off_core.run(move || read_body(&body)).await??
            }
        };
        query.database = query.database.or(self.database);
        query.tenant = self.tenant;
        Ok(query)
    }
}

fn tenant(number: &str) -> Result<TenantId, HttpError> {
    let number = number.parse().map(TenantId);
    number.map_err(|_| HttpError::Malformed("X-NodeDB-Tenant is not the number of a tenant"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PostBody {
    sql: String,
    #[serde(default)]
    params: Count,
    database: Option<String>,
    #[serde(default)]
    row_mode: RowMode,
}

/// Reads the body of a POST request. A long one takes longer than a slice.
///
/// # Errors
/// 22023 for a body that is not what is expected, 22021 for bytes that are no text, 54000 for too
/// many parameters.
pub fn read_body(body: &[u8]) -> Result<Query, Diagnostic> {
    // As everywhere, a text is UTF-8 without NUL.
    let text = parse::text(body)?;
    let read: PostBody = serde_json::from_str(text).map_err(|error| {
        // Where it is wrong, but not what stands there: it may be a password.
        Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "the body is not what is expected, at line {} column {}",
                error.line(),
                error.column()
            ),
        )
        .with_hint(
            "Send {\"sql\": \"SELECT 1\"}, with \"params\", \"database\" and \"row_mode\" if \
             wanted.",
        )
    })?;
    parse::text(read.sql.as_bytes())?;
    Ok(Query {
        parameters: parameters::values(text, read.params)?,
        sql: read.sql,
        database: read.database,
        tenant: None,
        row_mode: read.row_mode,
        access: Access::ReadWrite,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &[u8]) -> SqlState {
        match read_body(body) {
            Ok(_) => panic!("{} is taken", String::from_utf8_lossy(body)),
            Err(error) => error.sqlstate(),
        }
    }

    #[test]
    fn a_body_is_an_object_of_known_members() {
        let body = br#"{"sql": "SELECT $1", "params": [1.50], "row_mode": "array"}"#;
        let query = read_body(body).expect("well formed");
        assert_eq!(query.sql, "SELECT $1");
        assert_eq!(query.parameters, [Some("1.50".to_owned())]);
        assert_eq!(query.row_mode, RowMode::Array);
        let query = read_body(br#"{"sql": "", "params": null, "database": null}"#);
        assert_eq!(query.expect("null is absent").parameters, []);
        let deep = format!("{{\"sql\": \"\", \"params\": [{}]}}", "[".repeat(200_000));
        for wrong in [
            &b""[..],
            b"[]",
            b"{\"sql\": 1}",
            b"{\"sql\": \"\", \"x\": 1}",
            b"{\"sql\": \"\", \"params\": {}}",
            b"{\"sql\": \"\", \"params\": [], \"params\": [1]}",
            deep.as_bytes(),
        ] {
            assert_eq!(refused(wrong), SqlState::INVALID_PARAMETER_VALUE);
        }
    }

    #[test]
    fn a_text_that_no_text_can_be_is_22021() {
        let expected = SqlState::CHARACTER_NOT_IN_REPERTOIRE;
        assert_eq!(refused(b"{\"sql\": \"\xff\"}"), expected);
        assert_eq!(refused(b"{\"sql\": \"SELECT '\\u0000'\"}"), expected);
    }
}
