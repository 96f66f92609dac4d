//! Rows by the batch: INSERT from a query and COPY.
//!
//! Arrays are encoded without becoming single values first. A relation that the transaction itself
//! has made is loaded in bulk (DESIGN §6): nobody else can see it, so nothing is locked, and storage
//! finds duplicates.

use super::filler::Filler;
use super::target::Target;
use super::value::Value;
use super::violation;
use super::write::{Writer, lock_wait};
use crate::catalog::sql_type::SqlType;
use crate::diagnostic::Diagnostic;
use crate::engine::query::failure;
use crate::engine::row::{IndexEntry, KeyLayout, RowEncoder, encode_row_number};
use crate::engine::types::{self, Input};
use crate::storage::{NewRow, StorageError};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::common::ScalarValue;

/// New rows and index entries that are locked and looked for together: a part of a slice.
const NEW_ROWS_MAX: usize = 128;

/// Which of several errors of a batch is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOrder {
    /// That of the first row that has one, as by INSERT.
    ByRow,
    /// A row's own before what others have to do with it, as by COPY, which puts rows together first.
    ByKind,
}

/// The values that a source has for a column.
pub struct ColumnValues<'a> {
    /// One for each row.
    pub values: &'a ArrayRef,
    /// Their type.
    pub from: SqlType,
    /// Where the column's default stands instead, if anywhere.
    pub defaults: Option<&'a BooleanArray>,
}

/// The storage keys of a batch's rows.
struct Keys {
    /// The columns of the primary key.
    columns: Option<Vec<ArrayRef>>,
    /// Without one, the row number of the first.
    first: u64,
}

impl Keys {
    fn put(
        &self,
        layout: &Option<KeyLayout>,
        row: usize,
        key: &mut Vec<u8>,
    ) -> Result<(), Diagnostic> {
        key.clear();
        match (layout, &self.columns) {
            (Some(layout), Some(columns)) => layout.encode_arrays(columns, row, key)?,
            _ => key.extend_from_slice(&encode_row_number(self.first + row as u64)),
        }
        Ok(())
    }
}

/// What the table's indexes have of a batch's rows.
struct Entries<'a> {
    target: &'a Target,
    columns: &'a [ArrayRef],
    /// For each index its columns; None where expressions are worked out, row by row, so that what is
    /// wrong with a row is told after what is wrong with those before.
    indexed: Vec<Option<Vec<ArrayRef>>>,
}

