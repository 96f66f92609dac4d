//! CREATE VIEW, and which relations a view reads.

use super::name;
use super::work::{Claim, Work};
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody, View};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::parts::Parted;
use crate::engine::types;
use crate::sql::parse;
use crate::storage::Use;
use sqlparser::ast;
use std::ops::ControlFlow;
use std::sync::Arc;

/// CREATE [OR REPLACE] VIEW
///
/// # Errors
/// 42P07, 42809, 42P16 for a replacement that changes columns, what analysing the query gives.
pub async fn create(work: &mut Work<'_>, statement: &ast::CreateView) -> Result<(), Diagnostic> {
    refuse_unsupported(statement)?;
    let new = work.new_name(&statement.name)?;
    let columns = columns_of(work, statement).await?;
    let view = View {
        query: Arc::from(statement.query.to_string()),
        columns,
    };
    if let Claim::Taken(existing) = work.claim(&new).await? {
        if !statement.or_replace {
            return super::already_exists(work, &existing, statement.if_not_exists);
        }
        return replace(work, &existing, view).await;
    }
    let oid = work.new_oid()?;
    work.define(Relation {
        oid,
        database: work.database(),
        schema: new.schema.into(),
        name: new.name.into(),
        owner: work.context.owner_of_new(),
        grants: Vec::new(),
        comment: None,
        body: RelationBody::View(view),
        row_security: Default::default(),
    })
}

fn refuse_unsupported(statement: &ast::CreateView) -> Result<(), Diagnostic> {
    let refused = [
        (statement.materialized, "CREATE MATERIALIZED VIEW"),
        (statement.temporary, "CREATE TEMPORARY VIEW"),
        (
            !matches!(statement.options, ast::CreateTableOptions::None),
            "an option of CREATE VIEW",
        ),
    ];
    match refused.iter().find(|(given, _)| *given) {
        Some((_, feature)) => Err(Diagnostic::unsupported(feature)),
        None => Ok(()),
    }
}

async fn columns_of(
    work: &mut Work<'_>,
    statement: &ast::CreateView,
) -> Result<Vec<(Arc<str>, SqlType)>, Diagnostic> {
    let query = ast::Statement::Query(statement.query.clone());
    if Parted::answers(&query) {
        return Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "views must not contain data-modifying statements in WITH",
        ));
    }
    let text: Arc<str> = Arc::from(statement.query.to_string());
    let plan = work.engine.analyze(query, text, &[], work.context).await?;
    if !plan.parameters.is_empty() {
        return Err(Diagnostic::error(
            SqlState::UNDEFINED_PARAMETER,
            "there is no parameter $1",
        ));
    }
    let fields = plan.fields.as_deref().unwrap_or_default();
    let given = &statement.columns;
    if given.len() > fields.len() {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "CREATE VIEW specifies more column names than columns",
        ));
    }
    let mut columns: Vec<(Arc<str>, SqlType)> = Vec::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        let column = match given.get(at) {
            Some(given) => name::fold(&given.name),
            None => field.name.clone(),
        };
        if columns.iter().any(|(seen, _)| **seen == *column) {
            return Err(Diagnostic::error(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{column}\" specified more than once"),
            ));
        }
        // An untyped literal is text in a view, as in a table made from it.
        let sql_type = match field.sql_type.kind {
            TypeKind::Unknown => SqlType::scalar(TypeKind::Text),
            _ => field.sql_type,
        };
        columns.push((Arc::from(column), sql_type));
    }
    Ok(columns)
}

async fn replace(work: &mut Work<'_>, existing: &Relation, view: View) -> Result<(), Diagnostic> {
    work.context.rights.may_own(existing)?;
    let taken = work.take(existing.oid, Use::Exclusive).await?;
    let mut relation = taken.ok_or_else(|| {
        Diagnostic::error(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{}\" does not exist", existing.name),
        )
    })?;
    let RelationBody::View(old) = &relation.body else {
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a view", relation.name),
        ));
    };
    check_columns(old, &view)?;
    relation.body = RelationBody::View(view);
    work.define(relation)
}

/// A replacement may only add columns at the end.
fn check_columns(old: &View, new: &View) -> Result<(), Diagnostic> {
    let changed = |message| {
        Err(Diagnostic::error(
            SqlState::INVALID_TABLE_DEFINITION,
            message,
        ))
    };
    if new.columns.len() < old.columns.len() {
        return changed("cannot drop columns from view".to_owned());
    }
    for ((old_name, old_type), (new_name, new_type)) in old.columns.iter().zip(&new.columns) {
        if old_name != new_name {
            return changed(format!(
                "cannot change name of view column \"{old_name}\" to \"{new_name}\""
            ));
        }
        if old_type != new_type {
            return changed(format!(
                "cannot change data type of view column \"{old_name}\" from {} to {}",
                types::format_type(*old_type),
                types::format_type(*new_type)
            ));
        }
    }
    Ok(())
}

/// Whether the relation is a view whose query names that other relation.
///
/// # Errors
/// What parsing the view's text gives.
pub fn reads(work: &mut Work<'_>, relation: &Relation, other: Oid) -> Result<bool, Diagnostic> {
    let RelationBody::View(view) = &relation.body else {
        return Ok(false);
    };
    let mut named = Vec::new();
    for statement in parse::parse(&view.query)? {
        let _ = ast::visit_relations(&statement.ast, |name| {
            named.push(name.clone());
            ControlFlow::<()>::Continue(())
        });
    }
    for name in named {
        let (schema, name) = name::parts(&name)?;
        let schema = schema.unwrap_or_else(|| relation.schema.to_string());
        if work
            .lookup(Some(&schema), &name)
            .is_some_and(|found| found.oid == other)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
