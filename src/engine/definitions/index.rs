//! CREATE INDEX: writers are kept out while it is built, readers are not.

use super::build::fill_index;
use super::constraint::{choose_relation, define_index, index_position};
use super::name;
use super::work::{Claim, Work, missing, table_of};
use crate::catalog::definition::{Index, Table};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::row::KeyLayout;
use crate::storage::Use;
use sqlparser::ast;

/// PostgreSQL's INDEX_MAX_KEYS.
const INDEX_COLUMNS_MAX: usize = 32;

/// CREATE INDEX
///
/// # Errors
/// 42P07, 42P01, 42703, 23505 by existing rows, 42501; 0A000 for expressions, predicates, other
/// access methods.
pub async fn create(work: &mut Work<'_>, statement: &ast::CreateIndex) -> Result<(), Diagnostic> {
    refuse_unsupported(statement)?;
    let absent = || missing("relation", &statement.table_name);
    let found = work.find(&statement.table_name)?.ok_or_else(absent)?;
    work.context.rights.may_own(&found)?;
    if let Some(given) = &statement.name
        && let Some(taken) = existing(work, given)?
    {
        return super::already_exists(work, &taken, statement.if_not_exists);
    }
    let mut relation = work
        .take(found.oid, Use::BlockWriters)
        .await?
        .ok_or_else(absent)?;
    let relation_name = relation.name.clone();
    let table = table_of(&mut relation).map_err(|_| {
        Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("cannot create index on relation \"{relation_name}\""),
        )
    })?;
    let (columns, descending) = columns_of(table, &relation_name, &statement.columns)?;
    let names: Vec<String> = columns
        .iter()
        .map(|position| table.columns[usize::from(*position)].name.to_string())
        .collect();
    let schema = relation.schema.to_string();
    let index_name = match &statement.name {
        Some(given) => claim(work, given, &schema).await?,
        None => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            choose_relation(work, &schema, &relation_name, &names, "idx").await?
        }
    };
    let index = Index {
        store: work.transaction.storage.create_relation()?,
        table: relation.oid,
        columns,
        descending,
        unique: statement.unique,
        constraint: None,
    };
    KeyLayout::of_index(table_of(&mut relation)?, &index)?;
    fill_index(work, &relation, &index, &index_name).await?;
    let oid = work.new_oid()?;
    define_index(work, &relation, oid, index_name, index)?;
    let table = table_of(&mut relation)?;
    table.indexes.push(oid);
    table.layout_version += 1;
    work.define(relation)
}

fn existing(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
) -> Result<Option<std::sync::Arc<crate::catalog::definition::Relation>>, Diagnostic> {
    work.find(given)
}

/// An index stands in its table's schema.
async fn claim(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    schema: &str,
) -> Result<String, Diagnostic> {
    let (named_schema, index_name) = name::parts(given)?;
    if named_schema.is_some_and(|named| named != schema) {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            "an index stands in the schema of its table",
        ));
    }
    let new = super::work::NewName {
        schema: schema.to_owned(),
        name: index_name,
    };
    match work.claim(&new).await? {
        Claim::Free => Ok(new.name),
        Claim::Taken(_) => Err(super::exists(&new.name)),
    }
}

fn columns_of(
    table: &Table,
    relation: &str,
    given: &[ast::IndexColumn],
) -> Result<(Vec<u16>, Vec<bool>), Diagnostic> {
    if given.len() > INDEX_COLUMNS_MAX {
        return Err(Diagnostic::error(
            SqlState::new("54011"),
            format!("cannot use more than {INDEX_COLUMNS_MAX} columns in an index"),
        ));
    }
    let mut columns = Vec::with_capacity(given.len());
    let mut descending = Vec::with_capacity(given.len());
    for column in given {
        if column.operator_class.is_some() {
            return Err(Diagnostic::unsupported("an operator class"));
        }
        let expression = match &column.column.expr {
            ast::Expr::Nested(inner) => &**inner,
            other => other,
        };
        let ast::Expr::Identifier(column_name) = expression else {
            return Err(Diagnostic::unsupported("an index on an expression"));
        };
        let options = &column.column.options;
        let down = options.asc == Some(false);
        // Keys sort NULLs last, and first where DESC: PostgreSQL's defaults.
        if options.nulls_first.is_some_and(|first| first != down) {
            return Err(Diagnostic::unsupported("this NULLS order in an index"));
        }
        columns.push(index_position(table, relation, &name::fold(column_name))?);
        descending.push(down);
    }
    Ok((columns, descending))
}

fn refuse_unsupported(statement: &ast::CreateIndex) -> Result<(), Diagnostic> {
    match &statement.using {
        None | Some(ast::IndexType::BTree) => {}
        Some(other) => return Err(Diagnostic::unsupported(format!("access method {other}"))),
    }
    let refused = [
        (statement.concurrently, "CREATE INDEX CONCURRENTLY"),
        (!statement.include.is_empty(), "INCLUDE"),
        (statement.predicate.is_some(), "a partial index"),
        (
            statement.nulls_distinct == Some(false),
            "NULLS NOT DISTINCT",
        ),
    ];
    match refused.iter().find(|(given, _)| *given) {
        Some((_, feature)) => Err(Diagnostic::unsupported(feature)),
        None => Ok(()),
    }
}
