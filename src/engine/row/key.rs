//! The order-preserving key codec.

use super::error::RowError;
use crate::catalog::definition::{Index, Table};
use datafusion::arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use std::ops::Bound;

/// The columns of a key.
#[derive(Clone, Debug)]
pub struct KeyLayout {}

/// A range of encoded keys.
pub type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

impl KeyLayout {
    /// The key of the table's rows; None where that is a row number.
    ///
    /// # Errors
    /// 0A000 for a type without an order.
    pub fn of_table(table: &Table) -> Result<Option<KeyLayout>, RowError> {
        let _ = table;
        todo!()
    }

    /// The indexed columns of an index on the table.
    ///
    /// # Errors
    /// 0A000 for a type without an order.
    pub fn of_index(table: &Table, index: &Index) -> Result<KeyLayout, RowError> {
        let _ = (table, index);
        todo!()
    }

    /// Positions of the key's columns among the table's.
    pub fn columns(&self) -> &[u16] {
        todo!()
    }

    /// Appends the key of these values, one for each key column in key order; fewer values make a
    /// prefix. NULL sorts last (first in a DESC column).
    ///
    /// # Errors
    /// XX000 for a value of another type than the column's.
    pub fn encode(&self, values: &[ScalarValue], out: &mut Vec<u8>) -> Result<(), RowError> {
        let _ = (values, out);
        todo!()
    }

    /// Appends the key of one row of a batch; `columns` holds the key's columns in key order.
    ///
    /// # Errors
    /// As [`KeyLayout::encode`].
    pub fn encode_arrays(
        &self,
        columns: &[ArrayRef],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), RowError> {
        let _ = (columns, row, out);
        todo!()
    }

    /// The values of a key, and how many bytes it took.
    ///
    /// # Errors
    /// XX001 for bytes that are no such key; 0A000 for intervals, whose order does not tell them
    /// apart.
    pub fn decode(&self, key: &[u8]) -> Result<(Vec<ScalarValue>, usize), RowError> {
        let _ = key;
        todo!()
    }

    /// The keys whose first columns equal `equal` and whose next column lies between the bounds.
    /// NULLs of that next column are outside unless both bounds are unbounded.
    ///
    /// # Errors
    /// As [`KeyLayout::encode`].
    pub fn range(
        &self,
        equal: &[ScalarValue],
        lower: Bound<&ScalarValue>,
        upper: Bound<&ScalarValue>,
    ) -> Result<KeyRange, RowError> {
        let _ = (equal, lower, upper);
        todo!()
    }
}

/// The key of a table without a primary key.
pub fn encode_row_number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The row number of such a key.
///
/// # Errors
/// XX001 for a key of another length.
pub fn decode_row_number(key: &[u8]) -> Result<u64, RowError> {
    let bytes = key
        .try_into()
        .map_err(|_| RowError::Damaged { what: "row number" })?;
    Ok(u64::from_be_bytes(bytes))
}

/// The least key above all that begin with the prefix: the end of a scan of it.
pub fn prefix_end(prefix: &[u8]) -> Bound<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != 0xFF);
    match kept {
        None => Bound::Unbounded,
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            Bound::Excluded(end)
        }
    }
}
