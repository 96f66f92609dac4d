//! GRANT and REVOKE on tables, COMMENT ON: what is kept with a relation and touches no row.

use super::name;
use super::work::{Work, column_of, missing, table_of};
use crate::catalog::definition::{Relation, RelationBody};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::credential::{TableGrant, TableName};
use crate::storage::Use;
use sqlparser::ast;

/// GRANT or REVOKE … ON TABLE
///
/// # Errors
/// 42P01, 42501, 42704, 42809.
pub async fn grant(work: &mut Work<'_>, statement: &TableGrant) -> Result<(), Diagnostic> {
    for schema in &statement.all_in {
        let schema = work.schema(schema)?;
        let definitions = work.definitions();
        let within = definitions
            .of_database(schema.database)
            .filter(|relation| relation.schema == schema.name)
            .filter(|relation| {
                matches!(
                    relation.body,
                    RelationBody::Table(_) | RelationBody::View(_)
                )
            });
        for found in within {
            if let Some(relation) = work.take(found.oid, Use::Shared).await? {
                apply(work, &relation, statement)?;
            }
        }
    }
    for table in &statement.tables {
        let absent = || undefined(table);
        let found = work
            .lookup(table.schema.as_deref(), &table.name)
            .ok_or_else(absent)?;
        let relation = work
            .take(found.oid, Use::Shared)
            .await?
            .ok_or_else(absent)?;
        apply(work, &relation, statement)?;
    }
    Ok(())
}

fn apply(
    work: &mut Work<'_>,
    relation: &Relation,
    statement: &TableGrant,
) -> Result<(), Diagnostic> {
    let context = work.context;
    let next =
        crate::access::grants::apply(relation, statement, &context.snapshot, &context.rights)?;
    work.define(next)
}

pub(super) fn undefined(table: &TableName) -> Diagnostic {
    let name = match &table.schema {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    };
    Diagnostic::error(
        SqlState::UNDEFINED_TABLE,
        format!("relation \"{name}\" does not exist"),
    )
}

/// COMMENT ON TABLE, VIEW, INDEX, SEQUENCE, SCHEMA, COLUMN of a table
///
/// # Errors
/// 42P01, 42809, 42501; 0A000 for other objects.
pub async fn comment(
    work: &mut Work<'_>,
    object: ast::CommentObject,
    given: &ast::ObjectName,
    text: Option<&str>,
) -> Result<(), Diagnostic> {
    match object {
        ast::CommentObject::Column => return comment_on_column(work, given, text).await,
        ast::CommentObject::Schema => return super::schema::comment(work, given, text).await,
        _ => {}
    }
    let found = work
        .find(given)?
        .ok_or_else(|| missing("relation", given))?;
    let fits = |relation: &Relation| {
        matches!(
            (object, &relation.body),
            (ast::CommentObject::Table, RelationBody::Table(_))
                | (ast::CommentObject::View, RelationBody::View(_))
                | (ast::CommentObject::Index, RelationBody::Index(_))
                | (ast::CommentObject::Sequence, RelationBody::Sequence(_))
        )
    };
    let word = match object {
        ast::CommentObject::Table => "a table",
        ast::CommentObject::View => "a view",
        ast::CommentObject::Index => "an index",
        ast::CommentObject::Sequence => "a sequence",
        other => return Err(Diagnostic::unsupported(format!("COMMENT ON {other}"))),
    };
    if !fits(&found) {
        let (_, name) = name::parts(given)?;
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{name}\" is not {word}"),
        ));
    }
    work.context.rights.may_own(&found)?;
    let taken = work.take(found.oid, Use::Shared).await?;
    let mut relation = taken.ok_or_else(|| missing("relation", given))?;
    relation.comment = text.filter(|text| !text.is_empty()).map(Into::into);
    work.define(relation)
}

async fn comment_on_column(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    text: Option<&str>,
) -> Result<(), Diagnostic> {
    let mut parts = given.0.clone();
    let column = parts.pop().and_then(|part| part.as_ident().map(name::fold));
    let table = ast::ObjectName(parts);
    let (Some(column), false) = (column, table.0.is_empty()) else {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "column name must be qualified",
        ));
    };
    let absent = || missing("relation", &table);
    let found = work.find(&table)?.ok_or_else(absent)?;
    if matches!(found.body, RelationBody::View(_)) {
        return Err(Diagnostic::unsupported("COMMENT ON a view's column"));
    }
    if found.table().is_none() {
        let name = &found.name;
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("cannot set comment on relation \"{name}\""),
        ));
    }
    work.context.rights.may_own(&found)?;
    let taken = work.take(found.oid, Use::Shared).await?;
    let mut relation = taken.ok_or_else(absent)?;
    let relation_name = relation.name.clone();
    let body = table_of(&mut relation)?;
    let position = column_of(body, &relation_name, &column)?;
    body.comments
        .retain(|(commented, _)| *commented != position);
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        body.comments.push((position, text.into()));
    }
    work.define(relation)
}
