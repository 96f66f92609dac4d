//! LOCK TABLE: PostgreSQL's eight modes as the four uses that there are of a relation.
//!
//! A use keeps out whatever the mode does, and may keep out more: of SHARE there is one holder at a time,
//! and SHARE UPDATE EXCLUSIVE keeps writers out. Source: PostgreSQL 15, table 13.2.

use super::work::{Work, missing};
use crate::access::denied;
use crate::catalog::definition::{Relation, RelationBody};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::storage::{LockWait, Use};
use sqlparser::ast::{self, LockTableMode};

/// LOCK TABLE: held until the transaction ends.
///
/// # Errors
/// 42P01, 42501, 42809; 55P03 with NOWAIT or past lock_timeout, 40P01, 57014.
pub async fn tables(work: &mut Work<'_>, statement: &ast::Lock) -> Result<(), Diagnostic> {
    let how = match statement.lock_mode {
        Some(LockTableMode::AccessShare) => Use::Shared,
        Some(LockTableMode::RowShare | LockTableMode::RowExclusive) => Use::Writing,
        Some(
            LockTableMode::ShareUpdateExclusive
            | LockTableMode::Share
            | LockTableMode::ShareRowExclusive
            | LockTableMode::Exclusive,
        ) => Use::BlockWriters,
        Some(LockTableMode::AccessExclusive) | None => Use::Exclusive,
    };
    let wait = match statement.nowait {
        true => LockWait::NoWait,
        false => work.wait(),
    };
    for target in &statement.tables {
        let absent = || missing("relation", &target.name);
        let found = work.find(&target.name)?.ok_or_else(absent)?;
        demand_lockable(work, &found, how)?;
        let storage = &mut work.transaction.storage;
        storage.use_relation(found.oid, how, wait).await?;
        // It may have been dropped by whoever was waited for.
        work.take(found.oid, how).await?.ok_or_else(absent)?;
    }
    Ok(())
}

fn demand_lockable(work: &Work<'_>, relation: &Relation, how: Use) -> Result<(), Diagnostic> {
    let name = &relation.name;
    if !matches!(
        relation.body,
        RelationBody::Table(_) | RelationBody::View(_)
    ) {
        return Err(Diagnostic::error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("cannot lock relation \"{name}\""),
        ));
    }
    let held = work.context.rights.privileges(relation);
    let suffices = match how {
        Use::Shared => held.select || held.insert || held.update || held.delete,
        Use::Writing => held.insert || held.update || held.delete,
        Use::BlockWriters | Use::Exclusive => held.update || held.delete,
    };
    match suffices {
        true => Ok(()),
        false => Err(denied(format!("permission denied for table {name}"))),
    }
}
