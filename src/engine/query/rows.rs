//! Rows that are made when their operator starts: catalogs, sequences.

use super::leaf::{Leaf, LeafExec};
use super::statement::Statement;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::memory::MemoryStream;
use std::fmt;
use std::sync::Arc;

/// Makes all rows, with the columns of these places.
pub type Make = Arc<dyn Fn(&Statement, &[usize]) -> Result<RecordBatch> + Send + Sync>;

struct Rows {
    name: String,
    columns: Vec<usize>,
    make: Make,
}

/// The operator of a relation of this name and schema, giving some of its columns.
///
/// # Errors
/// XX000 for a projection past the schema.
pub fn operator(
    name: &str,
    schema: &SchemaRef,
    projection: Option<&Vec<usize>>,
    make: Make,
) -> Result<Arc<dyn ExecutionPlan>> {
    let all = || (0..schema.fields().len()).collect();
    let columns = projection.cloned().unwrap_or_else(all);
    let projected = Arc::new(schema.project(&columns)?);
    let rows = Rows {
        name: name.to_owned(),
        columns,
        make,
    };
    Ok(Arc::new(LeafExec::new(rows, projected)))
}

impl Leaf for Rows {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seq Scan on {}", self.name)
    }

    fn open(
        &self,
        _stream: usize,
        schema: SchemaRef,
        statement: Arc<Statement>,
    ) -> Result<SendableRecordBatchStream> {
        let batch = (self.make)(&statement, &self.columns)?;
        Ok(Box::pin(MemoryStream::try_new(vec![batch], schema, None)?))
    }
}
