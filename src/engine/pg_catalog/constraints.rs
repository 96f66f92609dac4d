//! pg_index and pg_constraint.

use super::cell::{Cell, maybe, number, row, text};
use super::relations::{catalog, own};
use super::types::OPERATOR_CLASSES;
use super::{Row, SystemTable};
use crate::catalog::definition::{
    Constraint, ConstraintBody, Deferral, Index, IndexConstraint, ReferentialAction, Relation,
    Table,
};
use crate::catalog::sql_type::TypeKind;
use crate::engine::context::StatementContext;
use crate::engine::query::rewrite::labels::folded;
use crate::sql::parse;
use sqlparser::ast::{Expr, visit_expressions};
use std::ops::ControlFlow;

fn table_of<'a>(index: &Index, context: &'a StatementContext) -> Option<(&'a Relation, &'a Table)> {
    let relation = context.snapshot.definitions.get(index.table)?;
    Some((relation, relation.table()?))
}

/// Positions as attnums.
fn attnums(positions: &[u16]) -> Cell {
    Cell::List(
        positions
            .iter()
            .map(|position| number(i64::from(*position) + 1))
            .collect(),
    )
}

/// pg_index
pub fn pg_index(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_index");
    own(context)
        .filter_map(|relation| Some((relation, relation.index()?)))
        .filter_map(|(relation, index)| {
            let (_, table) = table_of(index, context)?;
            Some(index_row(shape, relation, index, table))
        })
        .collect()
}

fn index_row(shape: &SystemTable, relation: &Relation, index: &Index, table: &Table) -> Row {
    let key_columns = index.columns.len() as i64;
    let columns = key_columns + index.details.include.len() as i64;
    // An expression has attribute number 0.
    let keys = index.columns.iter().chain(&index.details.include);
    let keys = keys.map(|position| match index.expression(*position) {
        Some(_) => number(0),
        None => number(i64::from(*position) + 1),
    });
    let expressions: Vec<String> = index
        .details
        .expressions
        .iter()
        .map(|expression| super::deparse::condition(&expression.text))
        .collect();
    let predicate = index.details.predicate.as_deref();
    let classes = index.columns.iter().map(|position| {
        let kind = index
            .type_at(table, *position)
            .map(|found| match found.kind {
                // It has none of its own.
                TypeKind::Varchar => TypeKind::Text,
                kind => kind,
            });
        let class = OPERATOR_CLASSES
            .iter()
            .find(|class| class.default && Some(class.kind) == kind);
        number(class.map_or(0, |class| class.oid))
    });
    // INDOPTION_DESC and INDOPTION_NULLS_FIRST
    let options = index
        .descending
        .iter()
        .enumerate()
        .map(|(place, descending)| {
            let nulls_first = index.nulls_first(place);
            number(i64::from(*descending) + 2 * i64::from(nulls_first))
        });
    row(
        shape,
        &[
            ("indexrelid", number(relation.oid.0)),
            ("indrelid", number(index.table.0)),
            ("indnatts", number(columns)),
            ("indnkeyatts", number(key_columns)),
            ("indisunique", Cell::Bool(index.unique)),
            (
                "indisprimary",
                Cell::Bool(index.constraint == Some(IndexConstraint::PrimaryKey)),
            ),
            ("indimmediate", Cell::Bool(true)),
            ("indisvalid", Cell::Bool(true)),
            ("indisready", Cell::Bool(true)),
            ("indislive", Cell::Bool(true)),
            ("indkey", Cell::List(keys.collect())),
            (
                "indexprs",
                maybe(
                    (!expressions.is_empty())
                        .then(|| expressions.join(", "))
                        .as_deref(),
                ),
            ),
            (
                "indpred",
                maybe(predicate.map(super::deparse::condition).as_deref()),
            ),
            ("indclass", Cell::List(classes.collect())),
            (
                "indcollation",
                Cell::List(index.columns.iter().map(|_| number(0)).collect()),
            ),
            ("indoption", Cell::List(options.collect())),
        ],
    )
}

/// One constraint of any kind, as the catalogs show it.
pub struct Shown<'a> {
    /// pg_constraint.oid: an index constraint's is that of its index.
    pub oid: u32,
    /// conname
    pub name: &'a str,
    /// The table.
    pub relation: &'a Relation,
    /// contype: p, u, f or c.
    pub kind: &'static str,
    /// The index of p and u.
    pub index: Option<u32>,
    /// The columns.
    pub columns: Vec<u16>,
    /// The constraint of f and c.
    pub body: Option<&'a ConstraintBody>,
    /// convalidated
    pub validated: bool,
}

impl Shown<'_> {
    fn deferral(&self) -> Deferral {
        match self.body {
            Some(ConstraintBody::ForeignKey { deferral, .. }) => *deferral,
            _ => Deferral::None,
        }
    }

    /// condeferrable
    pub fn is_deferrable(&self) -> bool {
        self.deferral() != Deferral::None
    }

    /// condeferred
    pub fn is_deferred(&self) -> bool {
        self.deferral() == Deferral::InitiallyDeferred
    }
}

