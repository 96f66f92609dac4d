//! The overlay: the newest versions that are ordered and not yet durable (DESIGN §6).
//!
//! Whoever locks a row, a unique key or a foreign-key parent looks here before it begins a snapshot:
//! what is not here any more is durable by then, so the snapshot has it.

use super::keyspace::CommitNumber;
use super::scan::Bounds;
use super::write_set::Entries;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// A version that is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) commit: CommitNumber,
    /// None is a deletion.
    pub(super) row: Option<Arc<[u8]>>,
}

/// A stored key with its newest ordered version.
pub(super) type KeyVersion = (Arc<[u8]>, Version);

/// The newest ordered versions by stored key.
#[derive(Default)]
pub(super) struct Overlay {
    versions: BTreeMap<Arc<[u8]>, Version>,
}

impl Overlay {
    /// Puts a commit's versions in, all of them in memory. Their keys are locked, so commits of one
    /// key come in order.
    pub(super) fn insert(&mut self, commit: CommitNumber, entries: &Entries) {
        for (key, row) in entries {
            let version = Version {
                commit,
                row: row.as_ref().map(|row| {
                    let row = row.in_memory();
                    row.expect("a spilled write set keeps its locks").clone()
                }),
            };
            let before = self.versions.insert(key.clone(), version);
            assert!(
                before.is_none_or(|before| before.commit < commit),
                "versions of one key are ordered by its lock"
            );
        }
    }

    /// Takes a durable commit's versions out, but those that a later commit has replaced.
    pub(super) fn prune(&mut self, commit: CommitNumber, entries: &Entries) {
        for key in entries.keys() {
            if let Entry::Occupied(version) = self.versions.entry(key.clone())
                && version.get().commit == commit
            {
                version.remove();
            }
        }
    }

    /// The newest ordered version of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Version> {
        self.versions.get(key)
    }

    /// The newest ordered versions in a range.
    pub(super) fn range(&self, range: &Bounds) -> Vec<KeyVersion> {
        if range.is_empty() {
            return Vec::new();
        }
        self.versions
            .range::<[u8], _>(range.as_range())
            .map(|(key, version)| (key.clone(), version.clone()))
            .collect()
    }

    /// Forgets everything: a group failed.
    pub(super) fn clear(&mut self) {
        self.versions.clear();
    }

    /// How many versions are not durable yet.
    pub(super) fn len(&self) -> usize {
        self.versions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::keyspace::{ALL_KEYS, store_key};
    use super::super::spill::WrittenRow;
    use super::*;
    use crate::catalog::RelationId;

    const RELATION: RelationId = RelationId(20);

    fn entries(rows: &[(&[u8], Option<&[u8]>)]) -> Entries {
        let mut entries = Entries::new();
        for (key, row) in rows {
            entries.insert(
                store_key(RELATION, key).as_slice().into(),
                row.map(|row| WrittenRow::Memory(Arc::from(row))),
            );
        }
        entries
    }

    #[test]
    fn pruning_a_commit_keeps_what_a_later_one_wrote() {
        let mut overlay = Overlay::default();
        let first = entries(&[(b"a", Some(b"1")), (b"b", Some(b"1"))]);
        let second = entries(&[(b"a", None)]);
        overlay.insert(CommitNumber(1), &first);
        overlay.insert(CommitNumber(2), &second);
        overlay.prune(CommitNumber(1), &first);
        let a = overlay.get(&store_key(RELATION, b"a")).unwrap();
        assert_eq!((a.commit, &a.row), (CommitNumber(2), &None));
        assert!(overlay.get(&store_key(RELATION, b"b")).is_none());
        overlay.prune(CommitNumber(2), &second);
        assert_eq!(overlay.len(), 0);
    }

    #[test]
    fn a_range_stays_in_its_relation() {
        let mut overlay = Overlay::default();
        overlay.insert(CommitNumber(1), &entries(&[(b"a", Some(b"1"))]));
        let other = Bounds::new(RelationId(21), ALL_KEYS);
        assert!(overlay.range(&other).is_empty());
        assert_eq!(overlay.range(&Bounds::new(RELATION, ALL_KEYS)).len(), 1);
    }
}
