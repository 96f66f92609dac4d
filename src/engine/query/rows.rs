//! An operator whose rows are made when it starts: catalogs, sequences.

use super::statement::Statement;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use std::fmt;
use std::sync::Arc;

/// Makes all rows, with all columns.
pub type Make = Arc<dyn Fn(&Statement) -> Result<RecordBatch> + Send + Sync>;

/// Rows made at the start.
pub struct RowsExec {
    name: String,
    projection: Option<Vec<usize>>,
    make: Make,
    properties: Arc<PlanProperties>,
}

impl RowsExec {
    /// Of a relation of this name and schema, with some of its columns.
    ///
    /// # Errors
    /// XX000 for a projection past the schema.
    pub fn new(
        name: &str,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
        make: Make,
    ) -> Result<RowsExec> {
        let projected = match projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => schema.clone(),
        };
        Ok(RowsExec {
            name: name.to_owned(),
            projection: projection.cloned(),
            make,
            properties: Arc::new(leaf_properties(projected)),
        })
    }
}

/// Properties of an operator without inputs and with one partition.
pub fn leaf_properties(schema: SchemaRef) -> PlanProperties {
    PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Incremental,
        Boundedness::Bounded,
    )
    .with_scheduling_type(SchedulingType::Cooperative)
}

impl fmt::Debug for RowsExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsExec({})", self.name)
    }
}

impl DisplayAs for RowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Seq Scan on {}", self.name)
    }
}

impl ExecutionPlan for RowsExec {
    fn name(&self) -> &str {
        "RowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let statement = Statement::of_task(&context)?;
        let all = (self.make)(&statement)?;
        let batch = match &self.projection {
            Some(columns) => all.project(columns)?,
            None => all,
        };
        Ok(Box::pin(MemoryStream::try_new(
            vec![batch],
            self.properties.equivalence_properties().schema().clone(),
            None,
        )?))
    }
}
