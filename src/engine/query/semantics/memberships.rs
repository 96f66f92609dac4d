//! `x IN (SELECT …)` that is neither true nor false: x is NULL, or no row equals and one is NULL (PostgreSQL §9.23.1).
//!
//! The planner tells whether a row equals, and nothing else: where it matters (`(x IN (SELECT …)) IS NULL`, `x NOT IN (SELECT …) OR
//! …`) the rest is asked besides. It matters nowhere that a condition which is not known is as good as a false one, nor for NOT IN
//! as a condition of its own, of which the planner knows.
//!
//! And `x = (SELECT …)`, where the subquery is the same for all rows: as a condition it is a membership, too, of one row at most,
//! whose value leads to rows by a key as that of a join does.

use super::*;
use crate::engine::query::apply::names_outer;
use crate::engine::query::lone_groups;
use crate::engine::query::marks::asks;
use datafusion::functions_aggregate::bool_and_or::bool_or_udaf;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::logical_plan::{FetchType, SkipType};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Aggregate, BinaryExpr, LogicalPlanBuilder, lit, not, when};

/// The most nodes that a subquery may have which is asked several times: such subqueries in each other would be without end.
const NODES_MAX: usize = 2_000;

/// Where an expression stands in a condition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The condition, or a part of it that must be true.
    Demanded,
    /// A part of which NULL is as good as false.
    Condition,
    /// Any other.
    Value,
}

/// A filter or a projection whose memberships are known wherever it matters.
///
/// # Errors
/// 54000 for a subquery too large.
pub(super) fn known(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(mut filter) => {
            let schema = filter.input.schema().clone();
            filter.predicate = part(filter.predicate, Place::Demanded, &schema)?;
            Ok(LogicalPlan::Filter(filter))
        }
        LogicalPlan::Projection(projection) if projection.expr.iter().any(asks) => {
            let plan = LogicalPlan::Projection(projection);
            let names = NamePreserver::new(&plan);
            let schema = merge_schema(&plan.inputs());
            let known = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let known = part(expr, Place::Value, &schema)?;
                Ok(Transformed::yes(name.restore(known)))
            })?;
            known.data.recompute_schema()
        }
        other => Ok(other),
    }
}

/// A condition's equalities with a subquery's value, as memberships.
pub(super) fn equalities(plan: LogicalPlan) -> LogicalPlan {
    let LogicalPlan::Filter(mut filter) = plan else {
        return plan;
    };
    let parts = split_conjunction_owned(filter.predicate).into_iter();
    filter.predicate = conjunction(parts.map(equality)).unwrap_or_else(|| lit(true));
    LogicalPlan::Filter(filter)
}

fn equality(condition: Expr) -> Expr {
    let Expr::BinaryExpr(binary) = condition else {
        return condition;
    };
    let BinaryExpr { left, op, right } = binary;
    match (*left, op, *right) {
        (value, Operator::Eq, Expr::ScalarSubquery(subquery))
        | (Expr::ScalarSubquery(subquery), Operator::Eq, value)
            if matches!(value, Expr::Column(_)) && !names_outer(&subquery) =>
        {
            Expr::InSubquery(InSubquery::new(Box::new(value), subquery, false))
        }
        (left, op, right) => Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))),
    }
}

fn part(expr: Expr, place: Place, schema: &DFSchema) -> Result<Expr> {
    let below = match (&expr, place) {
        (Expr::BinaryExpr(binary), Place::Demanded | Place::Condition) => match binary.op {
            Operator::And => place,
            Operator::Or => Place::Condition,
            _ => Place::Value,
        },
        (Expr::IsTrue(_), Place::Demanded | Place::Condition) => Place::Condition,
        _ => Place::Value,
    };
    match expr {
        Expr::InSubquery(membership) => match (place, membership.negated) {
            (Place::Demanded, _) => {
                let column = membership.subquery.subquery.head_output_expr()?;
                // What is cast keeps its name, which a column beside it may have, too, that a condition with the outer row needs.
                let known = match column {
                    Some(_) if !names_outer(&membership.subquery) => membership,
                    _ => marked(membership)?,
                };
                Ok(Expr::InSubquery(known))
            }
            (Place::Condition, false) => marked(membership).map(Expr::InSubquery),
            _ => value(marked(membership)?, schema),
        },
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(mut membership) => {
                membership.negated = !membership.negated;
                part(Expr::InSubquery(membership), place, schema)
            }
            inner => Ok(not(part(inner, Place::Value, schema)?)),
        },
        Expr::Exists(exists) => existence(exists),
        other => {
            let parts =
                other.map_children(|child| part(child, below, schema).map(Transformed::yes));
            parts.map(|parts| parts.data)
        }
    }
}

