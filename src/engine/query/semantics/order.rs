//! ORDER BY a correlated subquery: its value becomes a column below the sort, where the planner looks
//! for subqueries.

use super::*;
use datafusion::logical_expr::{Sort, SortExpr};

/// A sort by columns of its input, and nothing else as it is.
pub(super) fn by_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Sort(sort) = plan else {
        return Ok(plan);
    };
    let schema = sort.input.schema().clone();
    if !sort.expr.iter().any(|item| asks_of(&item.expr, &schema)) {
        return Ok(LogicalPlan::Sort(sort));
    }
    let columns: Vec<_> = schema.columns().into_iter().map(Expr::Column).collect();
    let mut below = columns.clone();
    let by = |item: SortExpr| {
        if !asks_of(&item.expr, &schema) {
            return item;
        }
        let name = format!("\u{1}order{}", below.len());
        below.push(item.expr.alias(&name));
        let expr = Expr::Column(Column::new_unqualified(name));
        SortExpr { expr, ..item }
    };
    let expr = sort.expr.into_iter().map(by).collect();
    let input = LogicalPlan::Projection(Projection::try_new(below, sort.input)?);
    let sorted = LogicalPlan::Sort(Sort {
        expr,
        input: Arc::new(input),
        fetch: sort.fetch,
    });
    let shown = Projection::try_new(columns, Arc::new(sorted))?;
    Ok(LogicalPlan::Projection(shown))
}

/// Whether it has a subquery that asks for columns of this schema, and for no others.
fn asks_of(expr: &Expr, schema: &DFSchema) -> bool {
    let asks = |expr: &Expr| {
        let Expr::ScalarSubquery(subquery) = expr else {
            return Ok(false);
        };
        let mut outer = subquery.outer_ref_columns.iter();
        let of_schema = |outer: &Expr| match outer {
            Expr::OuterReferenceColumn(_, column) => schema.has_column(column),
            _ => false,
        };
        Ok(!subquery.outer_ref_columns.is_empty() && outer.all(of_schema))
    };
    expr.exists(asks).unwrap_or(false)
}
