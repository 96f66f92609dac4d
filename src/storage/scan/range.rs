//! The bounds of a scan: comparing keys with them, and halving what lies between.

use super::super::keyspace::{KeyRange, store_range};
use crate::catalog::RelationId;
use std::ops::Bound;

/// The bounds of a scan as stored keys.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Bounds {
    pub(super) low: Bound<Vec<u8>>,
    pub(super) high: Bound<Vec<u8>>,
}

impl Bounds {
    pub(in crate::storage) fn new(relation: RelationId, range: KeyRange<'_>) -> Bounds {
        let (low, high) = store_range(relation, range);
        Bounds { low, high }
    }

    /// As map ranges take it.
    pub(in crate::storage) fn as_range(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (
            self.low.as_ref().map(Vec::as_slice),
            self.high.as_ref().map(Vec::as_slice),
        )
    }

    /// Whether no key can lie between them (a map range would panic on some of these).
    pub(in crate::storage) fn is_empty(&self) -> bool {
        match self.as_range() {
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
            (Bound::Excluded(low), Bound::Included(high)) => low >= high,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }

    pub(super) fn is_before(&self, key: &[u8]) -> bool {
        match &self.low {
            Bound::Included(low) => key < low.as_slice(),
            Bound::Excluded(low) => key <= low.as_slice(),
            Bound::Unbounded => false,
        }
    }

    pub(super) fn is_past(&self, key: &[u8]) -> bool {
        match &self.high {
            Bound::Included(high) => key > high.as_slice(),
            Bound::Excluded(high) => key >= high.as_slice(),
            Bound::Unbounded => false,
        }
    }
}

/// Whether a key is past an upper bound. In a scan the first bytes mostly decide, so that they are
/// compared as a number.
pub(super) struct Past<'b> {
    bound: &'b [u8],
    begins: u64,
    /// A key that equals the bound is past it.
    excluded: bool,
    bounded: bool,
}

impl<'b> Past<'b> {
    pub(super) fn new(high: &'b Bound<Vec<u8>>) -> Past<'b> {
        let (bound, excluded, bounded): (&[u8], bool, bool) = match high {
            Bound::Included(high) => (high, false, true),
            Bound::Excluded(high) => (high, true, true),
            Bound::Unbounded => (&[], false, false),
        };
        Past {
            bound,
            begins: begins(bound),
            excluded,
            bounded,
        }
    }

    #[inline]
    pub(super) fn is(&self, key: &[u8]) -> bool {
        if !self.bounded {
            return false;
        }
        match begins(key).cmp(&self.begins) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => match key.cmp(self.bound) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Greater => true,
                std::cmp::Ordering::Equal => self.excluded,
            },
        }
    }
}

/// The first eight bytes as a number, zeros for those that are not there: two keys compare as these do
/// unless these are equal.
#[inline]
fn begins(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(bytes)
        }
    }
}

/// A key about halfway between two, above the first and at most the second; None where none is.
pub(super) fn middle(low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
    let same = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    let (from, to) = (begins(&low[same..]), begins(&high[same..]));
    let half = to.checked_sub(from)? / 2;
    if half == 0 {
        return None;
    }
    let mut key = high[..same].to_vec();
    key.extend_from_slice(&(from + half).to_be_bytes());
    // Zeros at the end say nothing of the place, and a key has a greatest length.
    key.truncate(high.len().max(same + 1));
    (low < key.as_slice() && key.as_slice() <= high).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_key_is_past_a_bound_as_bytes_compare(
            key in proptest::collection::vec(0u8..3, 0..12),
            bound in proptest::collection::vec(0u8..3, 0..12),
        ) {
            let included = Bound::Included(bound.clone());
            let excluded = Bound::Excluded(bound.clone());
            proptest::prop_assert_eq!(Past::new(&included).is(&key), key > bound);
            proptest::prop_assert_eq!(Past::new(&excluded).is(&key), key >= bound);
            proptest::prop_assert!(!Past::new(&Bound::Unbounded).is(&key));
        }

        #[test]
        fn a_middle_lies_between(
            one in proptest::collection::vec(0u8..=255, 0..12),
            other in proptest::collection::vec(0u8..=255, 0..12),
        ) {
            let (low, high) = if one < other { (one, other) } else { (other, one) };
            if let Some(middle) = middle(&low, &high) {
                proptest::prop_assert!(low < middle && middle <= high);
                proptest::prop_assert!(middle.len() <= high.len().max(low.len() + 1));
            }
        }
    }

    #[test]
    fn numbers_far_apart_are_halved() {
        let key = |number: u32| [&[0, 0, 0, 9][..], &number.to_be_bytes()].concat();
        let middle = middle(&key(0), &key(1_000_000)).expect("there are keys between");
        assert!(middle > key(490_000) && middle < key(510_000));
        assert_eq!(super::middle(&key(5), &key(5)), None);
    }
}
