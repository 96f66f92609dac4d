//! In which order keys and indexes have a table's rows.

use crate::catalog::definition::{Index, Table};
use crate::engine::query::leaf::Sorted;
use crate::engine::row::KeyLayout;
use crate::engine::types;
use crate::storage::Direction;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::DataType;

/// Rows that are the first in an order.
#[derive(Clone, Debug)]
pub struct FirstRows {
    /// The columns that they are in order of.
    pub order: Vec<Sorted>,
    /// How many are wanted.
    pub most: usize,
    /// How many are read at once at first.
    pub at_once: usize,
    /// Whether no others are, for all of them are kept.
    pub limited: bool,
    /// What the order may be had through.
    pub through: Through,
    /// Whether a row is of no use in which the first of the columns is NULL.
    pub without_nulls: bool,
}

/// What an order may be had through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// What is read anyway.
    OwnPath,
    /// Any index of the table, from its beginning.
    AnyIndex,
}

/// The columns that keys are in the order of.
pub(super) struct KeyOrder {
    /// None is an expression.
    columns: Vec<Option<KeyColumn>>,
    /// Whether no two rows are the same in all of them.
    unique: bool,
}

struct KeyColumn {
    position: u16,
    descending: bool,
    not_null: bool,
}

impl KeyOrder {
    /// Of the table's own keys; None where those are row numbers.
    pub(super) fn of_table(table: &Table) -> Option<KeyOrder> {
        let layout = KeyLayout::of_table(table).ok()??;
        Some(KeyOrder {
            columns: columns(table, &layout, None),
            unique: true,
        })
    }

    /// Of an index's entries: those that are the same in its columns are in the order of the table's keys.
    pub(super) fn of_index(table: &Table, index: &Index) -> Option<KeyOrder> {
        let layout = KeyLayout::of_index(table, index).ok()?;
        let mut columns = columns(table, &layout, Some(index));
        if index.unique {
            let not_null =
                |column: &Option<KeyColumn>| column.as_ref().is_some_and(|it| it.not_null);
            let unique = columns.iter().all(not_null);
            return Some(KeyOrder { columns, unique });
        }
        let of_table = KeyOrder::of_table(table);
        let unique = of_table.is_some();
        columns.extend(of_table.into_iter().flat_map(|order| order.columns));
        Some(KeyOrder { columns, unique })
    }

    /// Which way the keys are in the order of these columns of the table; the first of their own, `fixed` many, have one
    /// value each. None where they are in another order.
    pub(super) fn direction(
        &self,
        fixed: usize,
        order: &[(u16, SortOptions)],
    ) -> Option<Direction> {
        let (same, rest) = self.columns.split_at_checked(fixed)?;
        let mut decided: Vec<u16> = same
            .iter()
            .flatten()
            .map(|column| column.position)
            .collect();
        let (mut rest, mut direction) = (rest.iter(), None);
        for (position, options) in order {
            if decided.contains(position) {
                continue;
            }
            let Some(column) = rest.next() else {
                return direction.filter(|_| self.unique);
            };
            let column = column
                .as_ref()
                .filter(|column| column.position == *position)?;
            // NULLs are the last of an ascending column and the first of a descending one, whichever way it is read.
            if !column.not_null && options.nulls_first != options.descending {
                return None;
            }
            let way = match options.descending == column.descending {
                true => Direction::Forward,
                false => Direction::Backward,
            };
            if *direction.get_or_insert(way) != way {
                return None;
            }
            decided.push(*position);
        }
        Some(direction.unwrap_or(Direction::Forward))
    }
}

fn columns(table: &Table, layout: &KeyLayout, index: Option<&Index>) -> Vec<Option<KeyColumn>> {
    let columns = layout
        .columns()
        .iter()
        .enumerate()
        .map(|(place, position)| {
            if index.is_some_and(|index| index.expression(*position).is_some()) {
                return None;
            }
            let column = table.columns.get(usize::from(*position))?;
            is_in_key_order(&types::data_type(column.sql_type)).then(|| KeyColumn {
                position: *position,
                descending: layout.is_descending(place),
                not_null: column.not_null || index.is_none(),
            })
        });
    columns.collect()
}

/// Whether keys of values compare as the values do in Arrow: of the others what is equal differs there.
pub(super) fn is_in_key_order(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Boolean
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Decimal128(..)
            | DataType::Date32
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::FixedSizeBinary(_)
            | DataType::Utf8
            | DataType::Binary
            | DataType::BinaryView
    )
}
