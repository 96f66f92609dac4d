//! CREATE TYPE … AS ENUM and ALTER TYPE.
//!
//! A type is changed only after its use is taken, as a relation is; whoever makes a column of it takes it
//! too, so that none is dropped under a column that is being made. What is stored as text names every type
//! with its schema ([`qualified`]). Source: PostgreSQL 15, CREATE TYPE and ALTER TYPE.

use super::alter::owner_named;
use super::name;
use super::relabel;
use super::work::{NewName, Work};
use crate::access::denied;
use crate::catalog::definition::{Relation, RelationBody};
use crate::catalog::enumeration::{
    ENUM_LABEL_BYTES_MAX, ENUM_LABELS_MAX, EnumLabel, UserType, first_key,
};
use crate::catalog::sql_type::{EnumType, SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::query::functions::text::quote_ident;
use crate::engine::query::qualify;
use crate::engine::search_path;
use crate::engine::types::{self, Input, enumeration};
use crate::sql::user_type::Special;
use crate::storage::Use;
use sqlparser::ast::{
    self, AlterTypeAddValue, AlterTypeAddValuePosition, AlterTypeOperation, Statement, VisitMut,
};
use std::sync::Arc;

/// CREATE TYPE name AS ENUM (…)
///
/// # Errors
/// 42710, 42602 for a label that is too long, 23505 for one that is there twice, 54000 for too many; 42501.
pub async fn create(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    labels: &[ast::Ident],
) -> Result<(), Diagnostic> {
    let new = work.new_name(given)?;
    demand_no_type(work, &new)?;
    work.claim_type(&new).await?;
    let type_id = EnumType {
        oid: work.new_oid()?,
        array: work.new_oid()?,
    };
    demand_room(labels.len())?;
    let mut made = UserType {
        type_id,
        database: work.database(),
        schema: new.schema.into(),
        name: new.name.into(),
        owner: work.context.owner_of_new(),
        comment: None,
        labels: Vec::with_capacity(labels.len()),
    };
    for (place, given) in labels.iter().enumerate() {
        let label = label_of(given)?;
        if made.place(label).is_some() {
            return Err(twice(type_id, label));
        }
        made.labels.push(EnumLabel {
            oid: work.new_oid()?,
            key: first_key(place, labels.len()).into(),
            label: label.into(),
        });
    }
    work.define_type(made)
}

/// ALTER TYPE name ADD VALUE | RENAME VALUE | RENAME TO | OWNER TO | SET SCHEMA
///
/// # Errors
/// 42704, 42809 for a built-in type, 42710, 22023, 42602, 42501; 0A000 for a label that stored texts name.
pub async fn alter(work: &mut Work<'_>, statement: &ast::AlterType) -> Result<(), Diagnostic> {
    let Some(found) = find(work, &statement.name)? else {
        let rename = matches!(statement.operation, AlterTypeOperation::Rename(_));
        return Err(no_enumeration(work, &statement.name, rename)?);
    };
    may_own(work, &found)?;
    let taken = work.take_type(&found, Use::Exclusive).await?;
    let known = taken.ok_or_else(|| missing(&statement.name))?;
    match &statement.operation {
        AlterTypeOperation::AddValue(added) => add_value(work, known, added),
        AlterTypeOperation::RenameValue(renamed) => {
            let (from, to) = (label_of(&renamed.from)?, label_of(&renamed.to)?);
            relabel::rename_value(work, known, from, to).await
        }
        AlterTypeOperation::Rename(renamed) => match Special::of(renamed) {
            Some(Special::Owner(owner)) => {
                let owner = owner_named(work, &role_named(work, &owner), "types")?;
                work.define_type(UserType { owner, ..known })
            }
            Some(Special::Schema(schema)) => {
                let target = work.schema(&name::fold(&schema))?;
                work.context.rights.may_define(&target)?;
                if *target.name == *known.schema {
                    return Ok(());
                }
                let new = NewName {
                    schema: target.name.to_string(),
                    name: known.name.to_string(),
                };
                move_to(work, known, new).await
            }
            None => {
                let new = NewName {
                    schema: known.schema.to_string(),
                    name: name::fold(&renamed.new_name),
                };
                move_to(work, known, new).await
            }
        },
    }
}

fn add_value(
    work: &mut Work<'_>,
    mut known: UserType,
    added: &AlterTypeAddValue,
) -> Result<(), Diagnostic> {
    let label = label_of(&added.value)?;
    if known.place(label).is_some() {
        let error = label_exists(label);
        if !added.if_not_exists {
            return Err(error);
        }
        let message = format!("{}, skipping", error.message());
        let notice = Diagnostic::new(Severity::Notice, SqlState::DUPLICATE_OBJECT, message);
        work.context.notices.push(notice);
        return Ok(());
    }
    demand_room(known.labels.len() + 1)?;
    let neighbour = |given: &ast::Ident| {
        let label = label_of(given)?;
        known.place(label).ok_or_else(|| no_label(label))
    };
    let place = match &added.position {
        None => known.labels.len(),
        Some(AlterTypeAddValuePosition::Before(given)) => neighbour(given)?,
        Some(AlterTypeAddValuePosition::After(given)) => neighbour(given)? + 1,
    };
    let oid = work.new_oid()?;
    known.insert(place, oid, label);
    work.define_type(known)
}

/// Gives a type that is taken another name or schema; what names it by text follows.
async fn move_to(work: &mut Work<'_>, known: UserType, new: NewName) -> Result<(), Diagnostic> {
    demand_no_type(work, &new)?;
    work.claim_type(&new).await?;
    relabel::name_anew(work, &known, &new).await?;
    work.release_type_name(&known)?;
    work.define_type(UserType {
        schema: new.schema.into(),
        name: new.name.into(),
        ..known
    })
}

/// The type of this name that somebody has defined; None: there is none.
///
/// # Errors
/// 3F000 for a schema that is not there.
pub fn find(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
) -> Result<Option<Arc<UserType>>, Diagnostic> {
    let (schema, name) = name::parts(given)?;
    if let Some(schema) = schema
        .as_deref()
        .filter(|schema| !search_path::is_system(schema))
    {
        work.schema(schema)?;
    }
    let found = enumeration::named(schema.as_deref(), &name, work.input());
    Ok(found.cloned())
}

/// What is said of a name that is no enumeration's: a table's, a built-in type's, nothing's.
fn no_enumeration(
    work: &mut Work<'_>,
    given: &ast::ObjectName,
    rename: bool,
) -> Result<Diagnostic, Diagnostic> {
    let (schema, name) = name::parts(given)?;
    let wrong = |message: String| Diagnostic::error(SqlState::WRONG_OBJECT_TYPE, message);
    let catalog = schema.as_deref().is_none_or(search_path::is_system);
    if catalog && let Some(found) = types::name::from_internal_name(&name) {
        return Ok(wrong(format!(
            "{} is not an enum",
            types::format_type(found)
        )));
    }
    let relation = work.lookup(schema.as_deref(), &name);
    if relation.is_some_and(|found| has_row_type(&found)) {
        if !rename {
            return Ok(wrong(format!("{name} is not an enum")));
        }
        let error = wrong(format!("{name} is a table's row type"));
        return Ok(error.with_hint("Use ALTER TABLE instead."));
    }
    Ok(missing(given))
}

/// 42704
pub fn missing(given: &ast::ObjectName) -> Diagnostic {
    let shown = match name::parts(given) {
        Ok((Some(schema), name)) => format!("{schema}.{name}"),
        Ok((None, name)) => name,
        Err(error) => return error,
    };
    Diagnostic::error(
        SqlState::UNDEFINED_OBJECT,
        format!("type \"{shown}\" does not exist"),
    )
}

/// ALTER and DROP of a type: its owner, and whoever may define in its schema.
///
/// # Errors
/// 42501 `must be owner of type t`.
pub fn may_own(work: &mut Work<'_>, known: &UserType) -> Result<(), Diagnostic> {
    let rights = &work.context.rights;
    let (definitions, database) = (work.definitions(), work.database());
    let schema = definitions.schema(database, &known.schema);
    let owner = work.context.identity.principal == known.owner;
    match owner || schema.is_some_and(|schema| rights.may_own_schema(&schema).is_ok()) {
        true => Ok(()),
        false => Err(denied(format!("must be owner of type {}", known.name))),
    }
}

/// Before a table or view is made: the type of its rows has its name.
///
/// # Errors
/// 42710
pub fn demand_free(work: &mut Work<'_>, new: &NewName) -> Result<(), Diagnostic> {
    match is_there(work, new) {
        false => Ok(()),
        true => Err(exists(&new.name).with_hint(
            "A relation has an associated type of the same name, so you must use a name that \
             doesn't conflict with any existing type.",
        )),
    }
}

/// Takes the type of a column that is being made, so that it stays.
///
/// # Errors
/// 42704 for one that somebody has dropped meanwhile.
pub async fn hold(work: &mut Work<'_>, sql_type: SqlType) -> Result<(), Diagnostic> {
    let Some(known) = of_type(sql_type, work.input()).cloned() else {
        return Ok(());
    };
    match work.take_type(&known, Use::Shared).await? {
        Some(_) => Ok(()),
        None => Err(Diagnostic::error(
            SqlState::UNDEFINED_OBJECT,
            format!("type \"{}\" does not exist", known.name),
        )),
    }
}

/// The definition of a type, if somebody has defined it.
pub fn of_type<'a>(sql_type: SqlType, input: Input<'a>) -> Option<&'a Arc<UserType>> {
    match sql_type.kind {
        TypeKind::Enum(type_id) => input.types?.get(type_id),
        _ => None,
    }
}

