//! SQL values as JSON, as to_json() gives them.

use super::column::Column;
use super::json::write_quoted;
use super::json_value::Json;
use super::record;
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::settings::Settings;
use bytes::BytesMut;
use datafusion::arrow::array::{Array, ArrayRef};

/// The values of an array, ready to be written as JSON.
pub struct JsonColumn<'a> {
    column: Column<'a>,
    sql_type: SqlType,
    settings: &'a Settings,
}

impl<'a> JsonColumn<'a> {
    /// Over values of a type.
    ///
    /// # Errors
    /// As [`Column::new`].
    pub fn new(
        array: &'a ArrayRef,
        sql_type: SqlType,
        settings: &'a Settings,
    ) -> Result<JsonColumn<'a>, Diagnostic> {
        Ok(JsonColumn {
            column: Column::new(array, sql_type)?,
            sql_type,
            settings,
        })
    }

    /// Whether the value is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.column.is_null(row)
    }

    /// The text of the value as it is sent to a client.
    pub fn printed(&self, row: usize) -> String {
        let mut text = BytesMut::new();
        self.column.text(row, self.settings, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The value as a key of an object.
    ///
    /// # Errors
    /// 22023 for what is no scalar.
    pub fn key(&self, row: usize) -> Result<String, Diagnostic> {
        let scalar = !matches!(
            self.sql_type.kind,
            TypeKind::Json | TypeKind::Jsonb | TypeKind::Record
        );
        match scalar && !self.sql_type.array {
            true => Ok(self.text(row)),
            false => Err(Diagnostic::error(
                SqlState::INVALID_PARAMETER_VALUE,
                "key value must be scalar, not array, composite, or json",
            )),
        }
    }

    /// The text of the value as a cast gives it.
    pub fn text(&self, row: usize) -> String {
        let text = self.printed(row);
        match (self.sql_type.array, self.sql_type.kind) {
            (false, TypeKind::Bool) => (if text == "t" { "true" } else { "false" }).to_owned(),
            _ => text,
        }
    }

    /// Appends the value.
    ///
    /// # Errors
    /// As [`Column::new`] of an array's elements.
    pub fn write(&self, row: usize, out: &mut String) -> Result<(), Diagnostic> {
        if self.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        if let Some((elements, element)) = self.column.elements(row) {
            let elements_of = JsonColumn::new(&elements, element, self.settings)?;
            out.push('[');
            for index in 0..elements.len() {
                if index > 0 {
                    out.push(',');
                }
                elements_of.write(index, out)?;
            }
            out.push(']');
            return Ok(());
        }
        if let Some(record) = self.column.record(row) {
            out.push('{');
            for (place, (of, value)) in record::fields(record, self.settings).iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_quoted(&format!("f{}", place + 1), out);
                out.push(':');
                match value {
                    Some(value) => JsonColumn::new(value, *of, self.settings)?.write(0, out)?,
                    None => out.push_str("null"),
                }
            }
            out.push('}');
            return Ok(());
        }
        let text = self.text(row);
        match self.sql_type.kind {
            TypeKind::Bool => out.push_str(&text),
            TypeKind::Json | TypeKind::Jsonb => out.push_str(Json::new(&text).raw()),
            TypeKind::Int2
            | TypeKind::Int4
            | TypeKind::Int8
            | TypeKind::Numeric
            | TypeKind::Float4
            | TypeKind::Float8
                if text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
                    && !text.ends_with('y') =>
            {
                out.push_str(&text);
            }
            TypeKind::Timestamp => write_quoted(&iso_8601(&text), out),
            TypeKind::Timestamptz => write_quoted(&with_minutes(iso_8601(&text)), out),
            _ => write_quoted(&text, out),
        }
        Ok(())
    }
}

fn iso_8601(text: &str) -> String {
    text.replacen(' ', "T", 1)
}

/// An offset of whole hours with its minutes.
fn with_minutes(text: String) -> String {
    let Some(time) = text.find('T') else {
        return text;
    };
    match text[time..].find(['+', '-']) {
        Some(sign) if text.len() - time - sign == 3 => text + ":00",
        _ => text,
    }
}
