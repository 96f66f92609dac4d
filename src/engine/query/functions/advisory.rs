//! Advisory locks as functions (PostgreSQL 15, §9.27.10).
//!
//! What waits, waits on a thread of the pool, and only so many may. A statement that does nothing
//! else waits on its session's core instead, before it begins (`session::advisory`).

use super::definition::{Argument, Call, Function, INT4, INT8};
use crate::catalog::sql_type::{SqlType, TypeKind};
use crate::diagnostic::{Diagnostic, Severity, SqlState};
use crate::engine::context::{CancelReason, StatementContext};
use crate::engine::query::statement::Statement;
use crate::engine::query::{failure, pool};
use crate::storage::{AdvisoryKey, AdvisoryLocks, AdvisoryMode, AdvisoryScope};
use datafusion::arrow::array::{ArrayRef, NullArray};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Statements that may wait on the pool at once; its other threads have queries to run.
const WAITING_MAX: usize = 32;

/// How often a statement that waits looks whether it is to stop.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

static WAITING: AtomicUsize = AtomicUsize::new(0);

const KEYS: &[&[Argument]] = &[&[INT8], &[INT4, INT4]];

macro_rules! locking {
    ($name:literal, $mode:ident, $scope:ident) => {
        Function::volatile($name, KEYS, SqlType::scalar(TypeKind::Void), |call| {
            lock(call, AdvisoryMode::$mode, AdvisoryScope::$scope)
        })
    };
}

macro_rules! trying {
    ($name:literal, $mode:ident, $scope:ident) => {
        Function::volatile($name, KEYS, SqlType::scalar(TypeKind::Bool), |call| {
            try_lock(call, AdvisoryMode::$mode, AdvisoryScope::$scope)
        })
    };
}

macro_rules! unlocking {
    ($name:literal, $mode:ident) => {
        Function::volatile($name, KEYS, SqlType::scalar(TypeKind::Bool), |call| {
            unlock(call, AdvisoryMode::$mode)
        })
    };
}

/// The functions.
pub fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        locking!("pg_advisory_lock", Exclusive, Session),
        locking!("pg_advisory_lock_shared", Shared, Session),
        locking!("pg_advisory_xact_lock", Exclusive, Transaction),
        locking!("pg_advisory_xact_lock_shared", Shared, Transaction),
        trying!("pg_try_advisory_lock", Exclusive, Session),
        trying!("pg_try_advisory_lock_shared", Shared, Session),
        trying!("pg_try_advisory_xact_lock", Exclusive, Transaction),
        trying!("pg_try_advisory_xact_lock_shared", Shared, Transaction),
        unlocking!("pg_advisory_unlock", Exclusive),
        unlocking!("pg_advisory_unlock_shared", Shared),
        // Pools call it between their users.
        Function::volatile(
            "pg_advisory_unlock_all",
            &[&[]],
            SqlType::scalar(TypeKind::Void),
            |call| {
                if let Some(locks) = call.statement()?.context.effects.advisory.get() {
                    locks.unlock_all();
                }
                Ok(Arc::new(NullArray::new(call.rows)))
            },
        ),
    ]
}

/// The key of one bigint in a database.
pub fn of_bigint(database: u32, key: i64) -> AdvisoryKey {
    let key = key.cast_unsigned();
    AdvisoryKey {
        database,
        class: (key >> 32) as u32,
        object: key as u32,
        space: 1,
    }
}

/// The key of two ints in a database.
pub fn of_ints(database: u32, class: i32, object: i32) -> AdvisoryKey {
    AdvisoryKey {
        database,
        class: class.cast_unsigned(),
        object: object.cast_unsigned(),
        space: 2,
    }
}

/// The key that a row names; None where an argument is NULL: nothing is locked then.
fn key(call: &Call<'_>, context: &StatementContext, row: usize) -> Option<AdvisoryKey> {
    let database = context.identity.database.0;
    match call.args.len() {
        1 => Some(of_bigint(database, call.int8(0, row)?)),
        _ => Some(of_ints(database, call.int4(0, row)?, call.int4(1, row)?)),
    }
}

