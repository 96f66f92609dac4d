//! Subscripts of arrays as calls of functions of ours (PostgreSQL §8.15.3).

use super::casts;
use super::syntax::call_of;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::query::functions::array_subscripts;
use sqlparser::ast::{AccessExpr, Expr, Subscript, Value};

/// `array[i]`, `array[i][j]` and `array[from:to]` as calls; None for what selects a field.
///
/// # Errors
/// 0A000 for a slice of several dimensions.
pub fn call(root: &mut Expr, access: &mut [AccessExpr]) -> Result<Option<Expr>, Diagnostic> {
    let taken = |expr: &mut Expr| std::mem::replace(expr, Expr::value(Value::Null));
    if access.iter().any(|part| matches!(part, AccessExpr::Dot(_))) {
        return Ok(None);
    }
    let mut args = vec![taken(root)];
    if let [
        AccessExpr::Subscript(Subscript::Slice {
            lower_bound,
            upper_bound,
            stride: None,
        }),
    ] = access
    {
        // A bound that is left out is the array's own.
        let bound = |bound: &mut Option<Expr>, without: i32| match bound.take() {
            Some(bound) => bound,
            None => {
                let text = Expr::value(Value::SingleQuotedString(without.to_string()));
                casts::call(text, SqlType::scalar(TypeKind::Int4))
            }
        };
        args.push(bound(lower_bound, i32::MIN));
        args.push(bound(upper_bound, i32::MAX));
        return Ok(Some(call_of(array_subscripts::SLICE, args)));
    }
    for part in access.iter_mut() {
        match part {
            AccessExpr::Subscript(Subscript::Index { index }) => args.push(taken(index)),
            AccessExpr::Subscript(Subscript::Slice { .. }) | AccessExpr::Dot(_) => {
                return Err(Diagnostic::unsupported("a slice of several dimensions"));
            }
        }
    }
    Ok(Some(call_of(array_subscripts::ELEMENT, args)))
}
