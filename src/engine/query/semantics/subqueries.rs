//! Subqueries in ORDER BY, in GROUP BY and inside aggregates: correlated ones and those that ask whether there is a row. Their values
//! become columns below the sort or the aggregate, where the planner looks for subqueries.

use super::*;
use super::memberships;
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
    if !sort.expr.iter().any(|item| asks_of(&item.expr, &schema)) {
        return Ok(LogicalPlan::Sort(sort));
    }
    let mut columns = Columns::of(&schema);
    let by = |item: SortExpr| match asks_of(&item.expr, &schema) {
        true => SortExpr {
            expr: columns.added(item.expr),
            ..item
        },
        false => item,
    };
    let expr = sort.expr.into_iter().map(by).collect();
    let own = Columns::of(&schema).exprs;
    let sorted = LogicalPlan::Sort(Sort {
        expr,
        input: columns.over(sort.input)?,
        fetch: sort.fetch,
    });
    let shown = Projection::try_new(own, Arc::new(sorted))?;
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
struct Columns {
    exprs: Vec<Expr>,
}

impl Columns {
    fn of(schema: &DFSchema) -> Columns {
        let exprs = schema.columns().into_iter().map(Expr::Column).collect();
        Columns { exprs }
    }

    /// One more, and the name it is asked for by.
    fn added(&mut self, expr: Expr) -> Expr {
        let name = format!("\u{1}below{}", self.exprs.len());
        self.exprs.push(expr.alias(&name));
        Expr::Column(Column::new_unqualified(name))
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
        Expr::ScalarSubquery(subquery) => subquery,
        Expr::Exists(_) | Expr::InSubquery(_) => return true,
        _ => return false,
    };
    let mut outer = subquery.outer_ref_columns.iter();
    let of_schema = |outer: &Expr| match outer {
        Expr::OuterReferenceColumn(_, column) => schema.has_column(column),
        _ => false,
    };
    !subquery.outer_ref_columns.is_empty() && outer.all(of_schema)
}
