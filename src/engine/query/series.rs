//! generate_series in FROM with constant bounds: rows made as they are read, never all at once.

use super::failure;
use super::functions::set_returning::steps;
use super::leaf::{Leaf, LeafExec};
use super::statement::Statement;
use crate::catalog::sql_type::{SqlType, TypeKind};
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use std::fmt;
use std::sync::Arc;

const BATCH_ROWS: usize = 8192;

/// The table of a series.
#[derive(Clone, Debug)]
pub struct Series {
    start: i64,
    stop: i64,
    step: i64,
    schema: SchemaRef,
}

/// The series, if this is one with constant integer bounds.
///
/// # Errors
/// 22023 for a step of zero.
pub fn of(name: &str, args: &[Expr], column: &str) -> Result<Option<Series>> {
    if name != "generate_series" || !(2..=3).contains(&args.len()) {
        return Ok(None);
    }
    let mut kind = TypeKind::Int4;
    let mut bounds = Vec::with_capacity(3);
    for arg in args {
        match constant(arg) {
            Some(ScalarValue::Int16(Some(value))) => bounds.push(i64::from(value)),
            Some(ScalarValue::Int32(Some(value))) => bounds.push(i64::from(value)),
            Some(ScalarValue::Int64(Some(value))) => {
                kind = TypeKind::Int8;
                bounds.push(value);
            }
            _ => return Ok(None),
        }
    }
    let step = bounds.get(2).copied().unwrap_or(1);
    drop(steps(bounds[0], bounds[1], step)?);
    let field = super::cast::field(column, SqlType::scalar(kind));
    Ok(Some(Series {
        start: bounds[0],
        stop: bounds[1],
        step,
        schema: Arc::new(Schema::new(vec![field])),
    }))
}

impl Series {
    /// A name that no other series has.
    pub fn name(&self) -> String {
        format!("generate_series {} {} {}", self.start, self.stop, self.step)
    }
}

/// The value of an expression of constants (`100000 * 10`).
fn constant(expr: &Expr) -> Option<ScalarValue> {
    use datafusion::logical_expr::execution_props::ExecutionProps;
    use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
    use datafusion::physical_expr::create_physical_expr;
    if let Expr::Literal(value, _) = expr {
        return Some(value.clone());
    }
    if !expr.column_refs().is_empty() || expr.placeholders_or_outer() || expr.is_volatile() {
        return None;
    }
    let empty = datafusion::common::DFSchema::empty();
    let physical = create_physical_expr(
        expr,
        &empty,
        &ExecutionProps::new(),
        &PhysicalPlanningContext::default(),
    )
    .ok()?;
    let batch = RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        Vec::new(),
        &datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(1)),
    )
    .ok()?;
    let value = physical.evaluate(&batch).ok()?.to_array(1).ok()?;
    ScalarValue::try_from_array(&value, 0).ok()
}

trait Open {
    fn placeholders_or_outer(&self) -> bool;
}

impl Open for Expr {
    fn placeholders_or_outer(&self) -> bool {
        use datafusion::common::tree_node::TreeNode;
        self.exists(|expr| {
            Ok(matches!(
                expr,
                Expr::Placeholder(_) | Expr::OuterReferenceColumn(..)
            ))
        })
        .unwrap_or(true)
    }
}

#[async_trait::async_trait]
impl TableProvider for Series {
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
        Ok(Arc::new(LeafExec::new(self.clone(), schema)))
    }
}

impl Leaf for Series {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function Scan on generate_series")
    }

    fn open(
        &self,
        _stream: usize,
        schema: SchemaRef,
        statement: Arc<Statement>,
    ) -> Result<SendableRecordBatchStream> {
        let batch_schema = schema.clone();
        let narrow = self.schema.field(0).data_type() == &DataType::Int32;
        let mut values = steps(self.start, self.stop, self.step)?;
        let batches = std::iter::from_fn(move || {
            if let Err(stop) = statement.check() {
                return Some(Err(failure::external(stop)));
            }
            let rows: Vec<i64> = values.by_ref().take(BATCH_ROWS).collect();
            if rows.is_empty() {
                return None;
            }
            Some(batch(&batch_schema, rows, narrow))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            futures::stream::iter(batches),
        )))
    }
}

fn batch(schema: &SchemaRef, rows: Vec<i64>, narrow: bool) -> Result<RecordBatch> {
    let count = rows.len();
    let values: ArrayRef = if narrow {
        // Both bounds are int4, so everything between them is.
        Arc::new(
            rows.iter()
                .map(|value| *value as i32)
                .collect::<Int32Array>(),
        )
    } else {
        Arc::new(Int64Array::from(rows))
    };
    let columns = schema.fields().iter().map(|_| values.clone()).collect();
    let options = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(
        schema.clone(),
        columns,
        &options,
    )?)
}
