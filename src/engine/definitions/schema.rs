//! CREATE, ALTER and DROP SCHEMA, COMMENT ON SCHEMA, GRANT ON SCHEMA, and SET SCHEMA of relations.

use super::alter::{move_relation, owner_named};
use super::create_table::owned_sequences;
use super::work::{Claim, NewName, Work};
use super::{drop_schema, name, relabel, view};
use crate::access::grants;
use crate::catalog::definition::{Relation, RelationBody};
use crate::catalog::enumeration::UserType;
use crate::catalog::schema::{Schema, SchemaPrivileges, is_temporary};
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::query::functions::names;
use crate::engine::query::functions::text::quote_ident;
use crate::engine::query::qualify;
use crate::engine::search_path::{self, no_schema};
use crate::engine::temporary::ALIAS;
use crate::sql::credential::SchemaGrant;
use crate::sql::parse;
use crate::storage::{DEFINITIONS_RELATION, LockMode, Use};
use sqlparser::ast::{self, AlterSchemaOperation, SchemaName, VisitMut, VisitorMut};
use std::ops::ControlFlow;
use std::sync::Arc;

/// CREATE SCHEMA [IF NOT EXISTS] name [AUTHORIZATION role]
///
/// # Errors
/// 42P06, 42939 for a name that the system keeps for itself, 42704, 42501.
pub async fn create(
    work: &mut Work<'_>,
    given: &SchemaName,
    if_not_exists: bool,
) -> Result<(), Diagnostic> {
    let (name, owner) = match given {
        SchemaName::Simple(name) => (schema_named(name)?, None),
        SchemaName::NamedAuthorization(name, role) => (schema_named(name)?, Some(role)),
        SchemaName::UnnamedAuthorization(role) => (role_named(work, role), Some(role)),
    };
    work.context
        .rights
        .may_define_schema(&work.context.snapshot)?;
    let owner = match owner {
        Some(role) => owner_named(work, &role_named(work, role), "schemas")?,
        None => work.context.owner_of_new(),
    };
    demand_free_prefix(&name)?;
    if is_there(work, &name) {
        let error = exists(&name);
        if !if_not_exists {
            return Err(error);
        }
        let message = format!("{}, skipping", error.message());
        let notice = Diagnostic::new(Severity::Notice, SqlState::DUPLICATE_SCHEMA, message);
        work.context.notices.push(notice);
        return Ok(());
    }
    claim(work, &name).await?;
    let schema = Schema {
        oid: work.new_oid()?,
        database: work.database(),
        name: name.into(),
        owner: Some(owner),
        grants: Vec::new(),
        everyone: SchemaPrivileges::default(),
        comment: None,
    };
    work.define_schema(schema)
}

/// ALTER SCHEMA name RENAME TO | OWNER TO
///
/// # Errors
/// 3F000, 42P06, 42939, 42704, 42501.
pub async fn alter(work: &mut Work<'_>, statement: &ast::AlterSchema) -> Result<(), Diagnostic> {
    let name = schema_named(&statement.name)?;
    let [operation] = statement.operations.as_slice() else {
        return Err(Diagnostic::unsupported("this form of ALTER SCHEMA"));
    };
    let mut schema = take(work, &name, Use::Exclusive).await?;
    match operation {
        AlterSchemaOperation::Rename { name } => {
            let new = schema_named(name)?;
            rename(work, schema, &new).await
        }
        AlterSchemaOperation::OwnerTo { owner } => {
            let owner = super::alter::role_of(work, owner);
            schema.owner = Some(owner_named(work, &owner, "schemas")?);
            work.define_schema(schema)
        }
        _ => Err(Diagnostic::unsupported("this form of ALTER SCHEMA")),
    }
}

