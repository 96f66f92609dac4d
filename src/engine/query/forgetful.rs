//! What is the same in all rows below GROUPING SETS or an outer join is not above them: in a set without the column, and in a row
//! without a match, it is NULL. The planner takes it for the same all the same, and leaves it out of ORDER BY, windows and groups
//! (`WHERE year = 2024 GROUP BY ROLLUP (year, month) ORDER BY year, month`; `a LEFT JOIN b ON b.a = a.id AND b.kind = 'x' ORDER BY
//! b.kind`).
//!
//! What is the same in a branch of a UNION may be something else in another, and the merge of sorted branches leaves it out all the
//! same.
//!
//! Nor is what a hash join gives in the order of the side that it keeps, not even among rows that are alike in the order of the other
//! side, as the planner takes it to be: those rows may be several.
//!
//! Nor is a column that comes with unnested elements the one that the planner takes it for, where another has its name: it finds them
//! by name there (`SELECT a.n FROM a JOIN b ON a.n = b.id, unnest(b.tags) ORDER BY a.id, b.id` took a.id for b.id, and for a.n).
//!
//! An operator stands below each such aggregate and join that says nothing of these. It stays in the plan: a sort asks once more,
//! when it runs, whether its input is in order already.

use super::around::{Around, AroundExec};
use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

type Plan = Arc<dyn ExecutionPlan>;

/// The library's rules, and the operators put in: before them, and where sides of joins have been exchanged.
pub fn rules(
    mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let exchanged = rules.iter().position(|rule| rule.name() == EXCHANGES);
    rules.insert(exchanged.map_or(0, |place| place + 1), Arc::new(Forget));
    rules.insert(0, Arc::new(Forget));
    rules
}

/// The rule that exchanges sides of joins.
const EXCHANGES: &str = "join_selection";

/// Puts the operators in.
#[derive(Debug)]
struct Forget;

impl PhysicalOptimizerRule for Forget {
    fn optimize(&self, plan: Plan, _config: &ConfigOptions) -> Result<Plan> {
        forget(plan)
    }

    fn name(&self) -> &str {
        "forget"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with the operators where they are wanted and not there yet.
///
/// # Errors
/// The planner's, where an operator cannot be made.
pub fn forget(plan: Plan) -> Result<Plan> {
    plan.transform_up(|plan| {
        let mut changed = false;
        // Of an outer join's side columns that are the same are so where they are NULL.
        let equalities = gets_nulls(&plan) == [false; 2];
        let below = plan.children().into_iter().zip(forgotten(&plan));
        let below = below.map(|(child, forgotten)| -> Plan {
            let known = child.equivalence_properties();
            let forgotten = match is_union(child) {
                true => Some(Forgotten::All),
                false => forgotten,
            };
            match forgotten {
                Some(Forgotten::All) if !known.constants().is_empty() => {}
                Some(Forgotten::All) if equalities && !known.eq_group().is_empty() => {}
                Some(_) if !known.oeq_class().is_empty() => {}
                _ => return child.clone(),
            }
            changed = true;
            let forgotten = forgotten.unwrap_or(Forgotten::All);
            Arc::new(ForgetfulExec::new(child.clone(), forgotten))
        });
        let below: Vec<Plan> = below.collect();
        match changed {
            true => replace_children_if_necessary(plan, below).map(Transformed::yes),
            false => Ok(Transformed::no(plan)),
        }
    })
    .data()
}

/// What is forgotten of an input's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// In what order they come.
    Order,
    /// That, and what is the same in all of them.
    All,
}

/// What is to be forgotten of each input.
fn forgotten(plan: &Plan) -> Vec<Option<Forgotten>> {
    if has_grouping_sets(plan) || takes_names(plan) {
        return vec![Some(Forgotten::All)];
    }
    let any: &dyn Any = plan.as_ref();
    // The rows of the side that is kept come anew for each row of the other.
    let kept = any.is::<HashJoinExec>().then_some(Forgotten::Order);
    let sides = match gets_nulls(plan) {
        [false, false] => [kept, None],
        [true, false] => [Some(Forgotten::All), None],
        [false, true] => [kept, Some(Forgotten::All)],
        [true, true] => [Some(Forgotten::All); 2],
    };
    let none = plan.children().len().saturating_sub(sides.len());
    let others = std::iter::repeat_n(None, none);
    sides.into_iter().chain(others).collect()
}

fn has_grouping_sets(plan: &Plan) -> bool {
    let any: &dyn Any = plan.as_ref();
    any.downcast_ref::<AggregateExec>().is_some_and(|it| {
        it.group_expr().groups().len() > 1 && it.mode().input_mode() == AggregateInputMode::Raw
    })
}

/// Whether it unnests beside columns of which two have one name.
fn takes_names(plan: &Plan) -> bool {
    let any: &dyn Any = plan.as_ref();
    any.downcast_ref::<UnnestExec>().is_some_and(|unnest| {
        let schema = unnest.input().schema();
        let mut names = HashSet::new();
        !schema
            .fields()
            .iter()
            .all(|field| names.insert(field.name().clone()))
    })
}

fn is_union(plan: &Plan) -> bool {
    let any: &dyn Any = plan.as_ref();
    any.is::<UnionExec>()
}

/// Of which sides a join makes rows of NULLs.
fn gets_nulls(plan: &Plan) -> [bool; 2] {
    let any: &dyn Any = plan.as_ref();
    let join_type = None
        .or_else(|| any.downcast_ref().map(|it: &HashJoinExec| *it.join_type()))
        .or_else(|| {
            any.downcast_ref()
                .map(|it: &NestedLoopJoinExec| *it.join_type())
        })
        .or_else(|| {
            any.downcast_ref()
                .map(|it: &SortMergeJoinExec| it.join_type())
        });
    match join_type {
        Some(JoinType::Left) => [false, true],
        Some(JoinType::Right) => [true, false],
        Some(JoinType::Full) => [true, true],
        _ => [false, false],
    }
}

/// What the operator is called.
pub const NAME: &str = <Forgotten as Around>::NAME;

/// The operator: its input's rows, of which less is known.
pub type ForgetfulExec = AroundExec<Forgotten>;

impl Around for Forgotten {
    const NAME: &'static str = "Forgetful";

    fn properties(&self, inner: &Plan) -> Arc<PlanProperties> {
        let known = match self {
            Forgotten::All => EquivalenceProperties::new(inner.schema()),
            Forgotten::Order => {
                let mut known = inner.equivalence_properties().clone();
                known.clear_orderings();
                known
            }
        };
        Arc::new(PlanProperties::new(
            known,
            inner.output_partitioning().clone(),
            inner.properties().emission_type,
            inner.properties().boundedness,
        ))
    }
}
