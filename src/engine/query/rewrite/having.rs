//! HAVING without GROUP BY makes one group of all rows, even where no aggregate is called
//! (PostgreSQL §7.2.3): one is, here.

use super::syntax::call_of;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, GroupByExpr, Query, SetExpr, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Rewrites every HAVING of a query.
pub fn rewrite(query: &mut Query) {
    let _ = query.visit(&mut Groups);
}

struct Groups;

impl VisitorMut for Groups {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        body(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn body(set: &mut SetExpr) {
    match set {
        SetExpr::Select(select) => {
            let grouped = match &select.group_by {
                GroupByExpr::All(_) => true,
                GroupByExpr::Expressions(items, _) => !items.is_empty(),
            };
            if let Some(condition) = select.having.take() {
                select.having = Some(match grouped {
                    true => condition,
                    false => of_all_rows(condition),
                });
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            body(left);
            body(right);
        }
        _ => {}
    }
}

/// `CASE WHEN count(TRUE) >= 0 THEN condition END`: in one piece, for the planner would ask a part
/// without an aggregate of every row, and there is a group of no rows, too.
fn of_all_rows(condition: Expr) -> Expr {
    let count = call_of("count", vec![Expr::value(Value::Boolean(true))]);
    let always = Expr::BinaryOp {
        left: Box::new(count),
        op: BinaryOperator::GtEq,
        right: Box::new(Expr::value(Value::Number("0".into(), false))),
    };
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: always,
            result: condition,
        }],
        else_result: None,
    }
}
