//! INTERSECT ALL and EXCEPT ALL: the planner makes semi- and anti-joins of them, which do not count.
//!
//! Each side's equal rows are numbered, and the numbers compared as well: the third of three equal
//! rows meets the third of the other side. Source: PostgreSQL 15 §7.4 "Combining Queries".

use datafusion::common::{Column, NullEquality};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, LogicalPlanBuilder,
};
use std::sync::Arc;

/// The columns of the numbers; no client can write the names.
const LEFT: &str = "\u{1}left number";
const RIGHT: &str = "\u{1}right number";

/// Whether a join stands for one of the two: no other compares NULLs as equal before the optimizer
/// runs, and the operations without ALL take the duplicates out of the left side first.
pub fn is(join: &Join) -> bool {
    let counted = join
        .on
        .iter()
        .any(|(left, _)| matches!(left, Expr::Column(column) if column.name == LEFT));
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !matches!(*join.left, LogicalPlan::Distinct(_))
        && !counted
}

/// The join, with the equal rows of each side counted.
///
/// # Errors
/// The planner's own.
pub fn counted(mut join: Join) -> Result<LogicalPlan> {
    let columns = join.left.schema().columns();
    join.left = Arc::new(numbered(&join.left, LEFT)?);
    join.right = Arc::new(numbered(&join.right, RIGHT)?);
    join.on.push((
        Expr::Column(Column::new_unqualified(LEFT)),
        Expr::Column(Column::new_unqualified(RIGHT)),
    ));
    let join = Join::try_new(
        join.left,
        join.right,
        join.on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(join))
        .project(columns.into_iter().map(Expr::Column))?
        .build()
}

fn numbered(plan: &LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let columns: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    let window = row_number().partition_by(columns.clone()).build()?;
    let place = window.schema_name().to_string();
    let number = Expr::Column(Column::new_unqualified(place)).alias(name);
    LogicalPlanBuilder::from(plan.clone())
        .window([window])?
        .project(columns.into_iter().chain([number]))?
        .build()
}
