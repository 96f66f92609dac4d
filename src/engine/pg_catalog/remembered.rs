//! Catalogs that have been made, for whoever looks into them again: a driver asks a dozen questions in a
//! row, a correlated sub-select one for each row, and each would make thousands of rows anew.
//!
//! What is remembered is of one catalog snapshot, one database, one holder's rights and one standpoint, of
//! which rows and names in them depend; whoever differs in one of them makes rows of their own. What tells
//! of the session or of the store is never remembered.

use super::{SystemTable, cell};
use crate::access::Rights;
use crate::catalog::{DatabaseId, Oid, PrincipalId, Snapshot};
use crate::diagnostic::Diagnostic;
use crate::engine::context::StatementContext;
use crate::engine::search_path::Standpoint;
use datafusion::arrow::array::RecordBatch;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Standpoints that are remembered; the one begun first goes.
const ENTRIES_MAX: usize = 8;
/// What one standpoint's catalogs may take together: of a database of some ten thousand tables they are
/// made anew each time.
const ENTRY_BYTES_MAX: usize = 16 << 20;

/// The catalogs that an engine's statements have made.
#[derive(Default)]
pub struct Remembered(Mutex<VecDeque<Entry>>);

struct Entry {
    snapshot: Arc<Snapshot>,
    database: DatabaseId,
    principal: PrincipalId,
    rights: Arc<Rights>,
    standpoint: Standpoint,
    batches: BTreeMap<Oid, RecordBatch>,
    bytes: usize,
}

impl Entry {
    fn of(context: &StatementContext) -> Entry {
        Entry {
            snapshot: context.snapshot.clone(),
            database: context.identity.database,
            principal: context.identity.principal,
            rights: context.rights.clone(),
            standpoint: Standpoint::of(context),
            batches: BTreeMap::new(),
            bytes: 0,
        }
    }

    fn is(&self, context: &StatementContext) -> bool {
        Arc::ptr_eq(&self.snapshot, &context.snapshot)
            && self.database == context.identity.database
            && self.principal == context.identity.principal
            && (Arc::ptr_eq(&self.rights, &context.rights) || *self.rights == *context.rights)
            && self.standpoint.is(context)
    }
}

impl Remembered {
    /// All rows and columns of a catalog that depends on nothing else, made where nobody has made them yet.
    ///
    /// # Errors
    /// What making them gives.
    pub fn batch(
        &self,
        table: &SystemTable,
        context: &StatementContext,
        make: impl FnOnce() -> Result<RecordBatch, Diagnostic>,
    ) -> Result<RecordBatch, Diagnostic> {
        let known = {
            let entries = self.0.lock();
            let entry = entries.iter().find(|entry| entry.is(context));
            entry.and_then(|entry| entry.batches.get(&table.oid).cloned())
        };
        if let Some(batch) = known {
            return Ok(batch);
        }
        let batch = make()?;
        self.keep(table.oid, &batch, context);
        Ok(batch)
    }

    fn keep(&self, table: Oid, batch: &RecordBatch, context: &StatementContext) {
        let bytes = batch.get_array_memory_size();
        let mut entries = self.0.lock();
        let place = match entries.iter().position(|entry| entry.is(context)) {
            Some(place) => place,
            None => {
                // An older snapshot of the same database is nobody's any more, or soon.
                let database = context.identity.database;
                let epoch = context.snapshot.epoch;
                entries.retain(|old| old.database != database || old.snapshot.epoch >= epoch);
                if entries.len() == ENTRIES_MAX {
                    entries.pop_front();
                }
                entries.push_back(Entry::of(context));
                entries.len() - 1
            }
        };
        let entry = &mut entries[place];
        if entry.bytes + bytes <= ENTRY_BYTES_MAX {
            entry.bytes += bytes;
            entry.batches.insert(table, batch.clone());
        }
    }
}

/// Whether a catalog's rows are the same for everybody with the same snapshot, rights and standpoint.
pub fn is_settled(table: &SystemTable) -> bool {
    !matches!(
        table.name,
        "pg_cursors"
            | "pg_locks"
            | "pg_prepared_statements"
            | "pg_sequences"
            | "pg_settings"
            | "pg_stat_activity"
            | "pg_timezone_names"
    )
}

/// The columns at these places.
///
/// # Errors
/// XX000 for a place that is not there.
pub fn columns(batch: &RecordBatch, places: &[usize]) -> Result<RecordBatch, Diagnostic> {
    let projected = batch.project(places);
    projected.map_err(|error| crate::engine::query::failure::diagnostic(error.into()))
}

/// A batch of rows that never change, and then those of now.
///
/// # Errors
/// As [`cell::batch`].
pub fn with_fixed(
    table: &SystemTable,
    fixed: &RecordBatch,
    rows: &[super::Row],
) -> Result<RecordBatch, Diagnostic> {
    let places: Vec<usize> = (0..table.columns.len()).collect();
    let own = cell::batch(table, &places, rows)?;
    let together = datafusion::arrow::compute::concat_batches(&table.arrow, [&own, fixed]);
    together.map_err(|error| crate::engine::query::failure::diagnostic(error.into()))
}
