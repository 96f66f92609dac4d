//! Definitions as SQL text: pg_get_indexdef, pg_get_constraintdef, pg_get_viewdef.
//!
//! Source: PostgreSQL 15, `ruleutils.c`, as far as what there is here goes.

use super::constraints::{self, Shown};
use crate::catalog::Oid;
use crate::catalog::definition::{
    ConstraintBody, Index, ReferentialAction, Relation, RelationBody, Table,
};
use crate::engine::context::StatementContext;
use crate::engine::query::functions::names::{qualified, relation_of_oid};
use crate::engine::query::functions::text::quote_ident;
use crate::engine::query::resolve;

/// Whether names are qualified always, or only where the search_path does not find them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Always.
    Qualified,
    /// Where needed.
    Short,
}

fn name(relation: &Relation, names: Names, context: &StatementContext) -> String {
    match names {
        Names::Short if resolve::is_visible(relation, context) => quote_ident(&relation.name),
        Names::Short | Names::Qualified => qualified(relation),
    }
}

fn columns(table: &Table, positions: &[u16]) -> String {
    let names: Vec<_> = positions
        .iter()
        .filter_map(|position| table.columns.get(usize::from(*position)))
        .map(|column| quote_ident(&column.name))
        .collect();
    names.join(", ")
}

/// CREATE INDEX of an index, or one of its columns where `column` is not 0.
pub fn index(oid: Oid, column: i32, names: Names, context: &StatementContext) -> Option<String> {
    let relation = relation_of_oid(oid, context)?;
    let index = relation.index()?;
    let owner = context.snapshot.definitions.get(index.table)?;
    let table = owner.table()?;
    if column != 0 {
        let place = usize::try_from(column).ok()?.checked_sub(1)?;
        let position = index.columns.get(place)?;
        return Some(columns(table, &[*position]));
    }
    Some(format!(
        "CREATE {}INDEX {} ON {} USING btree ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote_ident(&relation.name),
        name(owner, names, context),
        index_columns(table, index),
    ))
}

fn index_columns(table: &Table, index: &Index) -> String {
    let parts: Vec<_> = index
        .columns
        .iter()
        .zip(&index.descending)
        .map(|(position, descending)| {
            let column = columns(table, &[*position]);
            if *descending {
                format!("{column} DESC")
            } else {
                column
            }
        })
        .collect();
    parts.join(", ")
}

/// The constraint's clause, as ALTER TABLE … ADD CONSTRAINT takes it.
pub fn constraint(oid: Oid, names: Names, context: &StatementContext) -> Option<String> {
    let all = constraints::shown(context);
    let found = all.iter().find(|shown| shown.oid == oid.0)?;
    clause(found, names, context)
}

/// The clause of a constraint.
pub fn clause(shown: &Shown<'_>, names: Names, context: &StatementContext) -> Option<String> {
    let table = shown.relation.table()?;
    Some(match (shown.kind, shown.body) {
        ("p", _) => format!("PRIMARY KEY ({})", columns(table, &shown.columns)),
        ("u", _) => format!("UNIQUE ({})", columns(table, &shown.columns)),
        (_, Some(ConstraintBody::Check { expression })) => {
            // PostgreSQL prints the expression in parentheses of its own.
            format!("CHECK (({expression}))")
        }
        (
            _,
            Some(ConstraintBody::ForeignKey {
                columns: from,
                table: target,
                referenced,
                on_update,
                on_delete,
            }),
        ) => {
            let target = context.snapshot.definitions.get(*target)?;
            format!(
                "FOREIGN KEY ({}) REFERENCES {}({}){}{}",
                columns(table, from),
                name(target, names, context),
                columns(target.table()?, referenced),
                action(" ON UPDATE", *on_update),
                action(" ON DELETE", *on_delete),
            )
        }
        _ => return None,
    })
}

fn action(on: &str, action: ReferentialAction) -> String {
    let words = match action {
        ReferentialAction::NoAction => return String::new(),
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    };
    format!("{on} {words}")
}

/// A view's query.
pub fn view(oid: Oid, context: &StatementContext) -> Option<String> {
    match &relation_of_oid(oid, context)?.body {
        RelationBody::View(view) => Some(format!(" {};", view.query.trim_end_matches(';'))),
        _ => None,
    }
}
