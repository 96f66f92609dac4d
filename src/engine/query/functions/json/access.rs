//! What is in a value: members, elements, paths, kinds.

use super::{JSON, JSONB, TEXTS, json, texts};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::SqlState;
use crate::engine::query::failure;
use crate::engine::query::functions::definition::{Argument, BOOL, Call, Function, INT4, TEXT};
use crate::engine::types::array;
use crate::engine::types::json_value::{Json, Kind};
use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{ArrayRef, BinaryArray};
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// A path's steps are an array or so many texts.
const JSON_PATHS: &[&[Argument]] = &[
    &[JSON, TEXT],
    &[JSON, TEXTS],
    &[JSON, TEXT, TEXT],
    &[JSON, TEXT, TEXT, TEXT],
    &[JSON, TEXT, TEXT, TEXT, TEXT],
    &[JSON, TEXT, TEXT, TEXT, TEXT, TEXT],
    &[JSON, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT],
];
const JSONB_PATHS: &[&[Argument]] = &[
    &[JSONB, TEXT],
    &[JSONB, TEXTS],
    &[JSONB, TEXT, TEXT],
    &[JSONB, TEXT, TEXT, TEXT],
    &[JSONB, TEXT, TEXT, TEXT, TEXT],
    &[JSONB, TEXT, TEXT, TEXT, TEXT, TEXT],
    &[JSONB, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT],
];

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let of = SqlType::scalar;
    let (text, bool, int4) = (of(TypeKind::Text), of(TypeKind::Bool), of(TypeKind::Int4));
    let (json, jsonb) = (of(TypeKind::Json), of(TypeKind::Jsonb));
    vec![
        Function::immutable("json_object_field", &[&[JSON, TEXT]], json, member),
        Function::immutable("jsonb_object_field", &[&[JSONB, TEXT]], jsonb, member),
        Function::immutable(
            "json_object_field_text",
            &[&[JSON, TEXT]],
            text,
            member_text,
        ),
        Function::immutable(
            "jsonb_object_field_text",
            &[&[JSONB, TEXT]],
            text,
            member_text,
        ),
        Function::immutable("json_array_element", &[&[JSON, INT4]], json, element),
        Function::immutable("jsonb_array_element", &[&[JSONB, INT4]], jsonb, |call| {
            call.texts(|row| Ok(raw(element_or_scalar(call, row))))
        }),
        Function::immutable(
            "json_array_element_text",
            &[&[JSON, INT4]],
            text,
            element_text,
        ),
        Function::immutable(
            "jsonb_array_element_text",
            &[&[JSONB, INT4]],
            text,
            |call| call.texts(|row| Ok(plain(element_or_scalar(call, row)))),
        ),
        Function::immutable("json_extract_path", JSON_PATHS, json, at_path),
        path(),
        Function::immutable("json_extract_path_text", JSON_PATHS, text, at_path_text),
        Function::immutable("jsonb_extract_path_text", JSONB_PATHS, text, at_path_text),
        Function::immutable("json_typeof", &[&[JSON]], text, kind),
        Function::immutable("jsonb_typeof", &[&[JSONB]], text, kind),
        Function::immutable("json_array_length", &[&[JSON]], int4, length),
        Function::immutable("jsonb_array_length", &[&[JSONB]], int4, length),
        Function::immutable("jsonb_contains", &[&[JSONB, JSONB]], bool, |call| {
            pairs(call, |left, right| left.contains(right))
        }),
        Function::immutable("jsonb_contained", &[&[JSONB, JSONB]], bool, |call| {
            pairs(call, |left, right| right.contains(left))
        }),
        Function::immutable("jsonb_exists", &[&[JSONB, TEXT]], bool, |call| {
            call.bools(|row| {
                let found = super::json(call, 0, row).zip(call.text(1, row));
                Ok(found.map(|(value, key)| has(value, key)))
            })
        }),
        Function::immutable("jsonb_exists_any", &[&[JSONB, TEXTS]], bool, |call| {
            having(call, |keys, has| keys.iter().flatten().any(|key| has(key)))
        }),
        Function::immutable("jsonb_exists_all", &[&[JSONB, TEXTS]], bool, |call| {
            having(call, |keys, has| keys.iter().flatten().all(|key| has(key)))
        }),
        Function::immutable(AS_ARRAY, &[&[JSON, BOOL], &[JSONB, BOOL]], text, as_array),
        key(),
    ]
}

/// The text of an SQL array of an array's elements, given whether these are JSON themselves.
pub const AS_ARRAY: &str = "\u{1}json_as_array";

fn as_array(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let (Some(value), Some(of_json)) = (json(call, 0, row), call.bool(1, row)) else {
            return Ok(None);
        };
        match value.kind() {
            Kind::Null => Ok(None),
            Kind::Array => array_text(value, of_json).map(Some),
            // Which may be an array's text.
            Kind::String => Ok(plain(Some(value))),
            _ => Err(failure::error(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "expected JSON array",
            )),
        }
    })
}

