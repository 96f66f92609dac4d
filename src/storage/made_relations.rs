//! The relations that a transaction makes and gives up, their bulk loads, and layout versions.

use super::bulk::BulkLoad;
use super::commit_gate::{Job, Layouts};
use super::error::StorageError;
use super::keyspace::user_key;
use super::options::Isolation;
use super::store::Shared;
use super::transaction::Transaction;
use crate::catalog::{Oid, RelationId};
use std::sync::Arc;

/// A relation that the transaction made.
struct Made {
    relation: RelationId,
    /// How many savepoints were set when it was made.
    depth: usize,
    state: LoadState,
}

/// Whether there can be rows of it in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoadState {
    Untouched,
    Loaded,
}

/// What a savepoint returns to.
struct Mark {
    made: usize,
    dropped: usize,
    expected: usize,
    new: usize,
}

/// The relations that one transaction makes and gives up.
#[derive(Default)]
pub(super) struct MadeRelations {
    made: Vec<Made>,
    dropped: Vec<RelationId>,
    expected_layouts: Layouts,
    new_layouts: Layouts,
    marks: Vec<Mark>,
    load: Option<Box<BulkLoad>>,
}

impl MadeRelations {
    /// Whether every bulk load is finished.
    pub(super) fn is_settled(&self) -> bool {
        self.load.as_ref().is_none_or(|load| load.is_settled())
    }

    /// Whether a commit has nothing to do for them.
    pub(super) fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.new_layouts.is_empty() && self.loaded().next().is_none()
    }

    fn loaded(&self) -> impl Iterator<Item = RelationId> {
        let loaded = self
            .made
            .iter()
            .filter(|made| made.state == LoadState::Loaded);
        loaded.map(|made| made.relation)
    }

    pub(super) fn set_savepoint(&mut self) {
        self.marks.push(Mark {
            made: self.made.len(),
            dropped: self.dropped.len(),
            expected: self.expected_layouts.len(),
            new: self.new_layouts.len(),
        });
    }

    /// Returns to the savepoint at this place, which stays.
    pub(super) fn rollback_to(&mut self, place: usize, shared: &Shared) {
        self.marks.truncate(place + 1);
        let mark = &self.marks[place];
        self.dropped.truncate(mark.dropped);
        self.expected_layouts.truncate(mark.expected);
        self.new_layouts.truncate(mark.new);
        for made in self.made.drain(mark.made..) {
            abandon(&made, shared);
        }
    }

    /// Forgets the savepoint at this place and those after it.
    pub(super) fn release(&mut self, place: usize) {
        self.marks.truncate(place);
        for made in &mut self.made {
            made.depth = made.depth.min(place);
        }
    }

    /// Gives up everything made: a rollback.
    pub(super) fn abandon(&mut self, shared: &Shared) {
        for made in self.made.drain(..) {
            abandon(&made, shared);
        }
        self.dropped.clear();
        self.load = None;
    }

    /// What a commit needs: relations loaded, relations given up, layouts expected and new.
    pub(super) fn take_for_commit(
        &mut self,
    ) -> (Vec<RelationId>, Vec<RelationId>, Layouts, Layouts) {
        let loaded = self.loaded().collect();
        self.made.clear();
        (
            loaded,
            std::mem::take(&mut self.dropped),
            std::mem::take(&mut self.expected_layouts),
            std::mem::take(&mut self.new_layouts),
        )
    }
}

fn duplicate(relation: RelationId, key: &[u8]) -> StorageError {
    StorageError::DuplicateKey {
        relation,
        key: Arc::from(user_key(key)),
    }
}

fn abandon(made: &Made, shared: &Shared) {
    shared.forget(made.relation);
    if made.state == LoadState::Loaded {
        // When the gate is closed, the next start clears it.
        let _ = shared.gate.submit(Job::Clear(made.relation));
    }
}

impl Transaction {
    /// Clears relations that were loaded for a commit that was not taken.
    pub(super) fn clear_loaded(&self, loaded: &[RelationId]) {
        for relation in loaded {
            // When the gate is closed, the next start clears them.
            let _ = self.core.shared.gate.submit(Job::Clear(*relation));
        }
    }

    /// A fresh relation id that belongs to nobody else until this transaction commits; a rollback
    /// clears it. This is how CREATE, TRUNCATE and a rewrite get their store.
    pub fn create_relation(&mut self) -> Result<RelationId, StorageError> {
        self.check_open()?;
        let relation = self.core.shared.numbers.relation()?;
        self.made.made.push(Made {
            relation,
            depth: self.made.marks.len(),
            state: LoadState::Untouched,
        });
        Ok(relation)
    }

    /// Gives the relation's rows up at commit (DROP, TRUNCATE, a rewrite); they are cleared later, in
    /// steps, between groups.
    pub fn drop_relation(&mut self, relation: RelationId) {
        self.made.dropped.push(relation);
    }

    /// The layout version that this transaction's rows of the relation are written for; the commit
    /// asserts it against the last one committed by [`Transaction::set_layout`].
    pub fn expect_layout(&mut self, relation: Oid, layout_version: u32) {
        let layouts = &mut self.made.expected_layouts;
        if !layouts.contains(&(relation, layout_version)) {
            layouts.push((relation, layout_version));
        }
    }

    /// The layout version that this transaction's definition gives the relation.
    pub fn set_layout(&mut self, relation: Oid, layout_version: u32) {
        self.made.new_layouts.push((relation, layout_version));
    }

    /// Whether [`Transaction::bulk_put`] may load this relation: made by this transaction, with no
    /// savepoint set since, under READ COMMITTED. Otherwise use `put`.
    pub fn bulk_loads(&self, relation: RelationId) -> bool {
        let depth = self.made.marks.len();
        let mut made = self.made.made.iter();
        self.isolation() == Isolation::ReadCommitted
            && made.any(|made| made.relation == relation && made.depth == depth)
    }

    /// Loads a row straight into a relation that [`Transaction::bulk_loads`]; waits only when two
    /// batches of 8 MiB are under way. Fastest when keys ascend. A key that is there already is
    /// [`StorageError::DuplicateKey`], here or at [`Transaction::bulk_finish`].
    pub async fn bulk_put(
        &mut self,
        relation: RelationId,
        key: &[u8],
        row: &[u8],
    ) -> Result<(), StorageError> {
        self.check_open()?;
        if !self.bulk_loads(relation) {
            return Err(StorageError::Misuse("this relation takes no bulk load"));
        }
        let key = self.checked_key(relation, key)?;
        match self.writes.get(&key) {
            None => {}
            // What the write set says of a key is applied over the load, at commit: so a key that this
            // transaction wrote or deleted one by one stays the write set's.
            Some(Some(_)) => return Err(duplicate(relation, &key)),
            Some(None) => return self.write(&key, Some(row)),
        }
        let MadeRelations { made, load, .. } = &mut self.made;
        let mut made = made.iter_mut().rev();
        let made = made
            .find(|made| made.relation == relation)
            .expect("checked by bulk_loads");
        let first = match std::mem::replace(&mut made.state, LoadState::Loaded) {
            LoadState::Untouched => Some(relation),
            LoadState::Loaded => None,
        };
        let load = load.get_or_insert_default();
        load.push(&self.core.shared.gate, &key, row, first).await
    }

    /// Waits until all loaded rows are in the store; statements begun afterwards see them. Needed
    /// before the statement ends.
    pub async fn bulk_finish(&mut self) -> Result<(), StorageError> {
        match &mut self.made.load {
            Some(load) => load.finish(&self.core.shared.gate).await,
            None => Ok(()),
        }
    }
}
