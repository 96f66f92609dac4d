//! ALTER COLUMN … ADD GENERATED … AS IDENTITY: a sequence for a column that is there.

use super::constraint::choose_relation;
use super::name;
use super::sequence::SequencePlan;
use super::work::{Claim, NewName, Work, table_of};
use crate::catalog::definition::{Identity, Relation};
use crate::catalog::sql_type::TypeKind;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::sql::sequence::name_of;
use sqlparser::ast::{GeneratedAs, SequenceOptions};

/// Makes the column of this position an identity column; its rows stay as they are.
///
/// # Errors
/// 55000 for a column that is nullable, has a default or is one already; 22023, 42P07.
pub async fn add(
    work: &mut Work<'_>,
    relation: &mut Relation,
    position: u16,
    how: Option<GeneratedAs>,
    options: &[SequenceOptions],
) -> Result<(), Diagnostic> {
    let identity = match how {
        Some(GeneratedAs::Always) => Identity::Always,
        Some(GeneratedAs::ByDefault) => Identity::ByDefault,
        Some(GeneratedAs::ExpStored) | None => {
            return Err(Diagnostic::unsupported("a generated column"));
        }
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
    let given = options.iter().find_map(name_of);
    let counting: Vec<SequenceOptions> = options
        .iter()
        .filter(|option| name_of(option).is_none())
        .cloned()
        .collect();
    let plan = SequencePlan::new(column.sql_type, &counting)?;
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
