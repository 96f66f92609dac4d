//! Output: the values of one array, looked at through its type once and then printed row by row.

use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::settings::Settings;
use bytes::BytesMut;
use datafusion::arrow::array::{Array, ArrayRef};

/// One column of a batch, ready to print. Making one costs a downcast; do it once a batch.
pub struct Column {
    array: ArrayRef,
    sql_type: SqlType,
}

impl Column {
    /// The array as values of this type.
    ///
    /// # Errors
    /// 0A000 for an Arrow type that cannot hold this SQL type.
    pub fn new(array: &ArrayRef, sql_type: SqlType) -> Result<Column, Diagnostic> {
        Ok(Column {
            array: array.clone(),
            sql_type,
        })
    }

    /// Whether the value is NULL, which has no text and no bytes.
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// Appends the text of the value, which is not NULL, as the type's output function prints it.
    pub fn text(&self, row: usize, settings: &Settings, out: &mut BytesMut) {
        let _ = (row, settings, out, self.sql_type);
        todo!()
    }

    /// Appends the binary form of the value, which is not NULL, as the type's send function.
    pub fn binary(&self, row: usize, out: &mut BytesMut) {
        let _ = (row, out);
        todo!()
    }
}

/// Appends the text of one value that is not NULL. For many rows use a [`Column`].
///
/// # Errors
/// As [`Column::new`].
pub fn encode_text(
    array: &ArrayRef,
    row: usize,
    sql_type: SqlType,
    settings: &Settings,
    out: &mut BytesMut,
) -> Result<(), Diagnostic> {
    Column::new(array, sql_type)?.text(row, settings, out);
    Ok(())
}

/// Appends the binary form of one value that is not NULL. For many rows use a [`Column`].
///
/// # Errors
/// As [`Column::new`].
pub fn encode_binary(
    array: &ArrayRef,
    row: usize,
    sql_type: SqlType,
    out: &mut BytesMut,
) -> Result<(), Diagnostic> {
    Column::new(array, sql_type)?.binary(row, out);
    Ok(())
}
