//! Reads a table's rows out of a view: keys in a range or through an index, only wanted columns.
//!
//! Row policies have their place here ([`TableScan::guarded`]): what they hide never leaves the scan, so
//! that no predicate of a user sees it (DESIGN §7, invariant 3).

mod cost;
mod lookup;
mod order;
mod paths;
mod share;
mod source;
mod stream;

use super::access_path::{AccessPath, Keys};
use super::leaf::{Leaf, Sorted};
use super::noted;
use super::statement::Statement;
use crate::catalog::RelationId;
use crate::catalog::definition::{Index, Relation};
use crate::engine::policy::Guard;
use crate::engine::row::{KeyLayout, KeyRange, RowLayout};
use crate::storage::Direction;
pub use cost::NAMED as COST_OF_NAMED;
use datafusion::arrow::array::BinaryBuilder;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use lookup::{Lookup, Waiting};
use order::is_in_key_order;
pub use order::{FirstRows, Through};
use share::Rounds;
use source::{Lane, Source};
use std::fmt;
use std::sync::Arc;
use stream::{BATCH_ROWS_MAX, Guarding, ScanStream, Work};

/// A table's scan.
pub struct TableScan {
    relation: Arc<Relation>,
    /// For each output column its position in the table; None is the storage key.
    columns: Vec<Option<u16>>,
    path: AccessPath,
    /// Paths that lead to the rows as well, one of which may be read instead.
    others: Vec<AccessPath>,
    direction: Direction,
    /// Whether somebody relies on the order that the path has the rows in.
    in_order: bool,
    /// Rows of the first batch.
    at_once: usize,
    limit: Option<usize>,
    guard: Option<Guard>,
    /// The table's indexes.
    indexes: Vec<Arc<Relation>>,
    /// What may be looked up once it is known, each instead of the path.
    lookups: Vec<Lookup>,
    /// Where several streams share the work: who has taken what.
    rounds: Option<Rounds>,
}

impl TableScan {
    /// Of a table, giving these columns, by the first of these paths unless another turns out to lead to fewer rows.
    pub fn new(
        relation: Arc<Relation>,
        columns: Vec<Option<u16>>,
        paths: Vec<AccessPath>,
        limit: Option<usize>,
        indexes: Vec<Arc<Relation>>,
    ) -> TableScan {
        let mut paths = paths.into_iter();
        TableScan {
            relation,
            columns,
            path: paths.next().unwrap_or(AccessPath::Table(Keys::all())),
            others: paths.collect(),
            direction: Direction::Forward,
            in_order: false,
            at_once: stream::BATCH_ROWS_FIRST,
            limit,
            guard: None,
            indexes,
            lookups: Vec::new(),
            rounds: None,
        }
    }

    /// With policies that hide rows.
    #[must_use]
    pub fn guarded(mut self, guard: Option<Guard>) -> TableScan {
        self.guard = guard;
        self
    }

    /// Of a table or an index, the ranges that it goes through.
    pub fn reach(&self) -> Option<(RelationId, &[KeyRange])> {
        match &self.path {
            AccessPath::Table(keys) => Some((self.relation.table()?.store, &keys.ranges)),
            AccessPath::Index { store, keys, .. } => Some((*store, &keys.ranges)),
            AccessPath::Either(_) | AccessPath::Nothing => None,
        }
    }

    /// Whether its rows can be shared among streams: they are a range of the table, read to its end.
    pub fn is_shareable(&self) -> bool {
        let one_range = matches!(&self.path, AccessPath::Table(keys) if keys.ranges.len() == 1);
        one_range && self.limit.is_none()
    }

    /// The same rows, dealt out to so many streams.
    pub fn shared(&self, streams: usize) -> TableScan {
        TableScan {
            rounds: Some(Rounds::new(streams)),
            ..self.again()
        }
    }

