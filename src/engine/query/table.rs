//! A table of the database as the planner sees it.

use super::access_path;
use super::failure;
use super::functions::sequence::steps;
use super::leaf::LeafExec;
use super::rows;
use super::scan::TableScan;
use super::statement::Statement;
use crate::catalog::definition::{Relation, RelationBody, Sequence, Table};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::catalog::{Oid, Snapshot};
use crate::diagnostic::Diagnostic;
use crate::engine::policy::{Guard, Purpose};
use crate::engine::types;
use datafusion::arrow::array::{BooleanArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraint, Constraints};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

/// The schema name under which `engine::dml` and `engine::locking` read their target: the table is then
/// named by [`keyed_name`], and has [`KEY_COLUMN`] as its last column. No client can write it (a
/// control character begins it).
pub const KEYED_SCHEMA: &str = "\u{1}keyed";

/// What statements read a target for, and how its name says so.
const PURPOSES: [(&str, Purpose); 3] = [
    ("update", Purpose::Update),
    ("delete", Purpose::Delete),
    ("lock", Purpose::Lock),
];

/// The name of a target in [`KEYED_SCHEMA`]: its OID, and what its rows are read for.
pub fn keyed_name(relation: Oid, purpose: Purpose) -> String {
    let known = PURPOSES.iter().find(|(_, known)| *known == purpose);
    format!("{relation} {}", known.map_or("lock", |(word, _)| word))
}

/// The target that a name in [`KEYED_SCHEMA`] means.
pub fn keyed_target(name: &str) -> Option<(Oid, Purpose)> {
    let (oid, word) = name.split_once(' ')?;
    let (_, purpose) = PURPOSES.iter().find(|(known, _)| *known == word)?;
    Some((Oid(oid.parse().ok()?), *purpose))
}

/// The column with the row's storage key, bytea.
pub const KEY_COLUMN: &str = "\u{1}key";

/// Whether the storage key is among the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// It is the last column; the rows are read for this.
    For(Purpose),
    /// It is not there.
    No,
}

impl Keyed {
    fn purpose(self) -> Purpose {
        match self {
            Keyed::For(purpose) => purpose,
            Keyed::No => Purpose::Read,
        }
    }
}

/// A user's table or sequence.
#[derive(Debug)]
pub struct UserTable {
    relation: Arc<Relation>,
    indexes: Vec<Arc<Relation>>,
    keyed: Keyed,
    schema: SchemaRef,
    /// The primary key, so that a query grouped by it may name the other columns.
    constraints: Option<Constraints>,
    /// For each column of the schema its position among the table's, dropped ones counted.
    positions: Vec<u16>,
}

impl UserTable {
    /// Of a relation.
    ///
    /// # Errors
    /// 42809 for an index.
    pub fn new(
        relation: Arc<Relation>,
        keyed: Keyed,
        snapshot: &Snapshot,
    ) -> std::result::Result<UserTable, Diagnostic> {
        let indexes = relation
            .table()
            .map(|table| indexes_of(table, snapshot))
            .unwrap_or_default();
        let (mut fields, positions) = match &relation.body {
            RelationBody::Table(table) => table_fields(table),
            RelationBody::Sequence(_) => (sequence_fields(), Vec::new()),
            RelationBody::Index(_) | RelationBody::View(_) => {
                return Err(failure::diagnostic(super::resolve::not_readable(&relation)));
            }
        };
        if keyed != Keyed::No {
            fields.push(Field::new(KEY_COLUMN, DataType::Binary, false));
        }
        let constraints = relation
            .table()
            .filter(|table| table.primary_index.is_some())
            .map(|table| primary_key(table, &positions));
        Ok(UserTable {
            constraints,
            relation,
            indexes,
            keyed,
            schema: Arc::new(Schema::new(fields)),
            positions,
        })
    }

    /// The relation.
    pub fn relation(&self) -> &Arc<Relation> {
        &self.relation
    }

    /// The attnum of a column of the schema; None for the key.
    pub fn attnum(&self, column: usize) -> Option<i16> {
        let position = self.positions.get(column)?;
        i16::try_from(*position).ok().map(|position| position + 1)
    }
}

