//! What is the same in all rows below GROUPING SETS is not above them: in a set without the column it is NULL. The planner
//! takes it for the same all the same, and leaves it out of ORDER BY (`WHERE year = 2024 GROUP BY ROLLUP (year, month) ORDER
//! BY year, month`).
//!
//! While the plan is made, an operator stands below each such aggregate that says nothing of its rows.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// The library's rules, with the operators put in before them and taken out after.
pub fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    rules.insert(0, Arc::new(Forget));
    rules.push(Arc::new(Remember));
    rules
}

/// Puts the operators in.
#[derive(Debug)]
struct Forget;

impl PhysicalOptimizerRule for Forget {
    fn optimize(&self, plan: Plan, _config: &ConfigOptions) -> Result<Plan> {
        let forget = |plan: Plan| {
            let any: &dyn Any = plan.as_ref();
            let Some(aggregate) = any.downcast_ref::<AggregateExec>() else {
                return Ok(Transformed::no(plan));
            };
            let of_sets = aggregate.group_expr().groups().len() > 1;
            if !of_sets || aggregate.mode().input_mode() != AggregateInputMode::Raw {
                return Ok(Transformed::no(plan));
            }
            let below = Arc::new(ForgetfulExec::new(aggregate.input().clone()));
            replace_children_if_necessary(plan, vec![below]).map(Transformed::yes)
        };
        plan.transform_up(forget).data()
    }

    fn name(&self) -> &str {
        "forget_constants_below_grouping_sets"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Takes them out again.
#[derive(Debug)]
struct Remember;

impl PhysicalOptimizerRule for Remember {
    fn optimize(&self, plan: Plan, _config: &ConfigOptions) -> Result<Plan> {
        let remember = |plan: Plan| {
            let any: &dyn Any = plan.as_ref();
            Ok(match any.downcast_ref::<ForgetfulExec>() {
                Some(forgetful) => Transformed::yes(forgetful.input.clone()),
                None => Transformed::no(plan),
            })
        };
        plan.transform_up(remember).data()
    }

    fn name(&self) -> &str {
        "remember_constants_below_grouping_sets"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The operator: its input's rows, of which nothing is known.
#[derive(Debug)]
struct ForgetfulExec {
    input: Plan,
    properties: Arc<PlanProperties>,
}

impl ForgetfulExec {
    fn new(input: Plan) -> ForgetfulExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            input.properties().output_partitioning().clone(),
            input.properties().emission_type,
            input.properties().boundedness,
        );
        ForgetfulExec {
            input,
            properties: Arc::new(properties),
        }
    }

    fn over(mut children: Vec<Plan>) -> Result<Plan> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(ForgetfulExec::new(input))),
            _ => Err(DataFusionError::Internal("it has one input".to_owned())),
        }
    }
}

impl DisplayAs for ForgetfulExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for ForgetfulExec {
    fn name(&self) -> &str {
        "Forgetful"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Plan>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Plan> {
        ForgetfulExec::over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Plan>) -> Result<Plan> {
        ForgetfulExec::over(children)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
