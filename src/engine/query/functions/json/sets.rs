//! Functions that give the parts of a value as rows: a list for each column, unnested together.

use super::{JSON, JSONB, json};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::functions::definition::{Call, Function};
use crate::engine::query::functions::keywords;
use crate::engine::types::json_value::{Json, Kind};
use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// A set-returning function with names for its columns: the functions that give each.
pub struct Columns {
    name: &'static str,
    /// Names of columns and of their functions.
    pub columns: &'static [(&'static str, &'static str)],
}

const SETS: &[Columns] = &[
    Columns {
        name: "pg_get_keywords",
        columns: keywords::COLUMNS,
    },
    Columns {
        name: "json_array_elements",
        columns: &[("value", "json_array_elements")],
    },
    Columns {
        name: "jsonb_array_elements",
        columns: &[("value", "jsonb_array_elements")],
    },
    Columns {
        name: "json_array_elements_text",
        columns: &[("value", "json_array_elements_text")],
    },
    Columns {
        name: "jsonb_array_elements_text",
        columns: &[("value", "jsonb_array_elements_text")],
    },
    Columns {
        name: "json_each",
        columns: &[("key", "json_each_key"), ("value", "json_each_value")],
    },
    Columns {
        name: "jsonb_each",
        columns: &[("key", "jsonb_each_key"), ("value", "jsonb_each_value")],
    },
    Columns {
        name: "json_each_text",
        columns: &[("key", "json_each_key"), ("value", "json_each_value_text")],
    },
    Columns {
        name: "jsonb_each_text",
        columns: &[
            ("key", "jsonb_each_key"),
            ("value", "jsonb_each_value_text"),
        ],
    },
];

/// The columns of the function in FROM, if it names them itself.
pub fn columns(name: &str) -> Option<&'static Columns> {
    SETS.iter().find(|set| set.name == name)
}

/// The functions, each giving the list of its rows.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    let of = SqlType::array_of;
    let (text, json, jsonb) = (of(TypeKind::Text), of(TypeKind::Json), of(TypeKind::Jsonb));
    vec![
        Function::immutable("json_array_elements", &[&[JSON]], json, elements),
        Function::immutable("jsonb_array_elements", &[&[JSONB]], jsonb, elements),
        Function::immutable("json_array_elements_text", &[&[JSON]], text, elements_text),
        Function::immutable(
            "jsonb_array_elements_text",
            &[&[JSONB]],
            text,
            elements_text,
        ),
        Function::immutable("json_object_keys", &[&[JSON]], text, |call| {
            keys(call, "json_object_keys")
        }),
        Function::immutable("jsonb_object_keys", &[&[JSONB]], text, |call| {
            keys(call, "jsonb_object_keys")
        }),
        Function::immutable("json_each_key", &[&[JSON]], text, |call| {
            keys(call, "json_each")
        }),
        Function::immutable("jsonb_each_key", &[&[JSONB]], text, |call| {
            keys(call, "jsonb_each")
        }),
        Function::immutable("json_each_value", &[&[JSON]], json, values),
        Function::immutable("jsonb_each_value", &[&[JSONB]], jsonb, values),
        Function::immutable("json_each_value_text", &[&[JSON]], text, values_text),
        Function::immutable("jsonb_each_value_text", &[&[JSONB]], text, values_text),
    ]
}

/// A list of texts for each row.
fn lists(
    call: &Call<'_>,
    of: impl Fn(Json<'_>, &mut dyn FnMut(Option<&str>)) -> Result<()>,
) -> Result<ArrayRef> {
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        match json(call, 0, row) {
            None => out.append_null(),
            Some(value) => {
                of(value, &mut |part| out.values().append_option(part))?;
                out.append(true);
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

fn invalid(message: String) -> datafusion::error::DataFusionError {
    failure::error(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn demand_array(value: Json<'_>) -> Result<()> {
    match value.kind() {
        Kind::Array => Ok(()),
        Kind::Object => Err(invalid("cannot extract elements from an object".to_owned())),
        _ => Err(invalid("cannot extract elements from a scalar".to_owned())),
    }
}

fn elements(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |value, push| {
        demand_array(value)?;
        value
            .elements()
            .for_each(|element| push(Some(element.raw())));
        Ok(())
    })
}

fn elements_text(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |value, push| {
        demand_array(value)?;
        value
            .elements()
            .for_each(|element| push(element.to_text().as_deref()));
        Ok(())
    })
}

fn demand_object(value: Json<'_>, function: &str) -> Result<()> {
    if value.kind() == Kind::Object {
        return Ok(());
    }
    Err(invalid(match (function, value.kind()) {
        ("json_each" | "jsonb_each", Kind::Array) if function == "json_each" => {
            "cannot deconstruct an array as an object".to_owned()
        }
        ("json_each", _) => "cannot deconstruct a scalar".to_owned(),
        ("jsonb_each", _) => format!("cannot call {function} on a non-object"),
        (_, Kind::Array) => format!("cannot call {function} on an array"),
        _ => format!("cannot call {function} on a scalar"),
    }))
}

fn keys(call: &Call<'_>, function: &str) -> Result<ArrayRef> {
    lists(call, |value, push| {
        demand_object(value, function)?;
        value.members().for_each(|(key, _)| push(Some(&key)));
        Ok(())
    })
}

fn values(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |value, push| {
        value
            .members()
            .for_each(|(_, value)| push(Some(value.raw())));
        Ok(())
    })
}

fn values_text(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |value, push| {
        value
            .members()
            .for_each(|(_, value)| push(value.to_text().as_deref()));
        Ok(())
    })
}