/// DROP SCHEMA [IF EXISTS] name, … [CASCADE | RESTRICT]
///
/// # Errors
/// 3F000, 2BP01, 42501.
pub async fn drop(
    work: &mut Work<'_>,
    names: &[ast::ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<(), Diagnostic> {
    let mut taken: Vec<Schema> = Vec::new();
    for given in names {
        let name = schema_named(given)?;
        if !is_there(work, &name) && if_exists {
            work.notice(format!("{}, skipping", no_schema(&name).message()));
            continue;
        }
        if search_path::is_system(&name) {
            return Err(Diagnostic::error(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!("cannot drop schema {name} because it is required by the database system"),
            ));
        }
        let schema = take(work, &name, Use::Exclusive).await?;
        if !taken.iter().any(|known| known.name == schema.name) {
            taken.push(schema);
        }
    }
    let mut within = Vec::new();
    for schema in &taken {
        for oid in work.relations_in(schema).await? {
            let definitions = work.definitions();
            if !definitions
                .get(oid)
                .is_some_and(|found| stands_alone(found))
            {
                continue;
            }
            if let Some(relation) = work.take(oid, Use::Exclusive).await? {
                within.push(relation);
            }
        }
    }
    drop_schema::with_schemas(work, &taken, within, cascade).await?;
    for schema in &taken {
        work.undefine_schema(schema)?;
    }
    Ok(())
}

/// What a schema has that belongs to no other relation.
fn stands_alone(relation: &Relation) -> bool {
    match &relation.body {
        RelationBody::Table(_) | RelationBody::View(_) => true,
        RelationBody::Sequence(sequence) => sequence.owned_by.is_none(),
        RelationBody::Index(_) => false,
    }
}

/// COMMENT ON SCHEMA
///
/// # Errors
/// 3F000, 42501.
pub async fn comment(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    text: Option<&str>,
) -> Result<(), Diagnostic> {
    let name = schema_named(given)?;
    let mut schema = take(work, &name, Use::Shared).await?;
    schema.comment = text.filter(|text| !text.is_empty()).map(Into::into);
    work.define_schema(schema)
}

/// GRANT or REVOKE … ON SCHEMA
///
/// # Errors
/// 3F000, 42501, 42704, 42809.
pub async fn grant(work: &mut Work<'_>, statement: &SchemaGrant) -> Result<(), Diagnostic> {
    for name in &statement.schemas {
        let schema = work.schema(name)?;
        let schema = work.take_schema(&schema, Use::Shared).await?;
        let schema = schema.ok_or_else(|| no_schema(name))?;
        let context = work.context;
        let next = grants::apply_to_schema(&schema, statement, &context.snapshot, &context.rights)?;
        work.define_schema(next)?;
    }
    Ok(())
}

/// SET SCHEMA of a relation that is taken, with what belongs to it.
///
/// # Errors
/// 3F000, 42P07, 42501; 42809 for an index and 0A000 for a sequence that belongs to a column, which go
/// with their table.
pub async fn set(
    work: &mut Work<'_>,
    relation: Relation,
    schema: &ast::Ident,
) -> Result<(), Diagnostic> {
    let schema = name::fold(schema);
    match &relation.body {
        RelationBody::Index(_) => {
            return Err(Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change schema of index \"{}\"", relation.name),
            )
            .with_hint("Change the schema of the table instead."));
        }
        RelationBody::Sequence(sequence) if sequence.owned_by.is_some() => {
            let table = sequence.owned_by.map(|(table, _)| table);
            let definitions = work.definitions();
            let table = table.and_then(|table| definitions.get(table));
            return Err(Diagnostic::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot move an owned sequence into another schema",
            )
            .with_detail(format!(
                "Sequence \"{}\" is linked to table \"{}\".",
                relation.name,
                table.map_or("?", |table| &*table.name)
            )));
        }
        _ => {}
    }
    let temporary = |schema: &str| schema == ALIAS || is_temporary(schema);
    if temporary(&schema) || temporary(&relation.schema) {
        return Err(Diagnostic::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot move objects into or out of temporary schemas",
        ));
    }
    let target = work.schema(&schema)?;
    work.context.rights.may_define(&target)?;
    if *relation.schema == *schema {
        return Ok(());
    }
    let mut moved = Vec::new();
    if let RelationBody::Table(table) = &relation.body {
        let definitions = work.definitions();
        let indexes = table.indexes.iter().chain(&table.primary_index);
        let indexes = indexes.filter_map(|oid| definitions.get(*oid).cloned());
        moved.extend(indexes);
        moved.extend(owned_sequences(work, relation.oid));
    }
    demand_free(work, &schema, &relation.name)?;
    move_to(work, relation, &schema).await?;
    for belonging in moved {
        demand_free(work, &schema, &belonging.name)?;
        // An index is as its table is, which is taken; a sequence is used by itself.
        let how = match belonging.body {
            RelationBody::Sequence(_) => Use::Exclusive,
            _ => Use::Shared,
        };
        if let Some(belonging) = work.take(belonging.oid, how).await? {
            move_to(work, belonging, &schema).await?;
        }
    }
    Ok(())
}

