//! TRUNCATE: every table named gets a fresh store; the old one is cleared after COMMIT.

use super::create_table::owned_sequences;
use super::work::{Work, missing, table_of};
use crate::catalog::Oid;
use crate::catalog::definition::{Relation, RelationBody};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::storage::Use;
use sqlparser::ast;

/// TRUNCATE
///
/// # Errors
/// 42P01, 42809, 42501; 0A000 for a table that others point at without CASCADE.
pub async fn truncate(work: &mut Work<'_>, statement: &ast::Truncate) -> Result<(), Diagnostic> {
    if statement.partitions.is_some() {
        return Err(Diagnostic::unsupported("TRUNCATE of partitions"));
    }
    let cascade = matches!(statement.cascade, Some(ast::CascadeOption::Cascade));
    let restart = matches!(
        statement.identity,
        Some(ast::TruncateIdentityOption::Restart)
    );
    let mut pending: Vec<Oid> = Vec::new();
    for target in &statement.table_names {
        let Some(found) = work.find(&target.name)? else {
            if statement.if_exists {
                continue;
            }
            return Err(missing("relation", &target.name));
        };
        if found.table().is_none() {
            return Err(Diagnostic::error(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a table", found.name),
            ));
        }
        pending.push(found.oid);
    }
    pending.sort();
    pending.dedup();
    let mut taken: Vec<Relation> = Vec::new();
    while let Some(oid) = pending.pop() {
        let Some(relation) = work.take(oid, Use::Exclusive).await? else {
            continue;
        };
        work.context.rights.may_truncate(&relation)?;
        work.demand_nothing_waits(&relation, "TRUNCATE").await?;
        taken.push(relation);
        if cascade {
            add_referencing(work, &taken, &mut pending);
        }
    }
    taken.sort_by_key(|relation| relation.oid);
    demand_unreferenced(work, &taken)?;
    for relation in taken {
        empty(work, relation, restart)?;
    }
    Ok(())
}

/// CASCADE: the tables that point at those taken.
fn add_referencing(work: &mut Work<'_>, taken: &[Relation], pending: &mut Vec<Oid>) {
    let definitions = work.definitions();
    let Some(table) = taken.last().and_then(|relation| relation.table()) else {
        return;
    };
    for child in &table.referenced_by {
        let known = pending.contains(child) || taken.iter().any(|seen| seen.oid == *child);
        if let Some(relation) = definitions.get(*child).filter(|_| !known) {
            work.notice(format!("truncate cascades to table \"{}\"", relation.name));
            pending.push(*child);
        }
    }
}

fn demand_unreferenced(work: &mut Work<'_>, taken: &[Relation]) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    for relation in taken {
        let children = relation.table().map(|table| table.referenced_by.as_slice());
        for child in children.unwrap_or_default() {
            if taken.iter().any(|seen| seen.oid == *child) {
                continue;
            }
            let child = definitions.get(*child).map_or("?", |child| &*child.name);
            return Err(Diagnostic::error(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot truncate a table referenced in a foreign key constraint",
            )
            .with_detail(format!(
                "Table \"{child}\" references \"{}\".",
                relation.name
            ))
            .with_hint(format!(
                "Truncate table \"{child}\" at the same time, or use TRUNCATE ... CASCADE."
            )));
        }
    }
    Ok(())
}

/// Gives a table that is taken, and its indexes, fresh stores.
///
/// # Errors
/// What storage gives.
pub fn empty(work: &mut Work<'_>, mut relation: Relation, restart: bool) -> Result<(), Diagnostic> {
    let definitions = work.definitions();
    let table = table_of(&mut relation)?;
    let old = table.store;
    table.store = work.transaction.storage.create_relation()?;
    table.layout_version += 1;
    work.transaction.storage.drop_relation(old);
    let store = table.store;
    let indexes = table.indexes.iter().chain(&table.primary_index);
    for oid in indexes {
        let Some(mut index_relation) = definitions.get(*oid).map(|found| Relation::clone(found))
        else {
            continue;
        };
        if let RelationBody::Index(index) = &mut index_relation.body {
            if super::work::shares_store(index.constraint) {
                index.store = store;
            } else {
                work.transaction.storage.drop_relation(index.store);
                index.store = work.transaction.storage.create_relation()?;
            }
        }
        work.define(index_relation)?;
    }
    if restart {
        for sequence in owned_sequences(work, relation.oid) {
            let mut next = Relation::clone(&sequence);
            if let RelationBody::Sequence(sequence) = &mut next.body {
                work.transaction.storage.drop_relation(sequence.store);
                sequence.store = work.transaction.storage.create_relation()?;
            }
            work.define(next)?;
        }
    }
    work.define(relation)
}
