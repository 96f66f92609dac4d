//! What can go wrong in storage, each kind with its SQLSTATE and a hint where one helps.
//!
//! The enum is `Clone`, because one failed commit is told to everybody who waited for its group.

use super::advisory::ADVISORY_LOCKS_MAX;
use super::keyspace::CommitNumber;
use crate::catalog::RelationId;
use crate::diagnostic::{Diagnostic, SqlState};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// An error of the storage room.
#[derive(Clone, Debug, Error)]
pub enum StorageError {
    /// The memory map has no room left (MDB_MAP_FULL).
    #[error("the storage map is full")]
    MapFull,
    /// The file system has no room left (ENOSPC, EDQUOT).
    #[error("could not write to the storage: no space left on device")]
    DiskFull,
    /// Every reader slot is taken (MDB_READERS_FULL).
    #[error("too many snapshots are open")]
    ReadersFull,
    /// The snapshot was given up because it was too old, or because the disk is nearly full.
    #[error("snapshot too old")]
    SnapshotTooOld,
    /// REPEATABLE READ met a row that somebody changed since its snapshot.
    #[error("could not serialize access due to concurrent update")]
    ConcurrentUpdate,
    /// The transaction took a value whose commit failed afterwards.
    #[error("could not serialize access: a value this transaction read was not made durable")]
    ValueLost {
        /// The commit that failed.
        commit: CommitNumber,
    },
    /// The relation's definition moved on under a write set.
    #[error("could not serialize access: the table's definition changed")]
    LayoutChanged,
    /// The wait-for graph has a cycle, and this waiter gives way.
    #[error("deadlock detected")]
    Deadlock {
        /// Who waits for whom.
        detail: Arc<str>,
    },
    /// NOWAIT, and somebody else holds the row or relation.
    #[error("could not obtain lock on row")]
    LockNotAvailable,
    /// A session holds as many advisory locks as it may.
    #[error("more than {ADVISORY_LOCKS_MAX} advisory locks in one session")]
    TooManyAdvisoryLocks,
    /// lock_timeout passed.
    #[error("canceling statement due to lock timeout")]
    LockTimeout {
        /// How long it waited.
        waited: Duration,
    },
    /// The wait was cancelled by the user or by statement_timeout.
    #[error("canceling statement due to user request")]
    WaitCancelled,
    /// A key is longer than LMDB takes.
    #[error("index row size {bytes} exceeds maximum {bytes_max}")]
    KeyTooLong {
        /// The key's length, its relation id included.
        bytes: usize,
        /// The longest that LMDB takes with this page size.
        bytes_max: usize,
    },
    /// A row is longer than the store takes.
    #[error("row size {bytes} exceeds maximum {bytes_max}")]
    RowTooLong {
        /// The row's length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The transaction's writes and locks passed `transaction_bytes_max`.
    #[error("the transaction's changes exceed {bytes_max} bytes")]
    TransactionTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// A counter (relation ids, oids, row numbers) has no number left.
    #[error("no {0} left")]
    NumbersExhausted(&'static str),
    /// A sequence reached its end and does not cycle.
    #[error("nextval: reached {} value of sequence ({limit})", if *.ascending { "maximum" } else { "minimum" })]
    SequenceExhausted {
        /// The bound reached.
        limit: i64,
        /// Whether it counts upwards.
        ascending: bool,
    },
    /// A bulk load met a key that is there already.
    #[error("the key exists already")]
    DuplicateKey {
        /// In which relation.
        relation: RelationId,
        /// The key, without its relation id.
        key: Arc<[u8]>,
    },
    /// The files were written by a newer server.
    #[error("the storage has format {found}, this server reads up to format {supported}")]
    FormatNewer {
        /// The number in the file.
        found: u32,
        /// The newest that this server knows.
        supported: u32,
    },
    /// The format file, or a record of the store's own, does not read as it should.
    #[error("the storage is damaged: {0}")]
    Damaged(Arc<str>),
    /// The server is going down; no more commits are taken.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The operating system refused.
    #[error("could not {operation}: {error}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// What the system said.
        error: Arc<std::io::Error>,
    },
    /// The root of the store could not be written, and LMDB refuses everything from then on.
    #[error("the storage cannot be used any more: writing its root page failed")]
    InDoubt,
    /// LMDB refused for a reason that has no variant of its own.
    #[error("could not {operation}: {reason}")]
    Lmdb {
        /// What was attempted.
        operation: &'static str,
        /// LMDB's text.
        reason: Arc<str>,
    },
    /// The caller broke a rule of this room.
    #[error("storage was misused: {0}")]
    Misuse(&'static str),
}

impl StorageError {
    /// The SQLSTATE a client gets.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            StorageError::MapFull | StorageError::DiskFull => SqlState::DISK_FULL,
            StorageError::ReadersFull => SqlState::TOO_MANY_CONNECTIONS,
            StorageError::SnapshotTooOld => SqlState::SNAPSHOT_TOO_OLD,
            StorageError::ConcurrentUpdate
            | StorageError::ValueLost { .. }
            | StorageError::LayoutChanged => SqlState::SERIALIZATION_FAILURE,
            StorageError::Deadlock { .. } => SqlState::DEADLOCK_DETECTED,
            StorageError::LockNotAvailable | StorageError::LockTimeout { .. } => {
                SqlState::LOCK_NOT_AVAILABLE
            }
            StorageError::TooManyAdvisoryLocks => SqlState::OUT_OF_MEMORY,
            StorageError::WaitCancelled => SqlState::QUERY_CANCELED,
            StorageError::KeyTooLong { .. }
            | StorageError::RowTooLong { .. }
            | StorageError::TransactionTooLarge { .. }
            | StorageError::NumbersExhausted(_) => SqlState::PROGRAM_LIMIT_EXCEEDED,
            StorageError::SequenceExhausted { .. } => SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
            StorageError::DuplicateKey { .. } => SqlState::UNIQUE_VIOLATION,
            StorageError::FormatNewer { .. } => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            StorageError::Damaged(_) => SqlState::DATA_CORRUPTED,
            StorageError::ShuttingDown => SqlState::ADMIN_SHUTDOWN,
            StorageError::Io { .. } | StorageError::InDoubt | StorageError::Lmdb { .. } => {
                SqlState::IO_ERROR
            }
            StorageError::Misuse(_) => SqlState::INTERNAL_ERROR,
        }
    }

    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StorageError::MapFull => Some("Raise map_size in section [storage] and restart."),
            StorageError::DiskFull => Some("Free some space on the data directory's disk."),
            StorageError::InDoubt => {
                Some("Restart the server once its disk is well; what was acknowledged is there.")
            }
            StorageError::ReadersFull => {
                Some("End idle transactions, or raise max_connections in section [server].")
            }
            StorageError::SnapshotTooOld => Some(
                "Run the transaction again; snapshot_age_max in section [storage] bounds its age.",
            ),
            StorageError::ConcurrentUpdate
            | StorageError::ValueLost { .. }
            | StorageError::LayoutChanged => Some("Run the transaction again."),
            StorageError::TransactionTooLarge { .. } => Some(
                "Change fewer rows in one transaction, or raise transaction_bytes_max in section [storage].",
            ),
            StorageError::KeyTooLong { .. } => {
                Some("Index a shorter value, such as a hash of the long one.")
            }
            _ => None,
        }
    }
}

