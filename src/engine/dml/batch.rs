//! Rows by the batch: INSERT from a query and COPY.
//!
//! Arrays are encoded without becoming single values first. A relation that the transaction itself
//! has made is loaded in bulk (DESIGN §6): nobody else can see it, so nothing is locked, and storage
//! finds duplicates.

use super::filler::Filler;
use super::value::Value;
use super::violation;
use super::write::Writer;
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::query::failure;
use crate::engine::row::{IndexEntry, KeyLayout, RowEncoder, encode_row_number};
use crate::engine::types;
use crate::storage::{LockMode, StorageError};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::common::ScalarValue;

/// The values of one row of a batch.
///
/// # Errors
/// XX000 for an Arrow type that no value has.
pub fn row_of(columns: &[ArrayRef], row: usize) -> Result<Vec<ScalarValue>, Diagnostic> {
    columns
        .iter()
        .map(|column| ScalarValue::try_from_array(column, row))
        .collect::<Result<_, _>>()
        .map_err(failure::diagnostic)
}

impl Writer<'_> {
    /// All columns of the table for a batch: those given assigned to their column's type, the others
    /// filled. `given` has an entry for each column of the table.
    ///
    /// # Errors
    /// What assignments, defaults and sequences raise.
    pub async fn fill_columns(
        &mut self,
        given: &[Option<(&ArrayRef, SqlType)>],
        fillers: &[Option<Filler>],
        rows: usize,
    ) -> Result<Vec<ArrayRef>, Diagnostic> {
        let mut columns = Vec::with_capacity(given.len());
        for ((given, filler), column) in given.iter().zip(fillers).zip(self.target.columns()) {
            columns.push(match (given, filler) {
                (Some((values, from)), _) => {
                    types::assign_array(values, *from, column.sql_type, self.input())?
                }
                (None, Some(Filler::Value(value))) => {
                    value.evaluate_batch(&[], rows, &[], self.input())?
                }
                (None, Some(filler)) => {
                    let mut values = Vec::with_capacity(rows);
                    for _ in 0..rows {
                        values.push(filler.next(self.storage, self.context).await?);
                        self.step().await?;
                    }
                    array_of(values, column.sql_type)?
                }
                (None, None) => {
                    Value::null(column.sql_type).evaluate_batch(&[], rows, &[], self.input())?
                }
            });
            self.pace.look().await?;
        }
        for (position, value) in &self.target.generated {
            columns[*position] = value.evaluate_batch(&columns, rows, &[], self.input())?;
            self.pace.look().await?;
        }
        Ok(columns)
    }

    /// Inserts a batch that has an array for each column of the table, of exactly its type.
    ///
    /// # Errors
    /// 42501 by a row policy; 23502, 23514, 23505, 23503.
    pub async fn insert_batch(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<(), Diagnostic> {
        if rows == 0 {
            return Ok(());
        }
        if let Some(guard) = &self.guard
            && let Some(row) = guard.first_refused(columns, rows, self.input())
        {
            self.row = Some(row);
            let values = row_of(columns, row)?;
            guard.admit_inserted(&self.target.relation, &values, self.input())?;
        }
        if let Some((row, violation)) = self.check_batch(columns, rows)? {
            self.row = Some(row);
            return Err(violation);
        }
        self.pace.look().await?;
        let target = self.target;
        let store = target.store();
        let encoder = RowEncoder::new(&target.layout, columns)?;
        let key_columns = target.key.as_ref().map(|key| select(columns, key));
        let mut numbers = match target.key {
            Some(_) => 0..0,
            None => self.storage.allocate_row_numbers(store, rows as u64)?,
        };
        let in_bulk = self.transaction.bulk_loads(store) && !target.references_itself();
        let (mut key, mut bytes) = (Vec::new(), Vec::new());
        for row in 0..rows {
            self.row = Some(row);
            key.clear();
            bytes.clear();
            match (&target.key, &key_columns) {
                (Some(layout), Some(key_columns)) => {
                    layout.encode_arrays(key_columns, row, &mut key)?;
                    if !in_bulk {
                        self.demand_free(columns, row, &key).await?;
                    }
                }
                _ => {
                    let number = numbers.next().ok_or_else(|| {
                        Diagnostic::internal("fewer row numbers than rows were allocated")
                    })?;
                    key.extend_from_slice(&encode_row_number(number));
                }
            }
            encoder.encode(row, &mut bytes)?;
            self.put_entries(columns, row, &key, in_bulk).await?;
            if in_bulk {
                let loaded = self.transaction.bulk_put(store, &key, &bytes).await;
                self.loaded(loaded)?;
            } else {
                self.transaction.put(store, &key, &bytes)?;
            }
            if !target.foreign_keys.is_empty() {
                let values = row_of(columns, row)?;
                self.check_parents(&key, &values, None).await?;
            }
            self.step().await?;
        }
        self.in_bulk |= in_bulk;
        self.row = None;
        Ok(())
    }

    /// 23505 where the primary key is taken.
    async fn demand_free(
        &mut self,
        columns: &[ArrayRef],
        row: usize,
        key: &[u8],
    ) -> Result<(), Diagnostic> {
        let store = self.target.store();
        self.lock(store, key, LockMode::Update).await?;
        if self.transaction.newest(store, key)?.row.is_some() {
            return Err(self.duplicate(&row_of(columns, row)?, None));
        }
        Ok(())
    }

    async fn put_entries(
        &mut self,
        columns: &[ArrayRef],
        row: usize,
        row_key: &[u8],
        in_bulk: bool,
    ) -> Result<(), Diagnostic> {
        if self.target.indexes.is_empty() {
            return Ok(());
        }
        let values = row_of(columns, row)?;
        for (place, index) in self.target.indexes.iter().enumerate() {
            let Some(indexed) = index.values.of(&values, self.input())? else {
                continue;
            };
            let entry = IndexEntry::new(&index.key, index.unique, &indexed, row_key)?;
            if in_bulk && self.transaction.bulk_loads(index.store) {
                let loaded = self
                    .transaction
                    .bulk_put(index.store, &entry.key, &entry.value)
                    .await;
                self.loaded(loaded)?;
                continue;
            }
            if self.unique_taken(index, &entry).await?.is_some() {
                return Err(self.duplicate(&values, Some(place)));
            }
            self.transaction
                .put(index.store, &entry.key, &entry.value)?;
        }
        Ok(())
    }

    /// A duplicate that a bulk load met, as 23505 with the constraint's name.
    pub(super) fn loaded(&self, result: Result<(), StorageError>) -> Result<(), Diagnostic> {
        let error = match result {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let StorageError::DuplicateKey { relation, key } = &error else {
            return Err(error.into());
        };
        let (target, settings) = (self.target, &self.context.settings);
        if *relation == target.store()
            && let Some(layout) = &target.key
        {
            let (values, _) = layout.decode(key)?;
            let columns = layout.columns();
            let name = &target.key_name;
            return Err(violation::unique(target, name, columns, &values, settings));
        }
        match target.indexes.iter().find(|index| index.store == *relation) {
            Some(index) => {
                let (values, _) = index.key.decode(key)?;
                Err(violation::unique_index(target, index, &values, settings))
            }
            None => Err(error.into()),
        }
    }

    /// NOT NULL and CHECK for a whole batch; the first row that violates one is the one reported.
    fn check_batch(
        &self,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Option<(usize, Diagnostic)>, Diagnostic> {
        let mut first: Option<(usize, Diagnostic)> = None;
        let mut report = |row: usize, make: &dyn Fn() -> Result<Diagnostic, Diagnostic>| {
            if first.as_ref().is_none_or(|(earlier, _)| row < *earlier) {
                first = Some((row, make()?));
            }
            Ok::<(), Diagnostic>(())
        };
        let settings = &self.context.settings;
        for (position, column) in self.target.columns().iter().enumerate() {
            if column.not_null && !column.dropped && columns[position].null_count() > 0 {
                let row = (0..rows).find(|row| columns[position].is_null(*row));
                if let Some(row) = row {
                    report(row, &|| {
                        let values = row_of(columns, row)?;
                        Ok(violation::not_null(
                            self.target,
                            position,
                            &values,
                            settings,
                        ))
                    })?;
                }
            }
        }
        for check in &self.target.checks {
            let held = check
                .expression
                .evaluate_batch(columns, rows, &[], self.input())?;
            let held = held
                .as_boolean_opt()
                .ok_or_else(|| Diagnostic::internal("a CHECK constraint is not boolean"))?;
            let row = (0..rows).find(|row| held.is_valid(*row) && !held.value(*row));
            if let Some(row) = row {
                report(row, &|| {
                    let values = row_of(columns, row)?;
                    Ok(violation::check(
                        self.target,
                        &check.name,
                        &values,
                        settings,
                    ))
                })?;
            }
        }
        Ok(first)
    }
}

fn select(columns: &[ArrayRef], key: &KeyLayout) -> Vec<ArrayRef> {
    key.columns()
        .iter()
        .map(|position| columns[usize::from(*position)].clone())
        .collect()
}

fn array_of(values: Vec<ScalarValue>, sql_type: SqlType) -> Result<ArrayRef, Diagnostic> {
    if values.is_empty() {
        return types::null_scalar(sql_type)
            .to_array_of_size(0)
            .map_err(failure::diagnostic);
    }
    ScalarValue::iter_to_array(values).map_err(failure::diagnostic)
}
