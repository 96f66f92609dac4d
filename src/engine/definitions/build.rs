//! Building what rows are found by: a table in the order of another key, an index's entries.
//!
//! Rows go from a scan through their key into a relation id that nobody else knows yet, by the bulk
//! load where storage takes one; a key met twice is 23505 as CREATE UNIQUE INDEX words it.

use super::work::Work;
use crate::catalog::RelationId;
use crate::catalog::definition::{Index, Relation, RelationBody, Table};
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::dml::index_values::IndexValues;
use crate::engine::row::{IndexEntry, KeyLayout, RowDecoder, RowLayout, encode_row_number};
use crate::engine::types;
use crate::storage::{ALL_KEYS, Direction, Scan, StorageError};
use bytes::BytesMut;
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// Rows read at once: some dozen microseconds of work.
const ROWS_A_STEP: usize = 64;

/// Bytes of rows read at once, but for a single row that has more.
const BYTES_A_STEP: usize = 128 << 10;

/// Rows of a table, a step at a time.
pub struct Rows {
    scan: Scan,
    decoder: RowDecoder,
    keys: Parcel,
    rows: Parcel,
}

/// Byte strings one after the other.
#[derive(Default)]
struct Parcel {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Parcel {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1],
        };
        &self.bytes[start..self.ends[index]]
    }
}

impl Rows {
    /// All rows of the table, with these columns decoded.
    ///
    /// # Errors
    /// What storage gives.
    pub fn of(work: &Work<'_>, table: &Table, wanted: &[u16]) -> Result<Rows, Diagnostic> {
        let storage = &work.transaction.storage;
        Ok(Rows {
            scan: storage.scan(table.store, ALL_KEYS, Direction::Forward)?,
            decoder: RowLayout::new(table).decoder(wanted, ROWS_A_STEP),
            keys: Parcel::default(),
            rows: Parcel::default(),
        })
    }

    /// The wanted columns of the next rows; None at the end.
    ///
    /// # Errors
    /// What storage gives, XX001.
    pub fn next(&mut self) -> Result<Option<Vec<ArrayRef>>, Diagnostic> {
        self.keys.clear();
        self.rows.clear();
        while self.decoder.rows() < ROWS_A_STEP && self.rows.bytes.len() < BYTES_A_STEP {
            let Some((key, row)) = self.scan.next()? else {
                break;
            };
            self.decoder.append(row)?;
            self.keys.push(key);
            self.rows.push(row);
        }
        if self.decoder.rows() == 0 {
            return Ok(None);
        }
        Ok(Some(self.decoder.finish()))
    }

    /// The key of one of the rows that [`Rows::next`] gave.
    pub fn key(&self, row: usize) -> &[u8] {
        self.keys.get(row)
    }

    /// How many rows [`Rows::next`] gave.
    pub fn len(&self) -> usize {
        self.keys.ends.len()
    }
}

/// Where built rows go.
pub struct Target<'a> {
    /// Their relation id.
    pub relation: RelationId,
    /// How the key is told when it is met twice.
    pub layout: &'a KeyLayout,
    /// Whose rows they are.
    pub table: &'a Relation,
    /// The name of the key's index.
    pub index: &'a str,
    /// What an index has of a row; None: the key is the table's.
    pub values: Option<&'a IndexValues>,
}

impl Target<'_> {
    /// Puts one row or entry.
    ///
    /// # Errors
    /// 23505 for a key met twice; what storage gives.
    pub async fn put(&self, work: &mut Work<'_>, key: &[u8], row: &[u8]) -> Result<(), Diagnostic> {
        let storage = &mut work.transaction.storage;
        if storage.bulk_loads(self.relation) {
            let loaded = storage.bulk_put(self.relation, key, row).await;
            return loaded.map_err(|error| self.failure(work, error));
        }
        if storage.get(self.relation, key)?.is_some() {
            return Err(self.duplicate(work, key));
        }
        Ok(storage.put(self.relation, key, row)?)
    }

    /// After the last one.
    ///
    /// # Errors
    /// As [`Target::put`].
    pub async fn finish(&self, work: &mut Work<'_>) -> Result<(), Diagnostic> {
        let finished = work.transaction.storage.bulk_finish().await;
        finished.map_err(|error| self.failure(work, error))
    }

    fn failure(&self, work: &Work<'_>, error: StorageError) -> Diagnostic {
        match error {
            StorageError::DuplicateKey { relation, key } if relation == self.relation => {
                self.duplicate(work, &key)
            }
            other => other.into(),
        }
    }

    fn duplicate(&self, work: &Work<'_>, key: &[u8]) -> Diagnostic {
        let diagnostic = Diagnostic::error(
            SqlState::UNIQUE_VIOLATION,
            format!("could not create unique index \"{}\"", self.index),
        )
        .with_schema(&*self.table.schema)
        .with_table(&*self.table.name)
        .with_constraint(self.index);
        let Ok((values, _)) = self.layout.decode(key) else {
            return diagnostic;
        };
        let described = match self.values {
            None => describe_key(work, self.table, self.layout.columns(), &values),
            Some(of_index) => describe_parts(work, of_index.parts(), &values),
        };
        diagnostic.with_detail(format!("Key {described} is duplicated."))
    }
}

