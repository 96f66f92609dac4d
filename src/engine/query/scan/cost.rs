//! What ways to a table's rows cost, in rows that are read one after another.

use crate::catalog::RelationId;
use crate::engine::query::access_path::AccessPath;
use crate::engine::query::range_sizes;
use crate::storage::{StorageError, View};

/// What the beginning of a range costs.
const RANGE: u64 = 16;
/// What a row costs that an index names.
pub const NAMED: u64 = 16;

/// Of so many rows in so many ranges, of an index or of the table itself.
pub fn of(rows: u64, ranges: usize, by_index: bool) -> u64 {
    let row = if by_index { NAMED } else { 1 };
    let begun = (ranges as u64).saturating_mul(RANGE);
    rows.saturating_mul(row).saturating_add(begun)
}

/// Of a path.
///
/// # Errors
/// Storage's.
pub fn of_path(view: &View, table: RelationId, path: &AccessPath) -> Result<u64, StorageError> {
    let (store, keys, by_index) = match path {
        AccessPath::Nothing => return Ok(0),
        AccessPath::Either(paths) => {
            let costs = paths.iter().map(|path| of_path(view, table, path));
            return costs.sum();
        }
        AccessPath::Table(keys) => (table, keys, false),
        AccessPath::Index { store, keys, .. } => (*store, keys, true),
    };
    let rows = range_sizes::in_ranges(view, store, &keys.ranges)?;
    Ok(of(rows, keys.ranges.len(), by_index))
}
