//! `category.id` in a subquery over a table that has a column `category`: it is of the item of that name in a query around,
//! and the planner takes it for a field of the column. The items of that name get another, which no column has.

use super::from_items::name_of;
use super::labels::folded;
use crate::diagnostic::{Diagnostic, SqlState};
use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    TableAlias, TableFactor, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// The name before a column, where an error has found no item of that name in FROM.
pub fn missed(error: &Diagnostic) -> Option<String> {
    if error.sqlstate() != SqlState::UNDEFINED_TABLE {
        return None;
    }
    let rest = error
        .message()
        .strip_prefix("missing FROM-clause entry for table \"")?;
    rest.strip_suffix('"').map(str::to_owned)
}

/// Gives the items of this name another; false where there is none.
pub fn rename(query: &mut Query, name: &str) -> bool {
    let mut items = Items {
        name,
        new: Ident::with_quote('"', format!("{name}\u{1}")),
        found: false,
    };
    let _ = VisitMut::visit(query, &mut items);
    items.found
}

struct Items<'n> {
    name: &'n str,
    new: Ident,
    found: bool,
}

impl VisitorMut for Items<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if name_of(factor).as_deref() != Some(self.name) {
            return ControlFlow::Continue(());
        }
        if let TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. } = factor
        {
            self.found = true;
            match alias {
                Some(alias) => alias.name = self.new.clone(),
                None => {
                    *alias = Some(TableAlias {
                        explicit: true,
                        name: self.new.clone(),
                        columns: Vec::new(),
                        at: None,
                    });
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(kind, _) = item
                && let SelectItemQualifiedWildcardKind::ObjectName(name) = kind
                && let [part] = name.0.as_slice()
                && part.as_ident().is_some_and(|one| folded(one) == self.name)
            {
                *name = ObjectName::from(vec![self.new.clone()]);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [item, _] = parts.as_mut_slice()
            && folded(item) == self.name
        {
            *item = self.new.clone();
        }
        ControlFlow::Continue(())
    }
}
