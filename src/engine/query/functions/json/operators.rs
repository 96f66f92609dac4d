//! Which function an operator of json or jsonb is.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::query::functions::json::functions;
use datafusion::logical_expr::ScalarUDF;
use sqlparser::ast::BinaryOperator;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The function of `left op right`, and the type that a right operand without one takes; None where
/// there is no such operator. A left operand without a type is jsonb.
pub fn function(
    op: &BinaryOperator,
    left: SqlType,
    right: SqlType,
) -> Option<(Arc<ScalarUDF>, SqlType)> {
    use BinaryOperator::*;
    let (text, texts) = (
        SqlType::scalar(TypeKind::Text),
        SqlType::array_of(TypeKind::Text),
    );
    let jsonb = SqlType::scalar(TypeKind::Jsonb);
    let b = match left.kind {
        _ if left.array => return None,
        TypeKind::Jsonb | TypeKind::Unknown => true,
        TypeKind::Json => false,
        _ => return None,
    };
    let integer = matches!(right.kind, TypeKind::Int2 | TypeKind::Int4) && !right.array;
    let textual = !right.array
        && matches!(
            right.kind,
            TypeKind::Text
                | TypeKind::Varchar
                | TypeKind::Bpchar
                | TypeKind::Name
                | TypeKind::Unknown
        );
    let list = right.array && matches!(right.kind, TypeKind::Text | TypeKind::Varchar);
    let path = list || right.kind == TypeKind::Unknown;
    let json = !right.array && matches!(right.kind, TypeKind::Jsonb | TypeKind::Unknown);
    let (name, right) = match op {
        Arrow if integer && b => ("jsonb_array_element", right),
        Arrow if integer => ("json_array_element", right),
        Arrow if textual && b => ("jsonb_object_field", text),
        Arrow if textual => ("json_object_field", text),
        LongArrow if integer && b => ("jsonb_array_element_text", right),
        LongArrow if integer => ("json_array_element_text", right),
        LongArrow if textual && b => ("jsonb_object_field_text", text),
        LongArrow if textual => ("json_object_field_text", text),
        HashArrow if path && b => ("jsonb_extract_path", texts),
        HashArrow if path => ("json_extract_path", texts),
        HashLongArrow if path && b => ("jsonb_extract_path_text", texts),
        HashLongArrow if path => ("json_extract_path_text", texts),
        _ if !b => return None,
        AtArrow if json => ("jsonb_contains", jsonb),
        ArrowAt if json => ("jsonb_contained", jsonb),
        Question if textual => ("jsonb_exists", text),
        QuestionPipe if path => ("jsonb_exists_any", texts),
        QuestionAnd if path => ("jsonb_exists_all", texts),
        StringConcat if json => ("jsonb_concat", jsonb),
        Minus if integer => ("jsonb_delete", right),
        Minus if textual => ("jsonb_delete", text),
        Minus if list => ("jsonb_delete", texts),
        HashMinus if path => ("jsonb_delete_path", texts),
        _ => return None,
    };
    static FUNCTIONS: LazyLock<HashMap<String, Arc<ScalarUDF>>> = LazyLock::new(|| {
        let named = functions().into_iter();
        named
            .map(|function| (function.name().to_owned(), function))
            .collect()
    });
    Some((FUNCTIONS.get(name)?.clone(), right))
}
