//! A subquery in the condition of an inner join is a condition of WHERE: the planner looks for subqueries
//! there, and not in joins.

use sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, JoinOperator, Query, Select, TableWithJoins, VisitMut,
    VisitorMut, visit_expressions,
};
use std::ops::ControlFlow;

/// Moves such conditions, where no outer join behind them would have other rows by it.
pub fn rewrite(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Joins);
}

struct Joins;

impl VisitorMut for Joins {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut moved = Vec::new();
        for item in &mut select.from {
            take_from(item, &mut moved);
        }
        let given = select.selection.take();
        select.selection = given.into_iter().chain(moved).reduce(and);
        ControlFlow::Continue(())
    }
}

fn take_from(item: &mut TableWithJoins, moved: &mut Vec<Expr>) {
    use JoinOperator::{FullOuter, Inner, Join, Right, RightOuter};
    for join in item.joins.iter_mut().rev() {
        match &mut join.join_operator {
            Join(JoinConstraint::On(condition)) | Inner(JoinConstraint::On(condition))
                if asks(condition) =>
            {
                let taken = std::mem::replace(condition, truth());
                let mut kept = Vec::new();
                split(taken, &mut kept, moved);
                *condition = kept.into_iter().reduce(and).unwrap_or_else(truth);
            }
            // What is in front of it may be absent from its rows.
            Right(_) | RightOuter(_) | FullOuter(_) => return,
            _ => {}
        }
    }
}

/// The conditions that must all hold: those with subqueries, and the others.
fn split(condition: Expr, kept: &mut Vec<Expr>, moved: &mut Vec<Expr>) {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            split(*left, kept, moved);
            split(*right, kept, moved);
        }
        Expr::Nested(inner) => match *inner {
            both @ Expr::BinaryOp {
                op: BinaryOperator::And,
                ..
            } => split(both, kept, moved),
            other => one(Expr::Nested(Box::new(other)), kept, moved),
        },
        other => one(other, kept, moved),
    }
}

fn one(condition: Expr, kept: &mut Vec<Expr>, moved: &mut Vec<Expr>) {
    match asks(&condition) {
        true => moved.push(condition),
        false => kept.push(condition),
    }
}

fn asks(condition: &Expr) -> bool {
    let subquery = |expr: &Expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    visit_expressions(condition, subquery).is_break()
}

fn and(left: Expr, right: Expr) -> Expr {
    let nested = |expr| Box::new(Expr::Nested(Box::new(expr)));
    Expr::BinaryOp {
        left: nested(left),
        op: BinaryOperator::And,
        right: nested(right),
    }
}

fn truth() -> Expr {
    Expr::value(sqlparser::ast::Value::Boolean(true))
}