/// EXISTS, asking for one row in whatever order; of a subquery that is the same for all rows, whether there is one.
fn existence(mut exists: Exists) -> Result<Expr> {
    let any = rows_in_any_order(exists.subquery.subquery.clone())?;
    if lone_groups::is_one_row(&any) {
        return Ok(lit(!exists.negated));
    }
    if names_outer(&exists.subquery) {
        exists.subquery = exists.subquery.with_plan(any);
        return Ok(Expr::Exists(exists));
    }
    let one = LogicalPlanBuilder::from(any).limit(0, Some(1))?.build()?;
    let count = count_udaf().call(vec![lit(1_i64)]).alias(MEMBER);
    let counted = Aggregate::try_new(Arc::new(one), Vec::new(), vec![count])?;
    let wanted = i64::from(!exists.negated);
    let found = Expr::Column(Column::new_unqualified(MEMBER)).eq(lit(wanted));
    let counted = Arc::new(LogicalPlan::Aggregate(counted));
    let found = Projection::try_new(vec![found.alias(MEMBER)], counted)?;
    let found = Arc::new(LogicalPlan::Projection(found));
    Ok(Expr::ScalarSubquery(exists.subquery.with_plan(found)))
}

/// The rows without what does not change whether there are any: an order, and a limit of more than none.
fn rows_in_any_order(plan: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
    Ok(match &*plan {
        LogicalPlan::Limit(limit) => {
            let skipped = limit.get_skip_type()?;
            let wanted = limit.get_fetch_type()?;
            match (skipped, wanted) {
                (
                    SkipType::Literal(0),
                    FetchType::Literal(Some(1..)) | FetchType::Literal(None),
                ) => rows_in_any_order(limit.input.clone())?,
                _ => plan,
            }
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none_or(|fetch| fetch > 0) => {
            rows_in_any_order(sort.input.clone())?
        }
        LogicalPlan::Projection(projection) => {
            let input = rows_in_any_order(projection.input.clone())?;
            let projection = Projection::try_new(projection.expr.clone(), input)?;
            Arc::new(LogicalPlan::Projection(projection))
        }
        _ => plan,
    })
}

/// What a column is called that is made of the subquery's for the comparison: one beside it may have that one's name.
pub(super) const CONVERTED: &str = "\u{1}converted";

/// What the column is called that is looked for among.
const MEMBER: &str = "\u{1}member";

/// The membership with a column named for it: as a part of a condition the planner takes the subquery's column for two where it is
/// not called otherwise than what it is made of, and of VALUES it knows none.
fn marked(mut membership: InSubquery) -> Result<InSubquery> {
    let plan = membership.subquery.subquery.clone();
    let columns = plan.schema().columns().into_iter();
    let columns = columns.map(|column| Expr::Column(column).alias(MEMBER));
    let named = LogicalPlan::Projection(Projection::try_new(columns.collect(), plan)?);
    membership.subquery = membership.subquery.with_plan(Arc::new(named));
    Ok(membership)
}

/// The membership as a value of three.
fn value(membership: InSubquery, schema: &DFSchema) -> Result<Expr> {
    let InSubquery {
        expr,
        subquery,
        negated,
    } = membership;
    let column = subquery.subquery.schema().columns().into_iter().next();
    let column = column.ok_or_else(|| DataFusionError::Internal("one column".to_owned()))?;
    let column = Expr::Column(column);
    let mut unknown = Vec::new();
    if expr.nullable(schema)? {
        let any = existence(Exists::new(subquery.clone(), false))?;
        unknown.push(expr.clone().is_null().and(any));
    }
    if column.nullable(subquery.subquery.schema())? {
        let has_null = bool_or_udaf().call(vec![column.is_null()]);
        let asked = Aggregate::try_new(subquery.subquery.clone(), Vec::new(), vec![has_null])?;
        let asked = Arc::new(LogicalPlan::Aggregate(asked));
        unknown.push(Expr::ScalarSubquery(subquery.with_plan(asked)));
    }
    let member = |negated| {
        Expr::InSubquery(InSubquery {
            expr: expr.clone(),
            subquery: subquery.clone(),
            negated,
        })
    };
    let Some(unknown) = unknown.into_iter().reduce(Expr::or) else {
        return Ok(member(negated));
    };
    demand_bounded(&subquery.subquery)?;
    when(member(false), lit(!negated))
        .when(unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(negated))
}

fn demand_bounded(plan: &LogicalPlan) -> Result<()> {
    let mut nodes = 0;
    plan.apply_with_subqueries(|_| {
        nodes += 1;
        Ok(TreeNodeRecursion::Continue)
    })?;
    match nodes <= NODES_MAX {
        true => Ok(()),
        false => Err(failure::error(
            SqlState::STATEMENT_TOO_COMPLEX,
            "IN (SELECT …) within IN (SELECT …) is too deep here",
        )),
    }
}
