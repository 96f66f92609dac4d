//! Operators without inputs: what they have in common, so that each says only where its rows come
//! from.

use super::statement::Statement;
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A column that rows are in order of.
#[derive(Clone, Copy, Debug)]
pub struct Sorted {
    /// Its place in the output.
    pub column: usize,
    /// Which way.
    pub options: SortOptions,
}

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

    /// The columns that its rows are in order of, as far as they are.
    fn order(&self, _schema: &Schema) -> Vec<Sorted> {
        Vec::new()
    }

    /// Begins to give rows of this schema, of this stream's.
    ///
    /// # Errors
    /// What reading raises.
    fn open(
        &self,
        stream: usize,
        schema: SchemaRef,
        statement: Arc<Statement>,
    ) -> Result<SendableRecordBatchStream>;

    /// Lines that EXPLAIN shows below it.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
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
        let order = leaf.order(&schema).into_iter().map(|sorted| {
            let of = Column::new(schema.field(sorted.column).name(), sorted.column);
            PhysicalSortExpr::new(Arc::new(of), sorted.options)
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
        let mut remarks = self.leaf.remarks().into_iter();
        remarks.try_for_each(|remark| write!(f, "\n{remark}"))
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
        let rows = self
            .leaf
            .open(partition, schema, Statement::of_task(&context)?)?;
        Ok(Box::pin(Turns { rows, since: None }))
    }
}

/// How long a task works before it lets the others of its thread have their turn.
const TURN: Duration = Duration::from_millis(1);

/// Rows that come in turns: what is above takes batch after batch as long as there is one at once, and
/// nothing else could be done on the thread, neither what others wait for nor what this very scan has woken.
struct Turns {
    rows: SendableRecordBatchStream,
    /// When the turn began.
    since: Option<Instant>,
}

impl Stream for Turns {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.since.is_some_and(|since| since.elapsed() > TURN) {
            self.since = None;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.since.get_or_insert_with(Instant::now);
        let polled = self.rows.as_mut().poll_next(context);
        if polled.is_pending() {
            self.since = None;
        }
        polled
    }
}

impl RecordBatchStream for Turns {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
