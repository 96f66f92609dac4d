//! Rows into Arrow arrays.

use super::error::RowError;
use datafusion::arrow::array::ArrayRef;

/// Builds arrays of the wanted columns, row by row.
pub struct RowDecoder {}

impl RowDecoder {
    /// Appends one stored row.
    ///
    /// # Errors
    /// XX001 for bytes that are no such row; the decoder is then not to be used any more.
    pub fn append(&mut self, row: &[u8]) -> Result<(), RowError> {
        let _ = row;
        todo!()
    }

    /// How many rows were appended since the last [`RowDecoder::finish`].
    pub fn rows(&self) -> usize {
        todo!()
    }

    /// The bytes of variable-length values appended so far, to bound a batch.
    pub fn bytes(&self) -> usize {
        todo!()
    }

    /// The arrays, in the order wanted; the decoder starts again.
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        todo!()
    }
}
