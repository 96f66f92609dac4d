//! CREATE TEMPORARY TABLE's schema, and the end of what is in it: at COMMIT, with DISCARD, with the session.

use super::drop::drop_relations;
use super::truncate::empty;
use super::work::{NewName, Work};
use super::{at_work, name};
use crate::access::denied;
use crate::catalog::definition::{Definitions, Grant, Orphans, Privileges, Relation};
use crate::catalog::role::Ladder;
use crate::catalog::schema::{Schema, SchemaGrant, SchemaPrivileges, is_temporary};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::Engine;
use crate::engine::context::StatementContext;
use crate::engine::temporary::{self, ALIAS, ON_COMMIT_OPTION, OnCommit};
use crate::engine::transaction::Transaction;
use crate::storage::{ALL_KEYS, Direction, Use};
use sqlparser::ast;
use std::sync::Arc;

/// Whether a statement's table is temporary: it says so, or names the session's schema.
///
/// # Errors
/// 42P16 for ON COMMIT of another table.
pub fn is(
    temporary: bool,
    given: &ast::ObjectName,
    on_commit: Option<ast::OnCommit>,
) -> Result<bool, Diagnostic> {
    let (schema, _) = name::parts(given)?;
    if temporary || schema.as_deref() == Some(ALIAS) {
        return Ok(true);
    }
    match on_commit {
        None => Ok(false),
        Some(_) => Err(Diagnostic::error(
            SqlState::INVALID_TABLE_DEFINITION,
            "ON COMMIT can only be used on temporary tables",
        )),
    }
}

/// Where a temporary table is to stand; the session's schema is made where it is not there.
///
/// # Errors
/// 42P16 for another schema, 42501 without TEMPORARY on the database.
pub fn new_name(work: &mut Work<'_>, given: &ast::ObjectName) -> Result<NewName, Diagnostic> {
    let (schema, name) = name::parts(given)?;
    let own = temporary::own_name(work.context);
    if schema.is_some_and(|schema| schema != ALIAS && schema != own) {
        return Err(Diagnostic::error(
            SqlState::INVALID_TABLE_DEFINITION,
            "cannot create temporary relation in non-temporary schema",
        ));
    }
    let context = work.context;
    if !context.rights.reaches(Ladder::ReadWrite) {
        let principals = &context.snapshot.principals;
        let database = principals.database(work.database());
        let database = database.map_or("?", |database| &database.name);
        return Err(denied(format!(
            "permission denied to create temporary tables in database \"{database}\""
        )));
    }
    let definitions = work.definitions();
    if temporary::own(&definitions, context).is_none() {
        let oid = work.new_oid()?;
        work.define_schema(Schema {
            oid,
            database: work.database(),
            name: own.as_str().into(),
            owner: Some(context.owner_of_new()),
            grants: vec![SchemaGrant {
                grantee: context.identity.principal,
                privileges: SchemaPrivileges::ALL,
            }],
            everyone: SchemaPrivileges::default(),
            comment: None,
        })?;
    }
    Ok(NewName { schema: own, name })
}

/// What whoever makes a temporary table may do with it.
pub fn grants(work: &Work<'_>) -> Vec<Grant> {
    vec![Grant {
        grantee: work.context.identity.principal,
        privileges: Privileges::ALL,
    }]
}

/// ON COMMIT among a table's options.
pub fn option(on_commit: Option<ast::OnCommit>) -> Option<(Arc<str>, Arc<str>)> {
    let what = match on_commit? {
        ast::OnCommit::PreserveRows => return None,
        ast::OnCommit::DeleteRows => OnCommit::DeleteRows,
        ast::OnCommit::Drop => OnCommit::Drop,
    };
    Some((ON_COMMIT_OPTION.into(), what.as_str().into()))
}

/// The session's temporary tables.
fn tables(work: &mut Work<'_>) -> Vec<Arc<Relation>> {
    let definitions = work.definitions();
    let Some(schema) = temporary::own(&definitions, work.context) else {
        return Vec::new();
    };
    let own = definitions.within(work.database(), &schema.name);
    own.filter(|found| found.table().is_some())
        .cloned()
        .collect()
}

/// Before COMMIT: tables ON COMMIT DROP go, and those ON COMMIT DELETE ROWS are emptied.
///
/// # Errors
/// What locking and storage give.
pub async fn end_transaction(
    engine: &Engine,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<(), Diagnostic> {
    let mut work = at_work(engine, transaction, context);
    let (mut dropped, mut emptied) = (Vec::new(), Vec::new());
    for table in tables(&mut work) {
        match OnCommit::of(&table) {
            None => {}
            Some(OnCommit::Drop) => dropped.push(table),
            Some(OnCommit::DeleteRows) => emptied.push(table),
        }
    }
    drop_tables(&mut work, dropped).await?;
    for table in emptied {
        let Some(relation) = work.take(table.oid, Use::Exclusive).await? else {
            continue;
        };
        if has_rows(&mut work, &relation)? {
            empty(&mut work, relation, false)?;
        }
    }
    Ok(())
}

/// DISCARD TEMP, and the end of the session: all of its temporary tables, and their schema.
///
/// # Errors
/// What locking and storage give.
pub async fn discard(
    engine: &Engine,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<(), Diagnostic> {
    let mut work = at_work(engine, transaction, context);
    let all = tables(&mut work);
    drop_tables(&mut work, all).await?;
    let definitions = work.definitions();
    match temporary::own(&definitions, context) {
        Some(schema) => work.undefine_schema(&schema),
        None => Ok(()),
    }
}

async fn drop_tables(work: &mut Work<'_>, tables: Vec<Arc<Relation>>) -> Result<(), Diagnostic> {
    let mut taken = Vec::with_capacity(tables.len());
    for table in tables {
        taken.extend(work.take(table.oid, Use::Exclusive).await?);
    }
    drop_relations(work, taken).await
}

fn has_rows(work: &mut Work<'_>, relation: &Relation) -> Result<bool, Diagnostic> {
    let Some(table) = relation.table() else {
        return Ok(false);
    };
    let storage = &mut work.transaction.storage;
    let mut rows = storage.scan(table.store, ALL_KEYS, Direction::Forward)?;
    Ok(rows.next()?.is_some())
}

/// What sessions that are gone have left: of a server that is starting.
pub fn left_behind(definitions: &Definitions) -> Orphans {
    let relations = definitions.all();
    let relations = relations.filter(|relation| is_temporary(&relation.schema));
    let schemas = definitions.kept_schemas();
    let schemas = schemas.filter(|(_, name, _)| is_temporary(name));
    Orphans {
        relations: relations.cloned().collect(),
        schemas: schemas
            .map(|(database, name, _)| (database, name.clone()))
            .collect(),
        types: Vec::new(),
    }
}