/// `(a, b)=(1, x)`, as PostgreSQL's details name keys.
pub fn describe_key(
    work: &Work<'_>,
    relation: &Relation,
    columns: &[u16],
    values: &[ScalarValue],
) -> String {
    let Some(table) = relation.table() else {
        return String::new();
    };
    let names: Vec<String> = columns
        .iter()
        .map(|position| super::name::quoted(&table.columns[usize::from(*position)].name))
        .collect();
    let printed: Vec<String> = columns
        .iter()
        .zip(values)
        .map(|(position, value)| {
            let sql_type = table.columns[usize::from(*position)].sql_type;
            print(work, value, sql_type)
        })
        .collect();
    format!("({})=({})", names.join(", "), printed.join(", "))
}

fn describe_parts(
    work: &Work<'_>,
    parts: &[(Arc<str>, crate::catalog::sql_type::SqlType)],
    values: &[ScalarValue],
) -> String {
    let names: Vec<&str> = parts.iter().map(|(name, _)| &**name).collect();
    let printed: Vec<String> = parts
        .iter()
        .zip(values)
        .map(|((_, sql_type), value)| print(work, value, *sql_type))
        .collect();
    format!("({})=({})", names.join(", "), printed.join(", "))
}

fn print(
    work: &Work<'_>,
    value: &ScalarValue,
    sql_type: crate::catalog::sql_type::SqlType,
) -> String {
    let mut out = BytesMut::new();
    let settings = &work.context.settings;
    let printed = value
        .to_array()
        .ok()
        .filter(|array| !array.is_null(0))
        .map(|array| types::encode_text(&array, 0, sql_type, settings, &mut out));
    match printed {
        Some(Ok(())) => String::from_utf8_lossy(&out).into_owned(),
        _ => "null".to_owned(),
    }
}

/// 23502 where one of the columns holds a NULL.
///
/// # Errors
/// `column "c" of relation "t" contains null values`.
pub fn demand_not_null(
    relation: &Relation,
    positions: &[u16],
    columns: &[ArrayRef],
) -> Result<(), Diagnostic> {
    let Some(table) = relation.table() else {
        return Ok(());
    };
    for (position, column) in positions.iter().zip(columns) {
        if column.null_count() > 0 {
            let name = &table.columns[usize::from(*position)].name;
            return Err(null_found(relation, name));
        }
    }
    Ok(())
}

/// 23502 for a NULL that is there already.
pub fn null_found(relation: &Relation, column: &str) -> Diagnostic {
    Diagnostic::error(
        SqlState::NOT_NULL_VIOLATION,
        format!(
            "column \"{column}\" of relation \"{}\" contains null values",
            relation.name
        ),
    )
    .with_schema(&*relation.schema)
    .with_table(&*relation.name)
    .with_column(column)
}

/// Sorts the table's rows into a fresh relation id under the key `primary_key` (none: row numbers),
/// and builds its other indexes anew, whose entries hold that key. `relation` is the table as it is
/// now and comes back with its new store; `indexes` likewise.
///
/// # Errors
/// 23505 and 23502 by the rows; what storage gives.
pub async fn rebuild(
    work: &mut Work<'_>,
    relation: &mut Relation,
    primary_key: Vec<u16>,
    index_name: &str,
    indexes: &mut [Relation],
) -> Result<(), Diagnostic> {
    work.refresh(relation).await?;
    let old = super::work::table_of(relation)?.clone();
    let store = work.transaction.storage.create_relation()?;
    let mut next = old.clone();
    next.store = store;
    next.primary_key = primary_key;
    move_rows(work, relation, &old, &next, index_name).await?;
    work.transaction.storage.drop_relation(old.store);
    relation.body = RelationBody::Table(next);
    for index in indexes {
        rebuild_index(work, relation, index).await?;
    }
    Ok(())
}

