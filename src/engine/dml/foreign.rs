//! Foreign keys, both ways: a row's parent must be there and stay, a key that goes must not be
//! pointed at any more.
//!
//! The parent is locked FOR KEY SHARE and read in its newest version, so that whoever deletes it
//! waits and then sees the new row. What has to wait for the end of the statement is kept as
//! [`Pending`]; `referential` carries it out.

use super::target::{Parent, Referencing, Search, Target};
use super::violation;
use super::write::{Writer, project};
use crate::catalog::definition::{Deferral, ReferentialAction};
use crate::catalog::{Oid, RelationId};
use crate::diagnostic::Diagnostic;
use crate::engine::deferred::{Check, Sought, Timing};
use crate::engine::row::{IndexEntry, KeyLayout, prefix_end};
use crate::engine::types::{self, CastContext};
use crate::storage::{LockMode, NewestEntry};
use datafusion::common::ScalarValue;
use std::ops::Bound;

/// Rows of a referencing table that are looked at before the core is let go.
const SEARCH_ROWS: usize = 64;

/// A check that waits for the end of the statement.
#[derive(Debug)]
pub(super) enum Pending {
    /// The foreign key at this place has these values, in the order of its columns.
    Parent {
        place: usize,
        values: Vec<ScalarValue>,
    },
    /// These values of the referenced columns are gone, for the referencing key at this place.
    Children {
        place: usize,
        values: Vec<ScalarValue>,
        how: Gone,
    },
}

/// Why a referenced key is gone.
#[derive(Debug)]
pub(super) enum Gone {
    /// The referenced columns hold these values now.
    Updated(Vec<ScalarValue>),
    Deleted,
}

