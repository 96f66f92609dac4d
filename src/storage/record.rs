//! The store's own records, in relation 0: the counters, and the relations condemned to be cleared.
//!
//! | key after the relation id | value |
//! |---|---|
//! | `counters` | last commit (8 bytes), next relation id (4), next OID (4), big-endian |
//! | `condemned` + relation id (4 bytes) | nothing: its rows are to be cleared; a start clears all |
//!
//! A sequence's counter is the only record of its own relation: an empty key, and last value
//! (8 bytes) and is_called (1 byte) after the commit number.

use super::error::StorageError;
use super::keyspace::{
    COMMIT_BYTES, CommitNumber, FIRST_RELATION, STORE_RELATION, StoreKey, split_value, store_key,
};
use super::sequences::SequenceState;
use crate::catalog::RelationId;
use crate::catalog::ids::FIRST_USER_OID;

/// The counters that each group writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) last_commit: CommitNumber,
    pub(super) next_relation: u32,
    pub(super) next_oid: u32,
}

impl Counters {
    /// Those of a new store.
    pub(super) const FIRST: Counters = Counters {
        last_commit: CommitNumber(0),
        next_relation: FIRST_RELATION.0,
        next_oid: FIRST_USER_OID,
    };

    pub(super) fn encode(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.last_commit.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.next_relation.to_be_bytes());
        bytes[12..].copy_from_slice(&self.next_oid.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Counters, StorageError> {
        let bytes: &[u8; 16] = bytes
            .try_into()
            .map_err(|_| StorageError::Damaged("the counters have a wrong length".into()))?;
        let word = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Ok(Counters {
            last_commit: CommitNumber(u64::from(word(0)) << 32 | u64::from(word(4))),
            next_relation: word(8),
            next_oid: word(12),
        })
    }
}

/// The counters' key.
pub(super) fn counters_key() -> StoreKey {
    store_key(STORE_RELATION, b"counters")
}

/// What condemned relations' keys begin with.
pub(super) fn condemned_prefix() -> StoreKey {
    store_key(STORE_RELATION, b"condemned")
}

/// The key that condemns a relation.
pub(super) fn condemned_key(relation: RelationId) -> StoreKey {
    let mut key = condemned_prefix();
    key.extend_from_slice(&relation.0.to_be_bytes());
    key
}

/// The relation that a key condemns.
pub(super) fn condemned_relation(key: &[u8]) -> Result<RelationId, StorageError> {
    key.last_chunk::<4>()
        .map(|bytes| RelationId(u32::from_be_bytes(*bytes)))
        .ok_or_else(|| StorageError::Damaged("a condemned relation has no number".into()))
}

/// The key of a sequence's counter.
pub(super) fn sequence_key(relation: RelationId) -> StoreKey {
    store_key(relation, &[])
}

/// A sequence's counter, without the commit number.
pub(super) fn encode_sequence(state: SequenceState) -> [u8; 9] {
    let mut bytes = [0; 9];
    bytes[..8].copy_from_slice(&state.last_value.to_be_bytes());
    bytes[8] = u8::from(state.is_called);
    bytes
}

/// A sequence's counter from its stored value.
pub(super) fn decode_sequence(stored: &[u8]) -> Result<SequenceState, StorageError> {
    let (_, bytes) = split_value(stored)?;
    match bytes.split_first_chunk::<8>() {
        Some((value, [called @ (0 | 1)])) => Ok(SequenceState {
            last_value: i64::from_be_bytes(*value),
            is_called: *called == 1,
        }),
        _ => Err(StorageError::Damaged(
            "a sequence's counter has a wrong length".into(),
        )),
    }
}

const _: () = assert!(
    COMMIT_BYTES == 8,
    "the counters and rows write commit numbers alike"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_read_back_as_they_were_written() {
        let counters = Counters {
            last_commit: CommitNumber(0x0102_0304_0506_0708),
            next_relation: 77,
            next_oid: u32::MAX,
        };
        assert_eq!(Counters::decode(&counters.encode()).unwrap(), counters);
        assert!(Counters::decode(&[1, 2, 3]).is_err());
    }

    #[test]
    fn a_condemned_relation_is_read_from_its_key() {
        let relation = RelationId(0x0a0b_0c0d);
        assert_eq!(
            condemned_relation(&condemned_key(relation)).unwrap(),
            relation
        );
    }

    #[test]
    fn a_sequence_counter_reads_back_and_a_torn_one_is_damage() {
        let state = SequenceState {
            last_value: -5,
            is_called: true,
        };
        let mut stored = vec![0; COMMIT_BYTES];
        stored.extend_from_slice(&encode_sequence(state));
        assert_eq!(decode_sequence(&stored).unwrap(), state);
        stored.pop();
        assert!(decode_sequence(&stored).is_err());
    }
}
