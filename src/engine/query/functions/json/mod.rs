//! Functions and operators of json and jsonb.
//!
//! Source: PostgreSQL 15, §9.16.

pub mod access;
mod aggregate;
mod build;
mod edit;
pub mod operators;
pub mod record;
pub mod sets;

use super::definition::{Argument, Call, of};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types::json_value::Json;
use datafusion::arrow::array::{Array, AsArray, StringArray};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF};
use std::sync::{Arc, LazyLock};

const JSON: Argument = of(TypeKind::Json);
const JSONB: Argument = of(TypeKind::Jsonb);
const TEXTS: Argument = Argument::Of(SqlType::array_of(TypeKind::Text));

/// The scalar functions, those that return sets among them.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut found = access::functions();
    found.extend(edit::functions());
    found.extend(build::functions());
    found.extend(record::functions());
    found.extend(sets::functions());
    found
}

pub use access::{AS_ARRAY, key, path};

/// The aggregates.
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    aggregate::functions()
}

/// Whether an aggregate gathers values into JSON.
pub fn gathers(aggregate: &str) -> bool {
    aggregate.starts_with("json") && aggregate.ends_with("_agg")
}

/// A value that prints as the session's settings say, as the JSON that it is in them: an aggregate does not
/// see the session.
pub fn printed_by_settings(value: Expr, sql_type: SqlType) -> Expr {
    use TypeKind::{Bytea, Date, Float4, Float8, Interval, Timestamp, Timestamptz};
    let by_settings = matches!(
        sql_type.kind,
        Bytea | Date | Float4 | Float8 | Interval | Timestamp | Timestamptz
    );
    // An array's parts begin lines, which what it is as JSON does not tell.
    if !by_settings || sql_type.array {
        return value;
    }
    static TO_JSON: LazyLock<Option<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let mut named = build::functions().into_iter();
        named.find(|function| function.name() == "to_json")
    });
    match &*TO_JSON {
        Some(function) => {
            Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), vec![value]))
        }
        None => value,
    }
}

/// A json argument of a row.
fn json<'c>(call: &'c Call<'_>, argument: usize, row: usize) -> Option<Json<'c>> {
    call.text(argument, row).map(Json::new)
}

/// A text[] argument of a row; its elements may be NULL.
fn texts(call: &Call<'_>, argument: usize, row: usize) -> Option<Vec<Option<String>>> {
    let lists = call.args[argument].as_list_opt::<i32>()?;
    if lists.is_null(row) {
        return None;
    }
    let elements = lists.value(row);
    // Of no elements the type may not be known.
    let Some(elements) = elements.as_any().downcast_ref::<StringArray>() else {
        return Some(vec![None; elements.len()]);
    };
    Some(elements.iter().map(|one| one.map(str::to_owned)).collect())
}
