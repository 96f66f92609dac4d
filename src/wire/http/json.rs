//! Rows as JSON (REFERENCE §4): numbers where a double holds them exactly, else strings.

use crate::catalog::sql_type::TypeKind;
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::ResultField;
use crate::engine::settings::Settings;
use crate::engine::types;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use datafusion::arrow::array::{Array, BinaryArray, RecordBatch};
use serde::Deserialize;

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowMode {
    /// `{"column": value}`
    #[default]
    Object,
    /// `[value]`
    Array,
}

/// A text as a JSON string.
pub fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// `[{"name","type","oid"}]`
pub fn columns(fields: &[ResultField]) -> String {
    let columns = fields.iter().map(|field| {
        format!(
            "{{\"name\":{},\"type\":{},\"oid\":{}}}",
            string(&field.name),
            string(&types::format_type(field.sql_type)),
            types::oid(field.sql_type),
        )
    });
    format!("[{}]", columns.collect::<Vec<_>>().join(","))
}

/// Appends one row.
///
/// # Errors
/// XX000 for a column of another type than its field's: a mistake of ours.
pub fn row(
    batch: &RecordBatch,
    row: usize,
    fields: &[ResultField],
    mode: RowMode,
    settings: &Settings,
    out: &mut String,
) -> Result<(), Diagnostic> {
    out.push(match mode {
        RowMode::Object => '{',
        RowMode::Array => '[',
    });
    for (index, (column, field)) in batch.columns().iter().zip(fields).enumerate() {
        if index > 0 {
            out.push(',');
        }
        if mode == RowMode::Object {
            out.push_str(&string(&field.name));
            out.push(':');
        }
        if column.is_null(row) {
            out.push_str("null");
            continue;
        }
        if let Some(bytes) = column.as_any().downcast_ref::<BinaryArray>()
            && field.sql_type.kind == TypeKind::Bytea
        {
            out.push_str(&string(&BASE64_STANDARD.encode(bytes.value(row))));
            continue;
        }
        let mut text = BytesMut::new();
        types::encode_text(column, row, field.sql_type, settings, &mut text)?;
        value(field.sql_type.kind, &String::from_utf8_lossy(&text), out);
    }
    out.push(match mode {
        RowMode::Object => '}',
        RowMode::Array => ']',
    });
    Ok(())
}

/// Appends a value, given in PostgreSQL's text form.
fn value(kind: TypeKind, text: &str, out: &mut String) {
    match kind {
        TypeKind::Bool => out.push_str(if text == "t" { "true" } else { "false" }),
        TypeKind::Int2 | TypeKind::Int4 => out.push_str(text),
        TypeKind::Int8 | TypeKind::Numeric if is_exact(text) => out.push_str(text),
        TypeKind::Float4 | TypeKind::Float8 if is_number(text) => out.push_str(text),
        TypeKind::Json | TypeKind::Jsonb => out.push_str(text),
        TypeKind::Timestamp | TypeKind::Timestamptz => out.push_str(&string(&iso_8601(text))),
        _ => out.push_str(&string(text)),
    }
}

/// Not NaN, not an infinity.
fn is_number(text: &str) -> bool {
    text.ends_with(|last: char| last.is_ascii_digit())
}

/// Whether reading the number as a double and printing it again loses nothing.
fn is_exact(text: &str) -> bool {
    let digits = text.trim_start_matches('-').replace('.', "");
    // Up to fifteen digits every decimal number survives; beyond, integers up to 2^53 do.
    is_number(text)
        && (digits.len() <= 15
            || text
                .parse::<i64>()
                .is_ok_and(|it| it.unsigned_abs() <= 1 << 53))
}

/// `2024-01-31 10:00:00+02` as `2024-01-31T10:00:00+02:00`; infinity as it is.
fn iso_8601(text: &str) -> String {
    let mut iso = text.replacen(' ', "T", 1);
    let Some(time) = iso.find('T') else {
        return iso;
    };
    let offset = iso[time..].rfind(['+', '-']).map(|at| time + at);
    if offset.is_some_and(|at| iso.len() - at == 3) {
        iso.push_str(":00");
    }
    iso
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(kind: TypeKind, text: &str) -> String {
        let mut out = String::new();
        value(kind, text, &mut out);
        out
    }

    #[test]
    fn numbers_are_json_numbers_only_where_a_double_holds_them() {
        for (kind, text, expected) in [
            (TypeKind::Int4, "-7", "-7"),
            (TypeKind::Int8, "9007199254740992", "9007199254740992"),
            (TypeKind::Int8, "9007199254740993", "\"9007199254740993\""),
            (
                TypeKind::Int8,
                "9223372036854775807",
                "\"9223372036854775807\"",
            ),
            (TypeKind::Numeric, "12.50", "12.50"),
            (
                TypeKind::Numeric,
                "0.1234567890123456",
                "\"0.1234567890123456\"",
            ),
            (TypeKind::Numeric, "NaN", "\"NaN\""),
            (TypeKind::Float8, "1e+300", "1e+300"),
            (TypeKind::Float8, "-Infinity", "\"-Infinity\""),
        ] {
            assert_eq!(json(kind, text), expected, "{text}");
        }
    }

    #[test]
    fn other_types_are_what_json_has_for_them() {
        for (kind, text, expected) in [
            (TypeKind::Bool, "t", "true"),
            (TypeKind::Bool, "f", "false"),
            (TypeKind::Text, "a\"b\n", "\"a\\\"b\\n\""),
            (TypeKind::Jsonb, "{\"a\": [1]}", "{\"a\": [1]}"),
            (
                TypeKind::Timestamp,
                "2024-01-31 10:00:00.5",
                "\"2024-01-31T10:00:00.5\"",
            ),
            (
                TypeKind::Timestamptz,
                "2024-01-31 10:00:00+02",
                "\"2024-01-31T10:00:00+02:00\"",
            ),
            (
                TypeKind::Timestamptz,
                "2024-01-31 10:00:00-05:30",
                "\"2024-01-31T10:00:00-05:30\"",
            ),
            (TypeKind::Timestamp, "infinity", "\"infinity\""),
            (TypeKind::Date, "2024-01-31", "\"2024-01-31\""),
        ] {
            assert_eq!(json(kind, text), expected, "{text}");
        }
    }
}
