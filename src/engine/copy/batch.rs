//! Fields on their way into a batch: one builder a column, values made to fit the column.

use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::Diagnostic;
use crate::engine::types::text::{TooLong, fit};
use crate::engine::types::{self, Input, integer};
use datafusion::arrow::array::{
    ArrayRef, Int16Builder, Int32Builder, Int64Builder, StringBuilder, new_empty_array,
};
use datafusion::common::ScalarValue;
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