/// sequence_generator_limit_exceeded
const SEQUENCE_GENERATOR_LIMIT_EXCEEDED: SqlState = SqlState::new("2200H");

impl StorageError {
    /// What a sequence of this name ends with.
    pub fn of_sequence(self, name: &str) -> Diagnostic {
        match self {
            StorageError::SequenceExhausted { limit, ascending } => {
                let bound = if ascending { "maximum" } else { "minimum" };
                Diagnostic::error(
                    SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
                    format!("nextval: reached {bound} value of sequence \"{name}\" ({limit})"),
                )
            }
            other => other.into(),
        }
    }
}

impl From<StorageError> for Diagnostic {
    fn from(error: StorageError) -> Diagnostic {
        let diagnostic = Diagnostic::error(error.sqlstate(), error.to_string());
        let diagnostic = match &error {
            StorageError::Deadlock { detail } => diagnostic.with_detail(detail.as_ref()),
            _ => diagnostic,
        };
        match error.hint() {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_the_sqlstate_that_the_design_names() {
        let table: [(StorageError, &str); 10] = [
            (StorageError::MapFull, "53100"),
            (StorageError::DiskFull, "53100"),
            (StorageError::ReadersFull, "53300"),
            (StorageError::SnapshotTooOld, "72000"),
            (StorageError::ConcurrentUpdate, "40001"),
            (StorageError::LockNotAvailable, "55P03"),
            (StorageError::TooManyAdvisoryLocks, "53200"),
            (StorageError::WaitCancelled, "57014"),
            (StorageError::TransactionTooLarge { bytes_max: 1 }, "54000"),
            (
                StorageError::KeyTooLong {
                    bytes: 9,
                    bytes_max: 8,
                },
                "54000",
            ),
        ];
        for (error, code) in table {
            assert_eq!(Diagnostic::from(error).sqlstate().as_str(), code);
        }
    }

    #[test]
    fn a_full_map_tells_which_setting_to_raise() {
        let diagnostic = Diagnostic::from(StorageError::MapFull);
        let hint = diagnostic.fields().hint.as_deref().unwrap_or_default();
        assert!(hint.contains("map_size"));
    }
}
