//! CREATE, ALTER and DROP of tables and what belongs to them, inside a transaction.
//!
//! A definition is written to storage relation 1 in the same storage transaction as the rows and
//! is private to the transaction until COMMIT (DESIGN §6 "Two kinds of truth"). Every change that a
//! writer must know of gives the table a new layout version, which storage holds late writers to.

mod alter;
mod build;
pub mod codec;
mod column;
mod comment;
mod constraint;
mod create_as;
mod create_table;
mod drop;
mod drop_schema;
mod drop_type;
mod enumeration;
mod extension;
mod foreign_key;
mod generated;
mod grant;
mod identity;
mod index;
mod like;
mod lock;
mod name;
mod older;
mod policy;
mod relabel;
mod rewrite;
mod schema;
mod sequence;
mod stars;
pub mod temporary;
#[cfg(test)]
mod tests;
mod truncate;
mod verify;
mod view;
mod work;

use super::context::StatementContext;
use super::dml::pace::Pace;
use super::entry::Engine;
use super::outcome::CommandTag;
use super::transaction::Transaction;
use crate::catalog::definition::{DefinitionChange, Definitions, Orphans, Relation};
use crate::catalog::request::IfExists;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::alter::Kind;
use crate::sql::credential::{RowPolicyStatement, SchemaGrant, TableGrant};
use crate::storage::{ALL_KEYS, DEFINITIONS_RELATION, Isolation, Storage};
use create_as::CreateAs;
use sqlparser::ast::{self, Statement, UserDefinedTypeRepresentation};
use std::sync::Arc;
use work::{Work, missing, own_store};

/// Whether this room carries the statement out: definitions, TRUNCATE, COMMENT, LOCK TABLE, VACUUM,
/// ANALYZE.
pub fn is_definition(statement: &Statement) -> bool {
    tag_of(statement).is_some()
}

/// The command's tag; DROP's depends on what it drops.
fn tag_of(statement: &Statement) -> Option<&'static str> {
    Some(match statement {
        Statement::CreateTable(table) if table.query.is_some() => "CREATE TABLE AS",
        Statement::CreateTable(_) => "CREATE TABLE",
        Statement::Query(query) if CreateAs::is_select_into(query) => "SELECT INTO",
        Statement::CreateIndex(_) => "CREATE INDEX",
        Statement::CreateView(_) => "CREATE VIEW",
        Statement::CreateSequence { .. } => "CREATE SEQUENCE",
        Statement::CreateSchema { .. } => "CREATE SCHEMA",
        Statement::AlterSchema(_) => "ALTER SCHEMA",
        Statement::AlterTable(altered) => match crate::sql::alter::kind(altered) {
            Kind::Table => "ALTER TABLE",
            Kind::View => "ALTER VIEW",
            Kind::Index => "ALTER INDEX",
            Kind::Sequence => "ALTER SEQUENCE",
        },
        Statement::Drop { .. } => "DROP",
        Statement::Truncate(_) => "TRUNCATE TABLE",
        Statement::CreatePolicy(_) => "CREATE POLICY",
        Statement::AlterPolicy(_) => "ALTER POLICY",
        Statement::DropPolicy(_) => "DROP POLICY",
        Statement::CreateType { .. } => "CREATE TYPE",
        Statement::AlterType(_) => "ALTER TYPE",
        Statement::CreateExtension(_) => "CREATE EXTENSION",
        Statement::DropExtension(_) => "DROP EXTENSION",
        Statement::Comment { .. } => "COMMENT",
        Statement::Lock(_) => "LOCK TABLE",
        Statement::Vacuum(_) => "VACUUM",
        Statement::Analyze(_) => "ANALYZE",
        _ => return None,
    })
}

