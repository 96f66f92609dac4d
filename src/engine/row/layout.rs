//! The layout of a table's rows.
//!
//! ```text
//! row     = version  varint: the table's layout version when the row was written
//!           nulls    one bit for each column of that version, lowest first; 1 is NULL
//!           values   of the columns that are not NULL, in order: little-endian where the width is
//!                    fixed, else a varint length and the bytes
//! ```
//!
//! The columns of version v are those with `added_in` ≤ v; columns are only ever added at the end,
//! and DROP COLUMN leaves its place, which later rows fill with NULL. So a row of any older version
//! can be read with the table as it is now: what it lacks is the column's `missing` value.

use super::decoder::RowDecoder;
use super::error::RowError;
use super::value::Physical;
use super::{value, varint};
use crate::catalog::definition::Table;
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// The largest row (REFERENCE §6: value 256 MiB).
pub const ROW_BYTES_MAX: usize = 256 << 20;

/// A table's columns as the codec sees them; made once a statement or kept with a plan.
#[derive(Clone, Debug)]
pub struct RowLayout {
    version: u32,
    columns: Vec<RowColumn>,
}

/// One column of the layout.
#[derive(Clone, Debug)]
pub(super) struct RowColumn {
    pub physical: Physical,
    pub dropped: bool,
    added_in: u32,
    /// What rows older than the column hold; None is NULL.
    pub missing: Option<Arc<[u8]>>,
}

/// A stored row, cut into its parts.
pub(super) struct Parts<'a> {
    /// How many columns it was written with.
    pub columns: usize,
    pub nulls: &'a [u8],
    pub values: &'a [u8],
}

impl RowLayout {
    /// That of the table as it is now.
    pub fn new(table: &Table) -> Arc<RowLayout> {
        let columns: Vec<RowColumn> = table
            .columns
            .iter()
            .map(|column| RowColumn {
                physical: Physical::of(column.sql_type),
                dropped: column.dropped,
                added_in: column.added_in,
                missing: column.missing.clone(),
            })
            .collect();
        assert!(
            columns.is_sorted_by_key(|column| column.added_in),
            "columns are only ever added at the end"
        );
        Arc::new(RowLayout {
            version: table.layout_version,
            columns,
        })
    }

    /// The version rows are written under.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How many columns it has, dropped ones too.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether the table has no column at all.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub(super) fn columns(&self) -> &[RowColumn] {
        &self.columns
    }

    /// Appends version and a null bitmap of zeros; gives the bitmap's place.
    pub(super) fn put_header(&self, out: &mut Vec<u8>) -> usize {
        varint::put(u64::from(self.version), out);
        let nulls = out.len();
        out.resize(nulls + self.columns.len().div_ceil(8), 0);
        nulls
    }

    /// Appends a row: one value for each of the table's columns, dropped ones too (their value is
    /// ignored), each of exactly the column's Arrow type.
    ///
    /// # Errors
    /// 54000 past [`ROW_BYTES_MAX`].
    pub fn encode(&self, values: &[ScalarValue], out: &mut Vec<u8>) -> Result<(), RowError> {
        assert_eq!(
            values.len(),
            self.columns.len(),
            "one value for each column of the table"
        );
        let start = out.len();
        let nulls = self.put_header(out);
        for (index, (column, value)) in self.columns.iter().zip(values).enumerate() {
            if column.dropped || value.is_null() {
                out[nulls + index / 8] |= 1 << (index % 8);
            } else {
                column.physical.put(value, out)?;
            }
        }
        check_size(out.len() - start)
    }

    /// A decoder into Arrow arrays of the wanted columns (positions in the table's columns, in the
    /// order wanted).
    pub fn decoder(self: &Arc<Self>, wanted: &[u16], capacity: usize) -> RowDecoder {
        RowDecoder::new(self, wanted, capacity)
    }

    /// One row as a value for each of the table's columns; dropped ones are NULL.
    ///
    /// # Errors
    /// XX001 for bytes that are no such row.
    pub fn decode_row(&self, row: &[u8]) -> Result<Vec<ScalarValue>, RowError> {
        self.decode_columns(row, |_| true)
    }

    /// As [`RowLayout::decode_row`], of the wanted columns alone: the others are NULL.
    ///
    /// # Errors
    /// As there.
    pub fn decode_columns(
        &self,
        row: &[u8],
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<ScalarValue>, RowError> {
        let parts = self.parts(row)?;
        let mut rest = parts.values;
        let mut values = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let bytes = if index >= parts.columns {
                column.missing.as_deref()
            } else if parts.is_null(index) {
                None
            } else {
                let (bytes, after) = value::split_value(column.physical.width(), rest)
                    .ok_or(RowError::Damaged { what: "value" })?;
                rest = after;
                Some(bytes)
            };
            values.push(match bytes {
                Some(bytes) if !column.dropped && wanted(index) => column.physical.get(bytes)?,
                _ => column.physical.null(),
            });
        }
        Ok(values)
    }

    #[inline]
    pub(super) fn parts<'a>(&self, row: &'a [u8]) -> Result<Parts<'a>, RowError> {
        const DAMAGED: RowError = RowError::Damaged { what: "header" };
        let (version, rest) = varint::take(row).ok_or(DAMAGED)?;
        let columns = if version == u64::from(self.version) {
            self.columns.len()
        } else if version > u64::from(self.version) {
            return Err(RowError::Damaged {
                what: "version newer than the table's",
            });
        } else {
            self.columns
                .partition_point(|column| u64::from(column.added_in) <= version)
        };
        let (nulls, values) = rest.split_at_checked(columns.div_ceil(8)).ok_or(DAMAGED)?;
        Ok(Parts {
            columns,
            nulls,
            values,
        })
    }
}

impl Parts<'_> {
    #[inline]
    pub fn is_null(&self, column: usize) -> bool {
        self.nulls[column / 8] & (1 << (column % 8)) != 0
    }
}

/// The bytes a value of this column adds to a row, without a length: what `Column::missing` keeps.
///
/// # Errors
/// XX000 for a value of another type.
pub fn encode_missing(
    sql_type: crate::catalog::sql_type::SqlType,
    value: &ScalarValue,
) -> Result<Option<Arc<[u8]>>, RowError> {
    if value.is_null() {
        return Ok(None);
    }
    let physical = Physical::of(sql_type);
    let mut out = Vec::new();
    physical.put(value, &mut out)?;
    let (bytes, rest) =
        value::split_value(physical.width(), &out).expect("what was just put can be taken back");
    debug_assert!(rest.is_empty());
    Ok(Some(Arc::from(bytes)))
}

pub(super) fn check_size(bytes: usize) -> Result<(), RowError> {
    if bytes > ROW_BYTES_MAX {
        return Err(RowError::RowTooLarge {
            bytes,
            limit: ROW_BYTES_MAX,
        });
    }
    Ok(())
}
