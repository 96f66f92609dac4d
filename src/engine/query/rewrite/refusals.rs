//! What is refused before planning, because it would be planned and mean something else.

use crate::diagnostic::Diagnostic;
use sqlparser::ast::{Expr, Query, Select, SetExpr, TableFactor, Visit, Visitor};
use std::ops::ControlFlow;

/// Looks for what the query path does not support.
///
/// # Errors
/// 0A000 naming the first such feature.
pub fn check(tree: &impl Visit) -> Result<(), Diagnostic> {
    match tree.visit(&mut Refusals) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(feature) => Err(Diagnostic::unsupported(feature)),
    }
}

struct Refusals;

fn refuse(feature: &str) -> ControlFlow<String> {
    ControlFlow::Break(feature.to_owned())
}

impl Visitor for Refusals {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if let Some(lock) = query.locks.first() {
            return refuse(&format!("FOR {} in this query", lock.lock_type));
        }
        if query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties) {
            return refuse("FETCH FIRST WITH TIES");
        }
        if !query.pipe_operators.is_empty() {
            return refuse("the pipe operator");
        }
        if matches!(
            *query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        ) {
            return refuse("a data-modifying statement in WITH");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        if select.into.is_some() {
            return refuse("SELECT INTO");
        }
        if select.qualify.is_some() {
            return refuse("QUALIFY");
        }
        if select.top.is_some() {
            return refuse("TOP");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        match factor {
            TableFactor::Table {
                sample: Some(_), ..
            } => refuse("TABLESAMPLE"),
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::Function { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            _ => refuse("this form of FROM item"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::SimilarTo { .. } => refuse("SIMILAR TO"),
            Expr::Convert { .. } => refuse("CONVERT"),
            Expr::IsNormalized { .. } => refuse("IS NORMALIZED"),
            Expr::MatchAgainst { .. } => refuse("MATCH AGAINST"),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    fn refusal(sql: &str) -> Option<String> {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).expect("parses");
        check(&statements)
            .err()
            .map(|refusal| refusal.message().to_owned())
    }

    #[test]
    fn row_locks_of_general_queries_are_refused_by_name() {
        assert_eq!(
            refusal("select * from a join b using (x) for update").as_deref(),
            Some("FOR UPDATE in this query is not supported")
        );
    }

    #[test]
    fn what_would_mean_something_else_is_refused_in_subqueries_too() {
        for sql in [
            "select (select 1 into t)",
            "select a from (select a similar to 'x' as a from t) q",
            "with q as (insert into t values (1) returning a) select * from q",
        ] {
            assert!(refusal(sql).is_some(), "{sql}");
        }
        assert_eq!(refusal("select a, b from t where a = 1"), None);
    }
}
