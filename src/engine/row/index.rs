//! Entries of secondary and unique indexes: from the indexed columns to the table's key.

use super::error::RowError;
use super::key::KeyLayout;
use datafusion::common::ScalarValue;

/// One entry of an index, as storage keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The indexed columns; where they do not tell rows apart (not unique, or one is NULL),
    /// followed by the row's key.
    pub key: Vec<u8>,
    /// The row's key, if it is not in `key`.
    pub value: Vec<u8>,
}

impl IndexEntry {
    /// The entry for a row: its indexed values in index order, and its key.
    ///
    /// # Errors
    /// As [`KeyLayout::encode`].
    pub fn new(
        layout: &KeyLayout,
        unique: bool,
        values: &[ScalarValue],
        row_key: &[u8],
    ) -> Result<IndexEntry, RowError> {
        let _ = (layout, unique, values, row_key);
        todo!()
    }

    /// The row's key, of a stored entry.
    ///
    /// # Errors
    /// XX001 for bytes that are no such entry.
    pub fn row_key<'a>(
        layout: &KeyLayout,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Result<&'a [u8], RowError> {
        let _ = (layout, key, value);
        todo!()
    }
}
