//! `WITH w (a) AS (SELECT 1, 2)`: names for the first columns, where the others keep their own (PostgreSQL 15, SELECT, "WITH
//! Clause"). The planner wants one for each.

use super::from_items::outputs;
use sqlparser::ast::{Cte, Ident, Query, TableAliasColumnDef, VisitMut, VisitorMut};
use std::ops::ControlFlow;

/// Gives the others their names, as far as the list says how many there are.
pub fn rewrite(query: &mut Query) {
    let _ = VisitMut::visit(query, &mut Tables);
}

struct Tables;

impl VisitorMut for Tables {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let tables = query.with.iter_mut().flat_map(|with| &mut with.cte_tables);
        tables.for_each(complete);
        ControlFlow::Continue(())
    }
}

fn complete(table: &mut Cte) {
    let columns = &mut table.alias.columns;
    let named = columns.len();
    let Some(outputs) = outputs(&table.query.body) else {
        return;
    };
    if named > 0 {
        let rest = outputs.into_iter().skip(named);
        columns.extend(rest.map(|name| TableAliasColumnDef {
            name: Ident::with_quote('"', name),
            data_type: None,
        }));
    }
}
