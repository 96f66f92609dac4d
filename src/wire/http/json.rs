//! Rows as JSON (REFERENCE §4): numbers where a double holds them exactly, else strings; arrays as
//! arrays, by the same rules.
//!
//! No value has a line end of its own, so that a row is one line where lines matter.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::outcome::ResultField;
use crate::engine::settings::Settings;
use crate::engine::types::{self, Column};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, ListArray, RecordBatch};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::DataType;
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
    serde_json::to_string(text).expect("a text is JSON")
}

/// What the description of a column takes, mostly.
const COLUMN_BYTES: usize = 80;

/// Appends `[{"name","type","oid"}]`.
pub fn columns(fields: &[ResultField], out: &mut BytesMut) {
    out.reserve(COLUMN_BYTES * fields.len());
    out.put_u8(b'[');
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        out.put_slice(b"{\"name\":");
        quote(&field.name, out);
        out.put_slice(b",\"type\":");
        quote(&types::format_type(field.sql_type), out);
        out.put_slice(b",\"oid\":");
        number(u64::from(types::oid(field.sql_type).0), out);
        out.put_u8(b'}');
    }
    out.put_u8(b']');
}

/// Appends a number.
pub fn number(number: u64, out: &mut BytesMut) {
    out.put_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// What stands before each value of a row, printed once a result.
pub struct RowShape(Vec<BytesMut>, RowMode);

impl RowShape {
    /// Of a result with these columns.
    pub fn new(fields: &[ResultField], mode: RowMode) -> RowShape {
        let before = fields.iter().enumerate().map(|(index, field)| {
            let mut before = BytesMut::with_capacity(field.name.len() + ",\"\":".len());
            if index > 0 {
                before.put_u8(b',');
            }
            if mode == RowMode::Object {
                quote(&field.name, &mut before);
                before.put_u8(b':');
            }
            before
        });
        RowShape(before.collect(), mode)
    }
}

/// The rows of one batch, ready to be written.
pub struct BatchRows<'a> {
    columns: Vec<Values<'a>>,
    shape: &'a RowShape,
    settings: &'a Settings,
    scratch: BytesMut,
}

impl<'a> BatchRows<'a> {
    /// Looks each column through once.
    ///
    /// # Errors
    /// A column whose array does not hold its field's type: a mistake of ours.
    pub fn new(
        batch: &'a RecordBatch,
        fields: &[ResultField],
        shape: &'a RowShape,
        settings: &'a Settings,
    ) -> Result<BatchRows<'a>, Diagnostic> {
        let columns = fields.iter().zip(batch.columns());
        let columns = columns
            .map(|(field, array)| Values::new(array, field.sql_type))
            .collect::<Result<_, _>>()?;
        Ok(BatchRows {
            columns,
            shape,
            settings,
            scratch: BytesMut::new(),
        })
    }

    /// Appends row number `row`.
    ///
    /// # Errors
    /// As [`BatchRows::new`], for the elements of an array.
    pub fn write(&mut self, row: usize, out: &mut BytesMut) -> Result<(), Diagnostic> {
        let RowShape(before, mode) = self.shape;
        let (open, close) = match mode {
            RowMode::Object => (b'{', b'}'),
            RowMode::Array => (b'[', b']'),
        };
        out.put_u8(open);
        for (values, before) in self.columns.iter().zip(before) {
            out.extend_from_slice(before);
            values.write(row, self.settings, &mut self.scratch, out)?;
        }
        out.put_u8(close);
        Ok(())
    }
}

/// The values of one array, by how they are written.
struct Values<'a> {
    column: Column<'a>,
    form: Form<'a>,
}

enum Form<'a> {
    /// From the type's text.
    Text(SqlType),
    /// In base64.
    Bytes(BinaryArray),
    /// As an array, of elements of this type.
    List(&'a ListArray, SqlType),
}

impl<'a> Values<'a> {
    fn new(array: &'a ArrayRef, sql_type: SqlType) -> Result<Values<'a>, Diagnostic> {
        let form = match array.as_list_opt::<i32>() {
            Some(list) if sql_type.array => {
                let element = SqlType {
                    array: false,
                    ..sql_type
                };
                Form::List(list, element)
            }
            _ if sql_type.kind == TypeKind::Bytea && !sql_type.array => {
                let binary = compute::cast(array, &DataType::Binary)
                    .map_err(|error| Diagnostic::internal(error.to_string()))?;
                Form::Bytes(binary.as_binary::<i32>().clone())
            }
            _ => Form::Text(sql_type),
        };
        let column = Column::new(array, sql_type)?;
        Ok(Values { column, form })
    }

    fn write(
        &self,
        row: usize,
        settings: &Settings,
        scratch: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<(), Diagnostic> {
        if self.column.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match &self.form {
            Form::Text(sql_type) => {
                scratch.clear();
                self.column.text(row, settings, scratch);
                value(*sql_type, &String::from_utf8_lossy(scratch), out);
            }
            Form::Bytes(bytes) => quote(&BASE64_STANDARD.encode(bytes.value(row)), out),
            Form::List(list, element) => {
                let elements = list.value(row);
                let values = Values::new(&elements, *element)?;
                out.put_u8(b'[');
                for index in 0..elements.len() {
                    if index > 0 {
                        out.put_u8(b',');
                    }
                    values.write(index, settings, scratch, out)?;
                }
                out.put_u8(b']');
            }
        }
        Ok(())
    }
}

/// Appends a value, given in PostgreSQL's text form.
fn value(sql_type: SqlType, text: &str, out: &mut BytesMut) {
    match sql_type.kind {
        _ if sql_type.array => quote(text, out),
        TypeKind::Bool => out.extend_from_slice(if text == "t" { b"true" } else { b"false" }),
        TypeKind::Int2 | TypeKind::Int4 => out.extend_from_slice(text.as_bytes()),
        TypeKind::Int8 | TypeKind::Numeric if is_exact(text) => {
            out.extend_from_slice(text.as_bytes());
        }
        TypeKind::Float4 | TypeKind::Float8 if is_number(text) => {
            out.extend_from_slice(text.as_bytes());
        }
        TypeKind::Json | TypeKind::Jsonb => on_one_line(text, out),
        TypeKind::Timestamp | TypeKind::Timestamptz => quote(&iso_8601(text), out),
        _ => quote(text, out),
    }
}

/// Appends a text as a JSON string.
pub fn quote(text: &str, out: &mut BytesMut) {
    serde_json::to_writer(out.writer(), text).expect("memory takes what is written");
}

/// Appends JSON whose line ends, which can only be space between its tokens, have become blanks.
fn on_one_line(text: &str, out: &mut BytesMut) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    for byte in &mut out[start..] {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// Not NaN, not an infinity.
fn is_number(text: &str) -> bool {
    text.ends_with(|last: char| last.is_ascii_digit())
}

/// Whether reading the number as a double and printing it again loses nothing.
fn is_exact(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // Up to fifteen digits every decimal number survives; beyond, integers up to 2^53 do.
    is_number(text)
        && (digits <= 15
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
        let mut out = BytesMut::new();
        value(SqlType::scalar(kind), text, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
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
            (TypeKind::Json, "{\"a\":\r\n[1]}", "{\"a\":  [1]}"),
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
