//! COMMENT ON: what is kept with a relation and touches no row.

use super::enumeration;
use super::name;
use super::work::{Work, column_of, missing, table_of};
use crate::catalog::definition::{Relation, RelationBody};
use crate::catalog::enumeration::UserType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::comment::constraint_of;
use crate::storage::Use;
use sqlparser::ast;

/// COMMENT ON TABLE, VIEW, INDEX, SEQUENCE, SCHEMA, TYPE, COLUMN, CONSTRAINT, EXTENSION
///
/// # Errors
/// 42P01, 42809, 42501; 0A000 for other objects.
pub async fn comment(
    work: &mut Work<'_>,
    object: ast::CommentObject,
    given: &ast::ObjectName,
    text: Option<&str>,
) -> Result<(), Diagnostic> {
    if let Some((table, constraint)) = constraint_of(given) {
        return comment_on_constraint(work, &table, &name::fold(&constraint), text).await;
    }
    match object {
        ast::CommentObject::Column => return comment_on_column(work, given, text).await,
        ast::CommentObject::Type => return comment_on_type(work, given, text).await,
        ast::CommentObject::Extension => return super::extension::comment(given, text),
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
    let view = matches!(found.body, RelationBody::View(_));
    if found.table().is_none() && !view {
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
    let text = text.filter(|text| !text.is_empty());
    let (position, comments) = match &mut relation.body {
        RelationBody::View(view) => {
            let mut columns = view.columns.iter();
            let position = columns.position(|(name, _)| **name == *column);
            let position = position.ok_or_else(|| {
                Diagnostic::error(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{column}\" of relation \"{relation_name}\" does not exist"),
                )
            })?;
            (position as u16, &mut view.comments)
        }
        _ => {
            let table = table_of(&mut relation)?;
            let position = column_of(table, &relation_name, &column)?;
            (position, &mut table.comments)
        }
    };
    comments.retain(|(commented, _)| *commented != position);
    comments.extend(text.map(|text| (position, text.into())));
    work.define(relation)
}

async fn comment_on_type(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    text: Option<&str>,
) -> Result<(), Diagnostic> {
    let absent = || enumeration::missing(given);
    let found = enumeration::find(work, given)?.ok_or_else(absent)?;
    enumeration::may_own(work, &found)?;
    let taken = work.take_type(&found, Use::Exclusive).await?;
    let comment = text.filter(|text| !text.is_empty()).map(Into::into);
    work.define_type(UserType {
        comment,
        ..taken.ok_or_else(absent)?
    })
}

async fn comment_on_constraint(
    work: &mut Work<'_>,
    table: &ast::ObjectName,
    constraint: &str,
    text: Option<&str>,
) -> Result<(), Diagnostic> {
    let absent = || missing("relation", table);
    let found = work.find(table)?.ok_or_else(absent)?;
    if found.table().is_none() {
        let name = &found.name;
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{name}\" is not a table"),
        ));
    }
    work.context.rights.may_own(&found).map_err(|_| {
        Diagnostic::error(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("must be owner of relation {}", found.name),
        )
    })?;
    let taken = work.take(found.oid, Use::Shared).await?;
    let mut relation = taken.ok_or_else(absent)?;
    let relation_name = relation.name.clone();
    let definitions = work.definitions();
    let body = table_of(&mut relation)?;
    let own = body.constraints.iter().map(|it| (it.oid, &*it.name));
    let keys = body.indexes.iter().chain(&body.primary_index);
    let keys = keys.filter_map(|oid| definitions.get(*oid)).filter(|key| {
        let index = key.index();
        index.is_some_and(|index| index.constraint.is_some())
    });
    let keys = keys.map(|key| (key.oid, &*key.name));
    let oid = own.chain(keys).find(|(_, name)| *name == constraint);
    let Some((oid, _)) = oid else {
        return Err(Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("constraint \"{constraint}\" for table \"{relation_name}\" does not exist"),
        ));
    };
    let comments = &mut body.constraint_comments;
    comments.retain(|(commented, _)| *commented != oid);
    let text = text.filter(|text| !text.is_empty());
    comments.extend(text.map(|text| (oid, text.into())));
    work.define(relation)
}
