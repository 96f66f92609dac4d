//! The one core through which every row is written: point statements, INSERT, UPDATE, DELETE, COPY.
//!
//! It keeps every constraint, maintains every index, and follows the locking rule of DESIGN §6:
//! whoever locks a row, a unique key or a foreign-key parent reads its newest version, never the
//! statement's own snapshot. Foreign keys that point here, and those of a table into itself, are
//! checked when the statement ends ([`Writer::finish`]).

use super::foreign::Pending;
use super::pace::Pace;
use super::target::{Target, TargetIndex};
use super::value::Row;
use super::violation;
use crate::catalog::RelationId;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::context::StatementContext;
use crate::engine::policy::{Guard, Purpose};
use crate::engine::row::{IndexEntry, encode_row_number};
use crate::engine::types::Input;
use crate::storage::{Isolation, LockMode, LockWait, Storage, Transaction};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// Writes rows of one table for one statement.
pub struct Writer<'a> {
    /// The table.
    pub target: &'a Target,
    /// Where to.
    pub transaction: &'a mut Transaction,
    /// For sequences and row numbers, which are no part of a transaction.
    pub storage: &'a Storage,
    /// Settings, lock timeout, cancellation.
    pub context: &'a StatementContext,
    /// The row policies that bind the statement.
    pub(super) guard: Option<Guard>,
    pub(super) pending: Vec<Pending>,
    /// Foreign-key parents this statement has found and locked last, one for each foreign key.
    pub(super) parents_seen: Vec<Vec<u8>>,
    pub(super) pace: Pace,
    /// Whether rows were loaded in bulk, which the statement's end waits for.
    pub(super) in_bulk: bool,
    /// The row of the batch that is being written.
    pub(super) row: Option<usize>,
}

/// What a locked row turned out to be.
#[derive(Debug)]
pub enum Found {
    /// The newest version is what the statement's snapshot holds, or its own transaction's.
    Unchanged(Arc<[u8]>),
    /// Somebody has changed it since: conditions and new values are to be worked out on this.
    Changed(Arc<[u8]>),
    /// It is gone.
    Gone,
}

/// What came of an INSERT of one row.
#[derive(Debug, PartialEq, Eq)]
pub enum Insertion {
    /// The row is in, under this key.
    Done(Vec<u8>),
    /// A row with this key is in the way, on one of the arbiters.
    Conflict(Vec<u8>),
}

/// Which unique keys ON CONFLICT looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arbiters {
    /// No ON CONFLICT: every conflict is 23505.
    None,
    /// ON CONFLICT without a target.
    All,
    /// The primary key.
    PrimaryKey,
    /// The unique indexes at these places of [`Target::indexes`].
    Indexes(Vec<usize>),
}

impl Arbiters {
    fn cover(&self, index: Option<usize>) -> bool {
        match self {
            Arbiters::None => false,
            Arbiters::All => true,
            Arbiters::PrimaryKey => index.is_none(),
            Arbiters::Indexes(places) => index.is_some_and(|index| places.contains(&index)),
        }
    }
}

