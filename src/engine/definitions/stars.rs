//! `*` in the query of a view, written out as the columns that there are when it is made; and the columns of a NATURAL JOIN.

use super::name;
use super::work::Work;
use crate::catalog::definition::{Relation, RelationBody};
use crate::engine::query::rewrite::from_items::name_of;
use crate::engine::query::rewrite::known_columns::{KnownColumns, StarColumn, constraint};
use crate::engine::search_path;
use sqlparser::ast::{
    Expr, JoinConstraint, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use std::ops::ControlFlow;

/// Writes out each star of what has columns that are known: all but functions.
pub fn write_out(work: &mut Work<'_>, query: &mut Query) {
    let (definitions, context) = (work.definitions(), work.context);
    let columns_of = |name: &ObjectName| {
        let (schema, bare) = name::parts(name).ok()?;
        let found = search_path::find(&definitions, schema.as_deref(), &bare, context)?;
        columns_named(found)
    };
    let mut stars = Stars {
        known: KnownColumns::new(&columns_of),
    };
    let _ = VisitMut::visit(query, &mut stars);
}

struct Stars<'a> {
    known: KnownColumns<'a>,
}

impl VisitorMut for Stars<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.known.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.known.leave();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.from {
            self.known.name_natural(item);
        }
        let from = &select.from;
        let items = std::mem::take(&mut select.projection).into_iter();
        let items = items.flat_map(|item| self.written(&item, from).unwrap_or_else(|| vec![item]));
        select.projection = items.collect();
        ControlFlow::Continue(())
    }
}

impl Stars<'_> {
    /// What a star is written as; None for what is none, or cannot be written.
    fn written(&self, item: &SelectItem, from: &[TableWithJoins]) -> Option<Vec<SelectItem>> {
        match item {
            SelectItem::Wildcard(options) if options.to_string().is_empty() => {
                let items = from.iter().map(|item| self.star(item));
                Some(items.collect::<Option<Vec<_>>>()?.concat())
            }
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(of),
                options,
            ) if options.to_string().is_empty() => {
                let of = of.0.last()?.as_ident().map(name::fold);
                let mut factors = from.iter().flat_map(factors);
                let factor = factors.find(|factor| name_of(factor) == of)?;
                Some(self.known.star_of(factor)?.iter().map(output).collect())
            }
            _ => None,
        }
    }

    fn star(&self, item: &TableWithJoins) -> Option<Vec<SelectItem>> {
        if let Some(columns) = self.known.star(item) {
            return Some(columns.iter().map(output).collect());
        }
        let mut joins = item.joins.iter();
        let is_using = joins.any(|join| {
            matches!(
                constraint(&join.join_operator),
                None | Some(JoinConstraint::Using(_) | JoinConstraint::Natural)
            )
        });
        let each = factors(item).map(|factor| match self.known.star_of(factor) {
            Some(columns) => Some(columns.iter().map(output).collect()),
            None => Some(vec![star_of(&name_of(factor)?)]),
        });
        match is_using {
            true => None,
            false => Some(each.collect::<Option<Vec<Vec<_>>>>()?.concat()),
        }
    }
}

fn factors(item: &TableWithJoins) -> impl Iterator<Item = &TableFactor> {
    std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation))
}

/// The column, by its name.
fn output(column: &StarColumn) -> SelectItem {
    let name = super::view::identifier(&column.name);
    SelectItem::UnnamedExpr(match &column.relation {
        Some(relation) => Expr::CompoundIdentifier(vec![super::view::identifier(relation), name]),
        None => Expr::Identifier(name),
    })
}

/// `relation.*`
fn star_of(relation: &str) -> SelectItem {
    let name = ObjectName::from(vec![super::view::identifier(relation)]);
    SelectItem::QualifiedWildcard(
        SelectItemQualifiedWildcardKind::ObjectName(name),
        WildcardAdditionalOptions::default(),
    )
}

fn columns_named(relation: &Relation) -> Option<Vec<String>> {
    match &relation.body {
        RelationBody::Table(table) => Some(
            table
                .columns
                .iter()
                .filter(|column| !column.dropped)
                .map(|column| column.name.to_string())
                .collect(),
        ),
        RelationBody::View(view) => Some(
            view.columns
                .iter()
                .map(|(column, _)| column.to_string())
                .collect(),
        ),
        RelationBody::Index(_) | RelationBody::Sequence(_) => None,
    }
}