/// All constraints of the session's database.
pub fn shown(context: &StatementContext) -> Vec<Shown<'_>> {
    let mut all = Vec::new();
    for relation in own(context) {
        if let Some(index) = relation.index()
            && let Some(constraint) = index.constraint
            && let Some((table, _)) = table_of(index, context)
        {
            all.push(Shown {
                oid: relation.oid.0,
                name: &relation.name,
                relation: table,
                kind: match constraint {
                    IndexConstraint::PrimaryKey => "p",
                    IndexConstraint::Unique => "u",
                },
                index: Some(relation.oid.0),
                columns: index.columns.clone(),
                body: None,
                validated: true,
            });
        }
        let constraints = relation.table().map(|table| &table.constraints);
        for constraint in constraints.into_iter().flatten() {
            all.push(of_table(relation, constraint));
        }
    }
    all
}

fn of_table<'a>(relation: &'a Relation, constraint: &'a Constraint) -> Shown<'a> {
    let (kind, columns) = match &constraint.body {
        ConstraintBody::Check { .. } => ("c", Vec::new()),
        ConstraintBody::ForeignKey { columns, .. } => ("f", columns.clone()),
    };
    Shown {
        oid: constraint.oid.0,
        name: &constraint.name,
        relation,
        kind,
        index: None,
        columns,
        body: Some(&constraint.body),
        validated: constraint.validated,
    }
}

fn action(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "a",
        ReferentialAction::Restrict => "r",
        ReferentialAction::Cascade => "c",
        ReferentialAction::SetNull => "n",
        ReferentialAction::SetDefault => "d",
    }
}

/// The index that a foreign key points at.
fn referenced_index(table: u32, columns: &[u16], context: &StatementContext) -> u32 {
    own(context)
        .find(|relation| {
            relation.index().is_some_and(|index| {
                index.table.0 == table
                    && index.unique
                    && index.columns.len() == columns.len()
                    && columns.iter().all(|column| index.columns.contains(column))
            })
        })
        .map_or(0, |relation| relation.oid.0)
}

/// The columns that a check looks at.
fn mentioned(expression: &str, relation: &Relation) -> Vec<u16> {
    let (Ok(expression), Some(table)) = (parse::parse_expression(expression), relation.table())
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let _ = visit_expressions(&expression, |expr| {
        let name = match expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        let name = name.map(folded);
        let mut columns = table.columns.iter();
        let place = columns.position(|column| Some(&*column.name) == name.as_deref());
        found.extend(place.and_then(|place| u16::try_from(place).ok()));
        ControlFlow::<()>::Continue(())
    });
    found.sort_unstable();
    found.dedup();
    found
}

/// pg_constraint
pub fn pg_constraint(context: &StatementContext) -> Vec<Row> {
    let shape = catalog("pg_constraint");
    shown(context)
        .iter()
        .map(|constraint| {
            let mut cells = vec![
                ("oid", number(constraint.oid)),
                ("conname", text(constraint.name)),
                (
                    "connamespace",
                    number(super::relations::namespace(
                        &constraint.relation.schema,
                        context,
                    )),
                ),
                ("contype", text(constraint.kind)),
                ("condeferrable", Cell::Bool(constraint.is_deferrable())),
                ("condeferred", Cell::Bool(constraint.is_deferred())),
                ("convalidated", Cell::Bool(constraint.validated)),
                ("conrelid", number(constraint.relation.oid.0)),
                ("conindid", number(constraint.index.unwrap_or_default())),
                ("conislocal", Cell::Bool(true)),
                ("connoinherit", Cell::Bool(constraint.kind != "c")),
                ("confupdtype", text(" ")),
                ("confdeltype", text(" ")),
                ("confmatchtype", text(" ")),
            ];
            let columns = match constraint.body {
                Some(ConstraintBody::Check { expression }) => {
                    mentioned(expression, constraint.relation)
                }
                _ => constraint.columns.clone(),
            };
            if !columns.is_empty() {
                cells.push(("conkey", attnums(&columns)));
            }
            match constraint.body {
                Some(ConstraintBody::ForeignKey {
                    table,
                    referenced,
                    on_update,
                    on_delete,
                    ..
                }) => {
                    let index = referenced_index(table.0, referenced, context);
                    cells.extend([
                        ("conindid", number(index)),
                        ("confrelid", number(table.0)),
                        ("confkey", attnums(referenced)),
                        ("confupdtype", text(action(*on_update))),
                        ("confdeltype", text(action(*on_delete))),
                        ("confmatchtype", text("s")),
                    ]);
                }
                Some(ConstraintBody::Check { expression }) => {
                    cells.push(("conbin", text(&**expression)));
                }
                None => {}
            }
            // The last cell of a name counts.
            cells.reverse();
            row(shape, &cells)
        })
        .collect()
}
