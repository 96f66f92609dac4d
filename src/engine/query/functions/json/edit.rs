//! Values made of others: joined, changed at a path, stripped, laid out.

use super::{JSON, JSONB, TEXTS, json, texts};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::query::failure;
use crate::engine::query::functions::definition::{BOOL, Call, Function, INT4, TEXT};
use crate::engine::types::json::{self, write_quoted};
use crate::engine::types::json_edit::{self, After, Change};
use crate::engine::types::json_value::Json;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let of = SqlType::scalar;
    let (text, json, jsonb) = (of(TypeKind::Text), of(TypeKind::Json), of(TypeKind::Jsonb));
    vec![
        Function::immutable("jsonb_concat", &[&[JSONB, JSONB]], jsonb, |call| {
            call.texts(|row| {
                let pair = super::json(call, 0, row).zip(super::json(call, 1, row));
                Ok(pair.map(|(left, right)| json_edit::concatenated(left, right)))
            })
        }),
        Function::immutable(
            "jsonb_delete",
            &[&[JSONB, TEXT], &[JSONB, INT4], &[JSONB, TEXTS]],
            jsonb,
            delete,
        ),
        Function::immutable("jsonb_delete_path", &[&[JSONB, TEXTS]], jsonb, |call| {
            changed(call, |_| Some(Change::Delete))
        }),
        Function::immutable(
            "jsonb_set",
            &[&[JSONB, TEXTS, JSONB], &[JSONB, TEXTS, JSONB, BOOL]],
            jsonb,
            |call| {
                changed(call, |row| {
                    Some(Change::Set(call.text(2, row)?, flag(call, row, true)?))
                })
            },
        ),
        Function::immutable(
            "jsonb_insert",
            &[&[JSONB, TEXTS, JSONB], &[JSONB, TEXTS, JSONB, BOOL]],
            jsonb,
            |call| {
                changed(call, |row| {
                    let after = match flag(call, row, false)? {
                        true => After::Yes,
                        false => After::No,
                    };
                    Some(Change::Insert(call.text(2, row)?, after))
                })
            },
        ),
        Function::immutable("jsonb_strip_nulls", &[&[JSONB]], jsonb, |call| {
            each(call, |value| json_edit::without_nulls(value, json::object))
        }),
        Function::immutable("json_strip_nulls", &[&[JSON]], json, |call| {
            each(call, |value| {
                json_edit::without_nulls(value, compact_object).replace(", ", ",")
            })
        }),
        Function::immutable("jsonb_pretty", &[&[JSONB]], text, |call| {
            each(call, |value| {
                let mut out = String::new();
                json_edit::pretty(value, 0, &mut out);
                out
            })
        }),
        Function::immutable(
            "jsonb_object",
            &[&[TEXTS], &[TEXTS, TEXTS]],
            jsonb,
            |call| of_texts(call, json::object),
        ),
        Function::immutable("json_object", &[&[TEXTS], &[TEXTS, TEXTS]], json, |call| {
            of_texts(call, spaced_object)
        }),
    ]
}

fn each(call: &Call<'_>, of: fn(Json<'_>) -> String) -> Result<ArrayRef> {
    call.texts(|row| Ok(json(call, 0, row).map(of)))
}

/// An optional last argument.
fn flag(call: &Call<'_>, row: usize, otherwise: bool) -> Option<bool> {
    match call.args.len() {
        4 => call.bool(3, row),
        _ => Some(otherwise),
    }
}

fn delete(call: &Call<'_>) -> Result<ArrayRef> {
    let by = call.args[1].data_type().clone();
    call.texts(|row| {
        let Some(value) = json(call, 0, row) else {
            return Ok(None);
        };
        let result = match by {
            DataType::Int32 => call
                .int4(1, row)
                .map(|index| json_edit::without_element(value, i64::from(index))),
            DataType::List(_) => texts(call, 1, row).map(|keys| {
                let keys: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
                json_edit::without(value, &keys)
            }),
            _ => call
                .text(1, row)
                .map(|key| json_edit::without(value, &[key])),
        };
        result.transpose().map_err(failure::external)
    })
}

/// The value with a change at its path; NULL where an argument is.
fn changed<'c>(
    call: &'c Call<'_>,
    change: impl Fn(usize) -> Option<Change<'c>>,
) -> Result<ArrayRef> {
    call.texts(|row| {
        let (Some(value), Some(steps), Some(change)) =
            (json(call, 0, row), texts(call, 1, row), change(row))
        else {
            return Ok(None);
        };
        let mut path = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let null = || {
                failure::error(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    format!("path element at position {} is null", index + 1),
                )
            };
            path.push(step.as_deref().ok_or_else(null)?);
        }
        json_edit::changed(value, &path, change)
            .map(Some)
            .map_err(failure::external)
    })
}

fn compact_object(members: Vec<(String, String)>) -> String {
    let mut out = String::from("{");
    for (index, (key, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_quoted(key, &mut out);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
    out
}

fn spaced_object(members: Vec<(String, String)>) -> String {
    let mut out = String::from("{");
    for (index, (key, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_quoted(key, &mut out);
        out.push_str(" : ");
        out.push_str(value);
    }
    out.push('}');
    out
}

/// An object of strings: keys and values in turn, or in an array each.
fn of_texts(call: &Call<'_>, object: fn(Vec<(String, String)>) -> String) -> Result<ArrayRef> {
    let error = |sqlstate, message| failure::external(Diagnostic::error(sqlstate, message));
    call.texts(|row| {
        let Some(keys) = texts(call, 0, row) else {
            return Ok(None);
        };
        let pairs: Vec<(Option<String>, Option<String>)> = if call.args.len() == 2 {
            let Some(values) = texts(call, 1, row) else {
                return Ok(None);
            };
            if keys.len() != values.len() {
                return Err(error(SqlState::new("2202E"), "mismatched array dimensions"));
            }
            keys.into_iter().zip(values).collect()
        } else {
            if keys.len() % 2 != 0 {
                return Err(error(
                    SqlState::new("2202E"),
                    "array must have even number of elements",
                ));
            }
            let mut all = keys.into_iter();
            std::iter::from_fn(|| all.next().zip(all.next())).collect()
        };
        let mut members = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key = key.ok_or_else(|| {
                error(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null value not allowed for object key",
                )
            })?;
            let value = match value {
                None => "null".to_owned(),
                Some(text) => {
                    let mut quoted = String::new();
                    write_quoted(&text, &mut quoted);
                    quoted
                }
            };
            members.push((key, value));
        }
        Ok(Some(object(members)))
    })
}
