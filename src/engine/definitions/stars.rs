//! `*` in the query of a view, written out as the columns that there are when it is made.

use super::name;
use super::work::Work;
use crate::catalog::definition::{Relation, RelationBody};
use sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins, Visit, VisitMut, Visitor,
    VisitorMut,
};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Writes out each star over tables and views; one over a subquery follows what that selects, and one over a
/// join with USING stays.
pub fn write_out(work: &mut Work<'_>, query: &mut Query) {
    let mut given = Given::default();
    let _ = Visit::visit(query, &mut given);
    let mut stars = Stars {
        work,
        given: given.0,
    };
    let _ = VisitMut::visit(query, &mut stars);
}

/// The names that WITH gives, anywhere in the query: they are no relations.
#[derive(Default)]
struct Given(BTreeSet<String>);

impl Visitor for Given {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0
            .extend(tables.map(|table| name::fold(&table.alias.name)));
        ControlFlow::Continue(())
    }
}

struct Stars<'s, 'w> {
    work: &'s mut Work<'w>,
    given: BTreeSet<String>,
}

/// A relation in FROM: what its columns are qualified by, and their names.
struct Source {
    qualifier: Ident,
    columns: Vec<String>,
}

impl VisitorMut for Stars<'_, '_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let sources: Option<Vec<Source>> = select
            .from
            .iter()
            .map(|from| self.sources(from))
            .collect::<Option<Vec<_>>>()
            .map(|sources| sources.into_iter().flatten().collect());
        let mut projection = Vec::with_capacity(select.projection.len());
        for item in select.projection.drain(..) {
            let written = match (&item, &sources) {
                (SelectItem::Wildcard(options), Some(sources))
                    if options.to_string().is_empty() =>
                {
                    Some(sources.iter().collect::<Vec<_>>())
                }
                (
                    SelectItem::QualifiedWildcard(
                        SelectItemQualifiedWildcardKind::ObjectName(of),
                        options,
                    ),
                    Some(sources),
                ) if options.to_string().is_empty() => {
                    let of = of.0.last().and_then(|part| part.as_ident()).map(name::fold);
                    let found = sources
                        .iter()
                        .find(|source| Some(name::fold(&source.qualifier)) == of);
                    found.map(|source| vec![source])
                }
                _ => None,
            };
            match written {
                None => projection.push(item),
                Some(sources) => projection.extend(sources.into_iter().flat_map(columns_of)),
            }
        }
        select.projection = projection;
        ControlFlow::Continue(())
    }
}

fn columns_of(source: &Source) -> impl Iterator<Item = SelectItem> + '_ {
    source.columns.iter().map(|column| {
        let parts = vec![source.qualifier.clone(), super::view::identifier(column)];
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
    })
}

impl Stars<'_, '_> {
    /// None where one of them is no table or view, or is joined by USING.
    fn sources(&mut self, from: &TableWithJoins) -> Option<Vec<Source>> {
        let mut sources = vec![self.source(&from.relation)?];
        for join in &from.joins {
            let by_using = match &join.join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::Left(constraint)
                | JoinOperator::LeftOuter(constraint)
                | JoinOperator::Right(constraint)
                | JoinOperator::RightOuter(constraint)
                | JoinOperator::FullOuter(constraint)
                | JoinOperator::CrossJoin(constraint) => {
                    matches!(
                        constraint,
                        JoinConstraint::Using(_) | JoinConstraint::Natural
                    )
                }
                _ => true,
            };
            if by_using {
                return None;
            }
            sources.push(self.source(&join.relation)?);
        }
        Some(sources)
    }

    fn source(&mut self, factor: &TableFactor) -> Option<Source> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
        else {
            return None;
        };
        let (schema, bare) = name::parts(name).ok()?;
        if schema.is_none() && self.given.contains(&bare) {
            return None;
        }
        let relation = self.work.lookup(schema.as_deref(), &bare)?;
        let qualifier = match alias {
            Some(alias) if !alias.columns.is_empty() => return None,
            Some(alias) => alias.name.clone(),
            None => super::view::identifier(&bare),
        };
        let columns = columns_named(&relation)?;
        Some(Source { qualifier, columns })
    }
}

fn columns_named(relation: &Arc<Relation>) -> Option<Vec<String>> {
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