async fn move_rows(
    work: &mut Work<'_>,
    relation: &Relation,
    old: &Table,
    next: &Table,
    index_name: &str,
) -> Result<(), Diagnostic> {
    let mut rows = Rows::of(work, old, &next.primary_key)?;
    let layout = KeyLayout::of_table(next)?;
    let mut key = Vec::new();
    while let Some(columns) = rows.next()? {
        work.pause().await?;
        demand_not_null(relation, &next.primary_key, &columns)?;
        let Some(layout) = &layout else {
            let numbers = work
                .storage()
                .allocate_row_numbers(next.store, rows.len() as u64)?;
            for (row, number) in numbers.enumerate() {
                let key = encode_row_number(number);
                put_numbered(work, next.store, &key, rows.rows.get(row)).await?;
                work.step().await?;
            }
            continue;
        };
        let target = Target {
            relation: next.store,
            layout,
            table: relation,
            index: index_name,
            values: None,
        };
        for row in 0..rows.len() {
            key.clear();
            layout.encode_arrays(&columns, row, &mut key)?;
            target.put(work, &key, rows.rows.get(row)).await?;
            work.step().await?;
        }
    }
    match &layout {
        None => Ok(work.transaction.storage.bulk_finish().await?),
        Some(layout) => {
            let target = Target {
                relation: next.store,
                layout,
                table: relation,
                index: index_name,
                values: None,
            };
            target.finish(work).await
        }
    }
}

/// Puts a row of a table without a primary key.
///
/// # Errors
/// What storage gives.
pub async fn put_numbered(
    work: &mut Work<'_>,
    relation: RelationId,
    key: &[u8],
    row: &[u8],
) -> Result<(), Diagnostic> {
    let storage = &mut work.transaction.storage;
    if storage.bulk_loads(relation) {
        Ok(storage.bulk_put(relation, key, row).await?)
    } else {
        Ok(storage.put(relation, key, row)?)
    }
}

/// Builds an index anew, into a store of its own.
///
/// # Errors
/// As [`fill_index`].
pub async fn rebuild_index(
    work: &mut Work<'_>,
    relation: &Relation,
    index_relation: &mut Relation,
) -> Result<(), Diagnostic> {
    let name = index_relation.name.clone();
    let RelationBody::Index(index) = &mut index_relation.body else {
        return Err(Diagnostic::internal("an index that is none"));
    };
    let old = index.store;
    index.store = work.transaction.storage.create_relation()?;
    fill_index(work, relation, index, &name).await?;
    work.transaction.storage.drop_relation(old);
    Ok(())
}

/// Builds the entries of a new index, whose store is fresh, from the table's rows.
///
/// # Errors
/// 23505 by the rows; what storage gives.
pub async fn fill_index(
    work: &mut Work<'_>,
    relation: &Relation,
    index: &Index,
    name: &str,
) -> Result<(), Diagnostic> {
    work.refresh(relation).await?;
    let table = relation
        .table()
        .ok_or_else(|| Diagnostic::internal("an index on what is no table"))?;
    let layout = KeyLayout::of_index(table, index)?;
    let of_index = IndexValues::new(relation, table, index, work.input())?;
    let wanted: Vec<u16> = match index.is_plain() {
        true => index.columns.clone(),
        false => (0..table.columns.len() as u16).collect(),
    };
    let mut rows = Rows::of(work, table, &wanted)?;
    let target = Target {
        relation: index.store,
        layout: &layout,
        table: relation,
        index: name,
        values: Some(&of_index),
    };
    while let Some(columns) = rows.next()? {
        work.pause().await?;
        for row in 0..rows.len() {
            let mut values = values_at(&columns, row)?;
            if !index.is_plain() {
                match of_index.of(&values, work.input())? {
                    Some(indexed) => values = indexed,
                    None => continue,
                }
            }
            let entry = IndexEntry::new(&layout, index.unique, &values, rows.keys.get(row))?;
            target.put(work, &entry.key, &entry.value).await?;
            work.step().await?;
        }
    }
    target.finish(work).await
}

/// One row of some arrays.
///
/// # Errors
/// XX000 for an Arrow type no value has.
pub fn values_at(columns: &[ArrayRef], row: usize) -> Result<Vec<ScalarValue>, Diagnostic> {
    columns
        .iter()
        .map(|column| ScalarValue::try_from_array(column, row))
        .collect::<Result<_, _>>()
        .map_err(|error| Diagnostic::internal(error.to_string()))
}

/// The definitions of the table's indexes that have entries of their own.
///
/// # Errors
/// XX000 for one that is not defined.
pub fn indexes_of(work: &mut Work<'_>, table: &Table) -> Result<Vec<Relation>, Diagnostic> {
    let definitions = work.definitions();
    table
        .indexes
        .iter()
        .filter(|oid| Some(**oid) != table.primary_index)
        .map(|oid| {
            definitions
                .get(*oid)
                .map(|relation: &Arc<Relation>| Relation::clone(relation))
                .ok_or_else(|| Diagnostic::internal(format!("index {oid} is not defined")))
        })
        .collect()
}