impl<'a> Entries<'a> {
    fn new(target: &'a Target, columns: &'a [ArrayRef]) -> Entries<'a> {
        let indexes = target.indexes.iter();
        Entries {
            target,
            columns,
            indexed: indexes.map(|index| index.values.arrays(columns)).collect(),
        }
    }

    /// The entry of a row in the index at this place; None where it has none.
    fn of(
        &self,
        place: usize,
        row: usize,
        row_key: &[u8],
        input: Input<'_>,
    ) -> Result<Option<IndexEntry>, Diagnostic> {
        let index = &self.target.indexes[place];
        let (layout, unique) = (&index.key, index.unique);
        if let Some(columns) = &self.indexed[place] {
            let entry = IndexEntry::of_arrays(layout, unique, columns, row, row_key)?;
            return Ok(Some(entry));
        }
        let values = index.values.of(&row_of(self.columns, row)?, input)?;
        let entry = values.map(|values| IndexEntry::new(layout, unique, &values, row_key));
        Ok(entry.transpose()?)
    }
}

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
        given: &[Option<ColumnValues<'_>>],
        fillers: &[Option<Filler>],
        rows: usize,
    ) -> Result<Vec<ArrayRef>, Diagnostic> {
        let mut columns = Vec::with_capacity(given.len());
        for ((given, filler), column) in given.iter().zip(fillers).zip(self.target.columns()) {
            columns.push(match (given, filler) {
                (Some(given), filler) => {
                    let to = column.sql_type;
                    let values = types::assign_array(given.values, given.from, to, self.input())?;
                    match (given.defaults, filler) {
                        (Some(defaults), Some(filler)) => {
                            self.filled(&values, defaults, filler).await?
                        }
                        _ => values,
                    }
                }
                (None, Some(Filler::Value(value))) => {
                    let value = value.ready(self.context)?;
                    value.evaluate_batch(&[], rows, &[], self.input())?
                }
                (None, Some(filler)) => {
                    let mut values = Vec::with_capacity(rows);
                    for row in 0..rows {
                        let value = filler.next_of(rows - row, self.storage, self.context);
                        values.push(value.await?);
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

    /// The values, those that are to be defaults filled.
    async fn filled(
        &mut self,
        values: &ArrayRef,
        defaults: &BooleanArray,
        filler: &Filler,
    ) -> Result<ArrayRef, Diagnostic> {
        let mut filled = Vec::with_capacity(values.len());
        for row in 0..values.len() {
            filled.push(match defaults.value(row) {
                true => filler.next(self.storage, self.context).await?,
                false => ScalarValue::try_from_array(values, row).map_err(failure::diagnostic)?,
            });
            self.step().await?;
        }
        let array = ScalarValue::iter_to_array(filled);
        array.map_err(failure::diagnostic)
    }

    /// Inserts a batch that has an array for each column of the table, of exactly its type. Of what is
    /// wrong with its rows it tells what `order` says.
    ///
    /// # Errors
    /// 42501 by a row policy; 23502, 23514, 23505, 23503.
    pub async fn insert_batch(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        order: ErrorOrder,
    ) -> Result<(), Diagnostic> {
        if rows == 0 {
            return Ok(());
        }
        let refused = match self.first_refused(columns, rows)? {
            None => self.check_batch(columns, rows)?,
            refused => refused,
        };
        if let Some((row, violation)) = refused {
            if order == ErrorOrder::ByRow && row > 0 {
                let before: Vec<_> = columns.iter().map(|it| it.slice(0, row)).collect();
                self.insert_checked(&before, row).await?;
            }
            self.row = Some(row);
            return Err(violation);
        }
        self.pace.look().await?;
        self.insert_checked(columns, rows).await
    }

    /// The first row that a row policy refuses.
    fn first_refused(
        &self,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<Option<(usize, Diagnostic)>, Diagnostic> {
        let Some(guard) = &self.guard else {
            return Ok(None);
        };
        let Some(row) = guard.first_refused(columns, rows, self.input()) else {
            return Ok(None);
        };
        let values = row_of(columns, row)?;
        let admitted = guard.admit_inserted(&self.target.relation, &values, self.input());
        Ok(admitted.err().map(|refused| (row, refused)))
    }

    /// Inserts rows that no policy, NOT NULL or CHECK refuses.
    async fn insert_checked(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
    ) -> Result<(), Diagnostic> {
        let target = self.target;
        let store = target.store();
        let keys = Keys {
            columns: target.key.as_ref().map(|key| select(columns, key)),
            first: match target.key {
                Some(_) => 0,
                None => self.storage.allocate_row_numbers(store, rows as u64)?.start,
            },
        };
        let encoder = RowEncoder::new(&target.layout, columns)?;
        let in_bulk = self.transaction.bulk_loads(store) && !target.references_itself();
        match in_bulk {
            true => self.load(columns, rows, &keys, &encoder).await?,
            false => self.put_rows(columns, rows, &keys, &encoder).await?,
        }
        self.in_bulk |= in_bulk;
        self.row = None;
        Ok(())
    }

    /// Writes rows into the write set, some at a time.
    async fn put_rows(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        keys: &Keys,
        encoder: &RowEncoder,
    ) -> Result<(), Diagnostic> {
        let (target, store) = (self.target, self.target.store());
        let (mut key, mut bytes) = (Vec::new(), Vec::new());
        let (mut new, mut places) = (Vec::new(), Vec::new());
        let entries = Entries::new(target, columns);
        let mut first = 0;
        for row in 0..rows {
            self.row = Some(row);
            keys.put(&target.key, row, &mut key)?;
            let begin = bytes.len();
            encoder.encode(row, &mut bytes)?;
            let value = begin..bytes.len();
            new.push(NewRow::new(store, &key, value, target.key.is_some()));
            places.push((row, None));
            for (place, index) in target.indexes.iter().enumerate() {
                let Some(entry) = entries.of(place, row, &key, self.input())? else {
                    continue;
                };
                let alone = index.unique && entry.is_alone();
                let begin = bytes.len();
                bytes.extend_from_slice(&entry.value);
                let value = begin..bytes.len();
                new.push(NewRow::new(index.store, &entry.key, value, alone));
                places.push((row, Some(place)));
            }
            self.step().await?;
            if new.len() < NEW_ROWS_MAX && row + 1 < rows {
                continue;
            }
            let wait = lock_wait(self.context);
            if let Some(taken) = self.transaction.put_new(&new, &bytes, wait).await? {
                let (row, index) = places[taken];
                self.row = Some(row);
                return Err(self.duplicate(&row_of(columns, row)?, index));
            }
            self.pace.look().await?;
            if !target.foreign_keys.is_empty() {
                for row in first..=row {
                    self.row = Some(row);
                    keys.put(&target.key, row, &mut key)?;
                    let values = row_of(columns, row)?;
                    self.check_parents(&key, &values, None).await?;
                    self.step().await?;
                }
            }
            first = row + 1;
            new.clear();
            places.clear();
            bytes.clear();
        }
        Ok(())
    }

    /// Loads rows of a relation that nobody else can see.
    async fn load(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        keys: &Keys,
        encoder: &RowEncoder,
    ) -> Result<(), Diagnostic> {
        let (target, store) = (self.target, self.target.store());
        let (mut key, mut bytes) = (Vec::new(), Vec::new());
        let entries = Entries::new(target, columns);
        for row in 0..rows {
            self.row = Some(row);
            keys.put(&target.key, row, &mut key)?;
            bytes.clear();
            encoder.encode(row, &mut bytes)?;
            self.load_entries(&entries, row, &key).await?;
            let loaded = self.transaction.bulk_put(store, &key, &bytes).await;
            self.loaded(loaded)?;
            if !target.foreign_keys.is_empty() {
                let values = row_of(columns, row)?;
                self.check_parents(&key, &values, None).await?;
            }
            self.step().await?;
        }
        Ok(())
    }

    async fn load_entries(
        &mut self,
        entries: &Entries<'_>,
        row: usize,
        row_key: &[u8],
    ) -> Result<(), Diagnostic> {
        for (place, index) in self.target.indexes.iter().enumerate() {
            let Some(entry) = entries.of(place, row, row_key, self.input())? else {
                continue;
            };
            if self.transaction.bulk_loads(index.store) {
                let loaded = self
                    .transaction
                    .bulk_put(index.store, &entry.key, &entry.value)
                    .await;
                self.loaded(loaded)?;
                continue;
            }
            if self.unique_taken(index, &entry).await?.is_some() {
                return Err(self.duplicate(&row_of(entries.columns, row)?, Some(place)));
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
            let held = check.expression.ready(self.context)?;
            let held = held.evaluate_batch(columns, rows, &[], self.input())?;
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

/// The values of a column, one array.
///
/// # Errors
/// XX000 where they are not of one type.
pub fn array_of(values: Vec<ScalarValue>, sql_type: SqlType) -> Result<ArrayRef, Diagnostic> {
    if values.is_empty() {
        return types::null_scalar(sql_type)
            .to_array_of_size(0)
            .map_err(failure::diagnostic);
    }
    ScalarValue::iter_to_array(values).map_err(failure::diagnostic)
}
