//! Entries of secondary and unique indexes: from the indexed columns to the table's key.
//!
//! ```text
//! unique, no NULL   key = indexed columns              value = the row's key
//! otherwise         key = indexed columns, row's key   value = empty
//! ```
//!
//! So two rows with equal values meet in one key of a unique index, and rows with a NULL, which
//! are distinct to it, do not.

use super::error::RowError;
use super::key::KeyLayout;
use datafusion::arrow::array::{Array, ArrayRef};
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
        assert_eq!(values.len(), layout.columns().len(), "all indexed columns");
        assert!(!row_key.is_empty(), "every row has a key");
        let mut key = Vec::with_capacity(16 * values.len() + row_key.len());
        layout.encode(values, &mut key)?;
        let tells_apart = unique && !values.iter().any(ScalarValue::is_null);
        Ok(IndexEntry::of_columns(key, tells_apart, row_key))
    }

    /// As [`IndexEntry::new`], for one row of a batch; `columns` holds the indexed ones in index order.
    ///
    /// # Errors
    /// As [`KeyLayout::encode`].
    pub fn of_arrays(
        layout: &KeyLayout,
        unique: bool,
        columns: &[ArrayRef],
        row: usize,
        row_key: &[u8],
    ) -> Result<IndexEntry, RowError> {
        let mut key = Vec::with_capacity(16 * columns.len() + row_key.len());
        layout.encode_arrays(columns, row, &mut key)?;
        let tells_apart = unique && !columns.iter().any(|column| column.is_null(row));
        Ok(IndexEntry::of_columns(key, tells_apart, row_key))
    }

    /// From the encoded columns.
    fn of_columns(mut key: Vec<u8>, tells_apart: bool, row_key: &[u8]) -> IndexEntry {
        if tells_apart {
            return IndexEntry {
                key,
                value: row_key.to_vec(),
            };
        }
        key.extend_from_slice(row_key);
        IndexEntry {
            key,
            value: Vec::new(),
        }
    }

    /// Whether its key is of the indexed columns alone, so that another row's would be the same.
    pub fn is_alone(&self) -> bool {
        !self.value.is_empty()
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
        if !value.is_empty() {
            return Ok(value);
        }
        match &key[layout.length(key)?..] {
            [] => Err(RowError::Damaged {
                what: "index entry",
            }),
            row_key => Ok(row_key),
        }
    }
}
