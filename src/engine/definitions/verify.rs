//! Existing rows against a constraint that is being added.

use super::build::{Rows, describe_key, values_at};
use super::work::Work;
use crate::catalog::RelationId;
use crate::catalog::definition::{Relation, Table};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::value::{Row, Value};
use crate::engine::row::KeyLayout;
use crate::engine::types;
use datafusion::common::ScalarValue;

/// 23514 for a row that violates the check.
///
/// # Errors
/// 23514, and what evaluating it raises.
pub async fn check(
    work: &mut Work<'_>,
    relation: &Relation,
    constraint: &str,
    expression: &Value,
) -> Result<(), Diagnostic> {
    work.refresh(relation).await?;
    let table = table(relation)?;
    let all: Vec<u16> = (0..table.columns.len() as u16).collect();
    let mut rows = Rows::of(work, table, &all)?;
    while let Some(columns) = rows.next()? {
        work.pause().await?;
        for row in 0..rows.len() {
            let values = values_at(&columns, row)?;
            let found = expression.evaluate(Row {
                columns: &values,
                parameters: &[],
                input: work.input(),
            })?;
            // NULL is no violation.
            if found == ScalarValue::Boolean(Some(false)) {
                return Err(Diagnostic::error(
                    SqlState::CHECK_VIOLATION,
                    format!(
                        "check constraint \"{constraint}\" of relation \"{}\" is violated by some row",
                        relation.name
                    ),
                )
                .with_schema(&*relation.schema)
                .with_table(&*relation.name)
                .with_constraint(constraint));
            }
        }
    }
    Ok(())
}

/// 23502 for a row with a NULL in the column.
///
/// # Errors
/// 23502.
pub async fn not_null(
    work: &mut Work<'_>,
    relation: &Relation,
    position: u16,
) -> Result<(), Diagnostic> {
    work.refresh(relation).await?;
    let mut rows = Rows::of(work, table(relation)?, &[position])?;
    while let Some(columns) = rows.next()? {
        work.pause().await?;
        super::build::demand_not_null(relation, &[position], &columns)?;
    }
    Ok(())
}

/// A foreign key to be verified.
pub struct Reference<'a> {
    /// Its name.
    pub constraint: &'a str,
    /// Positions of the referencing columns.
    pub columns: &'a [u16],
    /// The table pointed at, which nobody writes meanwhile.
    pub parent: &'a Relation,
    /// Positions of the referenced columns, in the same order.
    pub referenced: &'a [u16],
}

/// How the rows pointed at are found.
struct Lookup {
    layout: KeyLayout,
    store: RelationId,
    /// For each key column, which referencing column holds its value.
    order: Vec<usize>,
}

/// 23503 for a row that points at nothing.
///
/// # Errors
/// 23503.
pub async fn foreign_key(
    work: &mut Work<'_>,
    relation: &Relation,
    reference: Reference<'_>,
) -> Result<(), Diagnostic> {
    work.refresh(relation).await?;
    let child = table(relation)?;
    let parent = table(reference.parent)?;
    let lookup = lookup(work, parent, reference.referenced)?;
    let mut rows = Rows::of(work, child, reference.columns)?;
    // Neighbouring rows mostly point at the same parent.
    let mut last_found: Vec<u8> = Vec::new();
    let mut key = Vec::new();
    while let Some(columns) = rows.next()? {
        work.pause().await?;
        for row in 0..rows.len() {
            let values = values_at(&columns, row)?;
            // MATCH SIMPLE: a NULL points nowhere and is no violation.
            if values.iter().any(ScalarValue::is_null) {
                continue;
            }
            key.clear();
            let searched = search_values(work, child, parent, &reference, &lookup, &values)?;
            lookup.layout.encode(&searched, &mut key)?;
            if key == last_found {
                continue;
            }
            let found = work.transaction.storage.newest(lookup.store, &key)?;
            if found.row.is_none() {
                return Err(violation(work, relation, &reference, &values));
            }
            last_found.clone_from(&key);
        }
    }
    Ok(())
}

fn table(relation: &Relation) -> Result<&Table, Diagnostic> {
    relation
        .table()
        .ok_or_else(|| Diagnostic::internal("a constraint on what is no table"))
}

fn lookup(work: &mut Work<'_>, parent: &Table, referenced: &[u16]) -> Result<Lookup, Diagnostic> {
    let order = |key: &[u16]| -> Option<Vec<usize>> {
        if key.len() != referenced.len() {
            return None;
        }
        key.iter()
            .map(|wanted| referenced.iter().position(|column| column == wanted))
            .collect()
    };
    if let Some(order) = order(&parent.primary_key)
        && let Some(layout) = KeyLayout::of_table(parent)?
    {
        return Ok(Lookup {
            layout,
            store: parent.store,
            order,
        });
    }
    let definitions = work.definitions();
    for oid in &parent.indexes {
        if let Some(index) = definitions.get(*oid).and_then(|relation| relation.index())
            && index.unique
            && index.is_plain()
            && let Some(order) = order(&index.columns)
        {
            return Ok(Lookup {
                layout: KeyLayout::of_index(parent, index)?,
                store: index.store,
                order,
            });
        }
    }
    Err(Diagnostic::internal(
        "a foreign key to columns without a key",
    ))
}

/// The row's values in the order and of the types of the key that is looked up.
fn search_values(
    work: &Work<'_>,
    child: &Table,
    parent: &Table,
    reference: &Reference<'_>,
    lookup: &Lookup,
    values: &[ScalarValue],
) -> Result<Vec<ScalarValue>, Diagnostic> {
    lookup
        .order
        .iter()
        .zip(lookup.layout.columns())
        .map(|(at, position)| {
            let from = child.columns[usize::from(reference.columns[*at])].sql_type;
            let to = parent.columns[usize::from(*position)].sql_type;
            types::cast(
                values[*at].clone(),
                from,
                to,
                types::CastContext::Explicit,
                work.input(),
            )
        })
        .collect()
}

fn violation(
    work: &Work<'_>,
    relation: &Relation,
    reference: &Reference<'_>,
    values: &[ScalarValue],
) -> Diagnostic {
    let key = describe_key(work, relation, reference.columns, values);
    Diagnostic::error(
        SqlState::FOREIGN_KEY_VIOLATION,
        format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            relation.name, reference.constraint
        ),
    )
    .with_detail(format!(
        "Key {key} is not present in table \"{}\".",
        reference.parent.name
    ))
    .with_schema(&*relation.schema)
    .with_table(&*relation.name)
    .with_constraint(reference.constraint)
}
