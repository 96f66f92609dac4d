//! Input: text and binary to values, with PostgreSQL's errors.

use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::settings::Settings;
use datafusion::common::ScalarValue;

/// What input functions may look at besides the text.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The time zone of timestamptz without one.
    pub settings: &'a Settings,
    /// What `now`, `today` and their like mean, in Unix microseconds.
    pub transaction_time: i64,
}

/// The value that a text means, the type's modifier applied as a cast does it (a varchar(3) of
/// four letters is 22001 unless the fourth is a blank).
///
/// # Errors
/// 22P02, 22003, 22007, 22008, 22001 in PostgreSQL's words.
pub fn decode_text(
    text: &str,
    sql_type: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    let _ = (text, sql_type, input);
    todo!()
}

/// The value of a binary parameter.
///
/// # Errors
/// 22P03 `incorrect binary data format`, 08P01 where bytes are missing.
pub fn decode_binary(bytes: &[u8], sql_type: SqlType) -> Result<ScalarValue, Diagnostic> {
    let _ = (bytes, sql_type);
    todo!()
}
