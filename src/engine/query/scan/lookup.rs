//! A scan below a join whose other side may turn out to have few rows: then it looks its own up by the values that are noted
//! there, in the table's keys or an index, instead of reading all that its path leads to.

use super::cost;
use super::source::{Named, Ranges, Source};
use crate::catalog::RelationId;
use crate::engine::query::access_path::{self, AccessPath};
use crate::engine::query::noted::{Noted, Rounds};
use crate::engine::query::{failure, range_sizes};
use crate::engine::row::{KeyLayout, KeyRange, in_order};
use crate::storage::{Direction, StorageError, View};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Where values that become known while the statement runs are looked up.
#[derive(Clone)]
pub struct Lookup {
    /// The index's name, or the primary key's.
    pub name: Arc<str>,
    /// Where the index's entries are; None for the table's own keys.
    pub index: Option<RelationId>,
    /// Its columns.
    pub layout: KeyLayout,
    /// Of its first columns, which of the values they have, and their type.
    pub columns: Vec<(usize, DataType)>,
    /// Whether a row is the only one of its values.
    pub unique: bool,
    /// The values.
    pub values: Arc<Rounds>,
}

impl Lookup {
    /// The ranges that these values are in; None where one is none of the columns'.
    fn ranges(&self, values: &[ArrayRef]) -> Option<Vec<KeyRange>> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut ranges = Vec::with_capacity(rows);
        for row in 0..rows {
            let mut equal = Vec::with_capacity(self.columns.len());
            for (place, data_type) in &self.columns {
                let value = ScalarValue::try_from_array(values.get(*place)?, row).ok()?;
                if value.is_null() || access_path::is_none_of(&value, data_type) {
                    break;
                }
                equal.push(access_path::exactly(&value, data_type)?);
            }
            if equal.len() == self.columns.len() {
                let unbounded = std::ops::Bound::Unbounded;
                ranges.push(self.layout.range(&equal, unbounded, unbounded).ok()?);
            }
        }
        Some(in_order(ranges))
    }

    fn cost(&self, view: &View, table: RelationId, ranges: &[KeyRange]) -> Result<u64> {
        let store = self.index.unwrap_or(table);
        let rows = match self.unique {
            true => Ok(ranges.len() as u64),
            false => range_sizes::in_ranges(view, store, ranges).map_err(failed),
        };
        Ok(cost::of(rows?, ranges.len(), self.index.is_some()))
    }
}

fn failed(error: StorageError) -> DataFusionError {
    failure::external(error.into())
}

/// A scan's beginning, which waits for what its lookups are to find.
pub(super) struct Waiting {
    pub(super) view: View,
    pub(super) table: RelationId,
    pub(super) path: AccessPath,
    pub(super) lookups: Vec<(Lookup, Arc<Noted>)>,
    /// Which of how many streams this is.
    pub(super) stream: (usize, usize),
    /// Whether the rows are to come in the order of the table's keys.
    pub(super) in_order: bool,
}

impl Waiting {
    /// Where the rows are looked up; None where reading what the path leads to is cheaper. The streams of one scan
    /// come to the same, for they see the same rows.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<Option<Source>>> {
        let mut known = Vec::with_capacity(self.lookups.len());
        for (lookup, noted) in &self.lookups {
            match noted.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(values) => known.extend(values.map(|values| (lookup, values))),
            }
        }
        Poll::Ready(self.cheapest(&known))
    }

    fn cheapest(&self, known: &[(&Lookup, Arc<[ArrayRef]>)]) -> Result<Option<Source>> {
        let own = cost::of_path(&self.view, self.table, &self.path).map_err(failed)?;
        let mut best = (own, None);
        for (lookup, values) in known {
            let Some(ranges) = lookup.ranges(values) else {
                continue;
            };
            let cost = lookup.cost(&self.view, self.table, &ranges)?;
            if cost < best.0 {
                best = (cost, Some((lookup, ranges)));
            }
        }
        match best.1 {
            Some((lookup, ranges)) => self.source(lookup, ranges),
            None => Ok(None),
        }
    }

    fn source(&self, lookup: &Lookup, ranges: Vec<KeyRange>) -> Result<Option<Source>> {
        let (stream, streams) = self.stream;
        let own = ranges.into_iter().skip(stream).step_by(streams).collect();
        let Some(index) = lookup.index else {
            let ranges = Ranges::new(&self.view, self.table, own, Direction::Forward);
            return Ok(Some(Source::Table(ranges)));
        };
        let entries = Ranges::new(&self.view, index, own, Direction::Forward);
        let named = Named::by(entries, lookup.layout.clone(), self.table);
        Ok(match self.in_order {
            true => named.in_order()?.map(Source::Keys),
            false => Some(Source::Index(named)),
        })
    }
}
