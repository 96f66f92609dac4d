//! What a data-modifying statement in WITH has returned, as a table of the statement around it.

use super::failure;
use super::leaf::{Leaf, LeafExec};
use super::statement::Statement;
use crate::diagnostic::Diagnostic;
use crate::engine::context::Returned;
use crate::engine::types;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use std::fmt;
use std::sync::Arc;

/// The schema of these tables; no client can write its name.
pub const RETURNED_SCHEMA: &str = "\u{1}returned";

/// The query that reads one: the part of this number.
pub fn query(part: usize) -> String {
    format!("SELECT * FROM \"{RETURNED_SCHEMA}\".\"{part}\"")
}

/// The table of one part.
#[derive(Clone, Debug)]
pub struct ReturnedTable {
    part: usize,
    schema: SchemaRef,
    projection: Option<Vec<usize>>,
}

impl ReturnedTable {
    /// Of the part whose number the table's name is.
    ///
    /// # Errors
    /// XX000 for a part that there is not.
    pub fn new(table: &str, parts: &[Returned]) -> Result<ReturnedTable> {
        let part = table.parse().ok().and_then(|part: usize| {
            let returned = parts.get(part)?;
            Some((part, returned))
        });
        let Some((part, returned)) = part else {
            return Err(failure::external(Diagnostic::internal("no such part")));
        };
        let mut names = std::collections::HashSet::new();
        let columns = returned.fields.iter().enumerate().map(|(place, field)| {
            let name = match names.insert(&field.name) {
                true => field.name.clone(),
                // The planner wants them to differ; nobody sees how.
                false => format!("{}\u{1f}{place}", field.name),
            };
            types::arrow_field(name, field.sql_type, true)
        });
        Ok(ReturnedTable {
            part,
            schema: Arc::new(Schema::new(columns.collect::<Vec<_>>())),
            projection: None,
        })
    }

    /// A batch as this table has it.
    fn fitted(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let all = 0..self.schema.fields().len();
        let places = match &self.projection {
            Some(places) => places.clone(),
            None => all.collect(),
        };
        let fields: Vec<_> = places
            .iter()
            .map(|place| self.schema.fields()[*place].clone())
            .collect();
        let columns = places.iter().zip(&fields).map(|(place, field)| {
            let column = batch.column(*place);
            match (column.data_type(), field.data_type()) {
                (found, wanted) if found == wanted => Ok(column.clone()),
                (DataType::Decimal128(_, found), DataType::Decimal128(_, wanted))
                    if found > wanted =>
                {
                    Err(failure::unsupported("a numeric of this scale in WITH"))
                }
                (_, wanted) => Ok(compute::cast(column, wanted)?),
            }
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(fields));
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}

#[async_trait::async_trait]
impl TableProvider for ReturnedTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let table = ReturnedTable {
            projection: projection.cloned(),
            ..self.clone()
        };
        Ok(Arc::new(LeafExec::new(table, schema)))
    }
}

impl Leaf for ReturnedTable {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CTE Scan")
    }

    fn open(
        &self,
        _stream: usize,
        schema: SchemaRef,
        statement: Arc<Statement>,
    ) -> Result<SendableRecordBatchStream> {
        let returned = statement
            .context
            .parts
            .as_ref()
            .and_then(|parts| parts.returned.get(self.part))
            .ok_or_else(|| failure::external(Diagnostic::internal("a part that did not run")))?;
        let batches = returned.batches.iter().map(|batch| self.fitted(batch));
        let batches: Vec<_> = batches.collect();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            futures::stream::iter(batches),
        )))
    }
}
