//! EXISTS and IN (SELECT …) as values: `SELECT id, EXISTS (SELECT FROM orders …) FROM users`. The library makes joins of them in
//! conditions only, which mark the rows that have a partner; here the marks of such a condition are a projection's columns.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The rule that makes joins of conditions.
const MAKES_JOINS: &str = "decorrelate_predicate_subquery";

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules, and before the one that makes joins of conditions ours of values.
pub fn rules(library: Vec<Rule>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::with_capacity(library.len() + 1);
    for rule in library {
        if rule.name() == MAKES_JOINS {
            let conditions = rule.clone();
            rules.push(Arc::new(Marks { conditions }));
        }
        rules.push(rule);
    }
    rules
}

#[derive(Debug)]
struct Marks {
    conditions: Rule,
}

impl OptimizerRule for Marks {
    fn name(&self) -> &str {
        "marks_of_subqueries"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let plan = plan.map_subqueries(|subquery| {
            subquery.transform_down(|plan| self.rewrite(plan, config))
        })?;
        match plan.data {
            LogicalPlan::Projection(projection) if projection.expr.iter().any(asks) => {
                self.marked(projection, config).map(Transformed::yes)
            }
            other => Ok(Transformed::new(other, plan.transformed, plan.tnr)),
        }
    }
}

impl Marks {
    fn marked(&self, projection: Projection, config: &dyn OptimizerConfig) -> Result<LogicalPlan> {
        let mut input = projection.input.clone();
        let plan = LogicalPlan::Projection(projection);
        let names = NamePreserver::new(&plan);
        let LogicalPlan::Projection(projection) = plan else {
            return Ok(plan);
        };
        let mut exprs = Vec::with_capacity(projection.expr.len());
        for expr in projection.expr {
            let name = names.save(&expr);
            let marked = expr.transform_up(|expr| {
                if !is_asking(&expr) {
                    return Ok(Transformed::no(expr));
                }
                let condition = Filter::try_new(expr.clone().is_true(), input.clone())?;
                let joined = self
                    .conditions
                    .rewrite(LogicalPlan::Filter(condition), config)?;
                Ok(match mark_of(joined.data) {
                    Some((mark, joined)) => {
                        input = joined;
                        Transformed::yes(mark)
                    }
                    None => Transformed::no(expr),
                })
            })?;
            exprs.push(name.restore(marked.data));
        }
        Projection::try_new(exprs, input).map(LogicalPlan::Projection)
    }
}

/// What a condition has become, and the joins that it stands over; None where it still asks.
fn mark_of(plan: LogicalPlan) -> Option<(Expr, Arc<LogicalPlan>)> {
    match plan {
        LogicalPlan::Projection(own) => mark_of(Arc::unwrap_or_clone(own.input)),
        LogicalPlan::Filter(filter) => match filter.predicate {
            Expr::IsTrue(mark) if !asks(&mark) => Some((*mark, filter.input)),
            _ => None,
        },
        _ => None,
    }
}

fn is_asking(expr: &Expr) -> bool {
    matches!(expr, Expr::Exists(_) | Expr::InSubquery(_))
}

/// Whether EXISTS or IN (SELECT …) is in an expression.
pub fn asks(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(is_asking(expr))).unwrap_or(false)
}
