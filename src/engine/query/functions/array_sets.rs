//! `@>`, `<@` and `&&` of arrays, as sets of their elements: NULL is in none.

use super::definition::{Argument, Call, Function};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types::number::Number;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::collections::HashSet;
use std::sync::Arc;

const TWO: &[&[Argument]] = &[&[Argument::Any, Argument::Any]];
const BOOL: SqlType = SqlType::scalar(TypeKind::Bool);

/// `@>`
pub fn contains() -> Arc<ScalarUDF> {
    Function::immutable("array_contains", TWO, BOOL, |call| {
        compared(call, |left, right| all_in(right, left))
    })
}

/// `<@`
pub fn contained() -> Arc<ScalarUDF> {
    Function::immutable("array_contained", TWO, BOOL, |call| compared(call, all_in))
}

/// `&&`
pub fn overlaps() -> Arc<ScalarUDF> {
    Function::immutable("array_overlaps", TWO, BOOL, |call| {
        compared(call, |left, right| {
            left.iter().any(|one| !one.is_null() && right.contains(one))
        })
    })
}

fn all_in(members: &HashSet<ScalarValue>, of: &HashSet<ScalarValue>) -> bool {
    members.iter().all(|one| !one.is_null() && of.contains(one))
}

fn compared(
    call: &Call<'_>,
    holds: fn(&HashSet<ScalarValue>, &HashSet<ScalarValue>) -> bool,
) -> Result<datafusion::arrow::array::ArrayRef> {
    call.bools(|row| {
        let (Some(left), Some(right)) = (elements(call, 0, row)?, elements(call, 1, row)?) else {
            return Ok(None);
        };
        Ok(Some(holds(&left, &right)))
    })
}

/// The elements of an array of any dimensions; None where it is NULL.
fn elements(call: &Call<'_>, argument: usize, row: usize) -> Result<Option<HashSet<ScalarValue>>> {
    let Some(lists) = call.args[argument].as_list_opt::<i32>() else {
        return Ok(None);
    };
    if lists.is_null(row) {
        return Ok(None);
    }
    let values = lists.value(row);
    let one = |index| {
        let value = ScalarValue::try_from_array(&values, index)?;
        // Numbers are equal whatever their scales.
        Ok(match (&value, Number::of_scalar(&value)) {
            (ScalarValue::LargeBinary(_) | ScalarValue::Decimal128(..), Some(number)) => {
                number.trimmed().to_scalar()
            }
            _ => value,
        })
    };
    (0..values.len()).map(one).collect::<Result<_>>().map(Some)
}
