//! `(a JOIN b …) AS j`: a query of all that the join has, for behind it the names a and b are hidden, and USING has merged its
//! columns (PostgreSQL 15, §7.2.1.2).

use super::subqueries::nothing;
use sqlparser::ast::{
    SelectItem, SetExpr, TableFactor, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use std::ops::ControlFlow;

/// Rewrites those of a tree.
pub fn rewrite(tree: &mut impl VisitMut) {
    let _ = tree.visit(&mut Named);
}

struct Named;

impl VisitorMut for Named {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::NestedJoin {
            table_with_joins,
            alias: Some(alias),
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let mut subquery = nothing();
        if let SetExpr::Select(select) = &mut *subquery.body {
            let all = SelectItem::Wildcard(WildcardAdditionalOptions::default());
            select.projection = vec![all];
            select.from = vec![(**table_with_joins).clone()];
        }
        *factor = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(subquery),
            alias: Some(alias.clone()),
            sample: None,
        };
        ControlFlow::Continue(())
    }
}
