//! Functions and operators of json and jsonb.
//!
//! Source: PostgreSQL 15, §9.16.

pub mod access;
mod aggregate;
mod build;
mod edit;
pub mod operators;
pub mod sets;

use super::definition::{Argument, Call, of};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::engine::types::json_value::Json;
use datafusion::arrow::array::{Array, AsArray, StringArray};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use std::sync::Arc;

const JSON: Argument = of(TypeKind::Json);
const JSONB: Argument = of(TypeKind::Jsonb);
const TEXTS: Argument = Argument::Of(SqlType::array_of(TypeKind::Text));

/// The scalar functions, those that return sets among them.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let mut found = access::functions();
    found.extend(edit::functions());
    found.extend(build::functions());
    found.extend(sets::functions());
    found
}

pub use access::key;

/// The aggregates.
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    aggregate::functions()
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