impl<'a> Writer<'a> {
    /// For one statement, whose [`Target::uses`] are taken. Storage holds the transaction to the
    /// layout that its rows are written in.
    pub fn new(
        target: &'a Target,
        transaction: &'a mut Transaction,
        storage: &'a Storage,
        context: &'a StatementContext,
        purpose: Purpose,
    ) -> Writer<'a> {
        transaction.expect_layout(target.relation.oid, target.table().layout_version);
        Writer {
            target,
            transaction,
            storage,
            context,
            guard: Guard::new(&target.relation, purpose, context),
            pending: Vec::new(),
            parents_seen: vec![Vec::new(); target.foreign_keys.len()],
            pace: Pace::new(context.cancel.clone()),
            in_bulk: false,
            row: None,
        }
    }

    /// Which row of a batch it had come to, when writing the batch failed.
    pub fn row_reached(&self) -> Option<usize> {
        self.row
    }

    /// What input functions and assignments look at.
    pub fn input(&self) -> Input<'a> {
        self.context.input()
    }

    /// Lets the core go when the slice is used up; once a row.
    ///
    /// # Errors
    /// 57014 and 57P01 once the statement is to stop.
    pub async fn step(&mut self) -> Result<(), Diagnostic> {
        self.pace.step().await
    }

    /// Whether a point statement may lock a row that it knows by its key alone: REPEATABLE READ must not
    /// touch one that its snapshot does not have, and nobody one that a row policy hides (its lock
    /// would be felt). READ COMMITTED looks at the newest version only, as if the statement had begun
    /// when it had the lock.
    ///
    /// # Errors
    /// Storage's.
    pub fn may_lock(&self, key: &[u8]) -> Result<bool, Diagnostic> {
        let repeatable = self.transaction.isolation() == Isolation::RepeatableRead;
        if !repeatable && self.guard.is_none() {
            return Ok(true);
        }
        let row = self.transaction.get(self.target.store(), key)?;
        Ok(match (&row, &self.guard) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(row), Some(guard)) => self.target.shows(guard, row, self.input()),
        })
    }

    /// Locks a row that the statement sees and reads its newest version; one that a row policy hides by
    /// now is gone.
    ///
    /// # Errors
    /// 40001 under REPEATABLE READ where it was changed since; 40P01, 55P03.
    pub async fn lock_row(&mut self, key: &[u8], mode: LockMode) -> Result<Found, Diagnostic> {
        let found = self.lock_any_row(key, mode).await?;
        if let (Found::Changed(bytes), Some(_)) = (&found, &self.guard)
            && !self.sees(&self.target.layout.decode_row(bytes)?)
        {
            return Ok(Found::Gone);
        }
        Ok(found)
    }

    /// As [`Writer::lock_row`], whether the statement sees the row or not.
    ///
    /// # Errors
    /// As [`Writer::lock_row`]'s.
    pub async fn lock_any_row(&mut self, key: &[u8], mode: LockMode) -> Result<Found, Diagnostic> {
        let store = self.target.store();
        self.lock(store, key, mode).await?;
        newest(self.transaction, store, key)
    }

    /// Whether no row policy hides a row that is there from the statement.
    pub fn sees(&self, row: &[ScalarValue]) -> bool {
        let guard = self.guard.as_ref();
        guard.is_none_or(|guard| guard.shows(row, self.input()))
    }

    pub(super) async fn lock(
        &mut self,
        store: RelationId,
        key: &[u8],
        mode: LockMode,
    ) -> Result<(), Diagnostic> {
        let wait = lock_wait(self.context);
        self.transaction.lock(store, key, mode, wait).await?;
        Ok(())
    }

    /// Writes a new row: all columns of the table, dropped ones as NULL.
    ///
    /// # Errors
    /// 42501 by a row policy; 23502, 23514, 23505, 23503.
    pub async fn insert(
        &mut self,
        row: &[ScalarValue],
        arbiters: &Arbiters,
    ) -> Result<Insertion, Diagnostic> {
        if let Some(guard) = &self.guard {
            guard.admit_inserted(&self.target.relation, row, self.input())?;
        }
        self.check_row(row)?;
        let key = self.new_key(row)?;
        // What the clause is about comes first: another key in the way then does not matter.
        if let Arbiters::Indexes(places) = arbiters {
            for place in places {
                let index = &self.target.indexes[*place];
                if let Some(entry) = self.entry(index, row, &key)?
                    && let Some(taken) = self.unique_taken(index, &entry).await?
                {
                    return Ok(Insertion::Conflict(taken));
                }
            }
        }
        if self.target.key.is_some()
            && let Some(taken) = self.primary_key_taken(&key).await?
        {
            return self.conflict(row, arbiters, None, taken);
        }
        let mut entries = Vec::with_capacity(self.target.indexes.len());
        for (place, index) in self.target.indexes.iter().enumerate() {
            let Some(entry) = self.entry(index, row, &key)? else {
                continue;
            };
            if let Some(taken) = self.unique_taken(index, &entry).await? {
                return self.conflict(row, arbiters, Some(place), taken);
            }
            entries.push((index.store, entry));
        }
        for (store, entry) in &entries {
            self.transaction.put(*store, &entry.key, &entry.value)?;
        }
        let mut bytes = Vec::with_capacity(128);
        self.target.layout.encode(row, &mut bytes)?;
        self.transaction.put(self.target.store(), &key, &bytes)?;
        self.check_parents(&key, row, None).await?;
        Ok(Insertion::Done(key))
    }

    /// Replaces a row that this transaction has locked.
    ///
    /// # Errors
    /// 42501 by a row policy; 23502, 23514, 23505, 23503.
    pub async fn update(
        &mut self,
        old_key: &[u8],
        old: &[ScalarValue],
        new: &[ScalarValue],
    ) -> Result<(), Diagnostic> {
        if let Some(guard) = &self.guard {
            guard.admit_updated(&self.target.relation, new, self.input())?;
        }
        self.check_row(new)?;
        let store = self.target.store();
        let key = match &self.target.key {
            Some(_) => self.new_key(new)?,
            None => old_key.to_vec(),
        };
        let moved = key != old_key;
        if moved && self.primary_key_taken(&key).await?.is_some() {
            return Err(self.duplicate(new, None));
        }
        for (place, index) in self.target.indexes.iter().enumerate() {
            let before = self.entry(index, old, old_key)?;
            let after = self.entry(index, new, &key)?;
            if before == after {
                continue;
            }
            let stays = match (&before, &after) {
                (Some(before), Some(after)) => before.key == after.key,
                _ => false,
            };
            if !stays {
                if let Some(after) = &after
                    && self.unique_taken(index, after).await?.is_some()
                {
                    return Err(self.duplicate(new, Some(place)));
                }
                if let Some(before) = &before {
                    self.transaction.delete(index.store, &before.key)?;
                }
            }
            if let Some(after) = &after {
                self.transaction
                    .put(index.store, &after.key, &after.value)?;
            }
        }
        if moved {
            self.transaction.delete(store, old_key)?;
        }
        let mut bytes = Vec::with_capacity(128);
        self.target.layout.encode(new, &mut bytes)?;
        self.transaction.put(store, &key, &bytes)?;
        self.check_parents(&key, new, Some((old_key, old))).await?;
        self.note_key_gone(old, Some(new))
    }

    /// Deletes a row that this transaction has locked.
    ///
    /// # Errors
    /// What storage gives; foreign keys are checked by [`Writer::finish`], or at the transaction's end.
    pub async fn delete(&mut self, key: &[u8], old: &[ScalarValue]) -> Result<(), Diagnostic> {
        for index in &self.target.indexes {
            if let Some(entry) = self.entry(index, old, key)? {
                self.transaction.delete(index.store, &entry.key)?;
            }
        }
        self.transaction.delete(self.target.store(), key)?;
        self.note_key_gone(old, None)
    }

    /// NOT NULL, then CHECK, as PostgreSQL's ExecConstraints.
    fn check_row(&self, row: &[ScalarValue]) -> Result<(), Diagnostic> {
        for (position, column) in self.target.columns().iter().enumerate() {
            if column.not_null && !column.dropped && row[position].is_null() {
                let settings = &self.context.settings;
                return Err(violation::not_null(self.target, position, row, settings));
            }
        }
        for check in &self.target.checks {
            let value = check.expression.ready(self.context)?.evaluate(Row {
                columns: row,
                parameters: &[],
                input: self.input(),
            })?;
            if value == ScalarValue::Boolean(Some(false)) {
                let settings = &self.context.settings;
                return Err(violation::check(self.target, &check.name, row, settings));
            }
        }
        Ok(())
    }

    fn new_key(&self, row: &[ScalarValue]) -> Result<Vec<u8>, Diagnostic> {
        let Some(layout) = &self.target.key else {
            let store = self.target.store();
            let number = self.storage.allocate_row_numbers(store, 1)?.start;
            return Ok(encode_row_number(number).to_vec());
        };
        let values = project(row, layout.columns());
        let mut key = Vec::with_capacity(16);
        layout.encode(&values, &mut key)?;
        Ok(key)
    }

    fn entry(
        &self,
        index: &TargetIndex,
        row: &[ScalarValue],
        row_key: &[u8],
    ) -> Result<Option<IndexEntry>, Diagnostic> {
        let Some(values) = index.values.of(row, self.input())? else {
            return Ok(None);
        };
        let entry = IndexEntry::new(&index.key, index.unique, &values, row_key)?;
        Ok(Some(entry))
    }

    /// The key of the row that holds this primary key already.
    async fn primary_key_taken(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Diagnostic> {
        let store = self.target.store();
        self.lock(store, key, LockMode::Update).await?;
        let taken = self.transaction.newest(store, key)?.row.is_some();
        Ok(taken.then(|| key.to_vec()))
    }

    /// The key of the row that holds these values of a unique index already. Two NULLs are distinct,
    /// so that a row with one never is in another's way.
    pub(super) async fn unique_taken(
        &mut self,
        index: &TargetIndex,
        entry: &IndexEntry,
    ) -> Result<Option<Vec<u8>>, Diagnostic> {
        if !index.unique || !entry.is_alone() {
            return Ok(None);
        }
        self.lock(index.store, &entry.key, LockMode::Update).await?;
        match self.transaction.newest(index.store, &entry.key)?.row {
            None => Ok(None),
            Some(value) => {
                let row_key = IndexEntry::row_key(&index.key, &entry.key, &value)?;
                Ok(Some(row_key.to_vec()))
            }
        }
    }

    fn conflict(
        &self,
        row: &[ScalarValue],
        arbiters: &Arbiters,
        index: Option<usize>,
        taken: Vec<u8>,
    ) -> Result<Insertion, Diagnostic> {
        if arbiters.cover(index) {
            Ok(Insertion::Conflict(taken))
        } else {
            Err(self.duplicate(row, index))
        }
    }

    pub(super) fn duplicate(&self, row: &[ScalarValue], index: Option<usize>) -> Diagnostic {
        let settings = &self.context.settings;
        let Some(index) = index.map(|place| &self.target.indexes[place]) else {
            let columns = &self.target.table().primary_key;
            let values = project(row, columns);
            return violation::unique(
                self.target,
                &self.target.key_name,
                columns,
                &values,
                settings,
            );
        };
        match index.values.of(row, self.input()) {
            Ok(values) => {
                violation::unique_index(self.target, index, &values.unwrap_or_default(), settings)
            }
            Err(error) => error,
        }
    }
}

