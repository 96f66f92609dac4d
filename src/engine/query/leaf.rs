//! Operators without inputs: what they have in common, so that each says only where its rows come
//! from.

use super::statement::Statement;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use std::fmt;
use std::sync::Arc;

/// Where the rows of an operator without inputs come from.
pub trait Leaf: Send + Sync + 'static {
    /// As EXPLAIN shows it.
    ///
    /// # Errors
    /// The formatter's.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Among how many streams its rows are dealt out.
    fn streams(&self) -> usize {
        1
    }

    /// The columns that its rows are in ascending order of, as far as they are.
    fn order(&self, _schema: &Schema) -> Vec<usize> {
        Vec::new()
    }

    /// Begins to give rows of this schema, of this stream's. The stream is cooperative.
    ///
    /// # Errors
    /// What reading raises.
    fn open(
        &self,
        stream: usize,
        schema: SchemaRef,
        statement: Arc<Statement>,
    ) -> Result<SendableRecordBatchStream>;

    /// A line that EXPLAIN shows below it.
    fn remark(&self) -> Option<String> {
        None
    }
}

/// The operator: nothing below.
pub struct LeafExec<L> {
    leaf: L,
    properties: Arc<PlanProperties>,
}

impl<L: Leaf> LeafExec<L> {
    /// Giving rows of this schema.
    pub fn new(leaf: L, schema: SchemaRef) -> LeafExec<L> {
        let order = leaf.order(&schema).into_iter().map(|column| {
            let of = Column::new(schema.field(column).name(), column);
            PhysicalSortExpr::new_default(Arc::new(of))
                .asc()
                .nulls_last()
        });
        let order: Vec<_> = order.collect();
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, [order]),
            Partitioning::UnknownPartitioning(leaf.streams()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        LeafExec {
            leaf,
            properties: Arc::new(properties),
        }
    }
}

impl<L> LeafExec<L> {
    /// Where its rows come from.
    pub fn leaf(&self) -> &L {
        &self.leaf
    }
}

/// What all of them are called.
pub const NAME: &str = "LeafExec";

/// As EXPLAIN shows it.
struct Shown<'l, L>(&'l L);

impl<L: Leaf> fmt::Debug for Shown<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}

impl<L: Leaf> fmt::Debug for LeafExec<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(NAME).field(&Shown(&self.leaf)).finish()
    }
}

impl<L: Leaf> DisplayAs for LeafExec<L> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.leaf.describe(f)?;
        match self.leaf.remark() {
            Some(remark) => write!(f, "\n{remark}"),
            None => Ok(()),
        }
    }
}

impl<L: Leaf> ExecutionPlan for LeafExec<L> {
    fn name(&self) -> &str {
        NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
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
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = self.properties.equivalence_properties().schema().clone();
        self.leaf
            .open(partition, schema, Statement::of_task(&context)?)
    }
}
