//! Subqueries in ORDER BY, in GROUP BY, inside aggregates and in ON of outer joins: correlated ones and those that ask whether there is
//! a row. Their values become columns below the sort, the aggregate or the join, where the planner looks for subqueries.

use super::memberships;
use super::*;
use datafusion::logical_expr::logical_plan::{Aggregate, Join, JoinType};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Sort, SortExpr};

/// A sort, an aggregate or a join of columns of its input, and nothing else as it is.
pub(super) fn below(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(sort) => sorted(sort),
        LogicalPlan::Aggregate(aggregate) => aggregated(aggregate),
        LogicalPlan::Join(join) => joined(join),
        other => Ok(other),
    }
}

fn sorted(sort: Sort) -> Result<LogicalPlan> {
    let schema = sort.input.schema().clone();
    // What is not shown is a column below the projection only.
    let hidden = match &*sort.input {
        LogicalPlan::Projection(projection) => Some(projection.input.schema().clone()),
        _ => None,
    };
    let mut columns = Columns::of(&schema);
    let mut further = Columns::default();
    let mut lift = |expr: Expr| {
        let lifted = expr.transform_up(|expr| {
            Ok(match &hidden {
                _ if is_of(&expr, &schema) => Transformed::yes(columns.added(expr)),
                Some(hidden) if is_of(&expr, hidden) => Transformed::yes(further.added(expr)),
                _ => Transformed::no(expr),
            })
        })?;
        Ok::<_, DataFusionError>(lifted)
    };
    let (mut by, mut found) = (Vec::with_capacity(sort.expr.len()), false);
    for item in sort.expr {
        let lifted = lift(item.expr)?;
        found |= lifted.transformed;
        by.push(SortExpr {
            expr: lifted.data,
            ..item
        });
    }
    let (expr, fetch) = (by, sort.fetch);
    if !found {
        let input = sort.input;
        return Ok(LogicalPlan::Sort(Sort { expr, input, fetch }));
    }
    let input = match Arc::unwrap_or_clone(sort.input) {
        LogicalPlan::Projection(projection) if !further.exprs.is_empty() => {
            let shown = projection.expr.into_iter();
            columns.exprs.extend(further.names());
            let all = shown.chain(further.exprs).collect();
            let below = Projection::try_new(all, projection.input)?;
            Arc::new(memberships::known(LogicalPlan::Projection(below))?)
        }
        input => Arc::new(input),
    };
    let sorted = LogicalPlan::Sort(Sort {
        expr,
        input: columns.over(input)?,
        fetch,
    });
    let shown = Projection::try_new(Columns::of(&schema).exprs, Arc::new(sorted))?;
    Ok(LogicalPlan::Projection(shown))
}

fn aggregated(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = aggregate.input.schema().clone();
    let asks = |expr: &Expr| asks_of(expr, &schema);
    let mut all = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
    if !all.any(asks) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let mut columns = Columns::of(&schema);
    let mut lift = |expr: Expr| {
        let name = expr.schema_name().to_string();
        let lifted = expr.transform_up(|expr| {
            Ok(match is_of(&expr, &schema) {
                true => Transformed::yes(columns.added(expr)),
                false => Transformed::no(expr),
            })
        })?;
        Ok(match lifted.transformed {
            true => lifted.data.alias(name),
            false => lifted.data,
        })
    };
    let groups: Result<Vec<_>> = aggregate.group_expr.into_iter().map(&mut lift).collect();
    let exprs: Result<Vec<_>> = aggregate.aggr_expr.into_iter().map(&mut lift).collect();
    let input = columns.over(aggregate.input)?;
    let lifted = Aggregate::try_new(input, groups?, exprs?)?;
    Ok(LogicalPlan::Aggregate(lifted))
}