async fn move_to(work: &mut Work<'_>, relation: Relation, schema: &str) -> Result<(), Diagnostic> {
    let new = NewName {
        schema: schema.to_owned(),
        name: relation.name.to_string(),
    };
    if let Claim::Taken(_) = work.claim(&new).await? {
        return Err(taken_there(&new.name, schema));
    }
    move_relation(work, relation, new).await
}

fn demand_free(work: &mut Work<'_>, schema: &str, name: &str) -> Result<(), Diagnostic> {
    match work.lookup(Some(schema), name) {
        Some(_) => Err(taken_there(name, schema)),
        None => Ok(()),
    }
}

/// 42P07
fn taken_there(name: &str, schema: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DUPLICATE_TABLE,
        format!("relation \"{name}\" already exists in schema \"{schema}\""),
    )
}

/// Takes a schema that is the caller's to change.
async fn take(work: &mut Work<'_>, name: &str, how: Use) -> Result<Schema, Diagnostic> {
    if search_path::is_system(name) {
        let message = format!("must be owner of schema {name}");
        return Err(Diagnostic::error(SqlState::INSUFFICIENT_PRIVILEGE, message));
    }
    let schema = work.schema(name)?;
    work.context.rights.may_own_schema(&schema)?;
    let taken = work.take_schema(&schema, how).await?;
    taken.ok_or_else(|| no_schema(name))
}

async fn rename(work: &mut Work<'_>, schema: Schema, to: &str) -> Result<(), Diagnostic> {
    if is_there(work, to) {
        return Err(exists(to));
    }
    demand_free_prefix(to)?;
    claim(work, to).await?;
    let renamed = Schema {
        name: to.into(),
        ..schema.clone()
    };
    // What others have made in it meanwhile is among the definitions then.
    work.relations_in(&schema).await?;
    let definitions = work.definitions();
    let of_database: Vec<_> = definitions.of_database(schema.database).cloned().collect();
    work.define_schema(renamed)?;
    for old in &of_database {
        let (within, follows) = (old.schema == schema.name, may_name(old, &schema.name));
        if !within && !follows {
            continue;
        }
        let how = match old.body {
            // As its table is.
            RelationBody::Index(_) => Use::Shared,
            _ => Use::Exclusive,
        };
        let Some(mut relation) = work.take(old.oid, how).await? else {
            continue;
        };
        say_schema(&mut relation, &schema.name, to)?;
        if within {
            work.release_name(&relation)?;
            relation.schema = to.into();
        }
        if let RelationBody::Table(table) = &mut relation.body {
            table.layout_version += 1;
        }
        work.define(relation)?;
    }
    let definitions = work.definitions();
    let types = definitions.types_of(schema.database);
    for known in types.filter(|known| known.schema == schema.name) {
        let Some(known) = work.take_type(known, Use::Exclusive).await? else {
            continue;
        };
        let new = NewName {
            schema: to.to_owned(),
            name: known.name.to_string(),
        };
        relabel::name_anew(work, &known, &new).await?;
        work.release_type_name(&known)?;
        work.define_type(UserType {
            schema: to.into(),
            ..known
        })?;
    }
    work.undefine_schema(&schema)
}

/// Whether a text of the relation's may name the schema: any may name `public` by leaving it out.
fn may_name(relation: &Relation, schema: &str) -> bool {
    let doubled = schema.replace('"', "\"\"");
    let may = |text: &str| schema == search_path::PUBLIC || text.contains(&doubled);
    match &relation.body {
        RelationBody::View(view) => may(&view.query),
        RelationBody::Table(table) => table
            .columns
            .iter()
            .filter_map(|column| column.default.as_deref())
            .any(|text| text.contains("nextval") && may(text)),
        RelationBody::Index(_) | RelationBody::Sequence(_) => false,
    }
}

