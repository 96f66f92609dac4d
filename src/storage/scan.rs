//! A scan over a range of keys: the snapshot with the transaction's own writes merged in.

use super::error::StorageError;
use std::marker::PhantomData;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// A key (without its relation id) and its row, borrowed until the scan goes on.
pub type Entry<'s> = (&'s [u8], &'s [u8]);

/// A scan under way. It sees the write set as it was when the scan began.
pub struct Scan<'a> {
    snapshot: PhantomData<&'a ()>,
}

impl Scan<'_> {
    /// The next entry, or none at the end of the range.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, StorageError> {
        todo!()
    }
}