    /// The same rows, of which those of other values in some columns may be left out: each of these has its place among
    /// the output's columns, and one among those of the values. None where no key and no index begins with such columns.
    pub fn looked_up(
        &self,
        columns: &[(usize, usize)],
        values: &Arc<noted::Rounds>,
    ) -> Option<TableScan> {
        let table = self.relation.table().filter(|_| self.limit.is_none())?;
        let of_layout = |layout: &KeyLayout, index: Option<&Index>| {
            let of_values = layout.columns().iter().map_while(|position| {
                let plain = index.is_none_or(|index| index.expression(*position).is_none());
                let output = self.columns.iter().position(|it| *it == Some(*position))?;
                let (_, value) = columns.iter().find(|(column, _)| *column == output)?;
                let sql_type = table.columns[usize::from(*position)].sql_type;
                plain.then(|| (*value, crate::engine::types::data_type(sql_type)))
            });
            of_values.collect::<Vec<_>>()
        };
        let mut found = Vec::new();
        if let Some(layout) = KeyLayout::of_table(table).ok()? {
            found.push(Lookup {
                name: self.key_name().into(),
                index: None,
                columns: of_layout(&layout, None),
                unique: true,
                layout,
                values: values.clone(),
            });
        }
        for relation in &self.indexes {
            let Some(index) = relation.index() else {
                continue;
            };
            if index.store == table.store || index.details.predicate.is_some() {
                continue;
            }
            let layout = KeyLayout::of_index(table, index).ok()?;
            found.push(Lookup {
                name: relation.name.clone(),
                index: Some(index.store),
                columns: of_layout(&layout, Some(index)),
                unique: index.unique,
                layout,
                values: values.clone(),
            });
        }
        for lookup in &mut found {
            lookup.unique &= lookup.columns.len() == lookup.layout.columns().len();
        }
        let good = |lookup: &Lookup| {
            let own = lookup.index.is_none();
            (lookup.unique, lookup.columns.len(), own)
        };
        let best = found.into_iter().max_by_key(good)?;
        if best.columns.is_empty() {
            return None;
        }
        let mut again = self.again();
        again.lookups.push(best);
        Some(again)
    }

    /// The scan once more, its streams from the beginning.
    fn again(&self) -> TableScan {
        TableScan {
            relation: self.relation.clone(),
            columns: self.columns.clone(),
            path: self.path.clone(),
            others: self.others.clone(),
            direction: self.direction,
            in_order: self.in_order,
            at_once: self.at_once,
            limit: self.limit,
            guard: self.guard.clone(),
            indexes: self.indexes.clone(),
            lookups: self.lookups.clone(),
            rounds: self
                .rounds
                .as_ref()
                .map(|rounds| Rounds::new(rounds.streams())),
        }
    }

    /// What EXPLAIN calls the table's own keys.
    fn key_name(&self) -> String {
        format!("{}_pkey", self.relation.name)
    }

    /// The index that a path goes through, in EXPLAIN's words.
    fn index_name(&self, path: &AccessPath) -> Option<String> {
        match path {
            AccessPath::Table(_) => Some(self.key_name()),
            AccessPath::Index { name, .. } => Some(name.to_string()),
            AccessPath::Either(_) | AccessPath::Nothing => None,
        }
    }

    /// What EXPLAIN says of policies.
    fn policies(&self) -> Option<String> {
        if !self.relation.row_security.in_force() {
            return None;
        }
        let Some(guard) = &self.guard else {
            return Some("Row Policies: bypassed by superuser".to_owned());
        };
        let names = guard.policies();
        Some(match names.is_empty() {
            true => "Row Policies: none applies, no row is shown".to_owned(),
            false => format!("Row Policies: {}", names.join(", ")),
        })
    }