fn primary_key(table: &Table, positions: &[u16]) -> Constraints {
    let columns = table
        .primary_key
        .iter()
        .filter_map(|key| positions.iter().position(|position| position == key))
        .collect();
    Constraints::new_unverified(vec![Constraint::PrimaryKey(columns)])
}

fn table_fields(table: &Table) -> (Vec<Field>, Vec<u16>) {
    let mut fields = Vec::new();
    let mut positions = Vec::new();
    for (position, column) in table.columns.iter().enumerate() {
        if column.dropped {
            continue;
        }
        let field = super::cast::field(column.name.to_string(), column.sql_type);
        fields.push(field.with_nullable(!column.not_null));
        positions.push(position as u16);
    }
    (fields, positions)
}

fn sequence_fields() -> Vec<Field> {
    let int8 = SqlType::scalar(TypeKind::Int8);
    vec![
        types::arrow_field("last_value", int8, false),
        types::arrow_field("log_cnt", int8, false),
        types::arrow_field("is_called", SqlType::scalar(TypeKind::Bool), false),
    ]
}

#[async_trait::async_trait]
impl TableProvider for UserTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.constraints.as_ref()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // They choose the range of keys; the rows are filtered above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match &self.relation.body {
            RelationBody::Table(table) => {
                let guard = self.guard(state)?;
                let demanded = guard.as_ref().map_or_else(Vec::new, Guard::demanded);
                let statement = Statement::of(state.config_options()).ok();
                let types = statement.as_ref().map(|it| it.context.user_types());
                let paths = access_path::choose(table, &self.indexes, filters, &demanded, types)
                    .map_err(|error| failure::external(error.into()))?;
                let all: Vec<usize> = (0..self.schema.fields().len()).collect();
                let columns = projection.unwrap_or(&all);
                let limit = if filters.is_empty() { limit } else { None };
                let scan = TableScan::new(
                    self.relation.clone(),
                    columns
                        .iter()
                        .map(|column| self.positions.get(*column).copied())
                        .collect(),
                    paths,
                    limit,
                    self.indexes.clone(),
                )
                .guarded(guard);
                let schema = Arc::new(self.schema.project(columns)?);
                Ok(Arc::new(LeafExec::new(scan, schema)))
            }
            RelationBody::Sequence(sequence) => {
                debug_assert!(self.keyed == Keyed::No);
                let (sequence, schema) = (sequence.clone(), self.schema.clone());
                rows::operator(
                    &self.relation.name,
                    &self.schema,
                    projection,
                    Arc::new(move |statement, columns| {
                        let row = sequence_row(&sequence, &schema, &statement.engine.storage)?;
                        Ok(row.project(columns)?)
                    }),
                )
            }
            RelationBody::Index(_) | RelationBody::View(_) => {
                Err(super::resolve::not_readable(&self.relation))
            }
        }
    }
}

impl UserTable {
    /// What hides rows from the statement that is being planned.
    ///
    /// # Errors
    /// XX000 where a table with policies is planned outside a statement: nobody would know whose they
    /// are.
    fn guard(&self, state: &dyn Session) -> Result<Option<Guard>> {
        if !self.relation.row_security.in_force() {
            return Ok(None);
        }
        let statement = Statement::of(state.config_options())?;
        let (purpose, context) = (self.keyed.purpose(), &statement.context);
        Ok(Guard::new(&self.relation, purpose, context))
    }
}

fn indexes_of(table: &Table, snapshot: &Snapshot) -> Vec<Arc<Relation>> {
    table
        .indexes
        .iter()
        .filter_map(|oid| snapshot.definitions.get(*oid).cloned())
        .collect()
}

fn sequence_row(
    sequence: &Sequence,
    schema: &SchemaRef,
    storage: &crate::storage::Storage,
) -> Result<RecordBatch> {
    let state = storage
        .sequence_state(sequence.store, steps(sequence))
        .map_err(|error| failure::external(error.into()))?;
    Ok(RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(Int64Array::from(vec![state.last_value])),
            Arc::new(Int64Array::from(vec![0])),
            Arc::new(BooleanArray::from(vec![state.is_called])),
        ],
    )?)
}
