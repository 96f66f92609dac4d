//! A filter that gives only some of its columns, below a projection, gives all of them, and the projection names the filter's input.
//!
//! The library's rule that moves projections down puts one below such a filter as it is (`FilterExec::try_swapping_with_projection`),
//! though its columns are counted in what the filter gives and not in what it reads: they are others there, or none
//! (`… FULL JOIN … WHERE t1.a IS NULL ORDER BY …` ended with an internal error). What was taken apart here the rule itself puts
//! together again, where it may.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, projection::ProjectionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::ProjectionExec;
use std::any::Any;
use std::sync::Arc;

/// The rules, and this one before each that moves projections down.
pub fn rules(
    rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut all: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = Vec::new();
    for rule in rules {
        if rule.name() == MOVES {
            all.push(Arc::new(WholeFilters));
        }
        all.push(rule);
    }
    all
}

/// The rule that moves projections down.
const MOVES: &str = "ProjectionPushdown";

#[derive(Debug)]
struct WholeFilters;

impl PhysicalOptimizerRule for WholeFilters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let whole = |plan: Arc<dyn ExecutionPlan>| match whole(plan.as_ref())? {
            Some(whole) => Ok(Transformed::yes(whole)),
            None => Ok(Transformed::no(plan)),
        };
        plan.transform_up(whole).data()
    }

    fn name(&self) -> &str {
        "whole_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The projection above the whole filter, where `plan` is one above a filter that gives only some of its columns.
fn whole(plan: &dyn ExecutionPlan) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let plan: &dyn Any = plan;
    let Some(projection) = plan.downcast_ref::<ProjectionExec>() else {
        return Ok(None);
    };
    let input: &dyn Any = projection.input().as_ref();
    let Some(filter) = input.downcast_ref::<FilterExec>() else {
        return Ok(None);
    };
    let Some(given) = filter.projection() else {
        return Ok(None);
    };
    let of_input = |expression: Arc<dyn PhysicalExpr>| {
        let any: &dyn Any = expression.as_ref();
        match any.downcast_ref::<Column>() {
            Some(column) => {
                let column = Column::new(column.name(), given[column.index()]);
                Ok(Transformed::yes(Arc::new(column) as _))
            }
            None => Ok(Transformed::no(expression)),
        }
    };
    let mut expressions = Vec::with_capacity(projection.expr().len());
    for ProjectionExpr { expr, alias } in projection.expr() {
        let expr = expr.clone().transform_up(of_input).data()?;
        expressions.push(ProjectionExpr::new(expr, alias.clone()));
    }
    let filter = FilterExecBuilder::new(filter.predicate().clone(), filter.input().clone())
        .with_default_selectivity(filter.default_selectivity())
        .with_fetch(filter.fetch())
        .build()?;
    let projection = ProjectionExec::try_new(expressions, Arc::new(filter))?;
    Ok(Some(Arc::new(projection)))
}
