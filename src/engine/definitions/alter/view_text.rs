//! A view's query once a column that it names has another name.
//!
//! Each name in the text is looked up as the query would: in the FROM lists around it, the innermost
//! first. What the view and its subqueries select keeps its name. Where it cannot be told whose column
//! a name is, nothing is changed.

use super::super::view::identifier;
use super::super::{name, work::Work};
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody};
use crate::engine::query::rewrite::known_columns::constraint;
use crate::engine::search_path;
use crate::sql::auth_variable::Variable;
use sqlparser::ast::{
    self, Expr, Ident, JoinConstraint, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, VisitMut, VisitorMut,
};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// One column under its new name.
pub struct Renamed<'r> {
    /// Its table or view.
    pub relation: Oid,
    /// The old name.
    pub from: &'r str,
    /// The new name.
    pub to: &'r str,
}

/// Rewrites the query of a view; false where it cannot be told what a name means.
pub fn rewrite(work: &mut Work<'_>, query: &mut ast::Statement, renamed: &Renamed<'_>) -> bool {
    let mut text = Text {
        work,
        renamed,
        scopes: Vec::new(),
        with: HashMap::new(),
        orders: Vec::new(),
        kept: Vec::new(),
    };
    VisitMut::visit(query, &mut text).is_continue()
}

/// Whether something in FROM has a column of the old name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Has {
    /// The column that is renamed.
    Renamed,
    /// Another one.
    Another,
    No,
    Unknown,
}

/// Something in FROM.
struct Item {
    alias: String,
    has: Has,
}

struct Text<'t, 'w> {
    work: &'t mut Work<'w>,
    renamed: &'t Renamed<'t>,
    /// FROM lists, the innermost last.
    scopes: Vec<Vec<Item>>,
    /// What WITH gives.
    with: HashMap<String, Has>,
    /// The ORDER BY of the queries around, which is not visited again.
    orders: Vec<Option<ast::OrderBy>>,
    /// For each expression around: what it was, where nothing in it is a column.
    kept: Vec<Option<Expr>>,
}

/// What is done with a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Renamed,
    Kept,
}

impl Text<'_, '_> {
    fn is_old(&self, ident: &Ident) -> bool {
        name::fold(ident) == self.renamed.from
    }

    /// What a name alone means; None where it cannot be told.
    fn bare(&self) -> Option<Fate> {
        for scope in self.scopes.iter().rev() {
            let count = |wanted| scope.iter().filter(|item| item.has == wanted).count();
            match (
                count(Has::Renamed),
                count(Has::Another),
                count(Has::Unknown),
            ) {
                (0, 0, 0) => {}
                (1, 0, 0) => return Some(Fate::Renamed),
                (0, _, 0) => return Some(Fate::Kept),
                _ => return None,
            }
        }
        Some(Fate::Kept)
    }

    fn qualified(&self, qualifier: &Ident) -> Option<Fate> {
        let alias = name::fold(qualifier);
        let mut scopes = self.scopes.iter().rev();
        let found = scopes.find_map(|scope| scope.iter().find(|item| item.alias == alias));
        match found.map(|item| item.has) {
            Some(Has::Renamed) => Some(Fate::Renamed),
            Some(Has::Unknown) => None,
            Some(Has::Another | Has::No) | None => Some(Fate::Kept),
        }
    }

    fn fate(&self, expression: &Expr) -> Option<Fate> {
        match expression {
            Expr::Identifier(ident) if self.is_old(ident) => self.bare(),
            Expr::CompoundIdentifier(parts) => match &parts[..] {
                [.., qualifier, last] if self.is_old(last) => self.qualified(qualifier),
                _ => Some(Fate::Kept),
            },
            _ => Some(Fate::Kept),
        }
    }