/// The values at these positions.
pub fn project(row: &[ScalarValue], positions: &[u16]) -> Vec<ScalarValue> {
    positions
        .iter()
        .map(|position| row[usize::from(*position)].clone())
        .collect()
}

/// How long a statement waits for locks.
pub fn lock_wait(context: &StatementContext) -> LockWait {
    context
        .lock_timeout
        .map_or(LockWait::Block, LockWait::Timeout)
}

/// The newest version of a row that is locked.
///
/// # Errors
/// 40001 under REPEATABLE READ where it was changed since the snapshot.
pub fn newest(
    transaction: &mut Transaction,
    store: RelationId,
    key: &[u8],
) -> Result<Found, Diagnostic> {
    let newest = transaction.newest(store, key)?;
    let changed = transaction.changed_since_snapshot(newest.commit)?;
    let repeatable = transaction.isolation() == Isolation::RepeatableRead;
    match newest.row {
        Some(_) if changed && repeatable => Err(serialization_failure("update")),
        Some(row) if changed => Ok(Found::Changed(row)),
        Some(row) => Ok(Found::Unchanged(row)),
        None if changed && repeatable => Err(serialization_failure("delete")),
        None => Ok(Found::Gone),
    }
}

fn serialization_failure(what: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::SERIALIZATION_FAILURE,
        format!("could not serialize access due to concurrent {what}"),
    )
}

/// 25006 in a READ ONLY transaction, in PostgreSQL's words.
///
/// # Errors
/// As said.
pub fn demand_writable(context: &StatementContext, command: &str) -> Result<(), Diagnostic> {
    if context.read_only {
        return Err(Diagnostic::error(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {command} in a read-only transaction"),
        ));
    }
    Ok(())
}
