//! Which types become which, and how: PostgreSQL's pg_cast for the types we have.

use super::decode::Input;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;

/// Who asks for a cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// An operator's or function's argument.
    Implicit,
    /// INSERT and UPDATE into a column.
    Assignment,
    /// CAST and `::`.
    Explicit,
}

/// Whether there is such a cast (modifiers do not matter).
pub fn can_cast(from: SqlType, to: SqlType, context: CastContext) -> bool {
    let _ = (from, to, context);
    todo!()
}

/// The value cast, as `CAST(value AS to)`: modifiers cut rather than check in an explicit cast.
///
/// # Errors
/// 42846 where there is no such cast, 22003 and the like where the value does not fit.
pub fn cast(
    value: ScalarValue,
    from: SqlType,
    to: SqlType,
    context: CastContext,
    input: Input<'_>,
) -> Result<ScalarValue, Diagnostic> {
    let _ = (value, from, to, context, input);
    todo!()
}

/// As [`cast`], for a whole array.
///
/// # Errors
/// As [`cast`].
pub fn cast_array(
    values: &ArrayRef,
    from: SqlType,
    to: SqlType,
    context: CastContext,
    input: Input<'_>,
) -> Result<ArrayRef, Diagnostic> {
    let _ = (values, from, to, context, input);
    todo!()
}
