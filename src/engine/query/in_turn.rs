//! A join that gives its rows in the order of one side, as that side's come: a batch of them, its partners looked up, then the
//! next. So the first rows of a join in an order that a table has are there before the rest has been read
//! (`posts JOIN users … ORDER BY posts.created_at DESC LIMIT 20`).
//!
//! Each turn is a hash join run anew, of which the other side is kept and the batch is read. Whoever goes on has more use of
//! an ordinary join: the last turn is all the rest.

use super::leaf::{Leaf, LeafExec, Sorted};
use super::lookups;
use super::noted::Rounds;
use super::statement::Statement;
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, NullEquality};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalExprRef};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// Turns of a batch each, before the one that is all the rest.
const TURNS: usize = 2;

/// What the operator is called.
pub const NAME: &str = "InTurnExec";

/// The operator: the side in order, and the join of one turn.
#[derive(Debug)]
pub struct InTurnExec {
    in_order: Plan,
    join: Plan,
    columns: Vec<PhysicalExprRef>,
    turn: Arc<Turn>,
    properties: Arc<PlanProperties>,
}

/// What one turn's join reads: its batch or all the rest, and the values that the other side is looked up by.
#[derive(Default)]
struct Turn {
    values: Arc<Rounds>,
    rows: Mutex<Option<SendableRecordBatchStream>>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

/// The join's side that is read turn by turn.
struct OneTurn {
    turn: Arc<Turn>,
    order: Vec<Sorted>,
}

impl Leaf for OneTurn {
    /// A join keeps it only where it knows of it.
    fn order(&self, _schema: &Schema) -> Vec<Sorted> {
        self.order.clone()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows in Turn")
    }

    fn open(
        &self,
        _stream: usize,
        _schema: SchemaRef,
        _statement: Arc<Statement>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.turn.rows.lock().take();
        rows.ok_or_else(|| DataFusionError::Internal("a turn without rows".to_owned()))
    }
}

/// A join of rows that are kept with rows that are read, these in this order: `in_order`. None where the kept side has nothing that
/// could be looked up.
///
/// # Errors
/// The planner's, where an operator cannot be made.
pub fn join(join: &HashJoinExec, in_order: Plan, order: &[Sorted]) -> Result<Option<InTurnExec>> {
    // Without a partner a kept row is none of the result.
    let suits = matches!(
        join.join_type(),
        JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti
    );
    if !suits || join.null_aware || join.null_equality() != NullEquality::NullEqualsNothing {
        return Ok(None);
    }
    let turn = Arc::new(Turn::default());
    let on = join.on().iter().map(|(kept, read)| (read, kept));
    let Some((kept, columns)) = lookups::side(join.left(), on, &turn.values)? else {
        return Ok(None);
    };
    let read = OneTurn {
        turn: turn.clone(),
        order: order.to_vec(),
    };
    let read: Plan = Arc::new(LeafExec::new(read, in_order.schema()));
    let join = join
        .builder()
        .with_new_children(vec![kept, read])?
        .build_exec()?;
    Ok(Some(InTurnExec::new(in_order, join, columns, turn)))
}

impl InTurnExec {
    fn new(in_order: Plan, join: Plan, columns: Vec<PhysicalExprRef>, turn: Arc<Turn>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(join.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        InTurnExec {
            in_order,
            join,
            columns,
            turn,
            properties: Arc::new(properties),
        }
    }

    fn over(&self, children: Vec<Plan>) -> Result<Plan> {
        let [in_order, join] = <[Plan; 2]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("two inputs".to_owned()))?;
        let (columns, turn) = (self.columns.clone(), self.turn.clone());
        Ok(Arc::new(InTurnExec::new(in_order, join, columns, turn)))
    }
}

impl DisplayAs for InTurnExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl ExecutionPlan for InTurnExec {
    fn name(&self) -> &str {
        NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.in_order, &self.join]
    }

    fn apply_expressions(
        &self,
        apply: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for column in &self.columns {
            if apply(column)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Plan>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Plan> {
        self.over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        self.over(children)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let turns = Turns {
            rows: Some(self.in_order.execute(partition, context.clone())?),
            taken: 0,
            join: self.join.clone(),
            columns: self.columns.clone(),
            turn: self.turn.clone(),
            context,
        };
        let joined = futures::stream::try_unfold(turns, Turns::next).try_flatten();
        let schema = self.join.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, joined)))
    }
}

/// What goes on from turn to turn.
struct Turns {
    /// None behind the last.
    rows: Option<SendableRecordBatchStream>,
    taken: usize,
    join: Plan,
    columns: Vec<PhysicalExprRef>,
    turn: Arc<Turn>,
    context: Arc<TaskContext>,
}

impl Turns {
    /// The next turn's rows, and what is left.
    async fn next(mut self) -> Result<Option<(SendableRecordBatchStream, Turns)>> {
        let Some(mut rows) = self.rows.take() else {
            return Ok(None);
        };
        let noted = self.turn.values.begin();
        let of_turn: SendableRecordBatchStream = if self.taken < TURNS {
            let Some(batch) = rows.next().await.transpose()? else {
                return Ok(None);
            };
            noted.complete(Some(values(&self.columns, &batch)?));
            let schema = rows.schema();
            self.rows = Some(rows);
            let batch = futures::stream::iter([Ok(batch)]);
            Box::pin(RecordBatchStreamAdapter::new(schema, batch))
        } else {
            noted.complete(None);
            rows
        };
        *self.turn.rows.lock() = Some(of_turn);
        if self.taken > 0 {
            self.join = reset_plan_states(self.join)?;
        }
        self.taken += 1;
        let joined = self.join.execute(0, self.context.clone())?;
        Ok(Some((joined, self)))
    }
}

fn values(columns: &[PhysicalExprRef], batch: &RecordBatch) -> Result<Arc<[ArrayRef]>> {
    let rows = batch.num_rows();
    let values = columns
        .iter()
        .map(|column| column.evaluate(batch)?.into_array(rows));
    values.collect()
}
