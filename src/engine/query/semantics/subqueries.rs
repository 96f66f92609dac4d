//! Subqueries in ORDER BY, in GROUP BY and inside aggregates: correlated ones and those that ask whether there is a row. Their values
//! become columns below the sort or the aggregate, where the planner looks for subqueries.

use super::memberships;
use super::*;
use datafusion::logical_expr::logical_plan::Aggregate;
use datafusion::logical_expr::{Sort, SortExpr};

/// A sort or an aggregate of columns of its input, and nothing else as it is.
pub(super) fn below(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Sort(sort) => sorted(sort),
        LogicalPlan::Aggregate(aggregate) => aggregated(aggregate),
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
