//! What the query pool reads of a transaction: a set of read transactions of one LMDB id, and the
//! write set as it was when the view was made.

use super::error::StorageError;
use super::keyspace::KeyRange;
use super::scan::{Direction, Entry};
use crate::catalog::RelationId;
use std::borrow::Cow;

/// A transaction's sight of the store, for several threads. Cloning shares.
///
/// A view may outlive its statement and its transaction; it pins its snapshot until it is dropped.
#[derive(Clone)]
pub struct View {}

impl View {
    /// A row, own writes first.
    pub fn get(
        &self,
        _relation: RelationId,
        _key: &[u8],
    ) -> Result<Option<Cow<'_, [u8]>>, StorageError> {
        todo!()
    }

    /// A scan that owns its place in the set; 53300 when more scans run at a time than there are
    /// reader slots.
    pub fn scan(
        &self,
        _relation: RelationId,
        _range: KeyRange<'_>,
        _direction: Direction,
    ) -> Result<ViewScan, StorageError> {
        todo!()
    }
}

/// A scan of a [`View`], on any thread, with nothing borrowed.
pub struct ViewScan {}

impl ViewScan {
    /// The next entry, or none at the end of the range.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, StorageError> {
        todo!()
    }
}
