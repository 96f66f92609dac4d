//! The layout of a table's rows.

use super::decoder::RowDecoder;
use super::error::RowError;
use crate::catalog::definition::Table;
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// The largest row (REFERENCE §6: value 256 MiB).
pub const ROW_BYTES_MAX: usize = 256 << 20;

/// A table's columns as the codec sees them; made once a statement or kept with a plan.
#[derive(Clone, Debug)]
pub struct RowLayout {
    version: u32,
}

impl RowLayout {
    /// That of the table as it is now.
    pub fn new(table: &Table) -> Arc<RowLayout> {
        Arc::new(RowLayout {
            version: table.layout_version,
        })
    }

    /// The version rows are written under.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Appends a row: one value for each of the table's columns, dropped ones too (their value is
    /// ignored), each of exactly the column's Arrow type.
    ///
    /// # Errors
    /// 54000 past [`ROW_BYTES_MAX`].
    pub fn encode(&self, values: &[ScalarValue], out: &mut Vec<u8>) -> Result<(), RowError> {
        let _ = (values, out);
        todo!()
    }

    /// A decoder into Arrow arrays of the wanted columns (positions in the table's columns, in the
    /// order wanted).
    pub fn decoder(self: &Arc<Self>, wanted: &[u16], capacity: usize) -> RowDecoder {
        let _ = (wanted, capacity);
        todo!()
    }

    /// One row as a value for each of the table's columns; dropped ones are NULL.
    ///
    /// # Errors
    /// XX001 for bytes that are no such row.
    pub fn decode_row(&self, row: &[u8]) -> Result<Vec<ScalarValue>, RowError> {
        let _ = row;
        todo!()
    }
}
