//! The values of catalog rows, and batches of them.

use super::{Row, SystemTable};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::query::failure;
use crate::engine::types;
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Int16Array, Int32Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, UInt32Array,
};
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
        let cells: Vec<&Cell> = rows.iter().map(|row| &row[*place]).collect();
        array(sql_type, &cells).map_err(failure::diagnostic)
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = |schema| RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options);
    let schema = table.arrow.project(columns);
    schema
        .and_then(batch)
        .map_err(|error| failure::diagnostic(error.into()))
}

/// The catalogs' common types are filled straight from the cells: a cast of each one would be most
/// of the time that a look into the catalogs takes.
fn array(sql_type: SqlType, cells: &[&Cell]) -> datafusion::error::Result<ArrayRef> {
    let data_type = types::data_type(sql_type);
    let filled = match data_type {
        DataType::Utf8 => filled::<StringArray, _>(cells, |cell| match cell {
            Cell::Text(text) => Some(text.as_str()),
            _ => None,
        }),
        DataType::Boolean => filled::<BooleanArray, _>(cells, |cell| match cell {
            Cell::Bool(value) => Some(*value),
            _ => None,
        }),
        DataType::Int16 => filled::<Int16Array, i16>(cells, integer),
        DataType::Int32 => filled::<Int32Array, i32>(cells, integer),
        DataType::Int64 => filled::<Int64Array, i64>(cells, integer),
        DataType::UInt32 => filled::<UInt32Array, u32>(cells, integer),
        _ => None,
    };
    match filled {
        Some(array) => Ok(array),
        None => cast(&data_type, cells),
    }
}

/// An array of what the cells hold, if they all hold what it takes.
fn filled<'a, A, T>(cells: &[&'a Cell], value: impl Fn(&'a Cell) -> Option<T>) -> Option<ArrayRef>
where
    A: Array + FromIterator<Option<T>> + 'static,
{
    let values: Option<Vec<Option<T>>> = cells
        .iter()
        .map(|cell| match cell {
            Cell::Null => Some(None),
            cell => value(cell).map(Some),
        })
        .collect();
    Some(Arc::new(values?.into_iter().collect::<A>()))
}

fn integer<T: TryFrom<i64>>(cell: &Cell) -> Option<T> {
    match cell {
        Cell::Number(value) => T::try_from(*value).ok(),
        _ => None,
    }
}

fn cast(data_type: &DataType, cells: &[&Cell]) -> datafusion::error::Result<ArrayRef> {
    if cells.iter().all(|cell| **cell == Cell::Null) {
        return Ok(datafusion::arrow::array::new_null_array(
            data_type,
            cells.len(),
        ));
    }
    let values = cells
        .iter()
        .map(|cell| scalar(cell, data_type))
        .collect::<datafusion::error::Result<Vec<_>>>()?;
    if values.is_empty() {
        return Ok(datafusion::arrow::array::new_empty_array(data_type));
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
