//! Arrow arrays into rows.

use super::error::RowError;
use super::layout::RowLayout;
use datafusion::arrow::array::ArrayRef;
use std::sync::Arc;

/// Encodes the rows of one batch; making one costs a downcast a column.
pub struct RowEncoder {}

impl RowEncoder {
    /// For a batch with one array for each of the table's columns, dropped ones too (any array).
    ///
    /// # Errors
    /// XX000 for an array of another type than its column's.
    pub fn new(layout: &Arc<RowLayout>, columns: &[ArrayRef]) -> Result<RowEncoder, RowError> {
        let _ = (layout, columns);
        todo!()
    }

    /// Appends the row.
    ///
    /// # Errors
    /// 54000 past [`super::ROW_BYTES_MAX`].
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) -> Result<(), RowError> {
        let _ = (row, out);
        todo!()
    }
}