fn array_text(value: Json<'_>, of_json: bool) -> Result<String> {
    let mut out = BytesMut::from("{");
    for (place, element) in value.elements().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        if element.kind() == Kind::Array && !of_json {
            return Err(failure::unsupported("an array of more than one dimension"));
        }
        let start = out.len();
        match element.to_text() {
            None => out.put_slice(b"NULL"),
            Some(text) => {
                let text = if of_json { element.raw() } else { &text };
                out.put_slice(text.as_bytes());
                array::quote_element(start, &mut out);
            }
        }
    }
    out.put_u8(b'}');
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// `jsonb #> path`
pub fn path() -> Arc<ScalarUDF> {
    let jsonb = SqlType::scalar(TypeKind::Jsonb);
    Function::immutable("jsonb_extract_path", JSONB_PATHS, jsonb, at_path)
}

/// What jsonb is compared by.
pub fn key() -> Arc<ScalarUDF> {
    let bytea = SqlType::scalar(TypeKind::Bytea);
    Function::immutable("jsonb_key", &[&[JSONB]], bytea, |call| {
        let keys = (0..call.rows).map(|row| json(call, 0, row).map(Json::key));
        Ok(Arc::new(keys.collect::<BinaryArray>()))
    })
}

fn raw(value: Option<Json<'_>>) -> Option<String> {
    value.map(|value| value.raw().to_owned())
}

fn plain(value: Option<Json<'_>>) -> Option<String> {
    value?.to_text().map(|text| text.into_owned())
}

fn member_of<'c>(call: &'c Call<'_>, row: usize) -> Option<Json<'c>> {
    json(call, 0, row)?.member(call.text(1, row)?)
}

fn member(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(raw(member_of(call, row))))
}

fn member_text(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(plain(member_of(call, row))))
}

fn element_of<'c>(call: &'c Call<'_>, row: usize) -> Option<Json<'c>> {
    json(call, 0, row)?.element(i64::from(call.int4(1, row)?))
}

/// A scalar of jsonb is the only element of an array to `->` (PostgreSQL keeps it as one).
fn element_or_scalar<'c>(call: &'c Call<'_>, row: usize) -> Option<Json<'c>> {
    let value = json(call, 0, row)?;
    let place = call.int4(1, row)?;
    match value.kind() {
        Kind::Array | Kind::Object => value.element(i64::from(place)),
        _ => matches!(place, 0 | -1).then_some(value),
    }
}

fn element(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(raw(element_of(call, row))))
}

fn element_text(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(plain(element_of(call, row))))
}

/// The steps of a path; None where one is NULL.
pub fn steps(call: &Call<'_>, row: usize) -> Option<Vec<String>> {
    if let DataType::List(_) = call.args[1].data_type() {
        return texts(call, 1, row)?.into_iter().collect();
    }
    let step = |argument| call.text(argument, row).map(str::to_owned);
    (1..call.args.len()).map(step).collect()
}

fn path_of<'c>(call: &'c Call<'_>, row: usize) -> Option<Json<'c>> {
    let steps = steps(call, row)?;
    json(call, 0, row)?.at_path(steps.iter().map(String::as_str))
}

fn at_path(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(raw(path_of(call, row))))
}

fn at_path_text(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(plain(path_of(call, row))))
}

fn kind(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(json(call, 0, row).map(|value| value.kind().name().to_owned())))
}

fn length(call: &Call<'_>) -> Result<ArrayRef> {
    let invalid = |message| Err(failure::error(SqlState::INVALID_PARAMETER_VALUE, message));
    call.values::<Int32Type>(|row| {
        let Some(value) = json(call, 0, row) else {
            return Ok(None);
        };
        match value.kind() {
            Kind::Array => Ok(Some(value.elements().count() as i32)),
            Kind::Object => invalid("cannot get array length of a non-array"),
            _ => invalid("cannot get array length of a scalar"),
        }
    })
}

fn pairs(call: &Call<'_>, of: fn(Json<'_>, Json<'_>) -> bool) -> Result<ArrayRef> {
    call.bools(|row| {
        let pair = json(call, 0, row).zip(json(call, 1, row));
        Ok(pair.map(|(left, right)| of(left, right)))
    })
}

/// Whether a key, or a string among elements, or the string itself is there.
fn has(value: Json<'_>, key: &str) -> bool {
    let is =
        |one: Json<'_>| one.kind() == Kind::String && one.to_text().is_some_and(|it| it == key);
    match value.kind() {
        Kind::Object => value.member(key).is_some(),
        Kind::Array => value.elements().any(is),
        _ => is(value),
    }
}

type Has<'a> = &'a dyn Fn(&str) -> bool;

fn having(call: &Call<'_>, of: fn(&[Option<String>], Has<'_>) -> bool) -> Result<ArrayRef> {
    call.bools(|row| {
        let pair = json(call, 0, row).zip(texts(call, 1, row));
        Ok(pair.map(|(value, keys)| of(&keys, &|key| has(value, key))))
    })
}