/// As stored texts name it.
pub fn stored(known: &UserType) -> String {
    format!(
        "{}.{}",
        quote_ident(&known.schema),
        quote_ident(&known.name)
    )
}

/// The statement with the schema before every type that a cast in it names; None where nobody has defined
/// types, or the statement stays as it is.
pub fn qualified(statement: &Statement, context: &StatementContext) -> Option<Statement> {
    if context.user_types().is_empty() {
        return None;
    }
    let mut written = statement.clone();
    qualify(&mut written, context).then_some(written)
}

/// Writes the schema before every type that a cast in a tree names; whether there was one.
pub fn qualify(tree: &mut impl VisitMut, context: &StatementContext) -> bool {
    qualify::types(tree, |schema, name| {
        let built_in = types::name::from_internal_name(name).is_some();
        if schema.is_some() || built_in {
            return None;
        }
        let found = enumeration::named(None, name, context.input())?;
        Some((Some(found.schema.to_string()), found.name.to_string()))
    })
}

fn role_named(work: &Work<'_>, role: &ast::Ident) -> String {
    let folded = name::fold(role);
    match folded.as_str() {
        "current_user" | "session_user" | "current_role" if role.quote_style.is_none() => {
            work.context.identity.name.to_string()
        }
        _ => folded,
    }
}