/// Carries a definition statement out, inside the transaction.
///
/// # Errors
/// What PostgreSQL gives (42P07, 42P01, 23505, 2BP01, …), 42501, 0A000 naming what is not there.
pub async fn execute(
    statement: &Statement,
    engine: &Engine,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<CommandTag, Diagnostic> {
    let tag = tag_of(statement).ok_or_else(|| Diagnostic::unsupported("this statement"))?;
    let mut work = begin(engine, transaction, context, tag)?;
    let qualified = enumeration::qualified(statement, context);
    let statement = qualified.as_ref().unwrap_or(statement);
    if let Some(create) = CreateAs::of(statement)? {
        return create.create(&mut work).await;
    }
    dispatch(&mut work, statement, tag)
        .await
        .map(CommandTag::Plain)
}

/// GRANT or REVOKE … ON TABLE, which the credential parser reads.
///
/// # Errors
/// 42P01, 3F000, 42501, 42704, 42809.
pub async fn grant(
    statement: &TableGrant,
    engine: &Engine,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<CommandTag, Diagnostic> {
    let tag = statement.direction.tag();
    let mut work = begin(engine, transaction, context, tag)?;
    grant::grant(&mut work, statement).await?;
    Ok(CommandTag::Plain(tag))
}

/// GRANT or REVOKE … ON SCHEMA, which the credential parser reads.
///
/// # Errors
/// 3F000, 42501, 42704, 42809.
pub async fn grant_on_schema(
    statement: &SchemaGrant,
    engine: &Engine,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<CommandTag, Diagnostic> {
    let tag = statement.direction.tag();
    let mut work = begin(engine, transaction, context, tag)?;
    schema::grant(&mut work, statement).await?;
    Ok(CommandTag::Plain(tag))
}

/// CREATE or DROP RLS POLICY, which the credential parser reads.
///
/// # Errors
/// 42P01, 42501, 42704, 42710, 42809; whatever is wrong with the predicate.
pub async fn row_policy(
    statement: &RowPolicyStatement,
    engine: &Engine,
    transaction: &mut Transaction,
    context: &StatementContext,
) -> Result<CommandTag, Diagnostic> {
    let tag = match statement {
        RowPolicyStatement::Create(_) => "CREATE RLS POLICY",
        RowPolicyStatement::Drop { .. } => "DROP RLS POLICY",
    };
    let mut work = begin(engine, transaction, context, tag)?;
    match statement {
        RowPolicyStatement::Create(new) => policy::create(&mut work, new).await?,
        RowPolicyStatement::Drop {
            if_exists,
            name,
            table,
        } => policy::drop(&mut work, *if_exists, name, table).await?,
    }
    Ok(CommandTag::Plain(tag))
}

fn begin<'a>(
    engine: &'a Engine,
    transaction: &'a mut Transaction,
    context: &'a StatementContext,
    tag: &str,
) -> Result<Work<'a>, Diagnostic> {
    if context.read_only && !matches!(tag, "VACUUM" | "ANALYZE" | "LOCK TABLE") {
        return Err(Diagnostic::error(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {tag} in a read-only transaction"),
        ));
    }
    Ok(at_work(engine, transaction, context))
}

fn at_work<'a>(
    engine: &'a Engine,
    transaction: &'a mut Transaction,
    context: &'a StatementContext,
) -> Work<'a> {
    Work {
        engine,
        transaction,
        context,
        pace: Pace::new(context.cancel.clone()),
        found: Vec::new(),
        found_types: Vec::new(),
    }
}

async fn dispatch(
    work: &mut Work<'_>,
    statement: &Statement,
    tag: &'static str,
) -> Result<&'static str, Diagnostic> {
    match statement {
        Statement::CreateTable(table) => create_table::create(work, table).await?,
        Statement::CreateIndex(index) => index::create(work, index).await?,
        Statement::CreateView(view) => view::create(work, view).await?,
        Statement::CreateSequence {
            temporary: false,
            if_not_exists,
            name,
            data_type,
            sequence_options,
            owned_by,
        } => {
            let statement = sequence::CreateSequence {
                if_not_exists: *if_not_exists,
                name,
                data_type: data_type.as_ref(),
                options: sequence_options,
                owned_by: owned_by.as_ref(),
            };
            sequence::create(work, statement).await?;
        }
        Statement::CreateSchema {
            schema_name,
            if_not_exists,
            with: None,
            options: None,
            default_collate_spec: None,
            clone: None,
        } => schema::create(work, schema_name, *if_not_exists).await?,
        Statement::AlterSchema(altered) => schema::alter(work, altered).await?,
        Statement::AlterTable(altered) => alter::relation(work, altered).await?,
        Statement::Drop {
            object_type,
            if_exists,
            names,
            cascade,
            ..
        } => {
            let statement = drop::Drop {
                object_type: *object_type,
                if_exists: *if_exists,
                names,
                cascade: *cascade,
            };
            return drop::drop(work, statement).await;
        }
        Statement::Truncate(truncate) => truncate::truncate(work, truncate).await?,
        Statement::CreatePolicy(create) => {
            let new = policy::of_postgresql(work, create)?;
            policy::create(work, &new).await?;
        }
        Statement::AlterPolicy(alter) => policy::alter(work, alter).await?,
        Statement::DropPolicy(drop) => {
            let if_exists = match drop.if_exists {
                true => IfExists::Skip,
                false => IfExists::Fail,
            };
            let (name, table) = (
                name::fold(&drop.name),
                policy::table_named(&drop.table_name)?,
            );
            policy::drop(work, if_exists, &name, &table).await?;
        }
        Statement::CreateType {
            name,
            representation: Some(UserDefinedTypeRepresentation::Enum { labels }),
        } => enumeration::create(work, name, labels).await?,
        Statement::AlterType(altered) => enumeration::alter(work, altered).await?,
        Statement::Comment {
            object_type,
            object_name,
            comment,
            if_exists: false,
        } => comment::comment(work, *object_type, object_name, comment.as_deref()).await?,
        Statement::CreateExtension(statement) => extension::create(work, statement)?,
        Statement::DropExtension(statement) => extension::drop(work, statement)?,
        Statement::Lock(statement) => lock::tables(work, statement).await?,
        Statement::Vacuum(vacuum) => maintain(work, vacuum.table_name.as_ref())?,
        Statement::Analyze(analyze) => maintain(work, analyze.table_name.as_ref())?,
        _ => return Err(Diagnostic::unsupported(format!("this form of {tag}"))),
    }
    Ok(tag)
}

