//! The values of catalog rows, and batches of them.

use super::{Row, SystemTable};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::query::failure;
use crate::engine::types;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// One value; numbers take the width of their column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL
    Null,
    /// bool
    Bool(bool),
    /// Any integer or OID, float or numeric.
    Number(i64),
    /// Any text.
    Text(String),
    /// An array.
    List(Vec<Cell>),
}

/// A text.
pub fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// An integer or OID.
pub fn number(number: impl Into<i64>) -> Cell {
    Cell::Number(number.into())
}

/// A text, or NULL.
pub fn maybe(text: Option<impl Into<String>>) -> Cell {
    text.map_or(Cell::Null, |text| Cell::Text(text.into()))
}

/// Names a row's cells by their columns, so that a catalog's many fixed columns need no mention:
/// those left out are the zero of their type.
pub fn row(table: &SystemTable, cells: &[(&str, Cell)]) -> Row {
    let named = table.columns.iter().map(|(name, sql_type)| {
        cells
            .iter()
            .find(|(column, _)| column == name)
            .map_or_else(|| zero(*sql_type), |(_, cell)| cell.clone())
    });
    debug_assert!(
        cells
            .iter()
            .all(|(column, _)| table.columns.iter().any(|(name, _)| name == column)),
        "a cell for a column that {} does not have",
        table.name
    );
    named.collect()
}

fn zero(sql_type: SqlType) -> Cell {
    if sql_type.array {
        return Cell::Null;
    }
    match types::data_type(sql_type) {
        DataType::Boolean => Cell::Bool(false),
        data_type if data_type.is_numeric() => Cell::Number(0),
        _ => Cell::Null,
    }
}

/// The rows as a batch of the table's columns at these places.
pub fn batch(
    table: &SystemTable,
    columns: &[usize],
    rows: &[Row],
) -> Result<RecordBatch, Diagnostic> {
    let arrays = columns.iter().map(|place| {
        let (_, sql_type) = table.columns[*place];
        array(sql_type, rows.iter().map(|row| &row[*place])).map_err(failure::diagnostic)
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = |schema| RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options);
    let schema = table.arrow.project(columns);
    schema
        .and_then(batch)
        .map_err(|error| failure::diagnostic(error.into()))
}

fn array<'a>(
    sql_type: SqlType,
    cells: impl Iterator<Item = &'a Cell>,
) -> datafusion::error::Result<ArrayRef> {
    let data_type = types::data_type(sql_type);
    let values = cells
        .map(|cell| scalar(cell, &data_type))
        .collect::<datafusion::error::Result<Vec<_>>>()?;
    if values.is_empty() {
        return Ok(datafusion::arrow::array::new_empty_array(&data_type));
    }
    ScalarValue::iter_to_array(values)
}

fn scalar(cell: &Cell, data_type: &DataType) -> datafusion::error::Result<ScalarValue> {
    Ok(match (cell, data_type) {
        (Cell::Null, _) => ScalarValue::try_from(data_type)?,
        (Cell::Bool(value), _) => ScalarValue::Boolean(Some(*value)),
        // A cast makes arrays of one value of each, which is what reading a catalog would cost.
        (Cell::Text(text), DataType::Utf8) => ScalarValue::Utf8(Some(text.clone())),
        (Cell::Number(value), DataType::Int64) => ScalarValue::Int64(Some(*value)),
        (Cell::Number(value), DataType::Int32) if i32::try_from(*value).is_ok() => {
            ScalarValue::Int32(i32::try_from(*value).ok())
        }
        (Cell::Number(value), DataType::Int16) if i16::try_from(*value).is_ok() => {
            ScalarValue::Int16(i16::try_from(*value).ok())
        }
        (Cell::Number(value), DataType::UInt32) if u32::try_from(*value).is_ok() => {
            ScalarValue::UInt32(u32::try_from(*value).ok())
        }
        (Cell::Text(text), _) => ScalarValue::Utf8(Some(text.clone())).cast_to(data_type)?,
        (Cell::Number(value), _) => ScalarValue::Int64(Some(*value)).cast_to(data_type)?,
        (Cell::List(cells), DataType::List(field)) => {
            let values = cells
                .iter()
                .map(|cell| scalar(cell, field.data_type()))
                .collect::<datafusion::error::Result<Vec<_>>>()?;
            ScalarValue::List(ScalarValue::new_list_nullable(&values, field.data_type()))
        }
        (Cell::List(_), _) => ScalarValue::try_from(data_type)?,
    })
}
