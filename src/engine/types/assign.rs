//! Assignment: a value made to fit a column's type and modifier.

use super::cast::{CastContext, can_cast, cast, cast_array};
use super::decode::Input;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;

/// Whether an expression of type `from` may be assigned to the column, asked when a statement is
/// planned.
///
/// # Errors
/// 42804 in PostgreSQL's words.
pub fn check_assignable(column: &str, from: SqlType, to: SqlType) -> Result<(), Diagnostic> {
    if can_cast(from, to, CastContext::Assignment) {
        return Ok(());
    }
    let name = |of: SqlType| super::format_type(SqlType { typmod: -1, ..of });
    Err(Diagnostic::error(
        SqlState::DATATYPE_MISMATCH,
        format!(
            "column \"{column}\" is of type {} but expression is of type {}",
            name(to),
            name(from)
        ),
    )
    .with_hint("You will need to rewrite or cast the expression."))
}

/// A value of type `from` as a column of type `to` keeps it: cast, rounded to the scale, length
/// checked (22001 unless only blanks are lost).
///
/// # Errors
/// 42846 where there is no assignment cast (see [`check_assignable`]); what the cast gives.
pub fn assign(
    value: ScalarValue,
    from: SqlType,
    to: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    cast(value, from, to, CastContext::Assignment, input)
}

/// As [`assign`], for a whole array; as is when the types are the same.
///
/// # Errors
/// As [`assign`].
pub fn assign_array(
    values: &ArrayRef,
    from: SqlType,
    to: SqlType,
    input: Input<'_>,
) -> Result<ArrayRef, Diagnostic> {
    cast_array(values, from, to, CastContext::Assignment, input)
}
