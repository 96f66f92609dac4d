//! Which of the paths that conditions lead to is read. How many rows each leads to is looked at when the statement runs
//! (`range_sizes`): of two indexes that both fit, one may name five rows and the other half of the table.

use super::TableScan;
use super::cost;
use super::order::{FirstRows, KeyOrder, Through};
use crate::catalog::definition::{Relation, Table};
use crate::engine::query::access_path::{AccessPath, Keys};
use crate::engine::row::KeyLayout;
use crate::storage::{Direction, StorageError, View};
use datafusion::arrow::compute::SortOptions;
use std::sync::Arc;

/// Ranges that are read without asking whether all of the table would cost less.
const RANGES_FEW: usize = 16;
/// What a path may cost without that, either.
const COST_SMALL: u64 = 4096;
/// What a path may cost without that others are looked at.
const COST_NOTHING: u64 = 8 * cost::NAMED;

/// The columns of a table that rows are in order of.
type Order = [(u16, SortOptions)];

impl TableScan {
    /// The scan by the path that costs least, be it of all the table; None where its own does, or somebody relies on the
    /// order of that. Costs some microseconds.
    ///
    /// # Errors
    /// Storage's.
    pub fn by_cheapest(&self, view: &View) -> Result<Option<TableScan>, StorageError> {
        let is_short = match &self.path {
            AccessPath::Table(keys) => keys.ranges.len() <= RANGES_FEW,
            AccessPath::Index { .. } | AccessPath::Either(_) => false,
            AccessPath::Nothing => true,
        };
        let is_decided = self.in_order || self.limit.is_some();
        let Some(table) = self.relation.table().filter(|_| !is_decided) else {
            return Ok(None);
        };
        if is_short && self.others.is_empty() {
            return Ok(None);
        }
        let whole = AccessPath::Table(Keys::all());
        let mut least = (cost::of_path(view, table.store, &self.path)?, None);
        for (path, worth) in self
            .others
            .iter()
            .map(|path| (path, COST_NOTHING))
            .chain([(&whole, COST_SMALL)])
        {
            if least.0 <= worth {
                continue;
            }
            let cost = cost::of_path(view, table.store, path)?;
            if cost < least.0 {
                least = (cost, Some(path));
            }
        }
        Ok(least.1.map(|path| TableScan {
            path: path.clone(),
            others: Vec::new(),
            ..self.again()
        }))
    }

    /// The first rows of an order, read in it; None where nothing that can be read is in it, or sorting what another path
    /// leads to costs less.
    ///
    /// # Errors
    /// Storage's.
    pub fn ordered(
        &self,
        wanted: &FirstRows,
        view: &View,
    ) -> Result<Option<TableScan>, StorageError> {
        let Some(table) = self.relation.table() else {
            return Ok(None);
        };
        if self.rounds.is_some() || !self.lookups.is_empty() || self.limit.is_some() {
            return Ok(None);
        }
        let of_table = wanted.order.iter().map(|sorted| {
            let position = *self.columns.get(sorted.column)?;
            Some((position?, sorted.options))
        });
        let Some(mut order) = of_table.collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        if let (true, [(_, options), ..]) = (wanted.without_nulls, order.as_mut_slice()) {
            // Where there are none it does not matter where they are.
            options.nulls_first = options.descending;
        }
        let mut found = self.own_in_order(table, &order, wanted.most, view)?;
        let all = matches!(&self.path, AccessPath::Table(keys) if keys.are_all());
        if found.is_none() && all && wanted.through == Through::AnyIndex && self.guard.is_none() {
            let mut indexes = self.indexes.iter();
            found = indexes
                .find_map(|relation| whole_index(table, relation, &order, wanted.without_nulls));
        }
        Ok(found.map(|(path, direction)| TableScan {
            path,
            others: Vec::new(),
            direction,
            in_order: true,
            at_once: wanted.at_once,
            limit: wanted.limited.then_some(wanted.most),
            ..self.again()
        }))
    }

