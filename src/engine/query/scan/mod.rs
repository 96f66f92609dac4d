//! Reads a table's rows out of a view: keys in a range or through an index, only wanted columns.
//!
//! Row policies have their place here ([`TableScan::guarded`]): what they hide never leaves the scan, so
//! that no predicate of a user sees it (DESIGN §7, invariant 3).

mod share;
mod source;
mod stream;

use super::access_path::AccessPath;
use super::leaf::Leaf;
use super::statement::Statement;
use crate::catalog::RelationId;
use crate::catalog::definition::Relation;
use crate::engine::policy::Guard;
use crate::engine::row::{KeyRange, RowLayout};
use datafusion::arrow::array::BinaryBuilder;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use share::Rounds;
use source::{Lane, Source};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use stream::{BATCH_ROWS_MAX, Guarding, ScanStream, Work};

/// A table's scan.
pub struct TableScan {
    relation: Arc<Relation>,
    /// For each output column its position in the table; None is the storage key.
    columns: Vec<Option<u16>>,
    path: AccessPath,
    limit: Option<usize>,
    guard: Option<Guard>,
    /// Where several streams share the work: who has taken what.
    rounds: Option<Rounds>,
}

impl TableScan {
    /// Of a table, giving these columns.
    pub fn new(
        relation: Arc<Relation>,
        columns: Vec<Option<u16>>,
        path: AccessPath,
        limit: Option<usize>,
    ) -> TableScan {
        TableScan {
            relation,
            columns,
            path,
            limit,
            guard: None,
            rounds: None,
        }
    }

    /// With policies that hide rows.
    #[must_use]
    pub fn guarded(mut self, guard: Option<Guard>) -> TableScan {
        self.guard = guard;
        self
    }

    /// The keys that it goes through, where its rows can be shared among streams: a range of the table,
    /// read to its end.
    pub fn shareable(&self) -> Option<(RelationId, &KeyRange)> {
        match &self.path {
            AccessPath::Table(range) if self.limit.is_none() => {
                Some((self.relation.table()?.store, range))
            }
            _ => None,
        }
    }

    /// The same rows, dealt out to so many streams.
    pub fn shared(&self, streams: usize) -> TableScan {
        TableScan {
            relation: self.relation.clone(),
            columns: self.columns.clone(),
            path: self.path.clone(),
            limit: self.limit,
            guard: self.guard.clone(),
            rounds: Some(Rounds::new(streams)),
        }
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
        match &self.path {
            AccessPath::Table((Bound::Unbounded, Bound::Unbounded)) => {
                write!(f, "Seq Scan on {table}")
            }
            AccessPath::Table(_) => write!(f, "Index Scan using {table}_pkey on {table}"),
            AccessPath::Index { name, .. } => write!(f, "Index Scan using {name} on {table}"),
            AccessPath::Nothing => write!(f, "Result (One-Time Filter: false)"),
        }
    }

    fn remark(&self) -> Option<String> {
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

    fn order(&self, schema: &Schema) -> Vec<usize> {
        let (Some(table), AccessPath::Table(_), None) =
            (self.relation.table(), &self.path, &self.rounds)
        else {
            return Vec::new();
        };
        let given = table.primary_key.iter().map_while(|position| {
            let given = self.columns.iter().position(|it| *it == Some(*position))?;
            is_in_key_order(schema.field(given).data_type()).then_some(given)
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
        let work = match (&self.rounds, &self.path) {
            (Some(rounds), AccessPath::Table(range)) => Work::Shared(Lane::new(
                view,
                (table.store, range.clone()),
                rounds.begin(stream),
                stream,
            )),
            _ => Work::Alone(Source::open(&view, table.store, &self.path)?),
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
            rows_next: stream::BATCH_ROWS_FIRST,
            work,
            statement,
        }))
    }
}

/// Whether keys of values compare as the values do in Arrow: of the others what is equal differs there.
fn is_in_key_order(data_type: &DataType) -> bool {
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
