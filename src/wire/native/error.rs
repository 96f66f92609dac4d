//! What is wrong with a request before it is carried out, and the numbers that published clients
//! know errors by.

use crate::diagnostic::{Diagnostic, SqlState};

/// Why a payload is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not what the protocol says; the text says where.
    #[error("malformed request: {0}")]
    Malformed(&'static str),
    /// JSON that is not, or whose keys hold other types. Where, but not what stands there: it may
    /// be a password.
    #[error("malformed request: at line {line} column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A text that is not UTF-8 or holds a NUL byte.
    #[error("{}", .0.message())]
    Text(Diagnostic),
    /// Values nested deeper than is taken.
    #[error("parameters are nested more than {0} deep")]
    TooDeep(usize),
    /// More values than are taken.
    #[error("more than {0} values in the parameters of one request")]
    TooMany(usize),
    /// A kind of value that is not taken.
    #[error("a parameter of kind {0} is not supported")]
    ValueKind(u64),
}

impl RequestError {
    /// The code it is reported under.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            RequestError::Malformed(_) | RequestError::Json { .. } => SqlState::PROTOCOL_VIOLATION,
            RequestError::Text(diagnostic) => diagnostic.sqlstate(),
            RequestError::TooDeep(_) => SqlState::STATEMENT_TOO_COMPLEX,
            RequestError::TooMany(_) => SqlState::PROGRAM_LIMIT_EXCEEDED,
            RequestError::ValueKind(_) => SqlState::FEATURE_NOT_SUPPORTED,
        }
    }
}

impl From<RequestError> for Diagnostic {
    fn from(error: RequestError) -> Diagnostic {
        match error {
            RequestError::Text(diagnostic) => diagnostic,
            error => Diagnostic::error(error.sqlstate(), error.to_string()),
        }
    }
}

/// The number by which published clients know an error, beside its SQLSTATE; None where they have
/// no class for it.
pub fn client_number(code: SqlState) -> Option<u16> {
    Some(match (code.class(), code.as_str()) {
        (_, "40001") => 1001,
        (_, "57014") => 1002,
        (_, "42804") => 1020,
        (_, "22003") => 1021,
        (_, "40P01" | "25P02") => 1030,
        (_, "25001") => 1031,
        (_, "42P01") => 1100,
        (_, "3D000") => 1110,
        (_, "42704") => 1111,
        (_, "42710" | "42P04" | "42P07") => 1112,
        (_, "2BP01") => 1115,
        (_, "42601") => 1200,
        (_, "42883") => 1203,
        (_, "22012") => 1204,
        (_, "42703") => 1206,
        (_, "42702") => 1207,
        (_, "53300") => 1403,
        (_, "42501") => 2000,
        ("0A", _) => 1202,
        ("22", _) => 1208,
        ("23", _) => 1000,
        ("28", _) => 2002,
        ("54", _) => 1209,
        ("55", _) => 1113,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_code() {
        let text = crate::sql::parse::text(b"\0").expect_err("a NUL byte");
        for (error, code) in [
            (RequestError::Malformed("why"), "08P01"),
            (RequestError::Json { line: 1, column: 2 }, "08P01"),
            (RequestError::Text(text), "22021"),
            (RequestError::TooDeep(32), "54001"),
            (RequestError::TooMany(9), "54000"),
            (RequestError::ValueKind(16), "0A000"),
        ] {
            let message = error.to_string();
            let diagnostic = Diagnostic::from(error);
            assert_eq!(diagnostic.sqlstate().as_str(), code);
            assert_eq!(diagnostic.message(), message);
        }
    }

    #[test]
    fn the_narrowest_class_of_a_code_is_the_clients_number() {
        for (code, number) in [
            (SqlState::UNIQUE_VIOLATION, Some(1000)),
            (SqlState::SERIALIZATION_FAILURE, Some(1001)),
            (SqlState::DIVISION_BY_ZERO, Some(1204)),
            (SqlState::INVALID_DATETIME_FORMAT, Some(1208)),
            (SqlState::UNDEFINED_TABLE, Some(1100)),
            (SqlState::INVALID_PASSWORD, Some(2002)),
            (SqlState::INTERNAL_ERROR, None),
            (SqlState::ADMIN_SHUTDOWN, None),
        ] {
            assert_eq!(client_number(code), number, "{code}");
        }
    }
}
