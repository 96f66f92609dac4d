//! GENERATED ALWAYS AS (expression) STORED: what an expression may be, and which columns it needs
//! (PostgreSQL §5.3).

use super::column::in_default;
use super::constraint::columns_named;
use super::work::{Work, table_of};
use crate::catalog::definition::{Constraint, ConstraintBody, ReferentialAction, Relation, Table};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::target::scope_of;
use crate::engine::dml::value::{self, Value};
use crate::engine::query::expression::Scope;
use crate::sql::parse;
use sqlparser::ast;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Checks a generated column's expression over the table as it is with all its columns, and keeps its text.
///
/// # Errors
/// 42P17 for one that is not immutable or names a generated column, 42804, 42703, 0A000 for a subquery.
pub fn settle(
    work: &Work<'_>,
    relation: &mut Relation,
    position: usize,
    expression: &ast::Expr,
) -> Result<Value, Diagnostic> {
    let compiled = compile(work, relation, position, expression)?;
    table_of(relation)?.columns[position].default = Some(Arc::from(expression.to_string()));
    Ok(compiled)
}

/// The expression as it is worked out for each row.
///
/// # Errors
/// As [`settle`].
pub fn compile(
    work: &Work<'_>,
    relation: &mut Relation,
    position: usize,
    expression: &ast::Expr,
) -> Result<Value, Diagnostic> {
    let relation_name = relation.name.clone();
    let table = table_of(relation)?;
    let has_subquery = ast::visit_expressions(expression, |part| match part {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    if has_subquery.is_break() {
        return Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot use subquery in column generation expression",
        ));
    }
    for named in columns_named(table, expression) {
        let generated = |column: &&crate::catalog::definition::Column| {
            *column.name == *named && column.generated && !column.dropped
        };
        if table.columns.iter().any(|column| generated(&column)) {
            return Err(invalid(format!(
                "cannot use generated column \"{named}\" in column generation expression"
            ))
            .with_detail("A generated column cannot reference another generated column."));
        }
    }
    let column = &table.columns[position];
    let scope = scope_of(table, &relation_name, Scope::empty());
    let to = (&*column.name, column.sql_type);
    let compiled = value::compile_for_column(expression, &scope, &mut Vec::new(), to, work.input())
        .map_err(|error| match error.sqlstate() {
            SqlState::DATATYPE_MISMATCH => in_default(error),
            _ => error,
        })?
        .without_parameters()?;
    match compiled.is_immutable() {
        true => Ok(compiled),
        false => Err(invalid("generation expression is not immutable".to_owned())),
    }
}

fn invalid(message: String) -> Diagnostic {
    Diagnostic::error(SqlState::new("42P17"), message)
}

/// The generated columns whose expressions name this one.
///
/// # Errors
/// What parsing their texts gives.
pub fn naming(table: &Table, column: &str) -> Result<Vec<usize>, Diagnostic> {
    let mut found = Vec::new();
    for (position, other) in table.columns.iter().enumerate() {
        let Some(text) = other.default.as_deref().filter(|_| other.generated) else {
            continue;
        };
        let tree = parse::parse_expression(text)?;
        if columns_named(table, &tree)
            .iter()
            .any(|named| named == column)
        {
            found.push(position);
        }
    }
    Ok(found)
}

/// DROP EXPRESSION: the column is an ordinary one from now on, with the values that it has.
///
/// # Errors
/// 55000 for a column that is none.
pub fn drop_expression(
    work: &Work<'_>,
    relation: &mut Relation,
    position: u16,
    if_exists: bool,
) -> Result<(), Diagnostic> {
    let relation_name = relation.name.clone();
    let column = &mut table_of(relation)?.columns[usize::from(position)];
    if column.generated {
        column.generated = false;
        column.default = None;
        return Ok(());
    }
    let message = format!(
        "column \"{}\" of relation \"{relation_name}\" is not a stored generated column",
        column.name
    );
    if if_exists {
        work.notice(format!("{message}, skipping"));
        return Ok(());
    }
    Err(Diagnostic::error(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        message,
    ))
}

/// # Errors
/// 42601 in PostgreSQL's words for a foreign key whose action would write a generated column.
pub fn demand_no_action(table: &Table, constraint: &Constraint) -> Result<(), Diagnostic> {
    let ConstraintBody::ForeignKey {
        columns,
        on_update,
        on_delete,
        ..
    } = &constraint.body
    else {
        return Ok(());
    };
    let generated = |position: &u16| table.columns[usize::from(*position)].generated;
    if !columns.iter().any(generated) {
        return Ok(());
    }
    use ReferentialAction::{Cascade, SetDefault, SetNull};
    let on = match (on_update, on_delete) {
        (Cascade | SetNull | SetDefault, _) => "UPDATE",
        (_, SetNull | SetDefault) => "DELETE",
        _ => return Ok(()),
    };
    Err(Diagnostic::error(
        SqlState::SYNTAX_ERROR,
        format!("invalid ON {on} action for foreign key constraint containing generated column"),
    ))
}