impl Writer<'_> {
    /// Looks for the parents of a new row, or of the columns that an UPDATE changed. `key` is where
    /// the row is now, `old` where and what it was.
    pub(super) async fn check_parents(
        &mut self,
        key: &[u8],
        row: &[ScalarValue],
        old: Option<(&[u8], &[ScalarValue])>,
    ) -> Result<(), Diagnostic> {
        for (place, foreign) in self.target.foreign_keys.iter().enumerate() {
            let values = project(row, &foreign.columns);
            // MATCH SIMPLE: a NULL points at nothing.
            if values.iter().any(ScalarValue::is_null) {
                continue;
            }
            let unchanged = old.is_some_and(|(_, old)| project(old, &foreign.columns) == values);
            let timing = self.timing(foreign.oid, foreign.deferral);
            // Where a row is checked later it is looked for by its key.
            let moved = old.is_some_and(|(old, _)| old != key);
            if unchanged && !(moved && timing == Timing::Deferred) {
                continue;
            }
            if timing == Timing::Deferred {
                self.put_off(foreign.oid, Sought::Parent(key.to_vec()))?;
            } else if foreign.parent.relation.oid == self.target.relation.oid {
                // The parent may be a row that the same statement has yet to write.
                self.pending.push(Pending::Parent { place, values });
            } else {
                self.check_parent(place, &values).await?;
            }
        }
        Ok(())
    }

    /// When a foreign key is checked as the transaction stands.
    fn timing(&self, constraint: Oid, deferral: Deferral) -> Timing {
        match deferral {
            Deferral::None => Timing::Immediate,
            _ => {
                let deferred = self.context.effects.deferred.lock();
                deferred.timing(constraint, deferral)
            }
        }
    }

    fn put_off(&self, constraint: Oid, sought: Sought) -> Result<(), Diagnostic> {
        self.context.effects.deferred.lock().push(&Check {
            constraint,
            table: self.target.relation.oid,
            sought,
        })
    }

    pub(super) async fn check_parent(
        &mut self,
        place: usize,
        values: &[ScalarValue],
    ) -> Result<(), Diagnostic> {
        let foreign = &self.target.foreign_keys[place];
        let key = self.parent_key(place, values)?;
        if key == self.parents_seen[place] {
            return Ok(());
        }
        if !self.lock_parent(&foreign.parent, &key).await? {
            let settings = &self.context.settings;
            return Err(violation::no_parent(self.target, foreign, values, settings));
        }
        self.parents_seen[place] = key;
        Ok(())
    }

    fn parent_key(&self, place: usize, values: &[ScalarValue]) -> Result<Vec<u8>, Diagnostic> {
        let foreign = &self.target.foreign_keys[place];
        let parent = &foreign.parent;
        let mut key_values = Vec::with_capacity(values.len());
        for (from, to) in parent.order.iter().zip(parent.key_types()) {
            let column = usize::from(foreign.columns[*from]);
            let own = self.target.columns()[column].sql_type;
            key_values.push(types::cast(
                values[*from].clone(),
                own,
                to,
                CastContext::Assignment,
                self.input(),
            )?);
        }
        let mut key = Vec::new();
        parent.key.encode(&key_values, &mut key)?;
        Ok(key)
    }

    /// Locks the parent FOR KEY SHARE; false where there is none.
    async fn lock_parent(&mut self, parent: &Parent, key: &[u8]) -> Result<bool, Diagnostic> {
        let store = parent
            .relation
            .table()
            .expect("a parent is only made of a table")
            .store;
        let Some(index) = parent.index else {
            self.lock(store, key, LockMode::KeyShare).await?;
            return Ok(self.transaction.newest(store, key)?.row.is_some());
        };
        // The index says which row; once that is locked, ask again whether it still is that one.
        loop {
            let Some(value) = self.transaction.newest(index, key)?.row else {
                return Ok(false);
            };
            let row_key = IndexEntry::row_key(&parent.key, key, &value)?.to_vec();
            self.lock(store, &row_key, LockMode::KeyShare).await?;
            if self.transaction.newest(index, key)?.row.as_deref() == Some(&*value) {
                return Ok(true);
            }
        }
    }

    /// Remembers the keys that a changed or deleted row leaves behind.
    ///
    /// # Errors
    /// 54000 where more is put off to the transaction's end than there is room for.
    pub(super) fn note_key_gone(
        &mut self,
        old: &[ScalarValue],
        new: Option<&[ScalarValue]>,
    ) -> Result<(), Diagnostic> {
        for (place, referencing) in self.target.referencing.iter().enumerate() {
            let values = project(old, &referencing.referenced);
            let kept = new.is_some_and(|new| project(new, &referencing.referenced) == values);
            if kept || values.iter().any(ScalarValue::is_null) {
                continue;
            }
            let action = match new {
                Some(_) => referencing.on_update,
                None => referencing.on_delete,
            };
            // The other actions are never put off.
            if action == ReferentialAction::NoAction
                && self.timing(referencing.oid, referencing.deferral) == Timing::Deferred
            {
                let row = self.only(old, &referencing.referenced)?;
                self.put_off(referencing.oid, Sought::Children(row))?;
                continue;
            }
            let how = match new {
                Some(new) => Gone::Updated(project(new, &referencing.referenced)),
                None => Gone::Deleted,
            };
            self.pending.push(Pending::Children { place, values, how });
        }
        Ok(())
    }

    /// The row as bytes, with NULL in all but these columns.
    fn only(&self, row: &[ScalarValue], columns: &[u16]) -> Result<Vec<u8>, Diagnostic> {
        let kept = |at: usize| u16::try_from(at).is_ok_and(|at| columns.contains(&at));
        let table = self.target.columns();
        let row: Vec<ScalarValue> = row
            .iter()
            .zip(table)
            .enumerate()
            .map(|(at, (value, column))| match kept(at) {
                true => value.clone(),
                false => types::null_scalar(column.sql_type),
            })
            .collect();
        let mut bytes = Vec::new();
        self.target.layout.encode(&row, &mut bytes)?;
        Ok(bytes)
    }

    /// NO ACTION looks at the end of the statement: another row may have taken the key.
    pub(super) fn key_is_there_again(
        &mut self,
        target: &Target,
        referencing: &Referencing,
        values: &[ScalarValue],
    ) -> Result<bool, Diagnostic> {
        let reordered = |key: &KeyLayout| -> Option<Vec<ScalarValue>> {
            (key.columns().len() == referencing.referenced.len())
                .then(|| {
                    key.columns()
                        .iter()
                        .map(|wanted| {
                            let at = referencing.referenced.iter().position(|at| at == wanted)?;
                            Some(values[at].clone())
                        })
                        .collect()
                })
                .flatten()
        };
        let primary = target.key.iter().map(|key| (key, target.store()));
        let unique = target
            .indexes
            .iter()
            .filter(|index| index.is_key())
            .map(|index| (&index.key, index.store));
        for (key, store) in primary.chain(unique) {
            if let Some(values) = reordered(key) {
                let mut bytes = Vec::new();
                key.encode(&values, &mut bytes)?;
                return Ok(self.transaction.newest(store, &bytes)?.row.is_some());
            }
        }
        Ok(false)
    }

    /// The storage keys of rows that hold these values of the referenced columns: at most `limit`.
    pub(super) async fn children(
        &mut self,
        referencing: &Referencing,
        values: &[ScalarValue],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, Diagnostic> {
        let values = self.child_values(referencing, values)?;
        let store = referencing
            .relation
            .table()
            .expect("a referencing relation is a table")
            .store;
        match &referencing.search {
            Search::Primary { key, order } => {
                let entries = self.entries(store, key, order, &values, limit)?;
                Ok(entries.into_iter().map(|entry| entry.key).collect())
            }
            Search::Index { store, key, order } => self
                .entries(*store, key, order, &values, limit)?
                .iter()
                .map(|entry| Ok(IndexEntry::row_key(key, &entry.key, &entry.row)?.to_vec()))
                .collect(),
            Search::Whole => self.read_whole(store, referencing, &values, limit).await,
        }
    }

    /// The values as the referencing columns hold them.
    pub(super) fn child_values(
        &self,
        referencing: &Referencing,
        values: &[ScalarValue],
    ) -> Result<Vec<ScalarValue>, Diagnostic> {
        let child = referencing
            .relation
            .table()
            .expect("a referencing relation is a table");
        let pairs = referencing.columns.iter().zip(&referencing.referenced);
        pairs
            .zip(values)
            .map(|((column, referenced), value)| {
                types::cast(
                    value.clone(),
                    self.target.columns()[usize::from(*referenced)].sql_type,
                    child.columns[usize::from(*column)].sql_type,
                    CastContext::Explicit,
                    self.input(),
                )
            })
            .collect()
    }

    fn entries(
        &mut self,
        store: RelationId,
        key: &KeyLayout,
        order: &[usize],
        values: &[ScalarValue],
        limit: usize,
    ) -> Result<Vec<NewestEntry>, Diagnostic> {
        let ordered: Vec<ScalarValue> = order.iter().map(|at| values[*at].clone()).collect();
        let mut prefix = Vec::new();
        key.encode(&ordered, &mut prefix)?;
        let end = prefix_end(&prefix);
        let range = (
            Bound::Included(prefix.as_slice()),
            end.as_ref().map(Vec::as_slice),
        );
        Ok(self.transaction.newest_range(store, range, limit)?)
    }

    /// Reads the whole referencing table, in slices.
    async fn read_whole(
        &mut self,
        store: RelationId,
        referencing: &Referencing,
        values: &[ScalarValue],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, Diagnostic> {
        let mut found = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let from = match &after {
                Some(key) => Bound::Excluded(key.as_slice()),
                None => Bound::Unbounded,
            };
            let rows =
                self.transaction
                    .newest_range(store, (from, Bound::Unbounded), SEARCH_ROWS)?;
            for entry in &rows {
                let row = referencing.layout.decode_row(&entry.row)?;
                if project(&row, &referencing.columns) == values {
                    found.push(entry.key.clone());
                    if found.len() == limit {
                        return Ok(found);
                    }
                }
                self.step().await?;
            }
            match rows.last() {
                Some(last) => after = Some(last.key.clone()),
                None => return Ok(found),
            }
        }
    }
}
