//! The errors input functions share, in PostgreSQL's words.

use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};

/// interval_field_overflow
pub const INTERVAL_FIELD_OVERFLOW: SqlState = SqlState::new("22015");
/// invalid_time_zone_displacement_value
pub const INVALID_TIME_ZONE_DISPLACEMENT: SqlState = SqlState::new("22009");

/// 22P02: the text is no value of the type.
pub fn invalid_syntax(type_name: &str, text: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// 22007: the text is no date or time.
pub fn invalid_datetime(type_name: &str, text: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_DATETIME_FORMAT,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// 22008: a field such as the day is out of its range.
pub fn datetime_field_out_of_range(text: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date/time field value out of range: \"{text}\""),
    )
}

/// 22008: `timestamp out of range` and its like.
pub fn datetime_out_of_range(type_name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("{type_name} out of range"),
    )
}

/// 22003: the text is a number past the type's range.
pub fn out_of_range(type_name: &str, text: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {type_name}"),
    )
}

/// 22003 of a cast or an operation: `integer out of range`.
pub fn number_out_of_range(type_name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("{type_name} out of range"),
    )
}

/// 22P03: bytes that are no binary form of the type.
pub fn invalid_binary(sql_type: SqlType) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_BINARY_REPRESENTATION,
        format!(
            "incorrect binary data format for type {}",
            super::format_type(SqlType {
                typmod: -1,
                ..sql_type
            })
        ),
    )
}
