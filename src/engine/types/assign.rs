//! Assignment: a value made to fit a column's type and modifier.

use super::decode::Input;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;

/// A value of type `from` as a column of type `to` keeps it: cast, rounded to the scale, length
/// checked (22001 unless only blanks are lost).
///
/// # Errors
/// 42804 where there is no assignment cast; what the cast gives.
pub fn assign(
    value: ScalarValue,
    from: SqlType,
    to: SqlType,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    let _ = (value, from, to, input);
    todo!()
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
    let _ = (values, from, to, input);
    todo!()
}