    /// Of the scan's own paths, and of the table's keys as a whole, the one in this order, if reading it until so many rows
    /// are found is likely to cost less than any other to its end.
    fn own_in_order(
        &self,
        table: &Table,
        order: &Order,
        most: usize,
        view: &View,
    ) -> Result<Option<(AccessPath, Direction)>, StorageError> {
        let whole = AccessPath::Table(Keys::all());
        let mut paths: Vec<_> = [&self.path].into_iter().chain(&self.others).collect();
        match (
            paths.as_slice(),
            self.direction_of(table, &self.path, order),
        ) {
            ([AccessPath::Nothing], _) => return Ok(None),
            ([only], Some(direction)) => return Ok(Some(((*only).clone(), direction))),
            ([AccessPath::Table(keys)], None) if keys.are_all() => return Ok(None),
            _ => paths.push(&whole),
        }
        let directions = paths
            .iter()
            .map(|path| self.direction_of(table, path, order));
        let directions: Vec<_> = directions.collect();
        if directions.iter().all(Option::is_none) {
            return Ok(None);
        }
        let costs = paths
            .iter()
            .map(|path| cost::of_path(view, table.store, path));
        let costs = costs.collect::<Result<Vec<_>, _>>()?;
        let place = likely_cheapest(&paths, &costs, &directions, most);
        let chosen = place.and_then(|place| Some((paths[place].clone(), directions[place]?)));
        Ok(chosen)
    }

    /// Which way a path has its rows in this order; None where in none.
    fn direction_of(&self, table: &Table, path: &AccessPath, order: &Order) -> Option<Direction> {
        let (own, keys) = match path {
            AccessPath::Table(keys) => (KeyOrder::of_table(table), keys),
            AccessPath::Index { name, keys, .. } => {
                let mut indexes = self.indexes.iter();
                let relation = indexes.find(|relation| relation.name == *name)?;
                (KeyOrder::of_index(table, relation.index()?), keys)
            }
            AccessPath::Either(_) | AccessPath::Nothing => return None,
        };
        own?.direction(keys.fixed, order)
    }
}

/// The place of the path that costs least, if conditions have nothing to do with each other: one that has the order is read
/// until so many rows are found which the others' conditions hold of, any other to its end. The last is the whole table.
fn likely_cheapest(
    paths: &[&AccessPath],
    costs: &[u64],
    directions: &[Option<Direction>],
    most: usize,
) -> Option<usize> {
    let of_row = |path: &AccessPath| match path {
        AccessPath::Table(_) => 1,
        _ => cost::NAMED,
    };
    let all = costs.last().copied().unwrap_or(1).max(1);
    let rows = |place: usize| costs[place] / of_row(paths[place]);
    let likely = |place: usize| {
        let others = (0..paths.len()).filter(|other| *other != place);
        let fewest = others.map(rows).min().unwrap_or(all).clamp(1, all);
        let read = (most as u64).saturating_mul(all / fewest);
        match directions[place] {
            Some(_) => costs[place].min(read.saturating_mul(of_row(paths[place]))),
            None => costs[place],
        }
    };
    (0..paths.len()).min_by_key(|place| likely(*place))
}

/// An index of all rows that has them in this order, from its beginning.
fn whole_index(
    table: &Table,
    relation: &Arc<Relation>,
    order: &Order,
    without_nulls: bool,
) -> Option<(AccessPath, Direction)> {
    let index = relation.index()?;
    let direction = KeyOrder::of_index(table, index)?.direction(0, order)?;
    let layout = KeyLayout::of_index(table, index).ok()?;
    let keys = match without_nulls {
        true => Keys::of(layout.not_null()),
        false => Keys::all(),
    };
    let path = AccessPath::Index {
        name: relation.name.clone(),
        store: index.store,
        layout,
        keys,
    };
    let whole = index.store != table.store && index.details.predicate.is_none();
    whole.then_some((path, direction))
}
