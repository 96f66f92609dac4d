//! An SQL error as an answer of HTTP's (REFERENCE §4).

use super::json;
use super::response::{Response, Status};
use crate::diagnostic::{Diagnostic, SqlState};

/// An error with its status.
pub fn refusal(error: &Diagnostic) -> Response {
    let status = status_of(error.sqlstate());
    let response = Response::json(status, format!("{}\n", body(error)));
    match status {
        Status::UNAUTHORIZED => {
            response.with_header("www-authenticate", "Bearer, Basic realm=\"nodedb\"")
        }
        Status::TOO_MANY_REQUESTS => {
            let seconds = error.fields().retry_after_seconds.unwrap_or(1);
            response.with_header("retry-after", seconds.to_string())
        }
        _ => response,
    }
}

/// `{"error":{"code","message","detail","hint","position"}}`, of which the last three may be
/// missing; one line, without its end.
pub fn body(error: &Diagnostic) -> String {
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
    body.push_str("}}");
    body
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
        ("22" | "42", _) | (_, "08P01") => Status::BAD_REQUEST,
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
            (SqlState::PROTOCOL_VIOLATION, 400),
            (SqlState::INTERNAL_ERROR, 500),
        ] {
            assert_eq!(status_of(code).code(), status, "{code}");
        }
    }

    #[test]
    fn an_error_is_one_line_of_json_with_all_that_is_known() {
        let error = Diagnostic::error(SqlState::UNDEFINED_COLUMN, "no \"x\"\nhere")
            .with_hint("Ask for y.")
            .with_position(8);
        let text = body(&error);
        assert!(!text.contains('\n'), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let expected = serde_json::json!({"error": {
            "code": "42703", "message": "no \"x\"\nhere", "hint": "Ask for y.", "position": 8,
        }});
        assert_eq!(read, expected);
    }
}
