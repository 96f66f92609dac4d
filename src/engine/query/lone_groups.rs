//! A condition that looks at no column stays above an aggregate that gives a row of no rows: `SELECT * FROM (SELECT count(*)
//! FROM t) s WHERE current_user = 'admin'` is empty for others. The library moves it below, where it takes all rows away
//! and leaves the count of none.

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, Filter, LogicalPlan};
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The rule that moves conditions.
const MOVES_CONDITIONS: &str = "push_down_filter";

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The library's rules, the one among them that moves conditions held back there.
pub fn rules() -> Vec<Rule> {
    let held = |rule: Rule| -> Rule {
        match rule.name() {
            MOVES_CONDITIONS => Arc::new(HeldBack { rule }),
            _ => rule,
        }
    };
    Optimizer::new().rules.into_iter().map(held).collect()
}

#[derive(Debug)]
struct HeldBack {
    rule: Rule,
}

impl OptimizerRule for HeldBack {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Filter(filter) if decides_of_a_row(filter) => Ok(Transformed::no(plan)),
            _ => self.rule.rewrite(plan, config),
        }
    }
}

/// Whether a condition without columns stands over a lone group, HAVING between them or not: the rule takes filters that follow
/// each other for one.
fn decides_of_a_row(filter: &Filter) -> bool {
    let without_columns = split_conjunction(&filter.predicate)
        .into_iter()
        .any(|one| one.column_refs().is_empty());
    without_columns && is_of_lone_group(&filter.input)
}

/// Whether a plan is that of a group of all rows, be there any or none.
pub fn is_of_lone_group(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => is_of_lone_group(&filter.input),
        LogicalPlan::Projection(projection) => is_of_lone_group(&projection.input),
        LogicalPlan::Aggregate(aggregate) => has_lone_group(aggregate),
        _ => false,
    }
}

/// Whether a plan gives one row, whatever rows there are.
pub fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// Whether there is a group of all rows, be there any or none.
fn has_lone_group(aggregate: &Aggregate) -> bool {
    let of_sets = |expr: &Expr| matches!(expr, Expr::GroupingSet(_));
    aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(of_sets)
}
