//! What is refused on the HTTP port, with its status and SQLSTATE (REFERENCE §1, §4).

use super::response::{Response, Status};
use crate::diagnostic::SqlState;
use thiserror::Error;

/// What /health, /metrics and the like are asked with.
pub const HEALTH_METHODS: &str = "GET, HEAD, OPTIONS";

/// What /v1/query is asked with.
pub const QUERY_METHODS: &str = "GET, HEAD, OPTIONS, POST";

/// What /v1/query/stream is asked with.
pub const STREAM_METHODS: &str = "OPTIONS, POST";

/// Why a request is not answered with what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HttpError {
    /// Not HTTP, or of a shape that two servers could read in two ways; the text says which.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// The head is longer than the limit, or has too many fields.
    #[error("the request head exceeds its limit")]
    HeadTooLarge,
    /// The head did not arrive in time.
    #[error("the request took too long to arrive")]
    TimedOut,
    /// HTTP/2 by prior knowledge, HTTP/0.9 and the like.
    #[error("this HTTP version is not supported")]
    Version,
    /// A transfer coding other than chunked.
    #[error("this transfer coding is not supported")]
    TransferCoding,
    /// A body that is longer than its limit; none at all is taken here and there.
    #[error("the request body exceeds its limit")]
    BodyTooLarge,
    /// A chunked body where none is taken.
    #[error("chunked request bodies are not supported here")]
    ChunkedBody,
    /// No such path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The path is there, for reading.
    #[error("only {HEALTH_METHODS} are supported here")]
    MethodNotAllowed,
    /// None of those of a query.
    #[error("only {QUERY_METHODS} are supported here")]
    QueryMethod,
    /// None of those of a stream.
    #[error("only {STREAM_METHODS} are supported here")]
    StreamMethod,
    /// An expectation other than 100-continue.
    #[error("only 100-continue can be expected")]
    Expectation,
    /// /metrics from elsewhere.
    #[error("permission denied: metrics are open on loopback, and to admins")]
    NotLoopback,
    /// A page of an origin that `cors_origins` does not list.
    #[error("pages of this origin may not ask: cors_origins does not list it")]
    Origin,
    /// Past `max_connections`.
    #[error("sorry, too many clients already")]
    TooManyConnections,
    /// Plain HTTP where `require_tls` is set.
    #[error("this server requires TLS: use https")]
    TlsRequired,
    /// A mistake of ours.
    #[error("internal error")]
    Internal,
}

impl HttpError {
    /// The status line's code.
    pub fn status(self) -> Status {
        match self {
            HttpError::Malformed(_) => Status::BAD_REQUEST,
            HttpError::TimedOut => Status::REQUEST_TIMEOUT,
            HttpError::Version => Status::VERSION_NOT_SUPPORTED,
            HttpError::TransferCoding | HttpError::ChunkedBody => Status::NOT_IMPLEMENTED,
            HttpError::HeadTooLarge | HttpError::BodyTooLarge => Status::CONTENT_TOO_LARGE,
            HttpError::NotFound => Status::NOT_FOUND,
            HttpError::MethodNotAllowed | HttpError::QueryMethod | HttpError::StreamMethod => {
                Status::METHOD_NOT_ALLOWED
            }
            HttpError::Expectation => Status::EXPECTATION_FAILED,
            HttpError::NotLoopback | HttpError::Origin | HttpError::TlsRequired => {
                Status::FORBIDDEN
            }
            HttpError::TooManyConnections => Status::TOO_MANY_REQUESTS,
            HttpError::Internal => Status::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body's code.
    pub fn sqlstate(self) -> SqlState {
        match self {
            HttpError::Malformed(_) => SqlState::PROTOCOL_VIOLATION,
            HttpError::HeadTooLarge | HttpError::BodyTooLarge => SqlState::PROGRAM_LIMIT_EXCEEDED,
            HttpError::TimedOut => SqlState::QUERY_CANCELED,
            HttpError::Version
            | HttpError::TransferCoding
            | HttpError::ChunkedBody
            | HttpError::MethodNotAllowed
            | HttpError::QueryMethod
            | HttpError::StreamMethod
            | HttpError::Expectation => SqlState::FEATURE_NOT_SUPPORTED,
            HttpError::NotFound => SqlState::UNDEFINED_OBJECT,
            HttpError::NotLoopback | HttpError::Origin | HttpError::TlsRequired => {
                SqlState::INSUFFICIENT_PRIVILEGE
            }
            HttpError::TooManyConnections => SqlState::TOO_MANY_CONNECTIONS,
            HttpError::Internal => SqlState::INTERNAL_ERROR,
        }
    }

    /// The answer: `{"error":{"code":"…","message":"…"}}`.
    pub fn response(self) -> Response {
        // No message of ours has a character that JSON escapes: the test below walks them.
        let body = format!(
            "{{\"error\":{{\"code\":\"{}\",\"message\":\"{self}\"}}}}\n",
            self.sqlstate()
        );
        let response = Response::json(self.status(), body);
        match self {
            HttpError::MethodNotAllowed => response.with_header("allow", HEALTH_METHODS),
            HttpError::QueryMethod => response.with_header("allow", QUERY_METHODS),
            HttpError::StreamMethod => response.with_header("allow", STREAM_METHODS),
            HttpError::TooManyConnections => response.with_header("retry-after", "1"),
            _ => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_status_and_code_and_a_body_of_json() {
        for (error, status, code) in [
            (HttpError::Malformed("why"), 400, "08P01"),
            (HttpError::HeadTooLarge, 413, "54000"),
            (HttpError::TimedOut, 408, "57014"),
            (HttpError::Version, 505, "0A000"),
            (HttpError::TransferCoding, 501, "0A000"),
            (HttpError::BodyTooLarge, 413, "54000"),
            (HttpError::ChunkedBody, 501, "0A000"),
            (HttpError::NotFound, 404, "42704"),
            (HttpError::MethodNotAllowed, 405, "0A000"),
            (HttpError::QueryMethod, 405, "0A000"),
            (HttpError::StreamMethod, 405, "0A000"),
            (HttpError::Expectation, 417, "0A000"),
            (HttpError::NotLoopback, 403, "42501"),
            (HttpError::Origin, 403, "42501"),
            (HttpError::TlsRequired, 403, "42501"),
            (HttpError::TooManyConnections, 429, "53300"),
            (HttpError::Internal, 500, "XX000"),
        ] {
            assert_eq!(error.status().code(), status, "{error:?}");
            assert_eq!(error.sqlstate().as_str(), code, "{error:?}");
            let message = error.to_string();
            assert!(!message.contains(['"', '\\']), "{message} needs no escapes");
            assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
}