/// The session's locks, told which transaction asks.
fn locks(statement: &Statement) -> &AdvisoryLocks {
    let context = &statement.context;
    let locks = context
        .effects
        .advisory(&statement.engine.storage, context.backend_pid);
    locks.set_transaction(context.transaction);
    locks
}

/// A statement that has been given up takes nothing any more: its transaction may have ended.
fn check(statement: &Statement) -> Result<()> {
    statement.check().map_err(failure::external)?;
    let context = &statement.context;
    match context.effects.told.lock().turn() == context.turn {
        true => Ok(()),
        false => Err(failure::external(CancelReason::User.diagnostic())),
    }
}

fn lock(call: &Call<'_>, mode: AdvisoryMode, scope: AdvisoryScope) -> Result<ArrayRef> {
    let statement = call.statement()?;
    for row in 0..call.rows {
        let Some(key) = key(call, &statement.context, row) else {
            continue;
        };
        check(&statement)?;
        let locks = locks(&statement);
        let at_once = locks.try_lock(key, mode, scope);
        if !at_once.map_err(|error| failure::external(error.into()))? {
            wait(&statement, locks, key, mode, scope).map_err(failure::external)?;
        }
    }
    Ok(Arc::new(NullArray::new(call.rows)))
}

fn wait(
    statement: &Statement,
    locks: &AdvisoryLocks,
    key: AdvisoryKey,
    mode: AdvisoryMode,
    scope: AdvisoryScope,
) -> std::result::Result<(), Diagnostic> {
    let _place = Place::take()?;
    // The session's flag may have been cleared for its next statement before this one looks.
    let stopped = || check(statement).is_err();
    let handle = statement.engine.pool.handle();
    pool::blocking(|| {
        handle.block_on(async {
            let timeout = statement.context.lock_timeout;
            let mut locked = pin!(locks.lock(key, mode, scope, timeout, || !stopped()));
            loop {
                match tokio::time::timeout(LOOK_INTERVAL, &mut locked).await {
                    Ok(locked) => return locked.map_err(Diagnostic::from),
                    Err(_) if stopped() => return Err(CancelReason::User.diagnostic()),
                    Err(_) => {}
                }
            }
        })
    })
}

/// One of the places of those who wait on the pool.
struct Place;

impl Place {
    fn take() -> std::result::Result<Place, Diagnostic> {
        if WAITING.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            return Err(Diagnostic::error(
                SqlState::TOO_MANY_CONNECTIONS,
                "too many statements wait for advisory locks",
            )
            .with_hint(
                "Lock in a statement of its own, SELECT pg_advisory_lock(n): such a one may always wait.",
            ));
        }
        Ok(Place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

fn try_lock(call: &Call<'_>, mode: AdvisoryMode, scope: AdvisoryScope) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.bools(|row| {
        let Some(key) = key(call, &statement.context, row) else {
            return Ok(None);
        };
        check(&statement)?;
        let locked = locks(&statement).try_lock(key, mode, scope);
        locked
            .map(Some)
            .map_err(|error| failure::external(error.into()))
    })
}

fn unlock(call: &Call<'_>, mode: AdvisoryMode) -> Result<ArrayRef> {
    let statement = call.statement()?;
    call.bools(|row| {
        let Some(key) = key(call, &statement.context, row) else {
            return Ok(None);
        };
        check(&statement)?;
        let held = statement.context.effects.advisory.get();
        let unlocked = held.is_some_and(|locks| locks.unlock(key, mode));
        if !unlocked {
            let mode = match mode {
                AdvisoryMode::Exclusive => "ExclusiveLock",
                AdvisoryMode::Shared => "ShareLock",
            };
            statement.context.notices.push(Diagnostic::new(
                Severity::Warning,
                SqlState::WARNING,
                format!("you don't own a lock of type {mode}"),
            ));
        }
        Ok(Some(unlocked))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bigint_is_taken_apart_as_pg_locks_shows_it() {
        let key = of_bigint(5, -1);
        assert_eq!((key.class, key.object, key.space), (u32::MAX, u32::MAX, 1));
        let key = of_bigint(5, 7);
        assert_eq!((key.database, key.class, key.object), (5, 0, 7));
        let key = of_ints(5, -1, 7);
        assert_eq!((key.class, key.object, key.space), (u32::MAX, 7, 2));
    }
}
