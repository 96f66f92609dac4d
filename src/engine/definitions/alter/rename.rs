//! RENAME of relations and columns: what names them by text follows.

use super::super::work::{Claim, NewName, position_of};
use super::super::{policy, view};
use super::view_text::{self, Renamed};
use super::*;
use crate::catalog::definition::{ConstraintBody, View};
use crate::catalog::{DatabaseId, Oid};
use crate::engine::definitions::create_table::nextval_text;
use crate::sql::auth_variable::Variable;
use crate::sql::parse;
use sqlparser::ast::{VisitMut, VisitorMut};
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

/// RENAME COLUMN, of a table or a view. Views that name the column follow, and so do policies.
///
/// # Errors
/// 42703, 42701; 0A000 where it cannot be told whether a name in a view's text is the column's.
pub async fn column(
    work: &mut Work<'_>,
    relation: &mut Relation,
    from: &str,
    to: &str,
) -> Result<(), Diagnostic> {
    let relation_name = relation.name.clone();
    let (oid, database) = (relation.oid, relation.database);
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
        view_column(view, from, to, undefined, taken)?;
        return views_follow(work, (oid, database), from, to).await;
    }
    let table = table_of(relation)?;
    let position = position_of(table, from).ok_or_else(undefined)?;
    if position_of(table, to).is_some() {
        return Err(taken());
    }
    views_follow(work, (oid, database), from, to).await?;
    policies_follow(relation, from, to)?;
    let table = table_of(relation)?;
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
    for generated in super::super::generated::naming(table, from)? {
        let expression = &mut table.columns[generated].default;
        if let Some(text) = expression {
            *text = renamed_in(text, from, to)?;
        }
    }
    table.columns[usize::from(position)].name = Arc::from(to);
    table.layout_version += 1;
    Ok(())
}

/// The views that name the column name it anew. The definitions still have it under its old name.
async fn views_follow(
    work: &mut Work<'_>,
    (relation, database): (Oid, DatabaseId),
    from: &str,
    to: &str,
) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    let renamed = Renamed { relation, from, to };
    for other in definitions.of_database(database) {
        if !view::reads_column(work, other, relation, from)? {
            continue;
        }
        let Some(mut taken) = work.take(other.oid, Use::Exclusive).await? else {
            continue;
        };
        let RelationBody::View(body) = &mut taken.body else {
            continue;
        };
        let mut statement = parse::parse_one(&body.query)?;
        if !view_text::rewrite(work, &other.schema, &mut statement, &renamed) {
            return Err(Diagnostic::unsupported(format!(
                "renaming a column that view \"{}\" reads as it does",
                other.name
            )));
        }
        body.query = Arc::from(statement.to_string());
        work.define(taken)?;
    }
    Ok(())
}

fn policies_follow(relation: &mut Relation, from: &str, to: &str) -> Result<(), Diagnostic> {
    let naming = policy::naming(relation, from)?;
    let policies = &mut relation.row_security.policies;
    for policy in policies
        .iter_mut()
        .filter(|policy| naming.contains(&policy.name))
    {
        for text in policy.using.iter_mut().chain(&mut policy.check) {
            *text = renamed_in(text, from, to)?;
        }
    }
    relation.row_security.compiled = Default::default();
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
    let mut names = Names {
        from,
        to,
        found: false,
        kept: Vec::new(),
    };
    let _ = VisitMut::visit(&mut tree, &mut names);
    Ok(match names.found {
        true => tree.to_string().into(),
        false => Arc::from(expression),
    })
}

/// The names of an expression that are the column's.
struct Names<'n> {
    from: &'n str,
    to: &'n str,
    found: bool,
    /// For each expression around: what it was, where nothing in it is a column.
    kept: Vec<Option<ast::Expr>>,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut ast::Expr) -> ControlFlow<()> {
        // The parts of `$auth.id` are read as expressions, too.
        let fields = matches!(expression, ast::Expr::CompoundFieldAccess { .. });
        let variable = fields && Variable::of(expression).is_some();
        self.kept.push(variable.then(|| expression.clone()));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut ast::Expr) -> ControlFlow<()> {
        if let Some(variable) = self.kept.pop().flatten() {
            *expression = variable;
            return ControlFlow::Continue(());
        }
        let last = match expression {
            ast::Expr::Identifier(named) => Some(named),
            ast::Expr::CompoundIdentifier(names) => names.last_mut(),
            _ => None,
        };
        if let Some(named) = last.filter(|named| name::fold(named) == self.from) {
            *named = view::identifier(self.to);
            self.found = true;
        }
        ControlFlow::Continue(())
    }
}
