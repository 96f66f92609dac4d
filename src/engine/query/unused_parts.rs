//! Parts of WITH that nothing names: the planner passes over them, PostgreSQL says what is wrong with them.

use super::rewrite::labels::folded;
use sqlparser::ast::{Ident, Query, With, visit_relations};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Of a WITH of more parts those that nothing names are passed over: each is planned after copies of all before it.
const PARTS_MAX: usize = 64;

/// Each as a query of its own, after the parts before it. A part that is recursive, or has a WITH of its own,
/// is not among them.
pub fn of(query: &Query) -> Vec<Query> {
    let few = |with: &&With| !with.recursive && with.cte_tables.len() <= PARTS_MAX;
    let Some(with) = query.with.as_ref().filter(few) else {
        return Vec::new();
    };
    let mut named: HashSet<String> = HashSet::new();
    let _ = visit_relations(query, |relation| {
        let only = match relation.0.as_slice() {
            [part] => part.as_ident(),
            _ => None,
        };
        named.extend(only.map(folded));
        ControlFlow::<()>::Continue(())
    });
    let unused = |name: &Ident| !named.contains(&folded(name));
    let parts = with.cte_tables.iter().enumerate();
    parts
        .filter(|(_, part)| unused(&part.alias.name) && part.query.with.is_none())
        .map(|(place, part)| {
            let mut alone = (*part.query).clone();
            let before = With {
                cte_tables: with.cte_tables[..place].to_vec(),
                ..with.clone()
            };
            alone.with = (place > 0).then_some(before);
            alone
        })
        .collect()
}
