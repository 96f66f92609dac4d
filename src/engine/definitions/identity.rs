//! ALTER COLUMN … ADD GENERATED … AS IDENTITY, SET GENERATED, DROP IDENTITY: the sequence of a column
//! that is there.

use super::constraint::choose_relation;
use super::name;
use super::sequence::SequencePlan;
use super::work::{Claim, NewName, Work, table_of};
use crate::catalog::definition::{Identity, Relation};
use crate::catalog::sql_type::TypeKind;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::sequence::Extra;
use crate::storage::Use;
use sqlparser::ast::{GeneratedAs, SequenceOptions};

/// What an operation on the identity of the column of this position does.
///
/// # Errors
/// As [`add`]; 55000 for a column that is no identity column.
pub async fn change(
    work: &mut Work<'_>,
    relation: &mut Relation,
    position: u16,
    how: Option<GeneratedAs>,
    options: &[SequenceOptions],
) -> Result<(), Diagnostic> {
    match options.first().and_then(Extra::of) {
        Some(Extra::Dropped { if_exists }) => drop(work, relation, position, if_exists),
        Some(Extra::Altered) => set(work, relation, position, how, options).await,
        _ => add(work, relation, position, how, options).await,
    }
}

/// 55000
fn not_identity(relation: &mut Relation, position: u16) -> Result<Diagnostic, Diagnostic> {
    let name = relation.name.clone();
    let column = &table_of(relation)?.columns[usize::from(position)].name;
    Ok(Diagnostic::error(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("column \"{column}\" of relation \"{name}\" is not an identity column"),
    ))
}

/// DROP IDENTITY: the column and its rows stay.
fn drop(
    work: &mut Work<'_>,
    relation: &mut Relation,
    position: u16,
    if_exists: bool,
) -> Result<(), Diagnostic> {
    let column = &mut table_of(relation)?.columns[usize::from(position)];
    if column.identity.take().is_none() {
        let error = not_identity(relation, position)?;
        if !if_exists {
            return Err(error);
        }
        work.notice(format!("{}, skipping", error.message()));
        return Ok(());
    }
    let sequence = column.sequence.take();
    let definitions = work.definitions();
    match sequence.and_then(|oid| definitions.get(oid)) {
        Some(sequence) => work.undefine(sequence),
        None => Ok(()),
    }
}

/// SET GENERATED, and options of the sequence.
async fn set(
    work: &mut Work<'_>,
    relation: &mut Relation,
    position: u16,
    how: Option<GeneratedAs>,
    options: &[SequenceOptions],
) -> Result<(), Diagnostic> {
    let column = &mut table_of(relation)?.columns[usize::from(position)];
    if column.identity.is_none() {
        return Err(not_identity(relation, position)?);
    }
    if let Some(how) = how {
        column.identity = Some(identity_of(how)?);
    }
    let counted = column.sequence;
    if options.len() > 1
        && let Some(oid) = counted
        && let Some(mut sequence) = work.take(oid, Use::Exclusive).await?
    {
        super::sequence::alter(work, &mut sequence, options).await?;
        work.define(sequence)?;
    }
    Ok(())
}

fn identity_of(how: GeneratedAs) -> Result<Identity, Diagnostic> {
    match how {
        GeneratedAs::Always => Ok(Identity::Always),
        GeneratedAs::ByDefault => Ok(Identity::ByDefault),
        GeneratedAs::ExpStored => Err(Diagnostic::unsupported("a generated column")),
    }
}

/// Makes the column of this position an identity column; its rows stay as they are.
///
/// # Errors
/// 55000 for a column that is nullable, has a default or is one already; 22023, 42P07.
async fn add(
    work: &mut Work<'_>,
    relation: &mut Relation,
    position: u16,
    how: Option<GeneratedAs>,
    options: &[SequenceOptions],
) -> Result<(), Diagnostic> {
    let identity = match how {
        Some(how) => identity_of(how)?,
        None => return Err(Diagnostic::unsupported("a generated column")),
    };
    let (oid, schema) = (relation.oid, relation.schema.to_string());
    let table_name = relation.name.to_string();
    let column = &table_of(relation)?.columns[usize::from(position)];
    let column_name = column.name.to_string();
    let refused = |what: &str| {
        Diagnostic::error(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("column \"{column_name}\" of relation \"{table_name}\" {what}"),
        )
    };
    if column.identity.is_some() {
        return Err(refused("is already an identity column"));
    }
    if column.default.is_some() {
        return Err(refused("already has a default value"));
    }
    if !column.not_null {
        return Err(refused(
            "must be declared NOT NULL before identity can be added",
        ));
    }
    if !matches!(
        column.sql_type.kind,
        TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8
    ) {
        return Err(Diagnostic::error(
            SqlState::INVALID_PARAMETER_VALUE,
            "identity column type must be smallint, integer, or bigint",
        ));
    }
    let given = options.iter().find_map(|option| match Extra::of(option) {
        Some(Extra::Name(name)) => Some(name),
        _ => None,
    });
    let plan = SequencePlan::new(column.sql_type, options)?;
    let new = match given {
        Some(given) => NewName {
            schema,
            name: name::parts(&given)?.1,
        },
        None => {
            let columns = [column_name.as_str()];
            let name = choose_relation(work, &schema, &table_name, &columns, "seq").await?;
            NewName { schema, name }
        }
    };
    if let Claim::Taken(_) = work.claim(&new).await? {
        return Err(super::exists(&new.name));
    }
    let sequence = plan.create(work, new, Some((oid, position)))?;
    let column = &mut table_of(relation)?.columns[usize::from(position)];
    column.identity = Some(identity);
    column.sequence = Some(sequence);
    Ok(())
}
