//! Which columns decide others. A table's key decides the row, which the library goes by: it leaves out of ORDER BY and GROUP BY what
//! is decided by what stands before. In two places it takes columns for decided that are not:
//!
//! - Each of an array's elements has the row beside it, so that a key is in several rows, and an element is not decided by it
//!   (`SELECT id, unnest(tags) FROM t ORDER BY 1, 2` would be ordered by the key alone, and `SELECT DISTINCT id` keep what is there
//!   twice).
//! - Of what is grouped by a key and by something else, the key decides no more than it did: not the columns of a joined table, nor
//!   what is aggregated (`SELECT u.id, o.kind, count(*) … GROUP BY u.id, o.kind ORDER BY u.id, o.kind`).
//!
//! They are mended before each of its rules that goes by them, for other rules of its bring them back.

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Dependency, FunctionalDependence, FunctionalDependencies};
use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The library's rules that go by what decides.
const BY_DEPENDENCIES: [&str; 4] = [
    "eliminate_duplicated_expr",
    "eliminate_join",
    "optimize_projections",
    "replace_distinct_aggregate",
];

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rules, and before the first and each that goes by what decides the one that mends it.
pub fn rules(library: Vec<Rule>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = vec![Arc::new(MendDependencies)];
    for rule in library {
        if BY_DEPENDENCIES.contains(&rule.name()) {
            rules.push(Arc::new(MendDependencies));
        }
        rules.push(rule);
    }
    rules
}

#[derive(Debug)]
struct MendDependencies;

impl OptimizerRule for MendDependencies {
    fn name(&self) -> &str {
        "mend_dependencies"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match is_wrong(&plan)? {
            true => mended(plan),
            false => Ok(Transformed::no(plan)),
        }
    }
}

/// A plan in which nothing is taken for decided that is not.
///
/// # Errors
/// The library's.
pub fn mend(plan: LogicalPlan) -> Result<LogicalPlan> {
    match is_wrong(&plan)? {
        true => mended(plan).map(|mended| mended.data),
        false => Ok(plan),
    }
}

/// Whether some node has other dependencies than [`right`] ones.
fn is_wrong(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= right(node).is_some_and(|right| right != *node.schema().functional_dependencies());
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// The plan whose nodes have the right dependencies, and those above know of it.
fn mended(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|node| {
        let mut node = node.recompute_schema()?;
        if let Some(right) = right(&node) {
            let schema = node.schema().as_ref().clone();
            let schema = Arc::new(schema.with_functional_dependencies(right)?);
            match &mut node {
                LogicalPlan::Unnest(unnest) => unnest.schema = schema,
                LogicalPlan::Aggregate(aggregate) => aggregate.schema = schema,
                _ => {}
            }
        }
        Ok(Transformed::yes(node))
    })
}

/// What decides what in the rows of a node, where the library may be wrong about it.
fn right(node: &LogicalPlan) -> Option<FunctionalDependencies> {
    match node {
        LogicalPlan::Unnest(_) => Some(FunctionalDependencies::empty()),
        LogicalPlan::Aggregate(aggregate) => grouped(aggregate),
        _ => None,
    }
}

/// Of groups: all that they are grouped by decides the group, as do columns that decide all of it; others decide what they did.
///
/// None where nothing decided anything below.
fn grouped(aggregate: &Aggregate) -> Option<FunctionalDependencies> {
    let below = aggregate.input.schema();
    let known = below.functional_dependencies();
    if known.is_empty() || aggregate.group_expr.is_empty() {
        return None;
    }
    let sets = aggregate.group_expr.iter();
    if sets.clone().any(|it| matches!(it, Expr::GroupingSet(_))) {
        return Some(FunctionalDependencies::empty());
    }
    // Where each group's column is in the input; what is computed has no place there.
    let places = sets.map(|expr| match expr {
        Expr::Column(column) => below.maybe_index_of_column(column),
        _ => None,
    });
    let places: Vec<Option<usize>> = places.collect();
    let grouped_by = |place: usize| places.iter().position(|it| *it == Some(place));
    let all: Vec<usize> = (0..aggregate.schema.fields().len()).collect();
    let fields = &aggregate.schema.fields()[..places.len()];
    let groups = FunctionalDependence::new(
        all[..places.len()].to_vec(),
        all.clone(),
        fields.iter().any(|field| field.is_nullable()),
    );
    let mut right = vec![groups.with_mode(Dependency::Single)];
    for one in known.iter() {
        let sources: Option<Vec<usize>> =
            one.source_indices.iter().copied().map(grouped_by).collect();
        let Some(sources) = sources else {
            continue;
        };
        let targets = one.target_indices.iter().copied().filter_map(grouped_by);
        let targets: Vec<usize> = targets.collect();
        let whole = (0..places.len()).all(|group| targets.contains(&group));
        let (targets, mode) = match whole {
            true => (all.clone(), Dependency::Single),
            false => (targets, Dependency::Multi),
        };
        right.push(FunctionalDependence::new(sources, targets, one.nullable).with_mode(mode));
    }
    Some(FunctionalDependencies::new(right))
}
