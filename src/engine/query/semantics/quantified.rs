//! `x op ANY (array)`: of the types that PostgreSQL compares (§10.2), for the functions of `functions::quantified`.

use super::{explicit, is_unknown, type_of};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::functions::one_type;
use crate::engine::query::operators::{comparable, is_text};
use crate::engine::types::Input;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;

/// The value and the array, as they are compared by the operator.
///
/// # Errors
/// 42809 where the right side is no array, 42883 where there is no such operator.
pub(super) fn typed(
    symbol: &str,
    args: Vec<Expr>,
    schema: &DFSchema,
    input: Input<'_>,
) -> Result<Vec<Expr>> {
    let [mut value, mut array] = <[Expr; 2]>::try_from(args)
        .map_err(|_| DataFusionError::Internal("two arguments".to_owned()))?;
    let unknown = SqlType::scalar(TypeKind::Unknown);
    if is_unknown(&array) {
        // `'{…}'` is an array of the value's type.
        let kind = match type_of(&value, schema)?.kind {
            TypeKind::Unknown => TypeKind::Text,
            kind => kind,
        };
        array = explicit(array, unknown, SqlType::array_of(kind), input)?;
    }
    let of_value = type_of(&value, schema)?;
    let of_array = match (type_of(&array, schema), of_value.kind) {
        // What nothing but a label tells.
        (Err(_), TypeKind::Enum(_)) => SqlType::array_of(of_value.kind),
        (found, _) => found?,
    };
    if !of_array.array {
        return Err(failure::error(
            SqlState::WRONG_OBJECT_TYPE,
            "op ANY/ALL (array) requires array on right side",
        ));
    }
    let element = SqlType::scalar(of_array.kind);
    if is_unknown(&value) {
        value = explicit(value, unknown, element, input)?;
    }
    let of_value = type_of(&value, schema)?;
    if !comparable(of_value, element) {
        let none = failure::no_operator(symbol, of_value, element);
        return Err(failure::external(none));
    }
    let Some(common) = common(of_value, element) else {
        return Ok(vec![value, array]);
    };
    Ok(vec![
        explicit(value, of_value, common, input)?,
        explicit(array, of_array, SqlType::array_of(common.kind), input)?,
    ])
}

/// The type that both are compared as; None where they are as they come.
fn common(value: SqlType, element: SqlType) -> Option<SqlType> {
    use TypeKind::{Bpchar, Float4, Float8, Int2, Int4, Int8, Numeric, Varchar};
    if value.kind == element.kind {
        return None;
    }
    let kinds = [value.kind, element.kind];
    if kinds.contains(&Bpchar) && kinds.contains(&Varchar) {
        return Some(SqlType::scalar(Bpchar));
    }
    if is_text(value.kind) {
        return None;
    }
    let common = one_type::common_type(&[value, element])?;
    match common.kind {
        // Numbers of any scale are compared with integers as they are.
        Numeric => None,
        Int2 | Int4 | Int8 => Some(common),
        Float4 => Some(SqlType::scalar(Float8)),
        _ => Some(common),
    }
}