/// A join whose condition asks subqueries of one side each: of that side's rows they are asked before.
fn joined(mut join: Join) -> Result<LogicalPlan> {
    let Some(condition) = join.filter.take() else {
        return Ok(LogicalPlan::Join(join));
    };
    let sides = [join.left.schema().clone(), join.right.schema().clone()];
    // What a condition of its own says of the side that may be absent is a condition of that side's rows.
    let own = match join.join_type {
        JoinType::Left => Some(&sides[1]),
        JoinType::Right => Some(&sides[0]),
        _ => None,
    };
    let stays = |part: &Expr| {
        let asked = match part {
            Expr::Not(inner) => inner,
            other => other,
        };
        let is_condition = matches!(asked, Expr::Exists(_) | Expr::InSubquery(_));
        is_condition && own.is_some_and(|own| is_of(asked, own))
    };
    let mut columns = [Columns::of(&sides[0]), Columns::of(&sides[1])];
    columns[1].added = SECOND_SIDE;
    let mut found = false;
    let parts = split_conjunction_owned(condition).into_iter().map(|part| {
        if stays(&part) {
            return Ok(part);
        }
        let lifted = part.transform_up(|expr| {
            let side = (0..2).find(|side| is_of(&expr, &sides[*side]));
            Ok(match side {
                Some(side) => Transformed::yes(columns[side].added(expr)),
                None => Transformed::no(expr),
            })
        })?;
        found |= lifted.transformed;
        Ok(lifted.data)
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    join.filter = conjunction(parts);
    if !found {
        return Ok(LogicalPlan::Join(join));
    }
    let shown = Columns::of(&join.schema).exprs;
    let [left, right] = columns;
    let lifted = Join::try_new(
        left.over(join.left)?,
        right.over(join.right)?,
        join.on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let shown = Projection::try_new(shown, Arc::new(LogicalPlan::Join(lifted)))?;
    Ok(LogicalPlan::Projection(shown))
}

/// Where the numbers of a join's second side begin, so that no name is one of the first's.
const SECOND_SIDE: usize = 1 << 32;

/// Columns of a projection: those of its input, and more.
#[derive(Default)]
struct Columns {
    exprs: Vec<Expr>,
    added: usize,
}

impl Columns {
    fn of(schema: &DFSchema) -> Columns {
        let exprs = schema.columns().into_iter().map(Expr::Column).collect();
        Columns { exprs, added: 0 }
    }

    /// One more, and the name it is asked for by.
    fn added(&mut self, expr: Expr) -> Expr {
        let name = format!("\u{1}below{}_{}", self.exprs.len(), self.added);
        self.added += 1;
        self.exprs.push(expr.alias(&name));
        Expr::Column(Column::new_unqualified(name))
    }

    /// Those that were added, by their names.
    fn names(&self) -> Vec<Expr> {
        let names = self.exprs.iter().filter_map(|expr| match expr {
            Expr::Alias(alias) => Some(Expr::Column(Column::new_unqualified(&alias.name))),
            _ => None,
        });
        names.collect()
    }

    fn over(self, input: Arc<LogicalPlan>) -> Result<Arc<LogicalPlan>> {
        let projection = Projection::try_new(self.exprs, input)?;
        memberships::known(LogicalPlan::Projection(projection)).map(Arc::new)
    }
}

/// Whether it has a subquery that asks for columns of this schema, and for no others.
fn asks_of(expr: &Expr, schema: &DFSchema) -> bool {
    expr.exists(|expr| Ok(is_of(expr, schema))).unwrap_or(false)
}

fn is_of(expr: &Expr, schema: &DFSchema) -> bool {
    let subquery = match expr {
        Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => return false,
        Expr::ScalarSubquery(subquery) => subquery,
        Expr::Exists(exists) => &exists.subquery,
        Expr::InSubquery(member)
            if member
                .expr
                .column_refs()
                .iter()
                .all(|it| schema.has_column(it)) =>
        {
            &member.subquery
        }
        _ => return false,
    };
    let mut outer = subquery.outer_ref_columns.iter();
    outer.all(|outer| match outer {
        Expr::OuterReferenceColumn(_, column) => schema.has_column(column),
        _ => false,
    })
}