    /// The columns of the table that are read: those given, then those that only the guard looks at.
    fn wanted(&self) -> Vec<u16> {
        let mut wanted: Vec<u16> = self.columns.iter().filter_map(|column| *column).collect();
        let guarding = self.guard.as_ref().map_or_else(Vec::new, Guard::columns);
        for position in guarding {
            let position = position as u16;
            if !wanted.contains(&position) {
                wanted.push(position);
            }
        }
        wanted
    }
}

impl Leaf for TableScan {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = &self.relation.name;
        let backward = match self.direction {
            Direction::Forward => "",
            Direction::Backward => " Backward",
        };
        match &self.path {
            AccessPath::Table(keys) if keys.are_all() && self.direction == Direction::Forward => {
                write!(f, "Seq Scan on {table}")
            }
            AccessPath::Table(_) => write!(f, "Index Scan{backward} using {table}_pkey on {table}"),
            AccessPath::Index { name, .. } => {
                write!(f, "Index Scan{backward} using {name} on {table}")
            }
            AccessPath::Either(paths) => {
                let names: Vec<_> = paths
                    .iter()
                    .filter_map(|path| self.index_name(path))
                    .collect();
                write!(f, "Index Scans using {} on {table}", names.join(", "))
            }
            AccessPath::Nothing => write!(f, "Result (One-Time Filter: false)"),
        }
    }

    fn remarks(&self) -> Vec<String> {
        let lookups = self.lookups.iter();
        let lookups = lookups.map(|lookup| format!("Looked Up by Join, If Few: {}", lookup.name));
        lookups.chain(self.policies()).collect()
    }

    fn order(&self, schema: &Schema) -> Vec<Sorted> {
        let (Some(table), AccessPath::Table(_), [], Direction::Forward, None) = (
            self.relation.table(),
            &self.path,
            self.others.as_slice(),
            self.direction,
            &self.rounds,
        ) else {
            return Vec::new();
        };
        let given = table.primary_key.iter().map_while(|position| {
            let given = self.columns.iter().position(|it| *it == Some(*position))?;
            let options = SortOptions {
                descending: false,
                nulls_first: false,
            };
            is_in_key_order(schema.field(given).data_type()).then_some(Sorted {
                column: given,
                options,
            })
        });
        given.collect()
    }

    fn streams(&self) -> usize {
        self.rounds.as_ref().map_or(1, Rounds::streams)
    }

    fn open(
        &self,
        stream: usize,
        schema: SchemaRef,
        statement: Arc<Statement>,
    ) -> Result<SendableRecordBatchStream> {
        let table = self
            .relation
            .table()
            .expect("a scan is made of tables only");
        let layout = RowLayout::new(table);
        let wanted = self.wanted();
        let view = statement.view()?.clone();
        let lookups = self.lookups.iter();
        let lookups = lookups.map(|lookup| (lookup.clone(), lookup.values.current()));
        let waiting = (!self.lookups.is_empty()).then(|| Waiting {
            view: view.clone(),
            table: table.store,
            path: self.path.clone(),
            lookups: lookups.collect(),
            stream: (stream, self.streams()),
            in_order: !self.order(&schema).is_empty(),
        });
        let work = match (&self.rounds, &self.path) {
            (Some(rounds), AccessPath::Table(keys)) if let [range] = keys.ranges.as_slice() => {
                let share = rounds.begin(stream);
                Work::Shared(Lane::new(view, (table.store, range.clone()), share, stream))
            }
            _ => Work::Alone(Source::open(
                &view,
                table.store,
                &self.path,
                self.direction,
            )?),
        };
        Ok(Box::pin(ScanStream {
            decoder: layout.decoder(&wanted, BATCH_ROWS_MAX),
            keys: self
                .columns
                .iter()
                .any(Option::is_none)
                .then(BinaryBuilder::new),
            columns: self.columns.clone(),
            schema,
            guard: self.guard.clone().map(|guard| Guarding {
                guard,
                wanted,
                width: table.columns.len(),
            }),
            left: self.limit,
            rows_next: self.at_once,
            waiting,
            work,
            statement,
        }))
    }
}
