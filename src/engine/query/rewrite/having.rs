//! HAVING without GROUP BY and GROUP BY () make one group of all rows, even where no aggregate is called
//! (PostgreSQL §7.2.3): one is, here.

use super::syntax::call_of;
use crate::engine::query::functions::group_condition::GROUP_CONDITION;
use sqlparser::ast::{Expr, GroupByExpr, Query, SetExpr, Value, VisitMut, VisitorMut};
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
            let grouped = match &mut select.group_by {
                GroupByExpr::All(_) => true,
                GroupByExpr::Expressions(items, _) => {
                    let given = items.len();
                    items.retain(|item| !matches!(item, Expr::Tuple(of) if of.is_empty()));
                    if items.is_empty() && given > 0 && select.having.is_none() {
                        select.having = Some(Expr::value(Value::Boolean(true)));
                    }
                    !items.is_empty()
                }
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

/// `group_condition(condition, count(TRUE))`: in one piece, for the planner would ask a part without an
/// aggregate of every row, and there is a group of no rows, too.
fn of_all_rows(condition: Expr) -> Expr {
    let count = call_of("count", vec![Expr::value(Value::Boolean(true))]);
    call_of(GROUP_CONDITION, vec![condition, count])
}
