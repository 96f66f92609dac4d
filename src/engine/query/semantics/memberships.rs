//! `x IN (SELECT …)` that is neither true nor false: x is NULL, or no row equals and one is NULL (PostgreSQL §9.23.1).
//!
//! The planner tells whether a row equals, and nothing else: where it matters (`(x IN (SELECT …)) IS NULL`, `x NOT IN (SELECT …) OR
//! …`) the rest is asked besides. It matters nowhere that a condition which is not known is as good as a false one, nor for NOT IN
//! as a condition of its own, of which the planner knows.

use super::*;
use datafusion::functions_aggregate::bool_and_or::bool_or_udaf;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Aggregate, lit, not, when};

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

/// A filter whose memberships are known wherever it matters.
///
/// # Errors
/// 54000 for a subquery too large.
pub(super) fn known(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Filter(mut filter) = plan else {
        return Ok(plan);
    };
    let schema = filter.input.schema().clone();
    filter.predicate = part(filter.predicate, Place::Demanded, &schema)?;
    Ok(LogicalPlan::Filter(filter))
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
            (Place::Demanded, _) => Ok(Expr::InSubquery(membership)),
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
        other => {
            let parts =
                other.map_children(|child| part(child, below, schema).map(Transformed::yes));
            parts.map(|parts| parts.data)
        }
    }
}

/// What the column is called that is looked for among.
const MEMBER: &str = "\u{1}member";

/// A membership that is a part of a condition: the planner takes the subquery's column for two where it is not called otherwise
/// than what it is made of, and knows none of VALUES.
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
        let any = Expr::Exists(Exists::new(subquery.clone(), false));
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
