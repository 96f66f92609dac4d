//! RENAME of relations and columns: what names them by text follows.

use super::super::work::{Claim, NewName, position_of};
use super::super::{policy, view};
use super::*;
use crate::catalog::definition::{ConstraintBody, View};
use crate::engine::definitions::create_table::nextval_text;
use crate::sql::parse;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Gives a relation, already taken, another name.
///
/// # Errors
/// 42P07
pub async fn rename_relation(
    work: &mut Work<'_>,
    relation: Relation,
    to: &str,
) -> Result<(), Diagnostic> {
    let new = NewName {
        schema: relation.schema.to_string(),
        name: to.to_owned(),
    };
    if let Claim::Taken(_) = work.claim(&new).await? {
        return Err(super::super::exists(to));
    }
    move_relation(work, relation, new).await
}

/// Gives a relation, already taken, a name that was claimed, in this schema or another.
///
/// # Errors
/// What storage gives.
pub async fn move_relation(
    work: &mut Work<'_>,
    mut relation: Relation,
    new: NewName,
) -> Result<(), Diagnostic> {
    // While their names still lead to it.
    view::follow(work, &relation, &new).await?;
    work.release_name(&relation)?;
    relation.name = new.name.into();
    relation.schema = new.schema.into();
    if let RelationBody::Table(table) = &mut relation.body {
        table.layout_version += 1;
    }
    if let RelationBody::Sequence(_) = &relation.body {
        name_in_defaults(work, &relation).await?;
    }
    work.define(relation)
}

/// A column's default names its sequence.
async fn name_in_defaults(work: &mut Work<'_>, sequence: &Relation) -> Result<(), Diagnostic> {
    let counting = |relation: &Relation| {
        let columns = relation.table().map(|table| table.columns.as_slice());
        columns.unwrap_or_default().iter().any(|column| {
            !column.dropped && column.default.is_some() && column.sequence == Some(sequence.oid)
        })
    };
    let definitions = work.definitions();
    let tables: Vec<_> = definitions
        .of_database(sequence.database)
        .filter(|relation| counting(relation))
        .map(|relation| relation.oid)
        .collect();
    for oid in tables {
        let Some(mut relation) = work.take(oid, Use::Exclusive).await? else {
            continue;
        };
        let table = table_of(&mut relation)?;
        for column in &mut table.columns {
            if column.sequence == Some(sequence.oid) && column.default.is_some() {
                column.default = Some(nextval_text(&sequence.schema, &sequence.name));
            }
        }
        table.layout_version += 1;
        work.define(relation)?;
    }
    Ok(())
}

/// RENAME COLUMN, of a table or a view.
///
/// # Errors
/// 42703, 42701; 0A000 where a view or a policy names the column.
pub fn column(
    work: &mut Work<'_>,
    relation: &mut Relation,
    from: &str,
    to: &str,
) -> Result<(), Diagnostic> {
    let relation_name = relation.name.clone();
    let (oid, database) = (relation.oid, relation.database);
    let definitions = work.definitions();
    for other in definitions.of_database(database) {
        if view::reads_column(work, other, oid, from)? {
            return Err(Diagnostic::unsupported(format!(
                "renaming a column that view \"{}\" reads",
                other.name
            )));
        }
    }
    let undefined = || {
        Diagnostic::error(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{from}\" does not exist"),
        )
    };
    let taken = || {
        Diagnostic::error(
            SqlState::DUPLICATE_COLUMN,
            format!("column \"{to}\" of relation \"{relation_name}\" already exists"),
        )
    };
    if let RelationBody::View(view) = &mut relation.body {
        return view_column(view, from, to, undefined, taken);
    }
    if let Some(policy) = match relation.table() {
        Some(_) => policy::naming(relation, from)?.first().cloned(),
        None => None,
    } {
        return Err(Diagnostic::unsupported(format!(
            "renaming a column that row policy \"{policy}\" names"
        )));
    }
    let table = table_of(relation)?;
    let position = position_of(table, from).ok_or_else(undefined)?;
    if position_of(table, to).is_some() {
        return Err(taken());
    }
    for mut index in super::super::build::indexes_of(work, &table.clone())? {
        if let RelationBody::Index(body) = &mut index.body
            && !body.is_plain()
        {
            for expression in &mut body.details.expressions {
                expression.text = renamed_in(&expression.text, from, to)?;
            }
            if let Some(predicate) = &mut body.details.predicate {
                *predicate = renamed_in(predicate, from, to)?;
            }
            work.define(index)?;
        }
    }
    let table = table_of(relation)?;
    for constraint in &mut table.constraints {
        if let ConstraintBody::Check { expression } = &mut constraint.body {
            *expression = renamed_in(expression, from, to)?;
        }
    }
    table.columns[usize::from(position)].name = Arc::from(to);
    table.layout_version += 1;
    Ok(())
}

fn view_column(
    view: &mut View,
    from: &str,
    to: &str,
    undefined: impl Fn() -> Diagnostic,
    taken: impl Fn() -> Diagnostic,
) -> Result<(), Diagnostic> {
    let at = view
        .columns
        .iter()
        .position(|(column, _)| &**column == from);
    let at = at.ok_or_else(undefined)?;
    if view.columns.iter().any(|(column, _)| &**column == to) {
        return Err(taken());
    }
    view.columns[at].0 = Arc::from(to);
    Ok(())
}

/// An expression over one table, with the column under its new name.
fn renamed_in(expression: &str, from: &str, to: &str) -> Result<Arc<str>, Diagnostic> {
    let mut tree = parse::parse_expression(expression)?;
    let mut found = false;
    let _ = ast::visit_expressions_mut(&mut tree, |part| {
        let last = match part {
            ast::Expr::Identifier(named) => Some(named),
            ast::Expr::CompoundIdentifier(names) => names.last_mut(),
            _ => None,
        };
        if let Some(named) = last.filter(|named| name::fold(named) == from) {
            *named = match name::quoted(to) {
                plain if plain == to => ast::Ident::new(plain),
                _ => ast::Ident::with_quote('"', to),
            };
            found = true;
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(match found {
        true => tree.to_string().into(),
        false => Arc::from(expression),
    })
}