/// Has the relation's texts say a schema's new name for its old one.
fn say_schema(relation: &mut Relation, from: &str, to: &str) -> Result<(), Diagnostic> {
    match &mut relation.body {
        RelationBody::View(view) => {
            let ast::Statement::Query(mut query) = parse::parse_one(&view.query)? else {
                return Ok(());
            };
            qualify::relations(&mut query, |schema, _| {
                match schema.unwrap_or(search_path::PUBLIC) == from {
                    true => qualify::Schema::Written(to.to_owned()),
                    false => qualify::Schema::Kept,
                }
            });
            let _ = VisitMut::visit(&mut query, &mut Columns { from, to });
            view.query = Arc::from(query.to_string());
        }
        RelationBody::Table(table) => {
            for column in &mut table.columns {
                let Some(text) = &column.default else {
                    continue;
                };
                let said = qualify::sequences(text, |name| {
                    let parts = names::split(name).ok()?;
                    let (schema, sequence) = match parts.as_slice() {
                        [schema, sequence] => (schema.as_str(), sequence),
                        [sequence] => (search_path::PUBLIC, sequence),
                        _ => return None,
                    };
                    (schema == from)
                        .then(|| format!("{}.{}", quote_ident(to), quote_ident(sequence)))
                });
                column.default = Some(said.into());
            }
        }
        RelationBody::Index(_) | RelationBody::Sequence(_) => {}
    }
    Ok(())
}

/// Columns that are qualified by schema and relation.
struct Columns<'a> {
    from: &'a str,
    to: &'a str,
}

impl VisitorMut for Columns<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::CompoundIdentifier(parts) = expr
            && let [schema, _, _] = parts.as_mut_slice()
            && name::fold(schema) == self.from
        {
            *schema = view::identifier(self.to);
        }
        ControlFlow::Continue(())
    }
}

/// Locks the name of a schema to be made, of which the statement sees none.
///
/// # Errors
/// 23505 where somebody who has committed meanwhile has made it.
async fn claim(work: &mut Work<'_>, name: &str) -> Result<(), Diagnostic> {
    let key = super::codec::schema_key(work.database(), name);
    let wait = work.wait();
    let storage = &mut work.transaction.storage;
    storage
        .lock(DEFINITIONS_RELATION, &key, LockMode::Update, wait)
        .await?;
    let taken = match storage.newest(DEFINITIONS_RELATION, &key)?.row {
        Some(row) => super::codec::decode_schema(&row)?.is_some(),
        None => false,
    };
    if !taken {
        return Ok(());
    }
    Err(Diagnostic::error(
        SqlState::UNIQUE_VIOLATION,
        "duplicate key value violates unique constraint \"pg_namespace_nspname_index\"",
    )
    .with_detail(format!("Key (nspname)=({name}) already exists."))
    .with_constraint("pg_namespace_nspname_index"))
}

fn is_there(work: &mut Work<'_>, name: &str) -> bool {
    let (definitions, database) = (work.definitions(), work.database());
    search_path::is_system(name) || definitions.schema(database, name).is_some()
}

fn schema_named(given: &ast::ObjectName) -> Result<String, Diagnostic> {
    match name::parts(given)? {
        (None, name) => Ok(name),
        (Some(_), _) => Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            format!("syntax error at or near \"{given}\""),
        )),
    }
}

fn role_named(work: &Work<'_>, role: &ast::Ident) -> String {
    let folded = name::fold(role);
    let is_word = role.quote_style.is_none();
    match folded.as_str() {
        "current_user" | "session_user" | "current_role" if is_word => {
            work.context.identity.name.to_string()
        }
        _ => folded,
    }
}

/// # Errors
/// 42939
fn demand_free_prefix(name: &str) -> Result<(), Diagnostic> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    Err(Diagnostic::error(
        SqlState::new("42939"),
        format!("unacceptable schema name \"{name}\""),
    )
    .with_detail("The prefix \"pg_\" is reserved for system schemas."))
}

/// 42P06
fn exists(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DUPLICATE_SCHEMA,
        format!("schema \"{name}\" already exists"),
    )
}
