//! GRANT and REVOKE on tables, COMMENT ON: what is kept with a relation and touches no row.

use super::name;
use super::work::{Work, missing};
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
    for table in &statement.tables {
        let absent = || undefined(table);
        let found = work
            .lookup(table.schema.as_deref(), &table.name)
            .ok_or_else(absent)?;
        let relation = work
            .take(found.oid, Use::Shared)
            .await?
            .ok_or_else(absent)?;
        let context = work.context;
        let next =
            crate::access::grants::apply(&relation, statement, &context.snapshot, &context.rights)?;
        work.define(next)?;
    }
    Ok(())
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

/// COMMENT ON TABLE, VIEW, INDEX, SEQUENCE
///
/// # Errors
/// 42P01, 42809, 42501; 0A000 for other objects.
pub async fn comment(
    work: &mut Work<'_>,
    object: ast::CommentObject,
    given: &ast::ObjectName,
    text: Option<&str>,
) -> Result<(), Diagnostic> {
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
