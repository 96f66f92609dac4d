//! What an array's elements come with: each of a row's elements has the row beside it, so that a key is in several rows, and an
//! element is not decided by it. The library goes by the keys that there were before (`SELECT id, unnest(tags) FROM t ORDER BY
//! 1, 2` would be ordered by the key alone, and `SELECT DISTINCT id` keep what is there twice).
//!
//! They are taken away before each of its rules that goes by keys, for other rules of its bring them back.

use datafusion::common::FunctionalDependencies;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, Unnest};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The library's rules that go by keys.
const BY_KEYS: [&str; 4] = [
    "eliminate_duplicated_expr",
    "eliminate_join",
    "optimize_projections",
    "replace_distinct_aggregate",
];

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules, and before the first and each that goes by keys the one that takes them away.
pub fn rules(library: Vec<Rule>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = vec![Arc::new(ForgetKeys)];
    for rule in library {
        if BY_KEYS.contains(&rule.name()) {
            rules.push(Arc::new(ForgetKeys));
        }
        rules.push(rule);
    }
    rules
}

#[derive(Debug)]
struct ForgetKeys;

impl OptimizerRule for ForgetKeys {
    fn name(&self) -> &str {
        "forget_keys_of_unnested"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match has_keys(&plan)? {
            true => forgotten(plan),
            false => Ok(Transformed::no(plan)),
        }
    }
}

/// A plan without the keys that are none any more.
///
/// # Errors
/// The library's.
pub fn without_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    match has_keys(&plan)? {
        true => forgotten(plan).map(|forgotten| forgotten.data),
        false => Ok(plan),
    }
}

/// Whether something unnested has keys beside it.
fn has_keys(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Unnest(unnest) = node {
            found |= !unnest.schema.functional_dependencies().is_empty();
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// The plan whose unnested columns have no keys beside them, nor what is above.
fn forgotten(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|node| {
        Ok(Transformed::yes(match node {
            LogicalPlan::Unnest(unnest) => LogicalPlan::Unnest(keyless(unnest)?),
            other => other.recompute_schema()?,
        }))
    })
}

/// The node, without the keys of its input.
fn keyless(mut unnest: Unnest) -> Result<Unnest> {
    let schema = unnest.schema.as_ref().clone();
    let none = FunctionalDependencies::empty();
    unnest.schema = Arc::new(schema.with_functional_dependencies(none)?);
    Ok(unnest)
}
