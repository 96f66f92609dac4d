//! Texts on their way into a batch, as COPY and long lists of VALUES give them: one builder a column, values made
//! to fit the column.

use super::text::{TooLong, fit};
use super::{Input, integer};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types;
use datafusion::arrow::array::{
    ArrayRef, Int16Builder, Int32Builder, Int64Builder, StringBuilder, new_empty_array,
};
use datafusion::common::ScalarValue;
use std::cmp::Ordering;
use std::sync::Arc;

/// One column under construction.
pub enum ColumnBuilder {
    /// int2
    Int2(Int16Builder),
    /// int4
    Int4(Int32Builder),
    /// int8
    Int8(Int64Builder),
    /// text, varchar, char: with the type whose length they keep.
    Text(StringBuilder, SqlType),
    /// Everything else, by way of single values.
    Other(Vec<ScalarValue>, SqlType),
}

impl ColumnBuilder {
    /// For a column of this type.
    pub fn new(sql_type: SqlType, rows: usize) -> ColumnBuilder {
        match (sql_type.array, sql_type.kind) {
            (false, TypeKind::Int2) => ColumnBuilder::Int2(Int16Builder::with_capacity(rows)),
            (false, TypeKind::Int4) => ColumnBuilder::Int4(Int32Builder::with_capacity(rows)),
            (false, TypeKind::Int8) => ColumnBuilder::Int8(Int64Builder::with_capacity(rows)),
            (false, TypeKind::Text | TypeKind::Varchar | TypeKind::Bpchar) => {
                ColumnBuilder::Text(StringBuilder::with_capacity(rows, rows * 8), sql_type)
            }
            _ => ColumnBuilder::Other(Vec::with_capacity(rows), sql_type),
        }
    }

    /// Adds a field; None is NULL.
    ///
    /// # Errors
    /// What the type's input function raises.
    #[inline]
    pub fn append(&mut self, field: Option<&str>, input: Input<'_>) -> Result<(), Diagnostic> {
        match self {
            ColumnBuilder::Int2(builder) => {
                builder.append_option(field.map(integer::parse).transpose()?);
            }
            ColumnBuilder::Int4(builder) => {
                builder.append_option(field.map(integer::parse).transpose()?);
            }
            ColumnBuilder::Int8(builder) => {
                builder.append_option(field.map(integer::parse).transpose()?);
            }
            ColumnBuilder::Text(builder, sql_type) => match field {
                Some(field) => builder.append_value(fit(field, *sql_type, TooLong::Refuse)?),
                None => builder.append_null(),
            },
            ColumnBuilder::Other(values, sql_type) => values.push(match field {
                Some(field) => types::decode_text(field, *sql_type, input)?,
                None => types::null_scalar(*sql_type),
            }),
        }
        Ok(())
    }

    /// Adds a field in binary form; None is NULL.
    ///
    /// # Errors
    /// 22P03 for bytes that are no such value; 22001 and the like by the type's modifier.
    pub fn append_binary(
        &mut self,
        field: Option<&[u8]>,
        input: Input<'_>,
    ) -> Result<(), Diagnostic> {
        let sql_type = match self {
            ColumnBuilder::Int2(_) => SqlType::scalar(TypeKind::Int2),
            ColumnBuilder::Int4(_) => SqlType::scalar(TypeKind::Int4),
            ColumnBuilder::Int8(_) => SqlType::scalar(TypeKind::Int8),
            ColumnBuilder::Text(_, sql_type) | ColumnBuilder::Other(_, sql_type) => *sql_type,
        };
        let value = match field {
            None => types::null_scalar(sql_type),
            Some(bytes) => {
                let plain = SqlType {
                    typmod: -1,
                    ..sql_type
                };
                demand_length(bytes, plain)?;
                let value = types::decode_binary(bytes, plain, input)?;
                types::assign(value, plain, sql_type, input)?
            }
        };
        match (self, value) {
            (ColumnBuilder::Int2(builder), ScalarValue::Int16(value)) => {
                builder.append_option(value);
            }
            (ColumnBuilder::Int4(builder), ScalarValue::Int32(value)) => {
                builder.append_option(value);
            }
            (ColumnBuilder::Int8(builder), ScalarValue::Int64(value)) => {
                builder.append_option(value);
            }
            (ColumnBuilder::Text(builder, _), ScalarValue::Utf8(value)) => {
                builder.append_option(value);
            }
            (ColumnBuilder::Other(values, _), value) => values.push(value),
            (_, value) => {
                return Err(Diagnostic::internal(format!(
                    "a value of {}",
                    value.data_type()
                )));
            }
        }
        Ok(())
    }

    /// The column so far; the builder starts again.
    ///
    /// # Errors
    /// XX000 where values of one type do not make an array.
    pub fn finish(&mut self) -> Result<ArrayRef, Diagnostic> {
        Ok(match self {
            ColumnBuilder::Int2(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int4(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int8(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Text(builder, _) => Arc::new(builder.finish()),
            ColumnBuilder::Other(values, sql_type) => {
                let values = std::mem::take(values);
                if values.is_empty() {
                    return Ok(new_empty_array(&types::data_type(*sql_type)));
                }
                ScalarValue::iter_to_array(values)
                    .map_err(|error| Diagnostic::internal(error.to_string()))?
            }
        })
    }
}

/// Bytes of a field that has another length than its type: as COPY tells them, which reads a field as a
/// message of its own.
fn demand_length(bytes: &[u8], sql_type: SqlType) -> Result<(), Diagnostic> {
    let length = match sql_type.kind {
        _ if sql_type.array => return Ok(()),
        TypeKind::Bool => 1,
        TypeKind::Int2 => 2,
        TypeKind::Int4 | TypeKind::Float4 | TypeKind::Date | TypeKind::Oid => 4,
        TypeKind::Int8
        | TypeKind::Float8
        | TypeKind::Time
        | TypeKind::Timestamp
        | TypeKind::Timestamptz => 8,
        TypeKind::Interval | TypeKind::Uuid => 16,
        _ => return Ok(()),
    };
    match bytes.len().cmp(&length) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(Diagnostic::error(
            SqlState::PROTOCOL_VIOLATION,
            "insufficient data left in message",
        )),
        Ordering::Greater => Err(Diagnostic::error(
            SqlState::INVALID_BINARY_REPRESENTATION,
            "incorrect binary data format",
        )),
    }
}
