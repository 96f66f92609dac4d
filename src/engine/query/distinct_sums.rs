//! Sums beside an aggregate of DISTINCT values: the library makes groups of the values first, and sums the sums of those. But the
//! sum of integers is a bigint, and that of bigints a numeric: the sum is made what it was (`SELECT g, count(DISTINCT a), sum(b) …
//! GROUP BY g`).

use super::{cast, failure};
use crate::engine::types;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The rule that makes groups of the values.
const GROUPS_VALUES: &str = "single_distinct_aggregation_to_group_by";

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules, sums of sums being of their type.
pub fn rules(library: Vec<Rule>) -> Vec<Rule> {
    let typed = |rule: Rule| -> Rule {
        match rule.name() {
            GROUPS_VALUES => Arc::new(Typed { rule }),
            _ => rule,
        }
    };
    library.into_iter().map(typed).collect()
}

#[derive(Debug)]
struct Typed {
    rule: Rule,
}

impl OptimizerRule for Typed {
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
        let wanted = plan.schema().clone();
        let grouped = self.rule.rewrite(plan, config)?;
        if !grouped.transformed {
            return Ok(grouped);
        }
        grouped.transform_data(|grouped| {
            let found = grouped.schema().clone();
            let mut changed = false;
            let columns = wanted.iter().zip(found.iter());
            let columns = columns.map(|((qualifier, wanted), found)| {
                let column = Expr::from(found);
                if wanted.data_type() == found.1.data_type() {
                    return Ok(column);
                }
                changed = true;
                let to = types::sql_type(wanted).map_err(failure::external)?;
                let from = types::sql_type(found.1).map_err(failure::external)?;
                let sum = cast::function(column, from, to);
                Ok(sum.alias_qualified(qualifier.cloned(), wanted.name()))
            });
            let columns = columns.collect::<Result<Vec<Expr>>>()?;
            if !changed {
                return Ok(Transformed::yes(grouped));
            }
            let projection = Projection::try_new(columns, Arc::new(grouped))?;
            Ok(Transformed::yes(LogicalPlan::Projection(projection)))
        })
    }
}
