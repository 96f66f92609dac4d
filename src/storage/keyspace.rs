//! The one key space of the store: relation id (4 bytes, big-endian), then the order-preserving key.
//!
//! A stored value is the writer's commit number (8 bytes, big-endian), then the engine's row bytes.
//! Relation 0 is the store's own (counters, markers), relation 1 holds the definitions; relations of
//! users begin at [`FIRST_RELATION`].

use super::error::StorageError;
use crate::catalog::RelationId;
use std::fmt;
use std::ops::Bound;

/// The number of a commit: their order. 0 stands for "none yet" and for a transaction's own writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitNumber(pub u64);

impl fmt::Display for CommitNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The store's own records.
pub const STORE_RELATION: RelationId = RelationId(0);

/// The definitions: key = OID (4 bytes, big-endian), value = the engine's encoding of a relation.
pub const DEFINITIONS_RELATION: RelationId = RelationId(1);

/// The first relation id given to what users make.
pub const FIRST_RELATION: RelationId = RelationId(16);

/// Bytes of a relation id before a key.
pub const RELATION_BYTES: usize = 4;

/// Bytes of a commit number before a row.
pub const COMMIT_BYTES: usize = 8;

/// A key with its relation id, on the stack when it is short.
pub type StoreKey = smallvec::SmallVec<[u8; 64]>;

/// Relation id and key as they are stored.
pub fn store_key(relation: RelationId, key: &[u8]) -> StoreKey {
    let mut bytes = StoreKey::with_capacity(RELATION_BYTES + key.len());
    bytes.extend_from_slice(&relation.0.to_be_bytes());
    bytes.extend_from_slice(key);
    bytes
}

/// The key without its relation id.
pub fn user_key(stored: &[u8]) -> &[u8] {
    &stored[RELATION_BYTES..]
}

/// The relation id of a stored key.
pub fn relation_of(stored: &[u8]) -> RelationId {
    let prefix = stored[..RELATION_BYTES]
        .try_into()
        .expect("a stored key begins with its relation id");
    RelationId(u32::from_be_bytes(prefix))
}

/// Splits a stored value into commit number and row.
pub fn split_value(stored: &[u8]) -> Result<(CommitNumber, &[u8]), StorageError> {
    match stored.split_first_chunk::<COMMIT_BYTES>() {
        Some((number, row)) => Ok((CommitNumber(u64::from_be_bytes(*number)), row)),
        None => Err(StorageError::Damaged(
            "a value is shorter than its commit number".into(),
        )),
    }
}

/// A range of keys of one relation, by bounds without the relation id.
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// All keys of a relation.
pub const ALL_KEYS: KeyRange<'static> = (Bound::Unbounded, Bound::Unbounded);

/// The bounds of a range as stored keys: owned, and never reaching into another relation.
pub fn store_range(relation: RelationId, range: KeyRange<'_>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let stored = |key: &[u8]| store_key(relation, key).to_vec();
    let low = match range.0 {
        Bound::Included(key) => Bound::Included(stored(key)),
        Bound::Excluded(key) => Bound::Excluded(stored(key)),
        Bound::Unbounded => Bound::Included(stored(&[])),
    };
    let high = match range.1 {
        Bound::Included(key) => Bound::Included(stored(key)),
        Bound::Excluded(key) => Bound::Excluded(stored(key)),
        Bound::Unbounded => match relation.0.checked_add(1) {
            Some(next) => Bound::Excluded(next.to_be_bytes().to_vec()),
            None => Bound::Unbounded,
        },
    };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_relation_ends_before_the_next_one() {
        let (low, high) = store_range(RelationId(7), ALL_KEYS);
        assert_eq!(low, Bound::Included(vec![0, 0, 0, 7]));
        assert_eq!(high, Bound::Excluded(vec![0, 0, 0, 8]));
    }

    #[test]
    fn stored_keys_sort_by_relation_and_then_by_key() {
        let a = store_key(RelationId(1), &[255, 255]);
        let b = store_key(RelationId(2), &[0]);
        assert!(a < b);
        assert_eq!(user_key(&b), &[0]);
        assert_eq!(relation_of(&b), RelationId(2));
    }

    #[test]
    fn a_value_without_a_commit_number_is_damage() {
        assert!(split_value(&[1, 2, 3]).is_err());
    }
}
