//! About how many rows lie in a range of keys.
//!
//! Nothing is counted when rows are written. A few places of a key range are looked at instead, and how
//! far the keys there lie apart taken for the whole: some microseconds a table.

use crate::catalog::RelationId;
use crate::engine::row::KeyRange;
use crate::storage::{StorageError, View};
use std::ops::{Bound, ControlFlow};

/// Rows that are counted one by one.
const COUNTED: usize = 128;
/// Of several ranges, those that are looked into.
const RANGES: usize = 4;
/// Places looked at in a larger range.
const PLACES: u64 = 8;
/// Rows looked at in each.
const ROWS_A_PLACE: usize = 32;

/// About how many rows have keys in the ranges, by some of these.
///
/// # Errors
/// Storage's.
pub fn in_ranges(view: &View, store: RelationId, ranges: &[KeyRange]) -> Result<u64, StorageError> {
    let apart = (ranges.len() / RANGES).max(1);
    let (mut rows, mut count) = (0u64, 0u64);
    for range in ranges.iter().step_by(apart) {
        rows = rows.saturating_add(in_range(view, store, range)?);
        count += 1;
    }
    Ok(rows.saturating_mul(ranges.len() as u64) / count.max(1))
}

/// About how many rows have keys in the range: exactly, where they are few.
///
/// # Errors
/// Storage's.
pub fn in_range(view: &View, table: RelationId, range: &KeyRange) -> Result<u64, StorageError> {
    let bounds = (
        range.0.as_ref().map(Vec::as_slice),
        range.1.as_ref().map(Vec::as_slice),
    );
    let mut scan = view.scan_lane(0, table, bounds)?;
    let (mut counted, mut first) = (0u64, Vec::new());
    let more = scan.read(COUNTED, |key, _| {
        if counted == 0 {
            first = key.to_vec();
        }
        counted += 1;
        Ok::<_, StorageError>(ControlFlow::Continue(()))
    })?;
    let last = match more {
        true => view.last_key(table, bounds)?,
        false => None,
    };
    let Some(last) = last else {
        return Ok(counted);
    };
    let line = Line::between(&first, &last);
    let mut rows = 0.0;
    for place in 0..PLACES {
        let from = line.key_at(place);
        let mut scan = view.scan_lane(0, table, (Bound::Included(&from), bounds.1))?;
        let (mut found, mut ends) = (0u32, None);
        scan.read(ROWS_A_PLACE, |key, _| {
            let at = line.place_of(key);
            let (begin, _) = *ends.get_or_insert((at, at));
            ends = Some((begin, at));
            found += 1;
            Ok::<_, StorageError>(ControlFlow::Continue(()))
        })?;
        let apart = ends.map_or(0, |(begin, end)| end - begin).max(1);
        rows += f64::from(found) * line.length as f64 / PLACES as f64 / apart as f64;
    }
    Ok((rows as u64).max(counted))
}

/// The keys of a range as numbers: their first bytes that are not the same in all.
struct Line {
    same: Vec<u8>,
    from: u64,
    length: u64,
}

impl Line {
    fn between(first: &[u8], last: &[u8]) -> Line {
        let same = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let from = number(&first[same..]);
        Line {
            same: first[..same].to_vec(),
            from,
            length: number(&last[same..]).saturating_sub(from).max(1),
        }
    }

    fn key_at(&self, place: u64) -> Vec<u8> {
        let at = self.from + self.length / PLACES * place;
        [&self.same[..], &at.to_be_bytes()].concat()
    }

    fn place_of(&self, key: &[u8]) -> u64 {
        let rest = key.get(self.same.len()..).unwrap_or_default();
        number(rest).saturating_sub(self.from)
    }
}

fn number(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = bytes.len().min(8);
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_the_first_key_to_the_last() {
        let key = |number: u32| number.to_be_bytes();
        let line = Line::between(&key(256), &key(256 + 8_000));
        assert_eq!(line.place_of(&key(256)), 0);
        assert_eq!(line.place_of(&key(256 + 8_000)), line.length);
        let halfway = line.key_at(PLACES / 2);
        assert_eq!(halfway[..4], key(256 + 4_000));
    }
}
