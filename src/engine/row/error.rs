//! What can go wrong with a row or a key.

use crate::catalog::sql_type::SqlType;
use crate::diagnostic::{Diagnostic, SqlState};
use crate::engine::types;

/// A row or key that cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// A row past [`super::ROW_BYTES_MAX`].
    #[error("row of {bytes} bytes exceeds the limit of {limit} bytes")]
    RowTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A type whose values have no order that keys keep.
    #[error("type {} in a key is not supported", types::format_type(*sql_type))]
    KeyType {
        /// The type.
        sql_type: SqlType,
    },
    /// Stored bytes that are not what this layout writes: a damaged file.
    #[error("stored row is damaged: {what}")]
    Damaged {
        /// Which part.
        what: &'static str,
    },
    /// A value of another Arrow type than its column: a mistake of ours.
    #[error("value of type {found} for a column of type {expected}")]
    Mismatch {
        /// The column's Arrow type.
        expected: String,
        /// The value's.
        found: String,
    },
}

impl RowError {
    /// Its code.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            RowError::RowTooLarge { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            RowError::KeyType { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            RowError::Damaged { .. } => SqlState::DATA_CORRUPTED,
            RowError::Mismatch { .. } => SqlState::INTERNAL_ERROR,
        }
    }
}

impl From<RowError> for Diagnostic {
    fn from(error: RowError) -> Diagnostic {
        Diagnostic::error(error.sqlstate(), error.to_string())
    }
}