    fn rename(&self, expression: &mut Expr) -> ControlFlow<()> {
        match self.fate(expression) {
            None => return ControlFlow::Break(()),
            Some(Fate::Kept) => {}
            Some(Fate::Renamed) => {
                let new = identifier(self.renamed.to);
                match expression {
                    Expr::Identifier(ident) => *ident = new,
                    Expr::CompoundIdentifier(parts) => {
                        parts.pop();
                        parts.push(new);
                    }
                    _ => {}
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn item(&mut self, factor: &TableFactor) -> Item {
        let unknown = |alias: &Option<ast::TableAlias>| Item {
            alias: alias
                .as_ref()
                .map_or_else(String::new, |alias| name::fold(&alias.name)),
            has: Has::Unknown,
        };
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => {
                let Ok((schema, bare)) = name::parts(name) else {
                    return unknown(alias);
                };
                let given = alias
                    .as_ref()
                    .is_some_and(|alias| !alias.columns.is_empty());
                let has = match self.with.get(&bare).filter(|_| schema.is_none()) {
                    _ if given => Has::Unknown,
                    Some(has) => *has,
                    None => {
                        let schema = schema.as_deref().unwrap_or(search_path::PUBLIC);
                        let found = self.work.lookup(Some(schema), &bare);
                        found.map_or(Has::Unknown, |found| self.has(&found))
                    }
                };
                let alias = alias.as_ref().map(|alias| name::fold(&alias.name));
                Item {
                    alias: alias.unwrap_or(bare),
                    has,
                }
            }
            TableFactor::Derived {
                subquery,
                alias: Some(alias),
                ..
            } if alias.columns.is_empty() => Item {
                alias: name::fold(&alias.name),
                has: self.selects(subquery),
            },
            TableFactor::Derived { alias, .. }
            | TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => unknown(alias),
            _ => unknown(&None),
        }
    }

    fn has(&self, relation: &Relation) -> Has {
        let from = self.renamed.from;
        let named = match &relation.body {
            RelationBody::Table(table) => table
                .columns
                .iter()
                .any(|column| !column.dropped && &*column.name == from),
            RelationBody::View(view) => view.columns.iter().any(|(column, _)| &**column == from),
            RelationBody::Index(_) | RelationBody::Sequence(_) => false,
        };
        match (named, relation.oid == self.renamed.relation) {
            (true, true) => Has::Renamed,
            (true, false) => Has::Another,
            (false, _) => Has::No,
        }
    }

    /// Whether a subquery selects a column of the old name.
    fn selects(&self, query: &Query) -> Has {
        let mut body = &*query.body;
        let select = loop {
            match body {
                SetExpr::Select(select) => break select,
                SetExpr::Query(inner) => body = &inner.body,
                SetExpr::SetOperation { left, .. } => body = left,
                _ => return Has::No,
            }
        };
        let mut found = Has::No;
        for item in &select.projection {
            let named = match item {
                SelectItem::UnnamedExpr(expression) => {
                    output_name(expression).is_some_and(|ident| self.is_old(ident))
                }
                SelectItem::ExprWithAlias { alias, .. } => self.is_old(alias),
                _ => return Has::Unknown,
            };
            if named {
                found = Has::Another;
            }
        }
        found
    }

    /// FROM, with the joins that merge columns told apart from what can be followed.
    fn scope(&mut self, select: &Select) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        let mut merged = false;
        for from in &select.from {
            items.push(self.item(&from.relation));
            for join in &from.joins {
                items.push(self.item(&join.relation));
                merged |= match constraint(&join.join_operator) {
                    Some(JoinConstraint::Using(names)) => names.iter().any(|name| {
                        let last = name.0.last().and_then(|part| part.as_ident());
                        last.is_some_and(|ident| self.is_old(ident))
                    }),
                    Some(JoinConstraint::Natural) => true,
                    _ => false,
                };
            }
        }
        let concerned = items.iter().any(|item| item.has == Has::Renamed);
        let star = select.projection.iter().any(|item| {
            matches!(
                item,
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
            )
        });
        (!concerned || !(merged || star)).then_some(items)
    }
}

/// What a column of the result is called without an alias, if it is a column itself.
fn output_name(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    }
}

impl VisitorMut for Text<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let has = match table.alias.columns.is_empty() {
                true => self.selects(&table.query),
                false => Has::Unknown,
            };
            self.with.insert(name::fold(&table.alias.name), has);
        }
        // ORDER BY looks at what is selected first, and then into FROM.
        let mut order = query.order_by.take();
        if let (Some(order), SetExpr::Select(select)) = (&mut order, &mut *query.body)
            && let OrderByKind::Expressions(list) = &mut order.kind
        {
            let selected = select.projection.iter().any(|item| match item {
                SelectItem::UnnamedExpr(expression) => {
                    output_name(expression).is_some_and(|ident| self.is_old(ident))
                }
                SelectItem::ExprWithAlias { alias, .. } => self.is_old(alias),
                _ => false,
            });
            let Some(scope) = self.scope(select) else {
                return ControlFlow::Break(());
            };
            self.scopes.push(scope);
            for ordered in list {
                let output = matches!(&ordered.expr, Expr::Identifier(ident) if self.is_old(ident));
                if !(output && selected) {
                    let this = &mut *self;
                    ast::visit_expressions_mut(&mut ordered.expr, |part| match part {
                        Expr::Subquery(_)
                        | Expr::Exists { .. }
                        | Expr::InSubquery { .. }
                        | Expr::CompoundFieldAccess { .. } => ControlFlow::Break(()),
                        part => this.rename(part),
                    })?;
                }
            }
            self.scopes.pop();
        }
        self.orders.push(order);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        query.order_by = self.orders.pop().flatten();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let Some(scope) = self.scope(select) else {
            return ControlFlow::Break(());
        };
        self.scopes.push(scope);
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expression) = item else {
                continue;
            };
            match self.fate(expression) {
                None => return ControlFlow::Break(()),
                Some(Fate::Kept) => {}
                // The visit goes on into it, and renames it there.
                Some(Fate::Renamed) => {
                    *item = SelectItem::ExprWithAlias {
                        expr: expression.clone(),
                        alias: identifier(self.renamed.from),
                    };
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        // The parts of `$auth.id` are read as expressions, too.
        let fields = matches!(expression, Expr::CompoundFieldAccess { .. });
        let variable = fields && Variable::of(expression).is_some();
        self.kept.push(variable.then(|| expression.clone()));
        self.rename(expression)
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Some(variable) = self.kept.pop().flatten() {
            *expression = variable;
        }
        ControlFlow::Continue(())
    }
}