/// VACUUM and ANALYZE: the table must be there and be the caller's. Free space is given back by
/// storage on its own, and the planner keeps no statistics (REFERENCE §8).
fn maintain(work: &mut Work<'_>, table: Option<&ast::ObjectName>) -> Result<(), Diagnostic> {
    let Some(table) = table else {
        return Ok(());
    };
    let relation = work
        .find(table)?
        .ok_or_else(|| missing("relation", table))?;
    if work.context.rights.may_own(&relation).is_err() {
        let name = &relation.name;
        work.context.notices.push(Diagnostic::warning(
            SqlState::WARNING,
            format!("skipping \"{name}\" --- only table or database owner can vacuum it"),
        ));
    }
    Ok(())
}

/// 42P07
fn exists(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DUPLICATE_TABLE,
        format!("relation \"{name}\" already exists"),
    )
}

/// 42P07, or with IF NOT EXISTS a notice.
fn already_exists(
    work: &Work<'_>,
    relation: &Relation,
    if_not_exists: bool,
) -> Result<(), Diagnostic> {
    let error = exists(&relation.name);
    if !if_not_exists {
        return Err(error);
    }
    work.context.notices.push(Diagnostic::new(
        crate::diagnostic::Severity::Notice,
        SqlState::DUPLICATE_TABLE,
        format!("{}, skipping", error.message()),
    ));
    Ok(())
}

/// All definitions, as they were last committed: read once at start.
///
/// # Errors
/// XX001 for a record that cannot be read, and what storage gives.
pub fn load(storage: &Storage) -> Result<Definitions, Diagnostic> {
    let mut transaction = storage.begin(0, Isolation::ReadCommitted);
    transaction.begin_statement()?;
    let mut definitions = Definitions::default();
    let mut scan = transaction.scan(
        DEFINITIONS_RELATION,
        ALL_KEYS,
        crate::storage::Direction::Forward,
    )?;
    while let Some((key, row)) = scan.next()? {
        if key.len() == size_of::<u32>() {
            let relation = Arc::new(codec::decode(row)?);
            definitions = definitions.with(&DefinitionChange::Put(relation));
        } else if let Some((database, name)) = codec::schema_of_key(key) {
            definitions = definitions.with(&match codec::decode_schema(row)? {
                Some(schema) => DefinitionChange::PutSchema(Arc::new(schema)),
                None => DefinitionChange::DropSchema(database, name.into()),
            });
        } else if codec::is_type_key(key) {
            let known = Arc::new(codec::decode_type(row)?);
            definitions = definitions.with(&DefinitionChange::PutType(known));
        }
        // The other keys claim names.
    }
    Ok(definitions)
}

/// Removes the definitions and rows of what was in databases that are gone, durably; takes what is
/// partly gone already. Blocks until it is on disk: for the control thread.
///
/// # Errors
/// What storage gives; nothing is removed then.
pub fn forget(storage: &Storage, orphans: &Orphans) -> Result<(), Diagnostic> {
    let mut transaction = storage.begin(0, Isolation::ReadCommitted);
    for (database, schema) in &orphans.schemas {
        transaction.delete(DEFINITIONS_RELATION, &codec::schema_key(*database, schema))?;
    }
    for known in &orphans.types {
        let key = codec::type_key(known.database, &known.schema, &known.name);
        transaction.delete(DEFINITIONS_RELATION, &key)?;
    }
    for relation in &orphans.relations {
        let name = codec::name_key(relation.database, &relation.schema, &relation.name);
        transaction.delete(DEFINITIONS_RELATION, &name)?;
        transaction.delete(DEFINITIONS_RELATION, &codec::oid_key(relation.oid))?;
        if let Some(store) = own_store(&relation.body) {
            transaction.drop_relation(store);
        }
    }
    futures::executor::block_on(transaction.commit())?;
    Ok(())
}