/// Whether a type of rows has the relation's name.
fn has_row_type(relation: &Relation) -> bool {
    matches!(
        relation.body,
        RelationBody::Table(_) | RelationBody::View(_)
    )
}

/// # Errors
/// 42710
fn demand_no_type(work: &mut Work<'_>, new: &NewName) -> Result<(), Diagnostic> {
    let relation = work.lookup(Some(&new.schema), &new.name);
    match relation.is_some_and(|found| has_row_type(&found)) || is_there(work, new) {
        true => Err(exists(&new.name)),
        false => Ok(()),
    }
}

fn is_there(work: &mut Work<'_>, new: &NewName) -> bool {
    let (definitions, database) = (work.definitions(), work.database());
    definitions
        .find_type(database, &new.schema, &new.name)
        .is_some()
}

/// A label as it is given: a quoted text.
fn label_of(given: &ast::Ident) -> Result<&str, Diagnostic> {
    if given.quote_style != Some('\'') {
        return Err(Diagnostic::error(
            SqlState::SYNTAX_ERROR,
            format!("syntax error at or near \"{}\"", given.value),
        ));
    }
    if given.value.len() <= ENUM_LABEL_BYTES_MAX {
        return Ok(&given.value);
    }
    Err(Diagnostic::error(
        SqlState::INVALID_NAME,
        format!("invalid enum label \"{}\"", given.value),
    )
    .with_detail(format!(
        "Labels must be {ENUM_LABEL_BYTES_MAX} bytes or less."
    )))
}

fn demand_room(labels: usize) -> Result<(), Diagnostic> {
    match labels <= ENUM_LABELS_MAX {
        true => Ok(()),
        false => Err(Diagnostic::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("enumerations can have at most {ENUM_LABELS_MAX} labels"),
        )
        .with_hint("Keep so many values in a table.")),
    }
}

fn exists(name: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DUPLICATE_OBJECT,
        format!("type \"{name}\" already exists"),
    )
}

/// 42710 of a label.
pub fn label_exists(label: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::DUPLICATE_OBJECT,
        format!("enum label \"{label}\" already exists"),
    )
}

/// 22023
pub fn no_label(label: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("\"{label}\" is not an existing enum label"),
    )
}

fn twice(type_id: EnumType, label: &str) -> Diagnostic {
    const INDEX: &str = "pg_enum_typid_label_index";
    Diagnostic::error(
        SqlState::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{INDEX}\""),
    )
    .with_detail(format!(
        "Key (enumtypid, enumlabel)=({}, {label}) already exists.",
        type_id.oid
    ))
    .with_constraint(INDEX)
}
